//! One fixed record that every format is tested with.

use std::time::{Duration, SystemTime};

use rand::RngExt as _;
use rand_chacha::ChaCha8Rng;

use crate::domain::{
    AttemptFacts, ByClass, ComparisonOperator, Count, FailureClass, Fate, FleetTime, Known, Metric, Phase, Quantity,
    Ratio,
};
use crate::domain::{StageKind, Statistic, Threshold, TimeScale, Whose};
use crate::measure::{
    Attempt, Begin, Certificates, CompactPhases, Counts, CpuUse, ErrorRow, Fleet, FleetClass, GeneratorHealth,
    Histogram, Interval, Machine, Origin, Outcome, PhaseHistograms, PhaseTimes, ProcessSample, QuotaUse,
    ResourceSample, RunRecord, RunStatus, Setting, Skip, SkipReason, StageRecord, ThresholdResult,
};

const DEVICES: u32 = 1_234;

/// 1,234 devices in two seconds: 1,230 succeed, 3 are refused, 1 is dropped.
pub(super) fn record() -> RunRecord {
    let mut failed = ByClass::default();
    failed[FailureClass::Rejected] = 2;
    failed[FailureClass::Timeout] = 1;
    let mut phases = PhaseHistograms::new();
    let mut intervals = [Interval::default(), Interval::default()];
    let mut latencies = [Histogram::new(), Histogram::new()];
    for device in 0..DEVICES - 1 {
        let attempt = attempt(device);
        phases.record(&attempt);
        let second = usize::from(attempt.ended >= Duration::from_secs(1));
        let interval = &mut intervals[second];
        match attempt.outcome {
            Outcome::Success => {
                interval.counts.succeeded += 1;
                let total = attempt.facts.phases.get(Phase::Total).unwrap_or_default();
                latencies[second].record(u64::try_from(total.as_nanos()).unwrap());
            }
            Outcome::Failed(class) => interval.counts.failed[class] += 1,
        }
    }
    let [first, second] = &mut intervals;
    *first = Interval {
        length: Duration::from_secs(1),
        total: (&latencies[0]).into(),
        due: u64::from(DEVICES),
        counts: Counts {
            started: u64::from(DEVICES - 1),
            dropped: 1,
            throttled: 2,
            attempts: u64::from(DEVICES - 1),
            ..first.counts
        },
        in_flight: second.counts.through(),
        ..first.clone()
    };
    *second = Interval {
        start: Duration::from_secs(1),
        length: Duration::from_millis(950),
        total: (&latencies[1]).into(),
        ..second.clone()
    };
    let mut lateness = Histogram::new();
    (0..u64::from(DEVICES)).for_each(|n| lateness.record(n * 1_000));
    RunRecord {
        scenario: "provisioning-storm".to_owned(),
        question: Some("Does provisioning hold when 1,234 devices come at once?".to_owned()),
        version: "0.1.0".to_owned(),
        command: ["fleetstorm", "run", "scenarios/provisioning-storm.toml"].map(str::to_owned).to_vec(),
        target: "embedded emulator".to_owned(),
        seed: 42,
        started_at: SystemTime::UNIX_EPOCH + Duration::from_millis(1_740_821_400_250),
        prepare: Duration::from_millis(310),
        elapsed: Duration::from_millis(1_950),
        status: RunStatus::Complete,
        time_scale: TimeScale::REAL,
        conditions: Vec::new(),
        thresholds: Vec::new(),
        settings: vec![
            setting("fleet.devices", "1234", Origin::CommandLine),
            setting("fleet.key_algorithm", "ecdsa-p256", Origin::Scenario),
            setting("fleet.id_prefix", "device-", Origin::Default),
        ],
        machine: Machine {
            cpu: "Example CPU 3.0 GHz".to_owned(),
            cores: 2,
            memory: 8_240_000_000,
            os: "Linux 6.1.0".to_owned(),
            open_files: 20_000,
            cpu_limit: None,
        },
        generator: CpuUse {
            user: Duration::from_millis(1_100),
            system: Duration::from_millis(300),
            peak_memory: 64_000_000,
        },
        emulator: Some(CpuUse {
            user: Duration::from_millis(1_500),
            system: Duration::from_millis(400),
            peak_memory: 81_500_000,
        }),
        health: GeneratorHealth {
            lateness: (&lateness).into(),
            saturated: Vec::new(),
            peak_in_flight: 1_000,
            peak_connected: 0,
            in_flight_limit: 9_900,
        },
        stages: vec![StageRecord {
            name: "storm".to_owned(),
            kind: StageKind::Provision,
            workload: "open, 1,234 devices at once".to_owned(),
            totals: Counts {
                planned: u64::from(DEVICES),
                started: u64::from(DEVICES - 1),
                succeeded: u64::from(DEVICES - 4),
                failed,
                dropped: 1,
                not_started: 0,
                throttled: 2,
                polls: u64::from(DEVICES) + 17,
                attempts: u64::from(DEVICES - 1),
                failed_attempts: failed,
                ..Counts::default()
            },
            begin: Some(Begin { due: Duration::ZERO, late: Duration::from_micros(120) }),
            start: Duration::ZERO,
            elapsed: Duration::from_millis(1_950),
            skips: Vec::new(),
            phases: (&phases).into(),
            intervals: intervals.to_vec(),
            machine: None,
        }],
        certificates: None,
        fleet: Fleet {
            devices: Some(DEVICES),
            classes: vec![FleetClass { name: "default".to_owned(), devices: DEVICES }],
            parts: Vec::new(),
        },
        errors: vec![
            error(FailureClass::Rejected, 401_002, "Unauthorized: CA certificate, \"not found\"", 2, 412),
            error(FailureClass::Timeout, 0, "no SUBACK from DPS within 10 s (`timeouts.response`)", 1, 1_900),
        ],
        notes: vec!["in flight limited to 9,900 by 20,000 open files".to_owned()],
        resources: vec![
            ResourceSample {
                at: Duration::ZERO,
                length: Duration::from_millis(1_000),
                generator: used(730, 61_440_000),
                emulator: used(980, 78_020_608),
                pressure: Some(Duration::from_millis(410)),
                quota: Some(QuotaUse { periods: 10, used_up: 2, stopped: Duration::from_micros(31_250) }),
            },
            ResourceSample {
                at: Duration::from_millis(1_000),
                length: Duration::from_millis(950),
                generator: used(520, 63_987_712),
                emulator: used(810, 81_498_112),
                pressure: None,
                quota: None,
            },
        ],
        shard: None,
        rows_lost: None,
    }
}

