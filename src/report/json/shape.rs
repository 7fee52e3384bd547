use std::io;

use serde::Serialize;

use crate::domain::FailureClass;
use crate::measure::{
    self, CpuUse, ErrorRow, ExpiryBin, Histogram, Machine, RunRecord, Setting, ThresholdResult, Totals,
};
use crate::report::csv::{duration_micros, micros};
use crate::report::json::resource::Resource;
use crate::report::json::stage::{Percentiles, Stage, encoded};
use crate::report::observed::Value;
use crate::report::units::rounded;
use crate::report::{SCHEMA, units, verdicts};

/// The file as a whole.
#[derive(Serialize)]
pub(super) struct Run<'a> {
    schema: u32,
    fleetstorm: &'a str,
    command: &'a [String],
    scenario: &'a str,
    question: Option<&'a str>,
    target: &'a str,
    seed: u64,
    started_at: String,
    prepare_us: u64,
    elapsed_us: u64,
    status: &'static str,
    time_scale: Scale,
    verdicts: Vec<Verdict>,
    thresholds: Vec<Threshold<'a>>,
    totals: Counts,
    succeeded_per_s: f64,
    generator: Process,
    emulator: Option<Process>,
    health: Health<'a>,
    machine: Host<'a>,
    stages: Vec<Stage<'a>>,
    /// Absent until the end, and in records of before it was counted.
    certificates: Option<Certificates>,
    errors: Vec<Error<'a>>,
    settings: Vec<SettingRow<'a>>,
    notes: &'a [String],
    resources: Vec<Resource>,
    /// Of the fleet, or of the part of it that this is; absent when it is not known.
    #[serde(skip_serializing_if = "Option::is_none")]
    devices: Option<u64>,
    /// Absent when it is the whole fleet.
    #[serde(skip_serializing_if = "Option::is_none")]
    shard: Option<ShardOf>,
    /// Absent without `--devices`.
    #[serde(skip_serializing_if = "Option::is_none")]
    rows_lost: Option<u64>,
}

/// Which part of the fleet.
#[derive(Serialize)]
struct ShardOf {
    index: u32,
    count: u32,
}

#[derive(Serialize)]
struct Verdict {
    verdict: &'static str,
    meaning: String,
}

/// How fast the fleet's life passed.
#[derive(Serialize)]
struct Scale {
    text: String,
    /// Fleet seconds per real second.
    factor: f64,
    /// So much fleet time passes in `real_us`.
    fleet_us: u64,
    real_us: u64,
}

#[derive(Serialize)]
struct Threshold<'a> {
    threshold: &'a str,
    met: bool,
    /// Absent when there was nothing to look at.
    observed: Option<f64>,
    unit: Option<&'static str>,
    /// When it stopped the run.
    stopped_at_us: Option<u64>,
}

/// Counts of the devices of a stage, or of tasks, as those of several stages are; `planned = succeeded + failed + dropped + not_started + skipped`.
#[derive(Serialize)]
pub(super) struct Counts {
    planned: u64,
    started: u64,
    succeeded: u64,
    failed: u64,
    failed_by_class: ByClass,
    dropped: u64,
    not_started: u64,
    skipped: u64,
    expired: u64,
    gave_up: u64,
    attempts: u64,
    failed_attempts: u64,
    failed_attempts_by_class: ByClass,
    /// Absent when nothing succeeded.
    attempts_per_success: Option<f64>,
    throttled: u64,
    /// Fleet time; absent when no refusal named one.
    retry_after_max_us: Option<u64>,
    polls: u64,
    disconnects: u64,
    telemetry: u64,
}

/// Certificates of the devices at the end of the run.
#[derive(Serialize)]
struct Certificates {
    without: u64,
    expired: u64,
    bin_s: u64,
    bins: Vec<Bin>,
}

/// Certificates that expire from then on, for the length of a bin; the fleet's wall clock.
#[derive(Serialize)]
struct Bin {
    expires_from: String,
    certificates: u64,
}

/// Failures per class as an object with one key per class.
pub(super) struct ByClass(pub(super) [u64; FailureClass::ALL.len()]);

#[derive(Serialize)]
struct Process {
    cpu_us: u64,
    cpu_user_us: u64,
    cpu_system_us: u64,
    /// Absent when nothing succeeded.
    cpu_per_success_us: Option<f64>,
    peak_memory_bytes: u64,
}

#[derive(Serialize)]
struct Health<'a> {
    saturated: &'a [String],
    peak_in_flight: u64,
    peak_connected: u64,
    in_flight_limit: u64,
    lateness_p50_us: Option<u64>,
    lateness_p99_us: Option<u64>,
    lateness_max_us: Option<u64>,
    lateness_min_us: Option<u64>,
    /// Values above the range of the histogram (one hour), counted at its end.
    lateness_above_range: u64,
    lateness_histogram: String,
}

#[derive(Serialize)]
struct Host<'a> {
    cpu: &'a str,
    cores: usize,
    memory_bytes: u64,
    os: &'a str,
    open_files: u64,
}

#[derive(Serialize)]
struct Error<'a> {
    class: &'static str,
    code: u32,
    message: &'a str,
    count: u64,
    first_us: u64,
    last_us: u64,
}

#[derive(Serialize)]
struct SettingRow<'a> {
    key: &'a str,
    value: &'a str,
    origin: &'static str,
}

