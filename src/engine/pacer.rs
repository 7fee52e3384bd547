//! Tells workers which devices are due. A thread of its own when time is real: tokio's timers wake one to two
//! milliseconds late, which would be a distortion of its own at thousands of arrivals per second.

use std::io;
use std::iter::Peekable;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use tokio::sync::mpsc::UnboundedSender;
use tokio::task::AbortHandle;

use crate::domain::injected_panic;
use crate::engine::clock::RunClock;
use crate::engine::crew::Execution;
use crate::engine::share::Split;
use crate::engine::snapshot;

/// A device that became due.
#[derive(Debug, Clone, Copy)]
pub(super) struct Due {
    pub(super) device: u32,
    /// When, on the clock of the run.
    pub(super) at: Duration,
}

/// Who becomes due when, and whom to tell.
pub(super) struct Pacer {
    due: Peekable<DueList>,
    feeds: Vec<UnboundedSender<Due>>,
    split: Split,
}

/// Who is due when, from the start of the stage (real time), in order.
pub(super) type DueList = Box<dyn Iterator<Item = (Duration, u32)> + Send>;

/// A pacer at work. Dropping it ends it.
pub(super) enum Pacing {
    Task(AbortHandle),
    Thread { stop: Arc<AtomicBool>, thread: Option<JoinHandle<()>> },
}

impl Pacer {
    /// `feeds`: one per worker of the split.
    pub(super) fn new(due: DueList, feeds: Vec<UnboundedSender<Due>>, split: Split) -> Self {
        Self { due: due.peekable(), feeds, split }
    }

    /// Starts it where the devices are.
    pub(super) fn start(self, execution: Execution, clock: RunClock, stage_start: Duration) -> io::Result<Pacing> {
        match execution {
            Execution::Inline => {
                Ok(Pacing::Task(tokio::task::spawn_local(self.run(clock, stage_start)).abort_handle()))
            }
            Execution::Threads => self.spawn(clock, stage_start),
        }
    }

    /// Hands over everything that is due. Says when to come back; `None` when all is done or nobody listens any more.
    fn hand_over(&mut self, clock: RunClock, stage_start: Duration) -> Option<Duration> {
        let now = clock.now();
        while let Some((offset, device)) = self.due.peek().copied() {
            let at = stage_start + offset;
            if at > now {
                return Some(at);
            }
            self.due.next();
            let feed = self.feeds.get(self.split.worker_of(device))?;
            feed.send(Due { device, at }).ok()?;
        }
        None
    }

    /// On the runtime's clock, which may be paused.
    async fn run(mut self, clock: RunClock, stage_start: Duration) {
        while let Some(next) = self.hand_over(clock, stage_start) {
            tokio::time::sleep_until(clock.instant(next)).await;
        }
    }

    /// On a thread of its own, which wakes within some ten microseconds.
    fn spawn(mut self, clock: RunClock, stage_start: Duration) -> io::Result<Pacing> {
        let stopped = Arc::new(AtomicBool::new(false));
        let stop = Arc::clone(&stopped);
        let thread = thread::Builder::new().name("pacer".to_owned()).spawn(move || {
            // The kernel may delay timers by 50 µs to save energy; without the permission it still works.
            #[cfg(any(target_os = "linux", target_os = "android"))]
            let _ = nix::sys::prctl::set_timerslack(1);
            while let Some(next) = self.hand_over(clock, stage_start) {
                if clock.now() >= snapshot::EVERY {
                    injected_panic("pacer");
                }
                while let Some(wait) = next.checked_sub(clock.now()).filter(|w| !w.is_zero()) {
                    if stopped.load(Ordering::Relaxed) {
                        return;
                    }
                    thread::park_timeout(wait);
                }
            }
        })?;
        Ok(Pacing::Thread { stop, thread: Some(thread) })
    }
}

impl Pacing {
    /// Ends it, and says whether it did not panic: the workers only see their feeds end.
    pub(super) fn end(mut self) -> bool {
        self.stop()
    }

    fn stop(&mut self) -> bool {
        match self {
            Self::Task(task) => {
                task.abort();
                true
            }
            Self::Thread { stop, thread } => {
                stop.store(true, Ordering::Relaxed);
                thread.take().is_none_or(|thread| {
                    thread.thread().unpark();
                    thread.join().is_ok()
                })
            }
        }
    }
}

impl Drop for Pacing {
    fn drop(&mut self) {
        self.stop();
    }
}