/// Compressed time: a renewal storm whose devices try again, then connections that are held; one threshold stopped the run.
pub(super) fn renewal_storm() -> RunRecord {
    let mut record = record();
    const DAY: Duration = Duration::from_secs(86_400);
    record.time_scale = TimeScale::new(FleetTime::new(DAY), Duration::from_secs(1)).unwrap();
    record.status = RunStatus::ThresholdFailed;
    // It had ended before the second reading.
    record.resources[1].emulator = ProcessSample::default();
    let threshold =
        |text: &str, observed, met| ThresholdResult { text: text.to_owned(), observed, met, stopped_at: None };
    let phase = |phase| Metric::Phase { phase, whose: Whose::All, statistic: Statistic::Quantile(0.99) };
    let condition = |text: &str, stage, metric, comparison, bound| Threshold {
        text: text.to_owned(),
        stages: vec![stage],
        metric,
        comparison,
        bound,
        abort_after: None,
    };
    use ComparisonOperator::{Equal, Less, More};
    record.conditions = vec![
        condition("storm.total.p99 < 2s", 0, phase(Phase::Total), Less, Quantity::Time(Duration::from_secs(2))),
        condition("storm.error_rate < 0.1%", 0, Metric::Ratio(Ratio::ErrorRate), Less, Quantity::Share(0.001)),
        condition("storm.throughput > 500/s", 0, Metric::Ratio(Ratio::Throughput), More, Quantity::PerSecond(500.0)),
        Threshold {
            abort_after: Some(Duration::from_secs(10)),
            ..condition("storm.expired == 0", 0, Metric::Count(Count::Expired), Equal, Quantity::Number(0.0))
        },
        condition("hold.recover.p99 < 1s", 1, phase(Phase::Recover), Less, Quantity::Time(Duration::from_secs(1))),
    ];
    record.thresholds = vec![
        threshold("storm.total.p99 < 2s", Some(Known::Is(Quantity::Time(Duration::from_millis(1_850)))), true),
        threshold("storm.error_rate < 0.1%", Some(Known::Is(Quantity::Share(0.002_43))), false),
        threshold("storm.throughput > 500/s", Some(Known::Is(Quantity::PerSecond(630.8))), true),
        ThresholdResult {
            stopped_at: Some(Duration::from_millis(1_900)),
            ..threshold("storm.expired == 0", Some(Known::Is(Quantity::Number(12.0))), false)
        },
        threshold("hold.recover.p99 < 1s", None, false),
    ];
    let storm = &mut record.stages[0];
    storm.kind = StageKind::Renew;
    storm.workload = "open, when certificates are to be renewed".to_owned();
    storm.totals.expired = 12;
    storm.totals.gave_up = 2;
    storm.intervals[1].counts.gave_up = 2;
    storm.totals.attempts += 2_000;
    storm.totals.failed_attempts[FailureClass::Throttled] = 2_000;
    storm.totals.throttled = 2_002;
    storm.totals.retry_after_max = Some(FleetTime::from_secs(90));
    storm.intervals[1].counts.retry_after_max = Some(FleetTime::from_secs(90));
    for (interval, attempts) in storm.intervals.iter_mut().zip([2_100, 1_133]) {
        interval.succeeded_attempts = interval.counts.succeeded;
        let counts = &mut interval.counts;
        (counts.attempts, counts.expired, counts.throttled) = (attempts, 6, 1_001);
        counts.failed_attempts[FailureClass::Throttled] = 1_000;
    }
    let mut hold = storm.clone();
    (hold.name, hold.kind) = ("hold".to_owned(), StageKind::Operate);
    hold.workload = "open, at once, 7 days connected, telemetry every 6 h".to_owned();
    hold.start = Duration::from_secs(1);
    hold.begin = Some(Begin { due: Duration::from_secs(1), late: Duration::from_micros(21_340) });
    hold.phases = CompactPhases::default();
    hold.totals = Counts {
        planned: u64::from(DEVICES),
        started: u64::from(DEVICES - 14),
        succeeded: u64::from(DEVICES - 14),
        skipped: 14,
        attempts: u64::from(DEVICES - 14),
        disconnects: 3,
        telemetry: 34_160,
        ..Counts::default()
    };
    let skip = |reason, devices| Skip { reason, provisioned_in: Some("rollout".to_owned()), devices };
    hold.skips = vec![skip(SkipReason::Failed, 11), skip(SkipReason::GoingOn, 3)];
    hold.intervals.truncate(1);
    hold.intervals[0] = Interval {
        start: Duration::from_secs(1),
        length: Duration::from_millis(950),
        due: u64::from(DEVICES),
        counts: Counts {
            started: u64::from(DEVICES - 14),
            attempts: u64::from(DEVICES - 14),
            disconnects: 3,
            telemetry: 34_160,
            ..Counts::default()
        },
        ..Interval::default()
    };
    record.stages.push(hold);
    record.certificates = Some(certificates(record.started_at));
    record
}