impl<'a> Run<'a> {
    pub(super) fn of(record: &'a RunRecord, percentiles: Percentiles) -> io::Result<Self> {
        let RunRecord {
            scenario,
            question,
            version,
            command,
            target,
            seed,
            started_at,
            prepare,
            elapsed,
            status,
            time_scale,
            thresholds,
            settings,
            machine,
            generator,
            emulator,
            health,
            stages,
            certificates,
            errors,
            notes,
            resources,
            shard,
            rows_lost,
        } = record;
        let totals = record.totals();
        let Machine { cpu, cores, memory, os, open_files } = machine;
        let lateness = health.lateness.decode();
        Ok(Self {
            schema: SCHEMA,
            fleetstorm: version,
            command,
            scenario,
            question: question.as_deref(),
            target,
            seed: *seed,
            started_at: units::rfc3339(*started_at),
            prepare_us: duration_micros(*prepare),
            elapsed_us: duration_micros(*elapsed),
            status: status.name(),
            time_scale: Scale {
                text: time_scale.to_string(),
                factor: time_scale.factor(),
                fleet_us: duration_micros(time_scale.fleet()),
                real_us: duration_micros(time_scale.real()),
            },
            thresholds: thresholds.iter().map(Threshold::of).collect(),
            verdicts: verdicts(record)
                .iter()
                .map(|verdict| Verdict { verdict: verdict.name(), meaning: verdict.sentence() })
                .collect(),
            succeeded_per_s: rounded(units::per_second(totals.succeeded, *elapsed)),
            generator: Process::of(generator, totals.succeeded),
            emulator: emulator.as_ref().map(|cpu| Process::of(cpu, totals.succeeded)),
            health: Health {
                saturated: &health.saturated,
                peak_in_flight: health.peak_in_flight,
                peak_connected: health.peak_connected,
                in_flight_limit: health.in_flight_limit,
                lateness_p50_us: quantile(&lateness, 0.50),
                lateness_p99_us: quantile(&lateness, 0.99),
                lateness_max_us: quantile(&lateness, 1.0),
                lateness_min_us: quantile(&lateness, 0.0),
                lateness_above_range: lateness.saturated(),
                lateness_histogram: encoded(&lateness)?,
            },
            machine: Host { cpu, cores: *cores, memory_bytes: *memory, os, open_files: *open_files },
            stages: stages.iter().map(|stage| Stage::of(stage, percentiles)).collect::<io::Result<_>>()?,
            certificates: certificates.as_ref().map(Certificates::of),
            errors: errors.iter().map(Error::of).collect(),
            settings: settings.iter().map(SettingRow::of).collect(),
            notes,
            resources: resources.iter().map(Resource::of).collect(),
            devices: record.devices(),
            shard: shard.map(|shard| ShardOf { index: shard.index(), count: shard.count() }),
            rows_lost: *rows_lost,
            totals: Counts::of(&totals),
        })
    }
}

impl Counts {
    pub(super) fn of(totals: &Totals) -> Self {
        let Totals {
            planned,
            started,
            succeeded,
            failed,
            dropped,
            not_started,
            skipped,
            expired,
            gave_up,
            attempts,
            failed_attempts,
            throttled,
            retry_after_max,
            polls,
            disconnects,
            telemetry,
        } = *totals;
        Self {
            planned,
            started,
            succeeded,
            failed: totals.failed_total(),
            failed_by_class: ByClass(failed),
            dropped,
            not_started,
            skipped,
            expired,
            gave_up,
            attempts,
            failed_attempts: totals.failed_attempts_total(),
            failed_attempts_by_class: ByClass(failed_attempts),
            attempts_per_success: units::ratio(attempts, succeeded).map(rounded),
            throttled,
            retry_after_max_us: retry_after_max.map(duration_micros),
            polls,
            disconnects,
            telemetry,
        }
    }
}

impl Certificates {
    fn of(certificates: &measure::Certificates) -> Self {
        let bin = |ExpiryBin { from, to: _, certificates }| Bin { expires_from: units::rfc3339(from), certificates };
        Self {
            without: certificates.without,
            expired: certificates.expired,
            bin_s: certificates.width().as_secs(),
            bins: certificates.bins().map(bin).collect(),
        }
    }
}

impl Serialize for ByClass {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(FailureClass::ALL.map(FailureClass::name).iter().zip(&self.0))
    }
}

impl Process {
    fn of(cpu: &CpuUse, succeeded: u64) -> Self {
        let CpuUse { user, system, peak_memory } = *cpu;
        Self {
            cpu_us: duration_micros(cpu.total()),
            cpu_user_us: duration_micros(user),
            cpu_system_us: duration_micros(system),
            cpu_per_success_us: (succeeded > 0).then(|| rounded(cpu.total().as_secs_f64() * 1e6 / succeeded as f64)),
            peak_memory_bytes: peak_memory,
        }
    }
}

impl<'a> Threshold<'a> {
    fn of(result: &'a ThresholdResult) -> Self {
        let ThresholdResult { text, observed, met, stopped_at } = result;
        let (observed, unit) = Value::of(*observed).map(|value| (value.number, value.unit)).unzip();
        Self { threshold: text, met: *met, observed, unit, stopped_at_us: stopped_at.map(duration_micros) }
    }
}

impl<'a> Error<'a> {
    fn of(row: &'a ErrorRow) -> Self {
        let ErrorRow { class, code, message, count, first, last } = row;
        Self {
            class: class.name(),
            code: *code,
            message,
            count: *count,
            first_us: duration_micros(*first),
            last_us: duration_micros(*last),
        }
    }
}

impl<'a> SettingRow<'a> {
    fn of(setting: &'a Setting) -> Self {
        let Setting { key, value, origin } = setting;
        Self { key, value, origin: origin.name() }
    }
}

pub(super) fn quantile(histogram: &Histogram, quantile: f64) -> Option<u64> {
    histogram.quantile(quantile).map(duration_micros)
}

/// A mean in microseconds with the digits that mean something.
pub(super) fn mean_micros(nanos: f64) -> u64 {
    micros(nanos.round() as u64)
}
