//! The records of all workers as one.

use std::collections::VecDeque;
use std::time::Duration;

use crate::domain::FailureClass;
use crate::engine::Plan;
use crate::engine::recorder::{Errors, Second, Seconds};
use crate::engine::skips::Skips;
use crate::engine::stage_loop::StageShare;
use crate::measure::add_each;
use crate::measure::{CompactHistogram, CompactPhases, Histogram, Interval, PhaseHistograms, StageRecord, Totals};

/// One stage of a plan out of the records of its workers. `from` is its first due time, on the clock of the run. Whether it
/// ran to its end is for the caller to say.
pub(super) fn stage(plan: &Plan, index: usize, shares: Vec<StageShare>, from: Duration, errors: &mut Errors) -> Merged {
    let planned = &plan.stages[index];
    let mut merged = Merged {
        stage: StageRecord {
            name: planned.name.clone(),
            kind: planned.kind.name().to_owned(),
            workload: planned.workload.clone(),
            totals: Totals::default(),
            start: from,
            elapsed: Duration::ZERO,
            begin: None,
            skips: Vec::new(),
            phases: CompactPhases::default(),
            intervals: Vec::new(),
        },
        lateness: CompactHistogram::default(),
        waited_for_slot: 0,
        waited_for_key: 0,
        whole: false,
    };
    let (mut phases, mut lateness) = (PhaseHistograms::new(), Histogram::new());
    let mut until = from;
    let mut attempts_ended = 0;
    let mut seconds = Vec::new();
    let mut skips = Skips::default();
    for share in shares {
        let recorder = share.recorder;
        merged.stage.totals.add(&recorder.totals);
        phases.merge(&recorder.phases);
        lateness.merge(&recorder.lateness);
        merged.waited_for_slot += share.waited_for_slot;
        merged.waited_for_key += share.waited_for_key;
        attempts_ended += recorder.attempts_ended;
        until = until.max(recorder.last_end);
        errors.merge(&recorder.errors);
        skips.add(&recorder.skips);
        seconds.push(WorkerSeconds::new(recorder.seconds));
    }
    debug_assert!(merged.stage.totals.add_up(), "every device has exactly one outcome: {:?}", merged.stage.totals);
    debug_assert_eq!(merged.stage.totals.attempts, attempts_ended, "every attempt ended");
    debug_assert_eq!(merged.stage.totals.skipped, skips.devices(), "every skip has a reason");
    merged.stage.skips = skips.into_rows(&plan.stages);
    merged.stage.elapsed = until - from;
    merged.stage.phases = CompactPhases::from(&phases);
    merged.lateness = CompactHistogram::new(&lateness);
    merged.stage.intervals = intervals(seconds, from, until);
    merged
}

/// A stage, and what the watch on the generator needs of it.
#[derive(Debug, Clone)]
pub(super) struct Merged {
    pub(super) stage: StageRecord,
    pub(super) lateness: CompactHistogram,
    pub(super) waited_for_slot: u64,
    pub(super) waited_for_key: u64,
    /// Whether it ran to its end: neither stopped before, nor still going on.
    pub(super) whole: bool,
}

impl Merged {
    /// A stage that never began because the run was stopped before.
    pub(super) fn not_started(plan: &Plan, index: usize, now: Duration) -> Self {
        let devices = u64::from(plan.stages[index].devices);
        let mut merged = stage(plan, index, Vec::new(), now, &mut Errors::default());
        merged.stage.totals = Totals { planned: devices, not_started: devices, ..Totals::default() };
        merged
    }
}

/// What is left of the seconds of a worker, in order.
struct WorkerSeconds {
    counts: VecDeque<(u64, Second)>,
    latencies: VecDeque<(u64, CompactHistogram)>,
}

impl WorkerSeconds {
    fn new(seconds: Seconds) -> Self {
        let (counts, latencies) = seconds.into_parts();
        Self { counts: counts.into(), latencies: latencies.into() }
    }
}

/// What there is of one second; those before it are left out.
fn take<T>(seconds: &mut VecDeque<(u64, T)>, second: u64) -> Option<T> {
    while seconds.pop_front_if(|(number, _)| *number < second).is_some() {}
    seconds.pop_front_if(|(number, _)| *number == second).map(|(_, found)| found)
}

fn intervals(mut workers: Vec<WorkerSeconds>, from: Duration, until: Duration) -> Vec<Interval> {
    let first = from.as_secs();
    let ends = workers.iter().filter_map(|worker| worker.counts.back().map(|(number, _)| number + 1));
    let last = ends.max().unwrap_or_default();
    let mut in_flight = 0;
    let mut intervals = Vec::new();
    for second in first..last {
        let start = Duration::from_secs(second);
        let length = until.saturating_sub(start).min(Duration::from_secs(1));
        let mut interval = Interval { start, length, ..Interval::default() };
        let mut failed_attempts = [0; FailureClass::ALL.len()];
        for count in workers.iter_mut().filter_map(|worker| take(&mut worker.counts, second)) {
            interval.due += count.due;
            interval.started += count.started;
            interval.attempts += count.attempts;
            let failed: u64 = count.failed_attempts.iter().sum();
            interval.failed_attempts += failed;
            interval.succeeded_attempts += count.attempts_ended - failed;
            interval.succeeded += count.succeeded;
            interval.throttled += count.throttled;
            interval.retry_after_max = interval.retry_after_max.max(count.retry_after_max);
            interval.dropped += count.dropped;
            interval.expired += count.expired;
            interval.gave_up += count.gave_up;
            interval.disconnects += count.disconnects;
            interval.telemetry += count.telemetry;
            add_each(&mut interval.failed, &count.failed);
            add_each(&mut failed_attempts, &count.failed_attempts);
        }
        interval.failed_attempts_by_class = Some(failed_attempts);
        in_flight += interval.attempts;
        in_flight -= interval.succeeded_attempts + interval.failed_attempts;
        interval.in_flight = in_flight;
        for latencies in workers.iter_mut().filter_map(|worker| take(&mut worker.latencies, second)) {
            interval.total.merge(&latencies);
        }
        intervals.push(interval);
    }
    intervals
}
