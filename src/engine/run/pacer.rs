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
use crate::engine::plan::due::Due;
use crate::engine::plan::share::Split;
use crate::engine::record::publication;
use crate::engine::run::crew::Execution;

/// Who becomes due when, and whom to tell.
pub(crate) struct Pacer {
    due: Peekable<DueDevices>,
    feeds: Vec<UnboundedSender<Due>>,
    split: Split,
}

/// Those who become due, in order.
type DueDevices = Box<dyn Iterator<Item = Due> + Send>;

/// A pacer at work. Dropping it ends it.
pub(crate) enum Pacing {
    Task(AbortHandle),
    Thread { stop: Arc<AtomicBool>, thread: Option<JoinHandle<()>> },
}

impl Pacer {
    /// `feeds`: one per worker of the split.
    pub(crate) fn new(due: DueDevices, feeds: Vec<UnboundedSender<Due>>, split: Split) -> Self {
        Self { due: due.peekable(), feeds, split }
    }

    /// Starts it where the devices are.
    pub(crate) fn start(self, execution: Execution, clock: RunClock) -> io::Result<Pacing> {
        match execution {
            Execution::Inline => Ok(Pacing::Task(tokio::task::spawn_local(self.run(clock)).abort_handle())),
            Execution::Threads => self.spawn(clock),
        }
    }

    /// Hands over everything that is due. Says when to come back; `None` when all is done or nobody listens any more.
    fn hand_over(&mut self, clock: RunClock) -> Option<Duration> {
        let now = clock.now();
        while let Some(due) = self.due.peek().copied() {
            if due.at > now {
                return Some(due.at);
            }
            self.due.next();
            let feed = self.feeds.get(self.split.worker_of(due.device))?;
            feed.send(due).ok()?;
        }
        None
    }

    /// On the runtime's clock, which may be paused.
    async fn run(mut self, clock: RunClock) {
        while let Some(next) = self.hand_over(clock) {
            tokio::time::sleep_until(clock.instant(next)).await;
        }
    }

    /// On a thread of its own, which wakes within some ten microseconds.
    fn spawn(mut self, clock: RunClock) -> io::Result<Pacing> {
        let stopped = Arc::new(AtomicBool::new(false));
        let stop = Arc::clone(&stopped);
        let thread = thread::Builder::new().name("pacer".to_owned()).spawn(move || {
            // The kernel may delay timers by 50 µs to save energy; without the permission it still works.
            #[cfg(any(target_os = "linux", target_os = "android"))]
            let _ = nix::sys::prctl::set_timerslack(1);
            while let Some(next) = self.hand_over(clock) {
                if clock.now() >= publication::COPY_EVERY {
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
    pub(crate) fn end(mut self) -> bool {
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

#[cfg(test)]
mod tests {
    use tokio::sync::mpsc::error::TryRecvError;
    use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
    use tokio::task::{LocalSet, yield_now};

    use super::*;
    use crate::domain::Shard;

    const MS: fn(u64) -> Duration = Duration::from_millis;
    const HOUR: Duration = Duration::from_secs(3_600);

    fn due(at: Duration, device: u32) -> Due {
        Due { device, at }
    }

    /// A pacer of one worker, and what it hands over.
    fn pacer(due: impl Iterator<Item = Due> + Send + 'static) -> (Pacer, UnboundedReceiver<Due>) {
        let (feed, fed) = unbounded_channel();
        let split = Split { shard: Shard::WHOLE, workers: 1 };
        (Pacer::new(Box::new(due), vec![feed], split), fed)
    }

    fn is_closed(fed: &mut UnboundedReceiver<Due>) -> bool {
        matches!(fed.try_recv(), Err(TryRecvError::Disconnected))
    }

    #[tokio::test(start_paused = true)]
    async fn devices_are_handed_over_when_they_are_due() {
        let local = async {
            let (pacer, mut fed) = pacer([due(MS(500), 4), due(MS(500), 5), due(MS(2_000), 6)].into_iter());
            let clock = RunClock::start();
            let pacing = pacer.start(Execution::Inline, clock).unwrap();
            for (device, at) in [(4, MS(500)), (5, MS(500)), (6, MS(2_000))] {
                let due = fed.recv().await.unwrap();
                assert_eq!((due.device, due.at), (device, at));
                // The runtime's timers are good to a millisecond.
                assert!(clock.now() >= at && clock.now() <= at + MS(1), "{:?}", clock.now());
            }
            assert!(fed.recv().await.is_none(), "no more will come");
            assert!(pacing.end());
        };
        LocalSet::new().run_until(local).await;
    }

    #[tokio::test(start_paused = true)]
    async fn a_pacer_beside_the_devices_ends_when_it_is_told_and_when_nobody_has_it_any_more() {
        let local = async {
            for dropped in [true, false] {
                let (pacer, mut fed) = pacer([due(MS(0), 0), due(HOUR, 1)].into_iter());
                let pacing = pacer.start(Execution::Inline, RunClock::start()).unwrap();
                fed.recv().await.unwrap();
                if dropped {
                    drop(pacing);
                } else {
                    assert!(pacing.end());
                }
                yield_now().await;
                assert!(is_closed(&mut fed), "dropped: {dropped}");
            }
        };
        LocalSet::new().run_until(local).await;
    }

    #[test]
    fn the_thread_of_a_pacer_ends_at_once_when_it_is_told_and_when_nobody_has_it_any_more() {
        for dropped in [true, false] {
            let (pacer, mut fed) = pacer([due(MS(0), 7), due(HOUR, 8)].into_iter());
            let pacing = pacer.start(Execution::Threads, RunClock::start()).unwrap();
            assert_eq!(fed.blocking_recv().map(|due| due.device), Some(7));
            if dropped {
                drop(pacing);
            } else {
                assert!(pacing.end());
            }
            assert!(is_closed(&mut fed), "dropped: {dropped}");
        }
    }

    #[test]
    fn a_pacer_that_breaks_is_told_from_one_that_is_done() {
        let (breaks, mut fed) = pacer((0..3).map(|device| match device {
            2 => panic!("this list breaks"),
            device => due(MS(0), device),
        }));
        let pacing = breaks.start(Execution::Threads, RunClock::start()).unwrap();
        while fed.blocking_recv().is_some() {}
        assert!(!pacing.end());
        let (done, mut fed) = pacer([due(MS(0), 0)].into_iter());
        let pacing = done.start(Execution::Threads, RunClock::start()).unwrap();
        while fed.blocking_recv().is_some() {}
        assert!(pacing.end());
    }
}
