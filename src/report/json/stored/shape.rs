//! What `run.json` must look like to be read. Derived values are not read: they follow from the others.
//!
//! Within a schema keys are only added. A record of before a key existed is read as what its time knew: there was no
//! compressed time, no threshold, one attempt per device, and what was not counted yet did not occur.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;

use crate::domain::{Phase, Shard, TimeScale};
use crate::measure::{
    Aside, Begin, Certificates, CompactHistogram, CompactPhases, CpuUse, ErrorRow, GeneratorHealth, Histogram,
    Interval, Machine, ResourceSample, RunRecord, Setting, Skip, StageRecord, Totals,
};
use crate::report::json::stored::resource::Resource;
use crate::report::json::stored::threshold::Threshold;
use crate::report::json::stored::values::{
    ByClass, Class, Count, Micros, Moment, OriginName, PhaseName, Reason, Status,
};

/// What is looked at first.
#[derive(Deserialize)]
pub(super) struct Head {
    pub(super) schema: u64,
}

/// The file as a whole.
#[derive(Deserialize)]
pub(super) struct Run {
    fleetstorm: String,
    command: Vec<String>,
    scenario: String,
    question: Option<String>,
    target: String,
    seed: u64,
    started_at: Moment,
    prepare_us: Micros,
    elapsed_us: Micros,
    status: Status,
    time_scale: Option<Scale>,
    #[serde(default)]
    thresholds: Vec<Threshold>,
    generator: Process,
    emulator: Option<Process>,
    health: Health,
    machine: Host,
    stages: Vec<Stage>,
    certificates: Option<Expiries>,
    errors: Vec<Error>,
    settings: Vec<SettingRow>,
    notes: Vec<String>,
    /// Records of before have none.
    #[serde(default)]
    resources: Vec<Resource>,
    #[serde(default)]
    shard: Option<ShardOf>,
    #[serde(default)]
    rows_lost: Option<Count>,
}

#[derive(Deserialize)]
struct ShardOf {
    index: u32,
    count: u32,
}

#[derive(Deserialize)]
struct Scale {
    /// As a scenario says it; exact where the factor is not.
    text: Option<String>,
    /// Fleet seconds per real second.
    factor: Option<f64>,
    fleet_us: Option<Micros>,
    real_us: Option<Micros>,
}

#[derive(Deserialize)]
struct Process {
    cpu_user_us: Micros,
    cpu_system_us: Micros,
    peak_memory_bytes: u64,
}

#[derive(Deserialize)]
struct Health {
    saturated: Vec<String>,
    peak_in_flight: u64,
    #[serde(default)]
    peak_connected: u64,
    in_flight_limit: u64,
    #[serde(default)]
    lateness_above_range: u64,
    lateness_min_us: Option<Micros>,
    lateness_max_us: Option<Micros>,
    lateness_histogram: String,
}

#[derive(Deserialize)]
struct Host {
    cpu: String,
    cores: usize,
    memory_bytes: u64,
    os: String,
    open_files: u64,
}

#[derive(Deserialize)]
struct Stage {
    name: String,
    kind: String,
    workload: String,
    begin_due_us: Option<Micros>,
    begin_late_us: Option<Micros>,
    start_us: Micros,
    elapsed_us: Micros,
    totals: Counts,
    #[serde(default)]
    skips: Vec<SkipRow>,
    phases: Vec<PhaseRow>,
    intervals: Vec<IntervalRow>,
}

#[derive(Deserialize)]
struct Counts {
    planned: Count,
    started: Count,
    succeeded: Count,
    failed_by_class: ByClass,
    dropped: Count,
    not_started: Count,
    #[serde(default)]
    skipped: Count,
    #[serde(default)]
    expired: Count,
    #[serde(default)]
    gave_up: Count,
    attempts: Option<Count>,
    failed_attempts_by_class: Option<ByClass>,
    throttled: Count,
    retry_after_max_us: Option<Micros>,
    polls: Count,
    #[serde(default)]
    disconnects: Count,
    #[serde(default)]
    telemetry: Count,
}

#[derive(Deserialize)]
struct SkipRow {
    reason: Reason,
    provisioned_in: Option<String>,
    devices: Count,
}

