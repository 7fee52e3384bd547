//! The record of a run that goes on, as it would be if the run were cut off now: what stays when it is killed or breaks.
//!
//! Nobody is asked for it, as those who have much to do would answer late: workers put a copy of what they recorded aside
//! whenever they record something and half a second has passed, and a thread of its own makes records out of them as often: what
//! is kept is at most a second old, and what it takes to write it.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use tokio::task::AbortHandle;
use tokio::time::sleep_until;

use crate::domain::injected_panic;
use crate::engine::clock::RunClock;
use crate::engine::record::publication::COPY_EVERY;
use crate::engine::run::board::Board;
use crate::engine::run::crew::Execution;
use crate::engine::run::outcome::{EngineOutcome, Measured, RunStart};
use crate::engine::watch::usage;
use crate::measure::RunStatus;

/// Making a record, and whatever its receiver does with it, may take one part in so many of the time of a core.
const SHARE: u32 = 20;

/// Receives records of the run so far, about two in a second, on a thread that has nothing else to do; in runs of hours fewer,
/// so that they take no more than a twentieth of a core.
pub type Snapshots = Box<dyn FnMut(EngineOutcome) + Send>;

/// Makes records of a run that goes on, when their time has come.
pub(crate) struct Keeper {
    pub(crate) snapshots: Snapshots,
    pub(crate) start: Arc<RunStart>,
    pub(crate) board: Arc<Board>,
    pub(crate) clock: RunClock,
}

/// A keeper at work. When it is dropped, whoever conducts the run broke: it makes a last record.
pub(crate) enum Keeping {
    Task(AbortHandle),
    Thread { stop: Arc<AtomicBool>, last: Arc<AtomicBool>, thread: Option<JoinHandle<()>> },
}

impl Keeper {
    /// Starts it beside the work: on a thread of its own, or where the devices are when time is not real.
    pub(crate) fn start(mut self, execution: Execution) -> io::Result<Keeping> {
        let clock = self.clock;
        match execution {
            Execution::Inline => {
                let work = async move {
                    loop {
                        self.keep();
                        sleep_until(clock.instant(clock.now() + COPY_EVERY)).await;
                    }
                };
                Ok(Keeping::Task(tokio::task::spawn_local(work).abort_handle()))
            }
            Execution::Threads => {
                let (stopped, wanted) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
                let (stop, last) = (Arc::clone(&stopped), Arc::clone(&wanted));
                let thread = thread::Builder::new().name("keeper".to_owned()).spawn(move || {
                    while !stopped.load(Ordering::Relaxed) {
                        let (now, cpu) = (clock.now(), usage::of_this_thread());
                        self.keep();
                        // Of its own time, not of that for which others had the core.
                        let took = usage::of_this_thread().saturating_sub(cpu);
                        let next = now + COPY_EVERY.max(took * SHARE);
                        while !stopped.load(Ordering::Relaxed)
                            && let Some(wait) = next.checked_sub(clock.now()).filter(|wait| !wait.is_zero())
                        {
                            thread::park_timeout(wait);
                        }
                    }
                    if wanted.load(Ordering::Relaxed) {
                        self.keep();
                    }
                })?;
                Ok(Keeping::Thread { stop, last, thread: Some(thread) })
            }
        }
    }

    fn keep(&mut self) {
        let now = self.clock.now();
        if now >= COPY_EVERY {
            injected_panic("keeper");
        }
        let (stages, errors) = self.board.stages(now);
        let outcome = self.start.outcome(Measured {
            elapsed: now,
            status: RunStatus::Lost,
            stages,
            certificates: None,
            errors,
            notes: self.board.notes(),
            broken: self.board.broken(),
            busiest: Duration::ZERO,
        });
        (self.snapshots)(outcome);
    }
}

impl Keeping {
    /// Ends it, and says whether it was at work until now.
    pub(crate) fn end(mut self) -> bool {
        self.stop()
    }

    fn stop(&mut self) -> bool {
        match self {
            Self::Task(task) => {
                let is_whole = !task.is_finished();
                task.abort();
                is_whole
            }
            Self::Thread { stop, thread, .. } => {
                stop.store(true, Ordering::Relaxed);
                thread.take().is_none_or(|thread| {
                    thread.thread().unpark();
                    thread.join().is_ok()
                })
            }
        }
    }
}

impl Drop for Keeping {
    fn drop(&mut self) {
        if let Self::Thread { last, thread: Some(_), .. } = self {
            last.store(true, Ordering::Relaxed);
        }
        self.stop();
    }
}
