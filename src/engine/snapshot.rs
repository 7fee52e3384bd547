//! The record of a run that goes on, as it would be if the run were cut off now: what stays when it is killed.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

use crate::engine::EngineOutcome;
use crate::engine::conductor::Conductor;
use crate::engine::merge::{self, Merged};
use crate::engine::outcome::{Begun, Measured};
use crate::engine::recorder::{Errors, Recorder};
use crate::engine::stage_loop::StageShare;
use crate::measure::{Begin, RunStatus};

/// How often workers hand out a copy of what they recorded.
const EVERY: Duration = Duration::from_secs(1);

/// A snapshot may take one part in so many of the time.
const SHARE: u32 = 20;

/// Receives snapshots, about one in a second; in runs of hours fewer, so that they take no more than a twentieth of a core.
pub type Snapshots = watch::Sender<Option<Arc<EngineOutcome>>>;

/// Where a worker puts the copies of what it recorded of a stage.
#[derive(Debug, Clone, Default)]
pub(super) struct Copies(Arc<Mutex<Newest>>);

#[derive(Debug, Default)]
struct Newest {
    /// When the next copy is wanted.
    next: Duration,
    /// What nobody took yet.
    copy: Option<Box<Recorder>>,
}

impl Copies {
    /// Whether a copy is wanted now.
    pub(super) fn are_wanted(&self, now: Duration) -> bool {
        now >= self.0.lock().unwrap_or_else(PoisonError::into_inner).next
    }

    /// Puts a copy in the place of the one before.
    pub(super) fn put(&self, now: Duration, copy: Box<Recorder>) {
        let mut newest = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *newest = Newest { next: now + EVERY, copy: Some(copy) };
    }

    fn take(&self) -> Option<Box<Recorder>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).copy.take()
    }
}

/// What is kept of a stage that began.
#[derive(Debug)]
pub(super) struct Kept {
    pub(super) stage: usize,
    pub(super) begin: Begin,
    /// First due time, on the clock of the run.
    pub(super) from: Duration,
    pub(super) workers: Vec<(Copies, Option<Box<Recorder>>)>,
    /// All of it, once it is over.
    pub(super) over: Option<Merged>,
}

impl Kept {
    /// The newest copy of every worker that has put one.
    fn records(&mut self) -> Vec<Recorder> {
        for (copies, record) in &mut self.workers {
            *record = copies.take().or_else(|| record.take());
        }
        self.workers.iter().filter_map(|(_, record)| record.as_deref().map(Recorder::copy)).collect()
    }
}

/// Makes snapshots when their time has come.
pub(super) struct Keeper<'a> {
    pub(super) snapshots: Snapshots,
    pub(super) begun: &'a Begun,
    pub(super) next: Duration,
}

impl Keeper<'_> {
    pub(super) fn keep(&mut self, conductor: &Conductor, now: Duration) {
        if now < self.next {
            return;
        }
        let start = Instant::now();
        let (stages, errors) = conductor.so_far(now);
        let outcome = self.begun.outcome(Measured {
            elapsed: now,
            status: RunStatus::Lost,
            stages,
            certificates: None,
            errors,
            notes: conductor.notes.borrow().clone(),
            broken: conductor.broken.borrow().clone(),
            busiest: Duration::ZERO,
        });
        self.snapshots.send_replace(Some(Arc::new(outcome)));
        self.next = now + EVERY.max(start.elapsed() * SHARE);
    }
}

impl Conductor {
    /// Every stage as if it had been cut off when its workers last put a copy.
    fn so_far(&self, now: Duration) -> (Vec<Merged>, Errors) {
        let mut kept = self.kept.borrow_mut();
        // Of stages that are over.
        let mut errors = self.errors.borrow().clone();
        let stages = self.plan.stages.iter().enumerate().map(|(index, planned)| {
            let Some(kept) = kept.iter_mut().find(|kept| kept.stage == index) else {
                return Merged::not_started(&self.plan, index, now);
            };
            if let Some(over) = &kept.over {
                return over.clone();
            }
            let share = |recorder| StageShare { recorder, ..StageShare::default() };
            let shares = kept.records().into_iter().map(share).collect();
            let mut merged = merge::stage(&self.plan, index, shares, kept.from, &mut errors);
            merged.stage.begin = Some(kept.begin);
            // Workers that have put no copy yet have started nobody.
            let totals = &mut merged.stage.totals;
            totals.not_started += u64::from(planned.devices).saturating_sub(totals.planned);
            totals.planned = totals.planned.max(u64::from(planned.devices));
            merged
        });
        (stages.collect(), errors)
    }
}