/// A fleet renewed over three days, but for twenty devices; 14 have no certificate.
fn certificates(now: SystemTime) -> Certificates {
    let mut certificates = Certificates::default();
    certificates.without = 14;
    for device in 0..u64::from(DEVICES - 14) {
        let hours = if device < 20 { device / 2 } else { 27 * 24 + device * device % 71 };
        certificates.count(now + Duration::from_secs(hours * 3_600), now + Duration::from_secs(6 * 3_600));
    }
    certificates
}

/// A run of so many seconds with a hundred devices in each, whose times are `factor` times longer. The service is not equally
/// fast in all seconds, and slow seconds follow slow ones.
pub(super) fn timed(random: &mut ChaCha8Rng, seconds: u64, factor: f64) -> RunRecord {
    let mut record = record();
    let stage = &mut record.stages[0];
    (stage.phases, stage.intervals) = (CompactPhases::default(), Vec::new());
    let (mut total, mut tls) = (Histogram::new(), Histogram::new());
    let mut mood = 0.0;
    for second in 0..seconds {
        mood = 0.3 * mood + 0.1 * normal(random);
        let mut of_second = Histogram::new();
        for _ in 0..100 {
            let value =
                |random: &mut ChaCha8Rng, median: f64| (median * factor * (mood + 0.4 * normal(random)).exp()) as u64;
            of_second.record(value(random, 2e8));
            tls.record(value(random, 5e6));
        }
        total.merge(&of_second);
        let (start, length) = (Duration::from_secs(second), Duration::from_secs(1));
        stage.intervals.push(Interval {
            start,
            length,
            counts: Counts { succeeded: 100, ..Counts::default() },
            total: (&of_second).into(),
            ..Interval::default()
        });
    }
    stage.totals.succeeded = 100 * seconds;
    (stage.totals.planned, stage.totals.started, stage.totals.attempts) = (100 * seconds, 100 * seconds, 100 * seconds);
    (stage.totals.failed, stage.totals.dropped) = (Default::default(), 0);
    stage.phases.set(Phase::Total, Fate::Succeeded, &total);
    stage.phases.set(Phase::Tls, Fate::Succeeded, &tls);
    record
}

