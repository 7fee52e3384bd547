use super::*;
use crate::domain::{
    ByClass, ComparisonOperator, Count, FailureClass, FleetTime, Metric, Phase, Quantity, Shard, StageKind,
};
use crate::domain::{Threshold, TimeScale};
use crate::measure::{
    Attempt, Certificates, CompactHistogram, CompactPhases, Counts, Fleet, Histogram, Machine, MachineUse, Origin,
    Outcome, PhaseHistograms, PhaseTimes, ProcessSample, QuotaUse, ResourceSample, Setting, Skip, SkipReason,
    ThresholdResult,
};

fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn moment(seconds: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + secs(1_800_000_000 + seconds)
}

fn histogram(values: &[Duration]) -> CompactHistogram {
    let mut histogram = Histogram::new();
    values.iter().for_each(|value| histogram.record(u64::try_from(value.as_nanos()).unwrap()));
    (&histogram).into()
}

fn phases(total: Duration) -> CompactPhases {
    let mut phases = PhaseTimes::new();
    phases.set(Phase::Total, total);
    let mut histograms = PhaseHistograms::new();
    histograms.record(&Attempt::that(Outcome::Success, phases));
    (&histograms).into()
}

/// One shard of four with one stage, in which `n` devices succeeded and each count has a value of its own, made of `n`.
fn part(index: u32, n: u64) -> RunRecord {
    let mut failed = ByClass::default();
    failed[FailureClass::Timeout] = n;
    let interval = |start: u64| Interval {
        start: secs(start),
        length: secs(1),
        counts: Counts { started: n + 1, failed, retry_after_max: Some(FleetTime::from_secs(n)), ..Counts::default() },
        due: n + 2,
        succeeded_attempts: n + 3,
        in_flight: n + 4,
        total: histogram(&[secs(n)]),
    };
    let totals = Counts {
        planned: 4 * n,
        started: 2 * n,
        succeeded: n,
        failed,
        dropped: n,
        skipped: n,
        retry_after_max: Some(FleetTime::from_secs(n)),
        ..Counts::default()
    };
    let skip = |reason, devices| Skip { reason, provisioned_in: Some("storm".to_owned()), devices };
    RunRecord {
        scenario: "storm".to_owned(),
        question: None,
        version: "0.1.0".to_owned(),
        command: vec!["fleetstorm".to_owned()],
        target: "embedded emulator".to_owned(),
        seed: 7,
        started_at: moment(0),
        prepare: secs(n),
        elapsed: secs(10 * n),
        status: RunStatus::Complete,
        time_scale: TimeScale::REAL,
        conditions: Vec::new(),
        thresholds: Vec::new(),
        settings: vec![Setting { key: "fleet.devices".to_owned(), value: "100".to_owned(), origin: Origin::Scenario }],
        machine: Machine::default(),
        generator: CpuUse { user: secs(n), system: secs(2 * n), peak_memory: n },
        emulator: Some(CpuUse { user: secs(3 * n), system: secs(4 * n), peak_memory: 2 * n }),
        health: GeneratorHealth {
            lateness: histogram(&[Duration::from_millis(n)]),
            saturated: Vec::new(),
            peak_in_flight: n,
            peak_connected: 2 * n,
            in_flight_limit: 3 * n,
        },
        stages: vec![StageRecord {
            name: "storm".to_owned(),
            kind: StageKind::Provision,
            workload: "at once".to_owned(),
            totals,
            begin: Some(Begin { due: secs(n), late: Duration::from_millis(n) }),
            start: secs(n),
            elapsed: secs(5),
            skips: vec![skip(SkipReason::Failed, n - 1), skip(SkipReason::Cut, 1)],
            phases: phases(secs(n)),
            intervals: vec![interval(0), interval(n)],
            machine: Some(MachineUse { looked_at: secs(n), full: secs(1), ..MachineUse::default() }),
        }],
        certificates: None,
        fleet: Fleet { devices: Some(100), ..Fleet::default() },
        errors: vec![ErrorRow {
            class: FailureClass::Timeout,
            code: 0,
            message: "no answer".to_owned(),
            count: n,
            first: secs(n),
            last: secs(2 * n),
        }],
        notes: vec!["the same note".to_owned(), format!("note {n}")],
        resources: vec![ResourceSample {
            at: Duration::ZERO,
            length: secs(1),
            generator: ProcessSample { cpu: Some(secs(n)), memory: Some(n), waited: Some(secs(n)) },
            emulator: ProcessSample::default(),
            pressure: None,
            quota: Some(QuotaUse { periods: n, used_up: 1, stopped: secs(n) }),
        }],
        shard: Shard::new(index, 4),
        rows_lost: Some(n),
    }
}

