//! The record of a run that goes on, as it would be if the run were cut off now: what stays when it is killed or breaks.
//!
//! Nobody is asked for it, as those who have much to do would answer late: workers put a copy of what they recorded aside
//! whenever they record something and half a second has passed, and a thread of its own makes records out of them as often: what
//! is kept is at most a second old, and what it takes to write it.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use tokio::task::AbortHandle;
use tokio::time::sleep_until;

use crate::domain::injected_panic;
use crate::engine::clock::RunClock;
use crate::engine::plan::Plan;
use crate::engine::record::copies::{Copies, EVERY, lock};
use crate::engine::record::merge::{self, Merged};
use crate::engine::record::recorder::{Errors, Recorder};
use crate::engine::record::stage_share::StageShare;
use crate::engine::run::crew::Execution;
use crate::engine::run::outcome::EngineOutcome;
use crate::engine::run::outcome::{Begun, Measured};
use crate::engine::watch::usage;
use crate::measure::{Begin, RunStatus, ThresholdResult};

/// Making a record, and whatever its receiver does with it, may take one part in so many of the time of a core.
const SHARE: u32 = 20;

/// Receives records of the run so far, about two in a second, on a thread that has nothing else to do; in runs of hours fewer,
/// so that they take no more than a twentieth of a core.
pub type Snapshots = Box<dyn FnMut(EngineOutcome) + Send>;

/// What is kept of a stage that began.
#[derive(Debug)]
pub(crate) struct Kept {
    pub(crate) stage: usize,
    pub(crate) begin: Begin,
    /// First due time, on the clock of the run.
    pub(crate) from: Duration,
    pub(crate) workers: Vec<(Copies, Option<Arc<Recorder>>)>,
    /// All of it, once it is over.
    pub(crate) over: Option<Merged>,
}

impl Kept {
    /// The newest copy of every worker that has put one.
    fn newest(&mut self) -> Vec<Arc<Recorder>> {
        for (copies, record) in &mut self.workers {
            if let Some(newer) = copies.take() {
                *record = Some(Arc::from(newer));
            }
        }
        self.workers.iter().filter_map(|(_, record)| record.clone()).collect()
    }
}

/// What a run came to so far, for those who look at it from another thread.
#[derive(Debug)]
pub(crate) struct SoFar {
    plan: Arc<Plan>,
    stages: Mutex<Stages>,
    notes: Mutex<Vec<String>>,
    /// The threshold that ended the run.
    broken: Mutex<Option<ThresholdResult>>,
}

#[derive(Debug, Default)]
struct Stages {
    kept: Vec<Kept>,
    /// Failures of those that are over.
    errors: Errors,
}

/// How far a stage came.
enum Seen {
    NotBegun,
    GoesOn { records: Vec<Arc<Recorder>>, begin: Begin, from: Duration },
    Over(Box<Merged>),
}

impl SoFar {
    pub(crate) fn new(plan: Arc<Plan>) -> Self {
        Self { plan, stages: Mutex::default(), notes: Mutex::default(), broken: Mutex::default() }
    }

    /// Something that the reader must know.
    pub(crate) fn note(&self, note: String) {
        lock(&self.notes).push(note);
    }

    pub(crate) fn notes(&self) -> Vec<String> {
        lock(&self.notes).clone()
    }

    /// A threshold ends the run; the first that does stays.
    pub(crate) fn breaks(&self, result: ThresholdResult) {
        lock(&self.broken).get_or_insert(result);
    }

    pub(crate) fn broken(&self) -> Option<ThresholdResult> {
        lock(&self.broken).clone()
    }

    /// A stage began.
    pub(crate) fn began(&self, kept: Kept) {
        lock(&self.stages).kept.push(kept);
    }