fn normal(random: &mut ChaCha8Rng) -> f64 {
    (0..12).map(|_| random.random::<f64>()).sum::<f64>() - 6.0
}

fn attempt(device: u32) -> Attempt {
    let n = u64::from(device);
    let started = Duration::from_micros(n);
    let took = Duration::from_micros(20_000 + n * 1_500);
    let mut phases = PhaseTimes::new();
    for (phase, micros) in [
        (Phase::Queued, n),
        (Phase::Keygen, 20 + n % 7),
        (Phase::Csr, 22 + n % 5),
        (Phase::Sas, 2),
        (Phase::Tcp, 100 + n),
        (Phase::Tls, 900 + n * 3),
    ] {
        phases.set(phase, Duration::from_micros(micros));
    }
    phases.set(Phase::Total, started + took);
    phases.set(Phase::TotalRaw, took);
    let outcome = match device {
        7 | 8 => Outcome::Failed(FailureClass::Rejected),
        1_000 => Outcome::Failed(FailureClass::Timeout),
        _ => Outcome::Success,
    };
    Attempt {
        device,
        stage: 0,
        number: 1,
        due: Duration::ZERO,
        started,
        ended: started + took,
        outcome,
        code: 0,
        facts: AttemptFacts { phases, polls: 1, ..AttemptFacts::default() },
    }
}

fn used(cpu_millis: u64, memory: u64) -> ProcessSample {
    let cpu = Duration::from_millis(cpu_millis);
    ProcessSample { cpu: Some(cpu), memory: Some(memory), waited: Some(cpu / 4) }
}

fn setting(key: &str, value: &str, origin: Origin) -> Setting {
    Setting { key: key.to_owned(), value: value.to_owned(), origin }
}

fn error(class: FailureClass, code: u32, message: &str, count: u64, first_millis: u64) -> ErrorRow {
    let first = Duration::from_millis(first_millis);
    ErrorRow { class, code, message: message.to_owned(), count, first, last: first + Duration::from_millis(20) }
}