fn merged(parts: &[RunRecord]) -> RunRecord {
    merge(parts).unwrap()
}

#[test]
fn counts_are_added_and_bounds_are_the_widest() {
    let sum = merged(&[part(1, 2), part(2, 5)]);
    assert_eq!((sum.prepare, sum.elapsed, sum.rows_lost), (secs(5), secs(50), Some(7)));
    assert_eq!(sum.generator, CpuUse { user: secs(7), system: secs(14), peak_memory: 5 });
    assert_eq!(sum.emulator, Some(CpuUse { user: secs(21), system: secs(28), peak_memory: 10 }));
    let health = &sum.health;
    assert_eq!((health.peak_in_flight, health.peak_connected, health.in_flight_limit), (7, 14, 21));
    assert_eq!(health.lateness, histogram(&[Duration::from_millis(2), Duration::from_millis(5)]));
    let used = ProcessSample { cpu: Some(secs(7)), memory: Some(5), waited: Some(secs(7)) };
    let quota = QuotaUse { periods: 7, used_up: 2, stopped: secs(7) };
    assert_eq!((sum.resources[0].generator, sum.resources[0].quota), (used, Some(quota)));
    let machine = MachineUse { looked_at: secs(7), full: secs(2), ..MachineUse::default() };
    assert_eq!(sum.stages[0].machine, Some(machine));
    let stage = &sum.stages[0];
    assert_eq!(stage.totals.succeeded, 7);
    assert_eq!(stage.totals.retry_after_max, Some(FleetTime::from_secs(5)));
    assert_eq!(stage.begin, Some(Begin { due: secs(2), late: Duration::from_millis(5) }));
    assert_eq!(stage.span(), (secs(2), secs(10)), "from the first due time to the last end");
    assert_eq!(stage.phases.succeeded(Phase::Total), Some(histogram(&[secs(2), secs(5)]).decode()));
}

#[test]
fn an_interval_is_added_to_that_of_the_same_second() {
    let sum = merged(&[part(1, 2), part(2, 5)]);
    let intervals = &sum.stages[0].intervals;
    assert_eq!(intervals.iter().map(|interval| interval.start).collect::<Vec<_>>(), [secs(0), secs(2), secs(5)]);
    let both = &intervals[0];
    let counts = [both.counts.started, both.due, both.succeeded_attempts, both.in_flight];
    assert_eq!(counts, [1, 2, 3, 4].map(|offset| 7 + 2 * offset));
    assert_eq!(both.counts.failed.of(FailureClass::Timeout), Some(7));
    assert_eq!(both.total, histogram(&[secs(2), secs(5)]));
    assert_eq!(intervals[2].due, 7, "a second that only one of them had");
    for parts in [[part(1, 2), part(2, 5)], [part(1, 5), part(2, 2)]] {
        let intervals = &merged(&parts).stages[0].intervals;
        assert_eq!(
            intervals[0].counts.retry_after_max,
            Some(FleetTime::from_secs(5)),
            "the longest, whoever was told it"
        );
    }
    let mut unknown = part(2, 5);
    unknown.stages[0].intervals[0].counts.forget(Count::Polls);
    let sum = merged(&[part(1, 2), unknown]);
    assert_eq!(sum.stages[0].intervals[0].counts.number(Count::Polls), None, "of one of them nobody knows");
}

