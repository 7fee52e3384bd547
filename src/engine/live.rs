use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::domain::Phase;
use crate::engine::recorder::Recorder;
use crate::engine::{Progress, RunPart};
use crate::measure::Histogram;

/// How often a snapshot is made.
pub(super) const EVERY: Duration = Duration::from_millis(200);

/// What a worker tells about itself a few times a second.
#[derive(Debug, Default)]
pub(super) struct Live {
    started: u64,
    succeeded: u64,
    failed: u64,
    dropped: u64,
    throttled: u64,
    all_due: bool,
    total: Histogram,
}

/// One per worker, shared with the one that shows progress.
pub(super) type SharedLive = Arc<Mutex<Live>>;

impl Live {
    pub(super) fn publish(shared: &SharedLive, recorder: &Recorder, all_due: bool) {
        let mut live = shared.lock().unwrap_or_else(PoisonError::into_inner);
        live.started = recorder.totals.started;
        live.succeeded = recorder.totals.succeeded;
        live.failed = recorder.totals.failed_total();
        live.dropped = recorder.totals.dropped;
        live.throttled = recorder.totals.throttled;
        live.all_due = all_due;
        if let Some(total) = recorder.phases.succeeded(Phase::Total) {
            live.total.clone_from(total);
        }
    }
}

/// Makes one snapshot out of those of all workers.
#[derive(Debug)]
pub(super) struct Display {
    pub(super) workers: Vec<SharedLive>,
    pub(super) stage: usize,
    pub(super) planned: u64,
    /// Successes at the last times, for the rate.
    pub(super) recent: VecDeque<(Duration, u64)>,
}

impl Display {
    pub(super) fn snapshot(&mut self, now: Duration) -> Progress {
        let mut all = Live { all_due: true, ..Live::default() };
        for worker in &self.workers {
            let live = worker.lock().unwrap_or_else(PoisonError::into_inner);
            all.started += live.started;
            all.succeeded += live.succeeded;
            all.failed += live.failed;
            all.dropped += live.dropped;
            all.throttled += live.throttled;
            all.all_due &= live.all_due;
            all.total.merge(&live.total);
        }
        self.recent.push_back((now, all.succeeded));
        while self.recent.front().is_some_and(|(at, _)| *at + Duration::from_millis(1_100) < now) {
            self.recent.pop_front();
        }
        let rate = self.recent.front().map_or(0.0, |(at, succeeded)| {
            let seconds = now.saturating_sub(*at).as_secs_f64();
            if seconds > 0.0 { (all.succeeded - succeeded) as f64 / seconds } else { 0.0 }
        });
        Progress {
            part: if all.all_due { RunPart::Drain } else { RunPart::Measure },
            stage: self.stage,
            elapsed: now,
            planned: self.planned,
            keys_ready: 0,
            keys_wanted: 0,
            done: all.succeeded + all.failed + all.dropped,
            succeeded: all.succeeded,
            failed: all.failed,
            dropped: all.dropped,
            in_flight: all.started - all.succeeded - all.failed,
            throttled: all.throttled,
            rate,
            p50: all.total.quantile(0.5),
            p99: all.total.quantile(0.99),
        }
    }
}
