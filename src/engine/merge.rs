//! The records of all workers as one.

use std::time::Duration;

use crate::engine::PlannedStage;
use crate::engine::recorder::{Errors, Recorder, Second};
use crate::engine::worker::WorkerRecord;
use crate::measure::{CompactHistogram, Histogram, Interval, PhaseHistograms, StageRecord, Totals};

/// One stage out of the records of its workers. `from` and `until` are the stage's first due time and its end, on the
/// clock of the run.
pub(super) fn stage(planned: &PlannedStage, workers: Vec<WorkerRecord>, from: Duration, errors: &mut Errors) -> Merged {
    let mut merged = Merged {
        stage: StageRecord {
            name: planned.name.clone(),
            kind: planned.kind.name().to_owned(),
            workload: planned.workload.clone(),
            totals: Totals::default(),
            start: from,
            elapsed: Duration::ZERO,
            phases: PhaseHistograms::new(),
            intervals: Vec::new(),
        },
        lateness: Histogram::new(),
        peak_in_flight: 0,
        waited_for_slot: 0,
        waited_for_key: 0,
        busiest: Duration::ZERO,
    };
    let mut until = from;
    let mut seconds = Vec::new();
    for worker in workers {
        let recorder = worker.recorder;
        merged.stage.totals.add(&recorder.totals);
        merged.stage.phases.merge(&recorder.phases);
        merged.lateness.merge(&recorder.lateness);
        merged.peak_in_flight += recorder.peak_in_flight;
        merged.waited_for_slot += worker.waited_for_slot;
        merged.waited_for_key += worker.waited_for_key;
        merged.busiest = merged.busiest.max(worker.cpu);
        until = until.max(recorder.last_end);
        errors.merge(&recorder.errors);
        seconds.push(WorkerSeconds::new(recorder));
    }
    let totals = &merged.stage.totals;
    debug_assert_eq!(
        totals.planned,
        totals.succeeded + totals.failed_total() + totals.dropped + totals.not_started,
        "every device has exactly one outcome"
    );
    debug_assert_eq!(totals.started, totals.succeeded + totals.failed_total(), "every attempt ended");
    merged.stage.elapsed = until - from;
    merged.stage.intervals = intervals(&seconds, from, until);
    merged
}

/// A stage, and what the watch on the generator needs of it.
pub(super) struct Merged {
    pub(super) stage: StageRecord,
    pub(super) lateness: Histogram,
    pub(super) peak_in_flight: u64,
    pub(super) waited_for_slot: u64,
    pub(super) waited_for_key: u64,
    /// CPU time of the busiest worker.
    pub(super) busiest: Duration,
}

struct WorkerSeconds {
    counts: Vec<Second>,
    latencies: Vec<CompactHistogram>,
}

impl WorkerSeconds {
    fn new(recorder: Recorder) -> Self {
        let mut seconds = recorder.seconds;
        Self { counts: std::mem::take(&mut seconds.counts), latencies: seconds.into_latencies() }
    }
}

fn intervals(workers: &[WorkerSeconds], from: Duration, until: Duration) -> Vec<Interval> {
    let first = from.as_secs();
    let last = workers.iter().map(|w| w.counts.len() as u64).max().unwrap_or_default();
    let mut in_flight = 0;
    let mut intervals = Vec::new();
    for second in first..last {
        let start = Duration::from_secs(second);
        let length = until.saturating_sub(start).min(Duration::from_secs(1));
        let mut interval = Interval { start, length, ..Interval::default() };
        for count in workers.iter().filter_map(|w| w.counts.get(second as usize)) {
            interval.due += count.due;
            interval.started += count.started;
            interval.succeeded += count.succeeded;
            interval.throttled += count.throttled;
            interval.dropped += count.dropped;
            for (sum, failed) in interval.failed.iter_mut().zip(count.failed) {
                *sum += failed;
            }
        }
        in_flight += interval.started;
        in_flight -= interval.succeeded + interval.failed.iter().sum::<u64>();
        interval.in_flight = in_flight;
        interval.total = latencies(workers.iter().filter_map(|w| w.latencies.get(second as usize)));
        intervals.push(interval);
    }
    intervals
}

fn latencies<'a>(parts: impl Iterator<Item = &'a CompactHistogram>) -> CompactHistogram {
    let parts: Vec<_> = parts.filter(|p| !p.is_empty()).collect();
    match parts.as_slice() {
        [] => CompactHistogram::default(),
        [only] => (*only).clone(),
        [first, others @ ..] => {
            let mut sum = first.decode();
            for other in others {
                sum.merge(&other.decode());
            }
            CompactHistogram::new(&sum)
        }
    }
}
