use std::io;

use serde::{Deserialize, Serialize};

use crate::domain::{Phase, TimeScale};
use crate::measure::{self, ErrorRow, RunRecord, StageRecord};
use crate::report::json::certificates::Certificates;
use crate::report::json::condition::Condition;
use crate::report::json::counts::Totals;
use crate::report::json::fleet::{Fleet, Shard};
use crate::report::json::generator::{Health, Machine, Process};
use crate::report::json::interval::{Interval, Percentiles};
use crate::report::json::resource::Resource;
use crate::report::json::stage::Stage;
use crate::report::json::threshold::Threshold;
use crate::report::json::time_scale::Scale;
use crate::report::json::values::{Class, Count, Micros, Moment, OriginName, Status, in_one_line};
use crate::report::units::{self, rounded};
use crate::report::{self, SCHEMA, verdicts};
use crate::scenario::thresholds_of_settings;

/// The record of a run. Durations are integer microseconds (`_us`), moments RFC 3339 in UTC (`_at`). Within a schema keys are only
/// added: one that is not there is not known.
#[derive(Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(super) struct Run {
    #[serde(skip_deserializing)]
    schema: u32,
    /// The version that ran it.
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
    #[serde(skip_deserializing)]
    verdicts: Vec<Verdict>,
    /// What the run had to meet; of a sum, what all of its parts had to meet. Absent in records that tell it in settings alone.
    conditions: Option<Vec<Condition>>,
    /// What became of it.
    #[serde(default)]
    thresholds: Vec<Threshold>,
    #[serde(skip_deserializing)]
    totals: Totals,
    #[serde(skip_deserializing)]
    succeeded_per_s: f64,
    generator: Process,
    emulator: Option<Process>,
    health: Health,
    machine: Machine,
    stages: Vec<Stage>,
    /// Absent until the end, and in records of before it was counted.
    certificates: Option<Certificates>,
    errors: Vec<Error>,
    settings: Vec<Setting>,
    notes: Vec<String>,
    #[serde(default)]
    resources: Vec<Resource>,
    /// Of the fleet, or of the part of it that this is; absent when it is not known.
    #[serde(skip_deserializing, skip_serializing_if = "Option::is_none")]
    devices: Option<u64>,
    /// Absent when it is the whole fleet.
    #[serde(skip_serializing_if = "Option::is_none")]
    shard: Option<Shard>,
    /// Absent without `--devices`.
    #[serde(skip_serializing_if = "Option::is_none")]
    rows_lost: Option<Count>,
    /// Absent in records of before it was told.
    fleet: Option<Fleet>,
}

/// What a reader must know before any number.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
struct Verdict {
    verdict: &'static str,
    meaning: String,
}

/// A distinct failure.
#[derive(Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
struct Error {
    class: Class,
    code: u32,
    message: String,
    count: Count,
    first_us: Micros,
    last_us: Micros,
}

/// A setting, and where it came from.
#[derive(Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
struct Setting {
    key: String,
    value: String,
    origin: OriginName,
}

/// More phases with a histogram than a run of a hundred stages has; each takes 200 kB.
const MOST_PHASES: usize = 100 * 2 * Phase::COUNT;