#[derive(Deserialize)]
struct PhaseRow {
    phase: PhaseName,
    outcome: PhaseOutcome,
    count: u64,
    min_us: Micros,
    max_us: Micros,
    above_range: u64,
    histogram: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum PhaseOutcome {
    Succeeded,
    Failed,
}

#[derive(Deserialize)]
struct IntervalRow {
    start_us: Micros,
    length_us: Micros,
    due: Count,
    started: Count,
    succeeded: Count,
    failed_by_class: ByClass,
    attempts: Option<Count>,
    failed_attempts: Option<Count>,
    failed_attempts_by_class: Option<ByClass>,
    succeeded_attempts: Option<Count>,
    throttled: Count,
    retry_after_max_us: Option<Micros>,
    dropped: Count,
    #[serde(default)]
    expired: Count,
    #[serde(default)]
    gave_up: Count,
    #[serde(default)]
    disconnects: Count,
    #[serde(default)]
    telemetry: Count,
    in_flight: Count,
    /// Absent in records of before it was kept.
    min_us: Option<Micros>,
    max_us: Option<Micros>,
    #[serde(default)]
    above_range: u64,
    /// Records of before it was there have it in `latency.hlog`.
    histogram: Option<String>,
}

#[derive(Deserialize)]
struct Expiries {
    without: Count,
    expired: Count,
    bin_s: u64,
    bins: Vec<Bin>,
}

#[derive(Deserialize)]
struct Bin {
    expires_from: Moment,
    certificates: Count,
}

#[derive(Deserialize)]
struct Error {
    class: Class,
    code: u32,
    message: String,
    count: Count,
    first_us: Micros,
    last_us: Micros,
}

#[derive(Deserialize)]
struct SettingRow {
    key: String,
    value: String,
    origin: OriginName,
}

/// More phases with a histogram than a run of a hundred stages has; each takes 200 kB.
const MOST_PHASES: usize = 100 * 2 * Phase::COUNT;

impl Run {
    /// Whether it says how every interval is distributed, or `latency.hlog` does.
    pub(super) fn has_distributions(&self) -> bool {
        self.stages.iter().flat_map(|stage| &stage.intervals).all(|interval| interval.histogram.is_some())
    }

