//! The records of all workers as one.

use std::collections::VecDeque;
use std::time::Duration;

use crate::domain::{DueStep, Phase};
use crate::engine::plan::Plan;
use crate::engine::record::recorder::{Errors, Second, Seconds};
use crate::engine::record::skips::Skips;
use crate::engine::record::stage_share::StageShare;
use crate::measure::{CompactHistogram, CompactPhases, Counts, Histogram, Interval, PhaseHistograms, StageRecord};

/// One stage of a plan out of the records of its workers. `from` is its first due time, on the clock of the run. Whether it
/// ran to its end is for the caller to say.
pub(crate) fn stage(plan: &Plan, index: usize, shares: Vec<StageShare>, from: Duration, errors: &mut Errors) -> Merged {
    let planned = &plan.stages[index];
    let mut merged = Merged {
        stage: StageRecord {
            name: planned.name.clone(),
            kind: planned.kind,
            workload: planned.workload.clone(),
            totals: Counts::default(),
            start: from,
            elapsed: Duration::ZERO,
            begin: None,
            skips: Vec::new(),
            phases: CompactPhases::default(),
            intervals: Vec::new(),
            machine: None,
        },
        lateness: CompactHistogram::default(),
        late_steps: Default::default(),
        waited_for_slot: 0,
        waited_for_key: 0,
        whole: false,
    };
    let (mut phases, mut lateness) = (PhaseHistograms::new(), Histogram::new());
    let mut late_steps: [Histogram; DueStep::COUNT] = Default::default();
    let mut until = from;
    let mut attempts_ended = 0;
    let mut seconds = Vec::new();
    let mut skips = Skips::default();
    for share in shares {
        let recorder = share.recorder;
        merged.stage.totals.add(&recorder.totals);
        phases.merge(&recorder.phases);
        lateness.merge(&recorder.lateness);
        late_steps.iter_mut().zip(&recorder.late_steps).for_each(|(all, of_worker)| all.merge(of_worker));
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
    debug_assert_eq!(phases.count(Phase::Total), merged.stage.totals.started, "every device that began has its time");
    merged.stage.skips = skips.into_rows(&plan.stages);
    merged.stage.elapsed = until - from;
    merged.stage.phases = CompactPhases::from(&phases);
    merged.lateness = CompactHistogram::new(&lateness);
    merged.late_steps = late_steps.each_ref().map(CompactHistogram::new);
    merged.stage.intervals = intervals(seconds, from, until);
    merged
}

/// A stage, and what the watch on the generator needs of it.
#[derive(Debug, Clone)]
pub(crate) struct Merged {
    pub(crate) stage: StageRecord,
    /// How late attempts started, and everything else that was due.
    pub(crate) lateness: CompactHistogram,
    pub(crate) late_steps: [CompactHistogram; DueStep::COUNT],
    pub(crate) waited_for_slot: u64,
    pub(crate) waited_for_key: u64,
    /// Whether it ran to its end: neither stopped before, nor still going on.
    pub(crate) whole: bool,
}

impl Merged {
    /// A stage that never began because the run was stopped before.
    pub(crate) fn not_started(plan: &Plan, index: usize, now: Duration) -> Self {
        let devices = u64::from(plan.stages[index].devices);
        let mut merged = stage(plan, index, Vec::new(), now, &mut Errors::default());
        merged.stage.totals = Counts { planned: devices, not_started: devices, ..Counts::default() };
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
        for second in workers.iter_mut().filter_map(|worker| take(&mut worker.counts, second)) {
            let Second { counts, due, attempts_ended } = second;
            interval.counts.add(&counts);
            interval.due += due;
            interval.succeeded_attempts += attempts_ended - counts.failed_attempts.total();
        }
        in_flight += interval.counts.attempts;
        in_flight -= interval.succeeded_attempts + interval.counts.failed_attempts.total();
        interval.in_flight = in_flight;
        for latencies in workers.iter_mut().filter_map(|worker| take(&mut worker.latencies, second)) {
            interval.total.merge(&latencies);
        }
        intervals.push(interval);
    }
    intervals
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{AttemptFacts, ByClass, Failure, FailureClass, FleetTime, Phase};
    use crate::engine::record::recorder::Recorder;
    use crate::engine::record::skips::Lack;
    use crate::measure::{Attempt, Outcome, PhaseTimes, SkipReason};
    use crate::scenario::Scenario;

    fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    fn plan() -> Plan {
        let text = "schema = 1\nname = 'x'\nfleet.devices = 9\n[[stage]]\nname = 'storm'\nkind = 'provision'\narrival = 'at-once'\n";
        Plan::new(&Scenario::parse("x.toml", text, &[]).unwrap(), 1)
    }

    /// A device that is due and started at `at`, and ends `took` later after one attempt.
    fn device(recorder: &mut Recorder, at: Duration, took: Duration, outcome: Outcome, told: (u16, u16, Option<u64>)) {
        let (throttled, polls, retry_after_max) = told;
        let device = recorder.totals.started as u32;
        let mut phases = PhaseTimes::new();
        phases.set(Phase::Total, took);
        recorder.due(at);
        recorder.started(device, at, at);
        recorder.attempt_started(device, at.saturating_sub(ms(5)), at);
        let failure = match outcome {
            Outcome::Failed(class) => Some(Failure::new(class, "it failed")),
            Outcome::Success => None,
        };
        let attempt = Attempt {
            device,
            due: at,
            started: at,
            ended: at + took,
            facts: AttemptFacts {
                phases,
                polls,
                throttled,
                retry_after_max: retry_after_max.map(FleetTime::from_secs),
                retry_after: None,
            },
            ..Attempt::that(outcome, phases)
        };
        recorder.attempt_ended(&attempt, failure.as_ref());
        recorder.device_ended(device, at + took, outcome, at + took);
    }

    fn share(mut recorder: Recorder, waited_for_slot: u64, waited_for_key: u64) -> StageShare {
        recorder.totals.planned = recorder.totals.accounted();
        StageShare { recorder, waited_for_slot, waited_for_key, stalled: false }
    }

    fn merged(recorders: [Recorder; 2]) -> (Merged, Vec<crate::measure::ErrorRow>) {
        let [first, second] = recorders;
        let mut errors = Errors::default();
        let shares = vec![share(first, 1, 4), share(second, 2, 5)];
        let merged = stage(&plan(), 0, shares, Duration::ZERO, &mut errors);
        (merged, errors.into_rows())
    }

    /// Two workers: four devices that succeed, three that fail, and everything else that can be counted.
    fn recorders() -> [Recorder; 2] {
        const TIMEOUT: Outcome = Outcome::Failed(FailureClass::Timeout);
        let (mut first, mut second) = (Recorder::new(), Recorder::new());
        device(&mut first, ms(100), ms(300), Outcome::Success, (1, 2, None));
        device(&mut first, ms(200), ms(900), Outcome::Success, (0, 1, Some(3)));
        device(&mut first, ms(500), ms(700), TIMEOUT, (3, 0, Some(2)));
        device(&mut second, ms(100), ms(1_000), Outcome::Success, (0, 4, Some(1)));
        device(&mut second, ms(900), ms(400), TIMEOUT, (2, 0, None));
        device(&mut second, ms(1_500), ms(100), Outcome::Failed(FailureClass::Tls), (0, 0, None));
        device(&mut second, ms(1_500), ms(1_000), Outcome::Success, (0, 0, None));
        for recorder in [&mut first, &mut second] {
            recorder.due(ms(900));
            recorder.dropped(ms(1_900));
            recorder.expired(ms(100));
            recorder.gave_up(ms(1_200));
            recorder.at_work.begins(99, ms(0));
            recorder.lost(99, ms(1_300));
            recorder.recovered(99, ms(1_550));
        }
        first.telemetry(ms(2_600), ms(40));
        second.telemetry(ms(2_100), ms(40));
        second.telemetry(ms(2_200), ms(40));
        let lack = |reason| Lack { reason, stage: Some(0) };
        first.skipped(lack(SkipReason::Failed));
        let mut known = Skips::default();
        known.count(lack(SkipReason::Failed));
        known.count(lack(SkipReason::Cut));
        second.skipped_all(&known);
        [first, second]
    }

    #[test]
    fn the_totals_are_the_sum_of_all_that_workers_counted() {
        let (merged, errors) = merged(recorders());
        let mut failed = ByClass::default();
        (failed[FailureClass::Timeout], failed[FailureClass::Tls]) = (2, 1);
        let totals = Counts {
            planned: 12,
            started: 7,
            succeeded: 4,
            failed,
            dropped: 2,
            not_started: 0,
            skipped: 3,
            expired: 2,
            gave_up: 2,
            attempts: 7,
            failed_attempts: failed,
            throttled: 6,
            retry_after_max: Some(FleetTime::from_secs(3)),
            polls: 7,
            disconnects: 2,
            telemetry: 3,
            ..Counts::default()
        };
        assert_eq!(merged.stage.totals, totals);
        assert_eq!((merged.waited_for_slot, merged.waited_for_key), (3, 9));
        assert_eq!(merged.stage.elapsed, ms(2_600), "until the last thing happened");
        let skips: Vec<_> = merged.stage.skips.iter().map(|skip| (skip.reason, skip.devices)).collect();
        assert_eq!(skips, [(SkipReason::Failed, 2), (SkipReason::Cut, 1)]);
        let lateness = merged.lateness.decode();
        assert_eq!((lateness.count(), lateness.quantile(0.0), lateness.quantile(1.0)), (7, Some(ms(5)), Some(ms(5))));
        let count = |phase| merged.stage.phases.succeeded(phase).map(|times| times.count());
        assert_eq!([Phase::Total, Phase::Recover, Phase::TelemetryAck].map(count), [Some(4), Some(2), Some(3)]);
        let errors: Vec<_> = errors.iter().map(|row| (row.class, row.count, row.first, row.last)).collect();
        assert_eq!(
            errors,
            [(FailureClass::Timeout, 2, ms(1_200), ms(1_300)), (FailureClass::Tls, 1, ms(1_600), ms(1_600))]
        );
    }

    #[test]
    fn every_second_has_what_happened_in_it() {
        let (merged, _) = merged(recorders());
        let intervals = &merged.stage.intervals;
        let of = |count: fn(&Interval) -> u64| intervals.iter().map(count).collect::<Vec<_>>();
        assert_eq!(of(|it| it.due), [7, 2, 0]);
        assert_eq!(of(|it| it.counts.started), [5, 2, 0]);
        assert_eq!(of(|it| it.counts.attempts), [5, 2, 0]);
        assert_eq!(of(|it| it.succeeded_attempts), [1, 2, 1]);
        assert_eq!(of(|it| it.counts.failed_attempts.total()), [0, 3, 0]);
        assert_eq!(of(|it| it.counts.failed_attempts[FailureClass::Timeout]), [0, 2, 0]);
        assert_eq!(of(|it| it.counts.succeeded), [1, 2, 1]);
        assert_eq!(of(|it| it.counts.failed.total()), [0, 3, 0]);
        assert_eq!(of(|it| it.counts.throttled), [1, 5, 0]);
        assert_eq!(of(|it| it.counts.polls), [2, 5, 0]);
        assert_eq!(of(|it| it.counts.retry_after_max.unwrap_or_default().as_secs()), [0, 3, 0]);
        assert_eq!(of(|it| it.counts.dropped), [0, 2, 0]);
        assert_eq!(of(|it| it.counts.expired), [2, 0, 0]);
        assert_eq!(of(|it| it.counts.gave_up), [0, 2, 0]);
        assert_eq!(of(|it| it.counts.disconnects), [0, 2, 0]);
        assert_eq!(of(|it| it.counts.telemetry), [0, 0, 3]);
        assert_eq!(of(|it| it.in_flight), [4, 1, 0]);
        assert_eq!(of(|it| it.total.decode().count()), [1, 2, 1]);
        let spans: Vec<_> = intervals.iter().map(|interval| (interval.start, interval.length)).collect();
        assert_eq!(spans, [(ms(0), ms(1_000)), (ms(1_000), ms(1_000)), (ms(2_000), ms(600))]);
    }

    #[test]
    fn a_copy_of_what_goes_on_counts_those_at_work_as_cut_and_the_others_as_not_started() {
        let mut recorder = Recorder::new();
        device(&mut recorder, ms(100), ms(300), Outcome::Success, (0, 0, None));
        for at in [200, 300] {
            recorder.due(ms(at));
            recorder.started(at as u32, ms(at), ms(at));
            recorder.attempt_started(at as u32, ms(at), ms(at));
        }
        recorder.dropped(ms(400));
        let cut = recorder.cut_off(ms(1_500), 9);
        let totals = cut.totals;
        assert!(totals.add_up() && totals.planned == 9, "{totals:?}");
        assert_eq!((totals.succeeded, totals.dropped, totals.not_started), (1, 1, 5));
        let cut_class = FailureClass::Cut;
        assert_eq!((totals.failed[cut_class], totals.failed_attempts[cut_class]), (2, 2));
        assert_eq!((cut.attempts_ended, cut.last_end), (3, ms(1_500)));
        let (merged, errors) = merged([cut, Recorder::new()]);
        assert_eq!(errors.iter().map(|row| (row.class, row.count)).collect::<Vec<_>>(), [(FailureClass::Cut, 2)]);
        let last = merged.stage.intervals.last().unwrap();
        assert_eq!((last.counts.failed[cut_class], last.counts.failed_attempts.total(), last.in_flight), (2, 2, 0));
        // Between two attempts nobody is in flight, but the device is not through.
        let mut waiting = Recorder::new();
        device(&mut waiting, ms(100), ms(300), Outcome::Success, (0, 0, None));
        waiting.started(7, ms(500), ms(500));
        let cut = waiting.cut_off(ms(1_500), 2);
        assert_eq!(
            (cut.totals.failed[cut_class], cut.totals.failed_attempts[cut_class], cut.last_end),
            (1, 0, ms(1_500))
        );
        assert!(merged_errors(cut).is_empty());
        // When all are through, nothing is cut and the end stays where it was.
        let mut done = Recorder::new();
        device(&mut done, ms(100), ms(300), Outcome::Success, (0, 0, None));
        let cut = done.cut_off(ms(1_500), 1);
        assert_eq!((cut.totals.failed.total(), cut.last_end), (0, ms(400)));
        assert!(merged_errors(cut).is_empty());
    }

    fn merged_errors(recorder: Recorder) -> Vec<crate::measure::ErrorRow> {
        merged([recorder, Recorder::new()]).1
    }
}