impl Run {
    pub(super) fn of(record: &RunRecord, percentiles: Percentiles) -> io::Result<Self> {
        let totals = record.totals();
        let verdict = |verdict: &report::Verdict| Verdict { verdict: verdict.name(), meaning: verdict.sentence() };
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
            conditions,
            thresholds,
            settings,
            machine,
            generator,
            emulator,
            health,
            stages,
            certificates,
            fleet,
            errors,
            notes,
            resources,
            shard,
            rows_lost,
        } = record;
        Ok(Self {
            schema: SCHEMA,
            fleetstorm: version.clone(),
            command: command.clone(),
            scenario: scenario.clone(),
            question: question.clone(),
            target: target.clone(),
            seed: *seed,
            started_at: Moment(*started_at),
            prepare_us: Micros(*prepare),
            elapsed_us: Micros(*elapsed),
            status: Status(*status),
            time_scale: Some(Scale::of(*time_scale)),
            verdicts: verdicts(record).iter().map(verdict).collect(),
            conditions: Some(conditions.iter().map(Condition::of).collect()),
            thresholds: thresholds.iter().map(Threshold::of).collect(),
            succeeded_per_s: rounded(units::per_second(totals.succeeded, *elapsed)),
            generator: Process::of(generator, totals.succeeded),
            emulator: emulator.as_ref().map(|cpu| Process::of(cpu, totals.succeeded)),
            health: Health::of(health)?,
            machine: Machine::of(machine),
            stages: stages.iter().map(|stage| Stage::of(stage, percentiles)).collect::<io::Result<_>>()?,
            certificates: certificates.as_ref().map(Certificates::of),
            errors: errors.iter().map(Error::of).collect(),
            settings: settings.iter().map(Setting::of).collect(),
            notes: notes.clone(),
            resources: resources.iter().map(Resource::of).collect(),
            devices: record.devices(),
            shard: shard.map(Shard::of),
            rows_lost: rows_lost.map(Count),
            fleet: Some(Fleet::of(fleet)),
            totals: Totals::of(&totals),
        })
    }

    /// Whether it says how every interval is distributed, or `latency.hlog` does.
    pub(super) fn has_distributions(&self) -> bool {
        self.stages.iter().flat_map(|stage| &stage.intervals).all(Interval::has_distribution)
    }

    /// The record, but for what `latency.hlog` holds.
    pub(super) fn into_record(self) -> Result<RunRecord, String> {
        if self.stages.iter().map(|stage| stage.phases.len()).sum::<usize>() > MOST_PHASES {
            return Err(format!("it has more than {MOST_PHASES} phases"));
        }
        let settings: Vec<_> = self.settings.into_iter().map(Setting::into_setting).collect();
        let stages: Vec<StageRecord> = self.stages.into_iter().map(Stage::into_record).collect::<Result<_, _>>()?;
        let mut notes = self.notes;
        let conditions = match self.conditions {
            Some(conditions) => {
                let threshold = |condition: Condition| condition.into_threshold(stages.len());
                conditions.into_iter().map(threshold).collect::<Result<_, _>>()?
            }
            None => {
                let named: Vec<_> = stages.iter().map(|stage| (stage.name.as_str(), stage.kind)).collect();
                let (conditions, not_read) = thresholds_of_settings(&settings, &named);
                notes.extend(not_read);
                conditions
            }
        };
        Ok(RunRecord {
            scenario: in_one_line(self.scenario),
            question: self.question,
            version: self.fleetstorm,
            command: self.command,
            target: self.target,
            seed: self.seed,
            started_at: self.started_at.0,
            prepare: self.prepare_us.0,
            elapsed: self.elapsed_us.0,
            status: self.status.0,
            // Records of before the fleet had a time of its own.
            time_scale: self.time_scale.map_or(Ok(TimeScale::REAL), Scale::into_scale)?,
            conditions,
            thresholds: self.thresholds.into_iter().map(Threshold::into_result).collect::<Result<_, _>>()?,
            fleet: self.fleet.map_or_else(|| Ok(Fleet::of_settings(&settings, self.seed)), Fleet::into_fleet)?,
            settings,
            machine: self.machine.into_machine(),
            generator: self.generator.into_cpu_use(),
            emulator: self.emulator.map(Process::into_cpu_use),
            health: self.health.into_health()?,
            stages,
            certificates: self.certificates.map(Certificates::into_certificates).transpose()?,
            errors: self.errors.into_iter().map(Error::into_row).collect(),
            notes,
            resources: self.resources.into_iter().map(Resource::into_sample).collect(),
            shard: self.shard.map(Shard::into_shard).transpose()?,
            rows_lost: self.rows_lost.map(|Count(lost)| lost),
        })
    }
}

impl Error {
    fn of(row: &ErrorRow) -> Self {
        let ErrorRow { class, code, message, count, first, last } = row;
        Self {
            class: Class(*class),
            code: *code,
            message: message.clone(),
            count: Count(*count),
            first_us: Micros(*first),
            last_us: Micros(*last),
        }
    }

    fn into_row(self) -> ErrorRow {
        let Self { class, code, message, count, first_us, last_us } = self;
        ErrorRow { class: class.0, code, message, count: count.0, first: first_us.0, last: last_us.0 }
    }
}

impl Setting {
    fn of(setting: &measure::Setting) -> Self {
        let measure::Setting { key, value, origin } = setting.clone();
        Self { key, value, origin: OriginName(origin) }
    }

    fn into_setting(self) -> measure::Setting {
        let Self { key, value, origin } = self;
        measure::Setting { key, value, origin: origin.0 }
    }
}