    /// The record, but for what `latency.hlog` holds.
    pub(super) fn into_record(self) -> Result<RunRecord, String> {
        let Self { fleetstorm, command, scenario, question, target, seed, started_at, prepare_us, elapsed_us, .. } =
            self;
        let Self { status, time_scale, thresholds, generator, emulator, health, machine, .. } = self;
        let Self { stages, certificates, errors, settings, notes, resources, shard, rows_lost, .. } = self;
        let shard = shard.map(|ShardOf { index, count }| {
            Shard::new(index, count).ok_or(format!("shard {index} of {count} is none"))
        });
        if stages.iter().map(|stage| stage.phases.len()).sum::<usize>() > MOST_PHASES {
            return Err(format!("it has more than {MOST_PHASES} phases"));
        }
        let Host { cpu, cores, memory_bytes, os, open_files } = machine;
        Ok(RunRecord {
            scenario: in_one_line(scenario),
            question,
            version: fleetstorm,
            command,
            target,
            seed,
            started_at: started_at.0,
            prepare: prepare_us.0,
            elapsed: elapsed_us.0,
            status: status.0,
            time_scale: time_scale.map_or(Ok(TimeScale::REAL), Scale::into_scale)?,
            thresholds: thresholds.into_iter().map(Threshold::into_result).collect::<Result<_, _>>()?,
            settings: settings
                .into_iter()
                .map(|SettingRow { key, value, origin }| Setting { key, value, origin: origin.0 })
                .collect(),
            machine: Machine { cpu, cores, memory: memory_bytes, os, open_files },
            generator: generator.into(),
            emulator: emulator.map(CpuUse::from),
            health: health.into_health()?,
            stages: stages.into_iter().map(Stage::into_record).collect::<Result<_, _>>()?,
            certificates: certificates.map(Expiries::into_certificates).transpose()?,
            errors: errors.into_iter().map(ErrorRow::from).collect(),
            notes,
            resources: resources.into_iter().map(ResourceSample::from).collect(),
            shard: shard.transpose()?,
            rows_lost: rows_lost.map(|Count(lost)| lost),
        })
    }
}

impl Scale {
    fn into_scale(self) -> Result<TimeScale, String> {
        let Self { text, factor, fleet_us, real_us } = self;
        let exact = fleet_us.zip(real_us).map(|(fleet, real)| (fleet.0, real.0));
        // The first records with a scale had these two alone.
        let told = || {
            let (fleet, real) = text.as_deref()?.split_once('=')?;
            humantime::parse_duration(fleet.trim()).ok().zip(humantime::parse_duration(real.trim()).ok())
        };
        let factor = || Some((Duration::try_from_secs_f64(factor?).ok()?, Duration::from_secs(1)));
        exact
            .or_else(told)
            .or_else(factor)
            .and_then(|(fleet, real)| TimeScale::new(fleet, real))
            .ok_or_else(|| "time_scale is none that a scenario may have".to_owned())
    }
}

impl From<Process> for CpuUse {
    fn from(process: Process) -> Self {
        let Process { cpu_user_us, cpu_system_us, peak_memory_bytes } = process;
        Self { user: cpu_user_us.0, system: cpu_system_us.0, peak_memory: peak_memory_bytes }
    }
}

impl Health {
    fn into_health(self) -> Result<GeneratorHealth, String> {
        let Self { saturated, peak_in_flight, peak_connected, in_flight_limit, .. } = self;
        let aside = aside(self.lateness_above_range, self.lateness_min_us, self.lateness_max_us);
        let lateness = histogram(&self.lateness_histogram, aside)
            .map_err(|reason| format!("health: lateness_histogram: {reason}"))?;
        let lateness = CompactHistogram::new(&lateness);
        Ok(GeneratorHealth { lateness, saturated, peak_in_flight, peak_connected, in_flight_limit })
    }
}

impl Stage {
    fn into_record(self) -> Result<StageRecord, String> {
        let Self { name, kind, workload, begin_due_us, begin_late_us, start_us, elapsed_us, totals, .. } = self;
        let Self { skips, phases: rows, intervals, .. } = self;
        let name = in_one_line(name);
        let begin = begin_due_us.zip(begin_late_us).map(|(due, late)| Begin { due: due.0, late: late.0 });
        let mut phases = CompactPhases::default();
        for PhaseRow { phase: PhaseName(phase), outcome, count, min_us, max_us, above_range, histogram: encoded } in
            rows
        {
            let wrong = |reason: String| format!("stage {name}: phase {phase}: {reason}");
            let histogram = histogram(&encoded, aside(above_range, Some(min_us), Some(max_us))).map_err(wrong)?;
            if histogram.count() != count {
                return Err(wrong(format!("count is {count}, but the histogram holds {}", histogram.count())));
            }
            phases.set(phase, matches!(outcome, PhaseOutcome::Succeeded), &histogram);
        }
        let wrong = |reason: String| format!("stage {name}: {reason}");
        let intervals =
            intervals.into_iter().map(IntervalRow::into_interval).collect::<Result<_, _>>().map_err(wrong)?;
        let (start, elapsed, totals) = (start_us.0, elapsed_us.0, Totals::from(totals));
        let skips: Vec<Skip> = skips.into_iter().map(Skip::from).collect();
        let told = skips.iter().fold(0, |sum: u64, skip| sum.saturating_add(skip.devices));
        if told > totals.skipped {
            return Err(format!("stage {name}: {} were skipped, but there are reasons for {told}", totals.skipped));
        }
        Ok(StageRecord { name, kind, workload, totals, begin, start, elapsed, skips, phases, intervals })
    }
}

impl From<SkipRow> for Skip {
    fn from(row: SkipRow) -> Self {
        let SkipRow { reason, provisioned_in, devices } = row;
        Self { reason: reason.0, provisioned_in, devices: devices.0 }
    }
}

impl Expiries {
    fn into_certificates(self) -> Result<Certificates, String> {
        let Self { without, expired, bin_s, bins } = self;
        let bins = bins.into_iter().map(|Bin { expires_from, certificates }| (expires_from.0, certificates.0));
        Certificates::from_parts(without.0, expired.0, Duration::from_secs(bin_s), bins)
            .ok_or_else(|| format!("certificates: bins of {bin_s} s do not lie as this version lays them"))
    }
}

impl From<Counts> for Totals {
    fn from(counts: Counts) -> Self {
        let Counts { planned, started, succeeded, failed_by_class, dropped, not_started, skipped, .. } = counts;
        let Counts { expired, gave_up, attempts, failed_attempts_by_class, throttled, retry_after_max_us, .. } = counts;
        let Counts { polls, disconnects, telemetry, .. } = counts;
        Self {
            planned: planned.0,
            started: started.0,
            succeeded: succeeded.0,
            failed: failed_by_class.0,
            dropped: dropped.0,
            not_started: not_started.0,
            skipped: skipped.0,
            expired: expired.0,
            gave_up: gave_up.0,
            attempts: attempts.unwrap_or(started).0,
            failed_attempts: failed_attempts_by_class.unwrap_or(failed_by_class).0,
            throttled: throttled.0,
            retry_after_max: retry_after_max_us.map(|time| time.0),
            polls: polls.0,
            disconnects: disconnects.0,
            telemetry: telemetry.0,
        }
    }
}

impl IntervalRow {
    fn into_interval(self) -> Result<Interval, String> {
        let start = self.start_us.0;
        // Without a distribution of its own it only remembers what its distribution in the log does not say.
        let aside = aside(self.above_range, self.min_us, self.max_us);
        let total = match self.histogram {
            Some(encoded) => compact(&encoded, aside)
                .map_err(|reason| format!("interval at {:.3} s: {reason}", start.as_secs_f64()))?,
            None => CompactHistogram::announced(aside),
        };
        let by_class = match (self.failed_attempts_by_class, self.failed_attempts) {
            (Some(by_class), _) => Some(by_class.0),
            // As long as every device had one attempt, its class was that of the device.
            (None, None) => Some(self.failed_by_class.0),
            (None, Some(_)) => None,
        };
        Ok(Interval {
            start,
            length: self.length_us.0,
            due: self.due.0,
            started: self.started.0,
            attempts: self.attempts.unwrap_or(self.started).0,
            failed_attempts: self.failed_attempts.map_or_else(|| self.failed_by_class.0.iter().sum(), |count| count.0),
            failed_attempts_by_class: by_class,
            succeeded_attempts: self.succeeded_attempts.unwrap_or(self.succeeded).0,
            succeeded: self.succeeded.0,
            failed: self.failed_by_class.0,
            throttled: self.throttled.0,
            retry_after_max: self.retry_after_max_us.map(|time| time.0),
            dropped: self.dropped.0,
            expired: self.expired.0,
            gave_up: self.gave_up.0,
            disconnects: self.disconnects.0,
            telemetry: self.telemetry.0,
            in_flight: self.in_flight.0,
            total,
        })
    }
}

impl From<Error> for ErrorRow {
    fn from(error: Error) -> Self {
        let Error { class, code, message, count, first_us, last_us } = error;
        Self { class: class.0, code, message, count: count.0, first: first_us.0, last: last_us.0 }
    }
}

/// No scenario has a name of several lines, which would pass for lines of the report.
fn in_one_line(name: String) -> String {
    if name.contains(['\n', '\r']) { name.split_whitespace().collect::<Vec<_>>().join(" ") } else { name }
}

/// What stands beside a histogram. Records of before the ends were kept as they were have the outermost steps of the histogram in
/// their place, or nothing.
fn aside(above_range: u64, min: Option<Micros>, max: Option<Micros>) -> Aside {
    let nanos = |time: Option<Micros>| time.and_then(|time| u64::try_from(time.0.as_nanos()).ok());
    Aside { above_range, min: nanos(min), max: nanos(max) }
}

/// The same, kept small.
fn compact(encoded: &str, aside: Aside) -> Result<CompactHistogram, String> {
    if encoded.is_empty() {
        return Ok(CompactHistogram::default());
    }
    let bytes = STANDARD.decode(encoded).map_err(|error| error.to_string())?;
    CompactHistogram::from_v2(&bytes, aside).map_err(|error| error.to_string())
}

/// Deflated or not, in base64; empty for nothing.
fn histogram(encoded: &str, aside: Aside) -> Result<Histogram, String> {
    if encoded.is_empty() {
        return Ok(Histogram::new());
    }
    let bytes = STANDARD.decode(encoded).map_err(|error| error.to_string())?;
    Histogram::from_v2(&bytes, aside).map_err(|error| error.to_string())
}