    /// A stage ended with these failures. `over` is all of it, when anybody wants to know before the end of the run.
    pub(crate) fn ended(&self, stage: usize, over: Option<Merged>, errors: &Errors) {
        let mut stages = lock(&self.stages);
        stages.errors.merge(errors);
        if let Some(kept) = stages.kept.iter_mut().find(|kept| kept.stage == stage) {
            (kept.workers, kept.over) = (Vec::new(), over);
        }
    }

    /// Failures of the stages that are over.
    pub(crate) fn errors(&self) -> Errors {
        lock(&self.stages).errors.clone()
    }

    /// What a worker last put aside of a stage that goes on.
    pub(crate) fn last_of(&self, stage: usize, worker: usize) -> Option<Recorder> {
        let mut stages = lock(&self.stages);
        let kept = stages.kept.iter_mut().find(|kept| kept.stage == stage)?;
        kept.newest();
        kept.workers.get(worker)?.1.as_ref().map(|record| record.copy())
    }

    /// A stage as if it had been cut off when its workers last put a copy, and its failures.
    pub(crate) fn cut_off(&self, index: usize, now: Duration) -> (Merged, Errors) {
        let seen = lock(&self.stages).seen(index);
        let mut errors = Errors::default();
        (self.merged(index, seen, now, &mut errors), errors)
    }

    fn merged(&self, index: usize, seen: Seen, now: Duration, errors: &mut Errors) -> Merged {
        let (records, begin, from) = match seen {
            Seen::NotBegun => return Merged::not_started(&self.plan, index, now),
            Seen::Over(merged) => return *merged,
            Seen::GoesOn { records, begin, from } => (records, begin, from),
        };
        let share = |record: Arc<Recorder>| StageShare { recorder: record.copy(), ..StageShare::default() };
        let mut merged = merge::stage(&self.plan, index, records.into_iter().map(share).collect(), from, errors);
        merged.stage.begin = Some(begin);
        // Workers that have put no copy yet have started nobody.
        let devices = u64::from(self.plan.stages[index].devices);
        let totals = &mut merged.stage.totals;
        totals.not_started += devices.saturating_sub(totals.planned);
        totals.planned = totals.planned.max(devices);
        merged
    }

    /// Every stage, those that go on as if they were cut off, and all failures.
    fn stages(&self, now: Duration) -> (Vec<Merged>, Errors) {
        // What is over, and what is not, at one moment: no failure is in neither or in both.
        let (seen, mut errors) = {
            let mut stages = lock(&self.stages);
            let seen: Vec<_> = (0..self.plan.stages.len()).map(|index| stages.seen(index)).collect();
            (seen, stages.errors.clone())
        };
        let seen = seen.into_iter().enumerate();
        let merged = seen.map(|(index, seen)| self.merged(index, seen, now, &mut errors)).collect();
        (merged, errors)
    }
}

impl Stages {
    fn seen(&mut self, index: usize) -> Seen {
        match self.kept.iter_mut().find(|kept| kept.stage == index) {
            None => Seen::NotBegun,
            Some(Kept { over: Some(merged), .. }) => Seen::Over(Box::new(merged.clone())),
            Some(kept) => Seen::GoesOn { records: kept.newest(), begin: kept.begin, from: kept.from },
        }
    }
}

/// Makes records of a run that goes on, when their time has come.
pub(crate) struct Keeper {
    pub(crate) snapshots: Snapshots,
    pub(crate) begun: Arc<Begun>,
    pub(crate) so_far: Arc<SoFar>,
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
                        sleep_until(clock.instant(clock.now() + EVERY)).await;
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
                        let next = now + EVERY.max(took * SHARE);
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
        if now >= EVERY {
            injected_panic("keeper");
        }
        let (stages, errors) = self.so_far.stages(now);
        let outcome = self.begun.outcome(Measured {
            elapsed: now,
            status: RunStatus::Lost,
            stages,
            certificates: None,
            errors,
            notes: self.so_far.notes(),
            broken: self.so_far.broken(),
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

#[cfg(test)]
mod tests;
