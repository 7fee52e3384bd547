//! What is known of stages while they go on.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::domain::Phase;
use crate::engine::StageProgress;
use crate::engine::recorder::Recorder;
use crate::engine::thresholds::Numbers;
use crate::measure::{Histogram, PhaseHistograms, Totals};
use crate::scenario::Metric;

/// How often a snapshot is made.
pub(super) const EVERY: Duration = Duration::from_millis(200);

/// What a worker tells about a stage a few times a second.
#[derive(Debug, Default)]
pub(super) struct Live {
    totals: Totals,
    attempts_ended: u64,
    all_due: bool,
    total: Histogram,
    /// Metrics of times that somebody waits for, with those times.
    watched: Vec<(Metric, Histogram)>,
}

/// One per worker and stage, shared with those who look.
pub(super) type SharedLive = Arc<Mutex<Live>>;

impl Live {
    /// Nothing yet; `watched` are metrics whose times are wanted.
    pub(super) fn shared(watched: impl IntoIterator<Item = Metric>) -> SharedLive {
        let watched = watched.into_iter().map(|metric| (metric, Histogram::new())).collect();
        Arc::new(Mutex::new(Self { watched, ..Self::default() }))
    }

    pub(super) fn publish(shared: &SharedLive, recorder: &Recorder, all_due: bool) {
        let mut live = shared.lock().unwrap_or_else(PoisonError::into_inner);
        live.totals = recorder.totals;
        live.attempts_ended = recorder.attempts_ended;
        live.all_due = all_due;
        if let Some(total) = recorder.phases.succeeded(Phase::Total) {
            live.total.clone_from(total);
        }
        for (metric, times) in &mut live.watched {
            if let Some(found) = times_of(*metric, &recorder.phases, &recorder.lateness) {
                times.clone_from(found);
            }
        }
    }
}

/// The times that a metric is about.
pub(super) fn times_of<'a>(
    metric: Metric,
    phases: &'a PhaseHistograms,
    lateness: &'a Histogram,
) -> Option<&'a Histogram> {
    match metric {
        Metric::Phase { phase, succeeded: true, .. } => phases.succeeded(phase),
        Metric::Phase { phase, succeeded: false, .. } => phases.failed(phase),
        Metric::Lateness(_) => Some(lateness),
        _ => None,
    }
}

/// A stage that goes on, as those see it who look from outside.
#[derive(Debug)]
pub(super) struct Display {
    pub(super) workers: Vec<SharedLive>,
    pub(super) stage: usize,
    pub(super) planned: u64,
    /// When it began, on the clock of the run.
    pub(super) start: Duration,
    /// Whether it is over.
    pub(super) over: bool,
    /// Successful attempts at the last times, for the rate.
    recent: VecDeque<(Duration, u64)>,
}

impl Display {
    pub(super) const fn new(workers: Vec<SharedLive>, stage: usize, planned: u64, start: Duration) -> Self {
        Self { workers, stage, planned, start, over: false, recent: VecDeque::new() }
    }

    pub(super) fn snapshot(&mut self, now: Duration) -> StageProgress {
        let mut all = Live { all_due: true, ..Live::default() };
        for worker in &self.workers {
            let live = worker.lock().unwrap_or_else(PoisonError::into_inner);
            all.totals.add(&live.totals);
            all.attempts_ended += live.attempts_ended;
            all.all_due &= live.all_due;
            all.total.merge(&live.total);
        }
        let Live { totals, attempts_ended, all_due, total, .. } = all;
        let good = attempts_ended - totals.failed_attempts_total();
        self.recent.push_back((now, good));
        while self.recent.front().is_some_and(|(at, _)| *at + Duration::from_millis(1_100) < now) {
            self.recent.pop_front();
        }
        let rate = self.recent.front().map_or(0.0, |(at, before)| {
            let seconds = now.saturating_sub(*at).as_secs_f64();
            if seconds > 0.0 { good.saturating_sub(*before) as f64 / seconds } else { 0.0 }
        });
        let failed = totals.failed_total();
        StageProgress {
            stage: self.stage,
            all_due,
            planned: self.planned,
            done: totals.succeeded + failed + totals.dropped + totals.skipped,
            succeeded: totals.succeeded,
            failed,
            dropped: totals.dropped,
            expired: totals.expired,
            attempts: totals.attempts,
            failed_attempts: totals.failed_attempts_total(),
            in_flight: totals.attempts.saturating_sub(attempts_ended),
            disconnects: totals.disconnects,
            throttled: totals.throttled,
            rate,
            p50: total.quantile(0.5),
            p99: total.quantile(0.99),
        }
    }

    /// Adds what is known for a threshold on `metric` to `numbers`.
    pub(super) fn add_to(&self, metric: Metric, now: Duration, numbers: &mut Numbers) {
        for worker in &self.workers {
            let live = worker.lock().unwrap_or_else(PoisonError::into_inner);
            numbers.totals.add(&live.totals);
            if let Some((_, times)) = live.watched.iter().find(|(watched, _)| *watched == metric) {
                numbers.times.merge(times);
            }
        }
        numbers.elapsed = numbers.elapsed.max(now.saturating_sub(self.start));
    }
}