#[test]
fn failures_and_skips_of_one_cause_are_one_row() {
    let mut other = part(2, 5);
    other.errors.push(ErrorRow { message: "another".to_owned(), ..other.errors[0].clone() });
    other.errors.push(ErrorRow { code: 3, ..other.errors[0].clone() });
    let sum = merged(&[part(1, 2), other]);
    let rows: Vec<_> =
        sum.errors.iter().map(|row| (row.message.as_str(), row.code, row.count, row.first, row.last)).collect();
    assert_eq!(
        rows,
        [
            ("no answer", 0, 7, secs(2), secs(10)),
            ("another", 0, 5, secs(5), secs(10)),
            ("no answer", 3, 5, secs(5), secs(10))
        ],
        "most frequent first"
    );
    let told = |shard, id: &str| {
        let mut record = part(shard, 2);
        record.errors[0].message = format!("throttled, tracking id {id}");
        record
    };
    let ids = ["4f0d8b52-5a5c-4b6e-9d0a-3c1b2a190807", "c3a1b2d4-0000-4111-8222-933344455566"];
    let rows = merged(&[told(1, ids[0]), told(2, ids[1])]).errors;
    assert_eq!((rows.len(), rows[0].count), (1, 4), "records of before have the words of every request: {rows:?}");
    assert!(ids.iter().all(|id| !rows[0].message.contains(id)), "{rows:?}");
    let skips: Vec<_> = sum.stages[0].skips.iter().map(|skip| (skip.reason, skip.devices)).collect();
    assert_eq!(skips, [(SkipReason::Failed, 5), (SkipReason::Cut, 2)]);
    let mut elsewhere = part(2, 5);
    elsewhere.stages[0].skips[0].provisioned_in = None;
    assert_eq!(merged(&[part(1, 2), elsewhere]).stages[0].skips.len(), 3, "another stage was to provision them");
}

#[test]
fn notes_are_told_once_and_what_was_true_of_a_part_says_of_which() {
    let mut second = part(2, 5);
    second.thresholds =
        vec![ThresholdResult { text: "succeeded >= 1".to_owned(), observed: None, met: false, stopped_at: None }];
    second.health.saturated = vec!["too late".to_owned()];
    let sum = merged(&[part(1, 2), second]);
    assert_eq!(
        sum.notes,
        [
            "the same note",
            "note 2",
            "note 5",
            "seed 7: shards 3, 4 of 4 are missing; this is a part of the fleet",
            "seed 7, shard 2 of 4: threshold succeeded >= 1 was NOT met"
        ]
    );
    assert_eq!(sum.health.saturated, ["shard 2 of 4: too late"]);
    assert!(sum.thresholds.is_empty() && sum.shard.is_none());
    let mut alone = part(1, 2);
    alone.shard = None;
    alone.health.saturated = vec!["too late".to_owned()];
    alone.thresholds =
        vec![ThresholdResult { text: "succeeded >= 1".to_owned(), observed: None, met: true, stopped_at: None }];
    let mut again = alone.clone();
    again.seed = 8;
    let sum = merged(&[alone, again]);
    assert_eq!(sum.health.saturated, ["too late", "too late"]);
    assert!(sum.notes.contains(&"seed 8: threshold succeeded >= 1 was met".to_owned()), "{:?}", sum.notes);
    assert!(sum.is_merged() && !sum.is_made_of_shards());
}

#[test]
fn a_sum_had_to_meet_what_all_of_its_parts_had_to() {
    let asked = |bounds: &[f64]| -> Vec<Threshold> {
        let threshold = |bound: &f64| Threshold {
            text: format!("all.failed < {bound}"),
            stages: vec![0],
            metric: Metric::Count(Count::Failed),
            comparison: ComparisonOperator::Less,
            bound: Quantity::Number(*bound),
            abort_after: None,
        };
        bounds.iter().map(threshold).collect()
    };
    let sum = |parts: [&[f64]; 3]| {
        let part = |(index, bounds): (u32, &[f64])| RunRecord { conditions: asked(bounds), ..part(index, 2) };
        merged(&(1..).zip(parts).map(part).collect::<Vec<_>>()).conditions
    };
    assert_eq!(sum([&[5.0, 9.0], &[5.0, 9.0], &[5.0, 9.0]]), asked(&[5.0, 9.0]));
    for parts in [[&[5.0, 9.0][..], &[5.0], &[5.0, 9.0]], [&[5.0], &[5.0], &[]], [&[], &[5.0], &[5.0]]] {
        assert_eq!(sum(parts), [], "{parts:?}");
    }
}

#[test]
fn runs_follow_each_other_where_shards_go_on_at_once() {
    let mut again = part(1, 5);
    again.seed = 8;
    let health = merged(&[part(1, 2), part(2, 2), again]).health;
    assert_eq!((health.peak_in_flight, health.peak_connected, health.in_flight_limit), (5, 10, 15));
}

#[test]
fn shards_that_began_apart_did_not_happen_at_the_same_time() {
    let apart = |millis| {
        let mut late = part(2, 2);
        late.started_at += Duration::from_millis(millis);
        merged(&[part(1, 2), late]).notes.iter().any(|note| note.contains("began up to"))
    };
    assert_eq!([apart(0), apart(1_000), apart(1_001)], [false, false, true]);
    let mut other_run = part(1, 2);
    (other_run.seed, other_run.started_at) = (8, moment(3_600));
    let sum = merged(&[part(1, 2), other_run]);
    assert!(!sum.notes.iter().any(|note| note.contains("began up to")) && sum.started_at == moment(0));
}

#[test]
fn the_sum_ended_as_the_first_part_that_did_not_end_well() {
    let status = |statuses: [RunStatus; 3]| {
        let parts: Vec<_> = (1..).zip(statuses).map(|(index, status)| RunRecord { status, ..part(index, 2) }).collect();
        merged(&parts).status
    };
    use RunStatus::{Aborted, Complete, Interrupted};
    assert_eq!(status([Complete; 3]), Complete);
    assert_eq!(status([Complete, Aborted, Interrupted]), Aborted);
}

#[test]
fn what_only_some_parts_know_is_not_told_of_all() {
    let mut with = part(1, 2);
    let mut certificates = Certificates::default();
    certificates.without = 3;
    with.certificates = Some(certificates);
    assert_eq!(merged(&[with.clone(), part(2, 2)]).certificates, None);
    assert_eq!(merged(&[part(2, 2), with.clone()]).certificates, None);
    let other = RunRecord { certificates: with.certificates.clone(), ..part(2, 2) };
    assert_eq!(merged(&[with, other]).certificates.map(|sum| sum.without), Some(6));
    let nobody_looked = RunRecord { emulator: None, rows_lost: None, ..part(2, 5) };
    let sum = merged(&[part(1, 2), nobody_looked.clone()]);
    assert_eq!((sum.emulator, sum.rows_lost), (part(1, 2).emulator, Some(2)));
    let sum = merged(&[nobody_looked, part(1, 2)]);
    assert_eq!((sum.emulator, sum.rows_lost), (part(1, 2).emulator, Some(2)));
}

#[test]
fn a_merged_record_says_how_many_devices_it_is_about() {
    let all: Vec<_> = (1..=4).map(|index| part(index, 2)).collect();
    let sum = merged(&all);
    assert!(sum.is_merged() && sum.is_made_of_shards() && sum.part_of_fleet().is_none());
    assert_eq!((sum.devices(), part(1, 2).devices()), (Some(100), Some(25)));
    assert!(!part(1, 2).is_merged() && !part(1, 2).is_made_of_shards());
    let some = merged(&all[..3]);
    assert_eq!((some.devices(), some.part_of_fleet().as_deref()), (Some(75), Some("shards 1, 2, 3 of 4")));
    assert!(some.is_merged() && !some.is_made_of_shards());
    let mut larger = part(2, 2);
    larger.fleet.devices = Some(200);
    assert_eq!(merged(&[part(1, 2), larger]).devices(), None, "fleets of different sizes have none in common");
    let mut busy = part(1, 2);
    (busy.stages[0].totals.planned, busy.stages[0].totals.not_started) = (26, 20);
    assert_eq!(busy.devices(), None, "a stage has no more devices than there are");
}

#[test]
fn what_cannot_be_added_is_refused() {
    assert_eq!(merge(&[]).unwrap_err(), MergeError::Nothing);
    let overlap = merge(&[part(1, 2), part(3, 2), part(1, 5)]).unwrap_err();
    assert!(
        overlap.to_string().starts_with("the same devices of scenario storm are in seed 7, shard 1 of 4 and"),
        "{overlap}"
    );
    let mut lost = part(2, 2);
    lost.stages[0].totals.planned += 1;
    let wrong = MergeError::Unaccounted { stage: "storm".to_owned(), seed: 7, planned: 9, accounted: 8 };
    assert_eq!(merge(&[part(1, 2), lost.clone()]).unwrap_err(), wrong);
    assert_eq!(merge(&[lost]).unwrap_err(), wrong);
    let mut named = part(2, 2);
    named.scenario = "another".to_owned();
    assert_eq!(merge(&[part(1, 2), named]).unwrap_err().to_string(), "scenario differs: storm and another");
    let mut other = part(2, 2);
    other.stages[0].kind = StageKind::Renew;
    let error = merge(&[part(1, 2), other]).unwrap_err().to_string();
    assert_eq!(error, "list of stages differs: storm (provision) and storm (renew)");
    let scaled = RunRecord { time_scale: TimeScale::new(FleetTime::new(secs(60)), secs(1)).unwrap(), ..part(2, 2) };
    assert_eq!(merge(&[part(1, 2), scaled]).unwrap_err().to_string(), "time_scale differs: 1s = 1s and 1min = 1s");
}
