use std::time::Duration;

use serde::Serialize;

use crate::cli::command::plan::facts::{RunFacts, StageFacts};
use crate::cli::command::plan::key_time;
use crate::cli::command::plan::keys::KeyWork;
use crate::cli::expected::{ExpectedStage, Source};
use crate::domain;
use crate::domain::FleetTime;
use crate::engine::quota_check::{QuotaCheck, QuotaVerdict, StageCount};
use crate::engine::{Needs, PlannedStage};
use crate::report::units::rounded;
use crate::scenario::Scenario;

/// The plan as JSON. Durations are integer microseconds (`_us`), real time unless the key says `fleet`.
#[derive(Serialize)]
pub(super) struct Document<'a> {
    schema: u32,
    scenario: &'a str,
    question: Option<&'a str>,
    seed: u64,
    time_scale: String,
    /// Fleet seconds per real second.
    time_scale_factor: f64,
    devices: u32,
    /// The part of them that this plan is about; quotas are checked for all.
    own_devices: u32,
    shard: Shard,
    /// Absent when a closed workload decides.
    least_duration_us: Option<u64>,
    /// When this machine is expected to be through with all that comes; absent when that is not known.
    expected_duration_us: Option<u64>,
    /// Cores that count for that: those there are, or what a cgroup allows of them.
    expected_cores: f64,
    stages: Vec<Stage<'a>>,
    /// What all stages together ask of quotas: whether they are kept.
    quotas: Vec<Together<'a>>,
    keys: u64,
    key_work: Vec<Keys<'a>>,
    key_cpu_us: u64,
    key_time: KeyTime<'a>,
    in_flight: u64,
    held: u64,
    open_files_needed: u64,
    open_files_available: u64,
    ports: Ports,
    settings: Vec<Setting<'a>>,
}

#[derive(Serialize)]
struct Shard {
    index: u32,
    count: u32,
}

#[derive(Serialize)]
struct Stage<'a> {
    name: &'a str,
    kind: &'static str,
    workload: &'a str,
    devices: u32,
    classes: Vec<Class<'a>>,
    start_us: Option<u64>,
    start_fleet_us: Option<u64>,
    last_due_us: Option<u64>,
    last_due_fleet_us: Option<u64>,
    peak_per_second: Option<u32>,
    step_us: u64,
    arrivals: &'a [u32],
    /// What it asks for as if it were alone; times count from its begin.
    quotas: Vec<Quota>,
    machine: Machine,
}

/// What this machine is expected to do in a stage. What is not known is `null`.
#[derive(Serialize)]
struct Machine {
    /// `earlier-runs` on this machine, `documented` of another one, or `unknown`.
    known_by: &'static str,
    /// Stages of earlier runs.
    runs: Option<usize>,
    devices_per_s: Option<f64>,
    least_devices_per_s: Option<f64>,
    most_devices_per_s: Option<f64>,
    generator_cpu_per_device_us: Option<u64>,
    emulator_cpu_per_device_us: Option<u64>,
    /// The longest that it is behind what is asked of it, with what goes on beside the stage.
    behind_us: Option<u64>,
    keeps_up: Option<bool>,
    warning: Option<String>,
}

#[derive(Serialize)]
struct Class<'a> {
    class: &'a str,
    devices: u32,
}

#[derive(Serialize)]
struct Quota {
    quota: &'static str,
    limit: u32,
    period_fleet_us: u64,
    needed: u64,
    /// Absent when the target decides when devices come.
    peak_per_period: Option<u64>,
    /// `kept`, `exceeded`, or `unknown` where the target decides.
    verdict: &'static str,
    exceeded: bool,
    /// Of which a token bucket, as the emulator has it, refuses the first attempt.
    devices_over: u64,
    first_over_fleet_us: Option<u64>,
    /// Absent when no spread fits.
    shortest_spread_fleet_us: Option<u64>,
}

/// Times count from the start of the run.
#[derive(Serialize)]
struct Together<'a> {
    #[serde(flatten)]
    quota: Quota,
    /// When the last arrival of that period comes.
    peak_at_fleet_us: Option<u64>,
    /// What makes up the peak.
    peak_stages: Vec<Asked<'a>>,
    /// What comes when the target is ready for it.
    untimed_stages: Vec<Asked<'a>>,
    over_stages: Vec<Over<'a>>,
    /// How it is exceeded when a stage begins later than it could.
    later: Option<Later<'a>>,
}

#[derive(Serialize)]
struct Asked<'a> {
    stage: &'a str,
    asked: u64,
}

#[derive(Serialize)]
struct Over<'a> {
    stage: &'a str,
    devices: u64,
}

#[derive(Serialize)]
struct Later<'a> {
    stage: &'a str,
    by_fleet_us: u64,
    peak_per_period: u64,
    devices_over: u64,
}

#[derive(Serialize)]
struct Keys<'a> {
    class: &'a str,
    algorithm: &'static str,
    keys: u64,
    csrs: u64,
    /// About.
    cpu_us: u64,
}

/// Whether there is time to make them, by typical figures.
#[derive(Serialize)]
struct KeyTime<'a> {
    cores: usize,
    /// How long keys are made before the run begins.
    before_us: u64,
    in_time: bool,
    late: Vec<LateKeys<'a>>,
}

#[derive(Serialize)]
struct LateKeys<'a> {
    stage: &'a str,
    begins_with_run: bool,
    /// The longest that a key comes after its device is due.
    longest_us: u64,
    devices: u64,
    dropped: u64,
}

#[derive(Serialize)]
struct Ports {
    needed: u64,
    per_source_address: u64,
    source_addresses_needed: u64,
    loopback_addresses: bool,
}

#[derive(Serialize)]
struct Setting<'a> {
    key: &'a str,
    value: &'a str,
    origin: &'static str,
}

impl<'a> Document<'a> {
    pub(super) fn of(facts: &'a RunFacts<'a>) -> Self {
        let RunFacts {
            scenario,
            plan,
            stages,
            keys: key_work,
            key_time,
            open_files,
            ports,
            expected,
            quotas,
            quotas_declared: _,
        } = facts;
        let Needs { keys, in_flight, held, connections: _, open_files: open_files_needed } = plan.needs;
        Self {
            schema: 1,
            scenario: &scenario.name,
            question: scenario.question.as_deref(),
            seed: plan.seed,
            time_scale: plan.time_scale.to_string(),
            time_scale_factor: plan.time_scale.factor(),
            devices: plan.devices,
            own_devices: plan.own_devices(),
            shard: Shard { index: plan.shard.index(), count: plan.shard.count() },
            least_duration_us: facts.least_duration().map(us),
            expected_duration_us: expected.ends.map(us),
            expected_cores: expected.cores,
            stages: stages
                .iter()
                .zip(&expected.stages)
                .map(|(stage, expected)| Stage::of(stage, expected, plan.time_scale))
                .collect(),
            quotas: quotas.iter().map(|check| Together::of(check, scenario)).collect(),
            keys,
            key_work: key_work.iter().map(Keys::of).collect(),
            key_cpu_us: us(facts.key_cpu()),
            key_time: KeyTime::of(key_time, scenario),
            in_flight,
            held,
            open_files_needed,
            open_files_available: open_files.limit,
            ports: Ports {
                needed: ports.needed,
                per_source_address: ports.per_address,
                source_addresses_needed: ports.addresses(),
                loopback_addresses: ports.loopback,
            },
            settings: scenario.settings.iter().map(Setting::of).collect(),
        }
    }
}

impl<'a> Stage<'a> {
    fn of(facts: &'a StageFacts<'a>, expected: &ExpectedStage, scale: domain::TimeScale) -> Self {
        let StageFacts { stage: _, planned, classes, quotas } = facts;
        let PlannedStage { name, kind, workload, devices, start, last_due, arrivals, step, peak_per_second } = planned;
        let fleet = |real: &Duration| fleet_us(scale.to_fleet(*real));
        Self {
            name,
            kind: kind.name(),
            workload,
            devices: *devices,
            classes: classes.iter().map(|(class, devices)| Class { class: &class.name, devices: *devices }).collect(),
            start_us: start.map(us),
            start_fleet_us: start.as_ref().map(fleet),
            last_due_us: last_due.map(us),
            last_due_fleet_us: last_due.as_ref().map(fleet),
            peak_per_second: *peak_per_second,
            step_us: us(*step),
            arrivals,
            quotas: quotas.iter().map(Quota::of).collect(),
            machine: Machine::of(expected),
        }
    }
}

impl Machine {
    fn of(expected: &ExpectedStage) -> Self {
        let rate = expected.rate.as_ref();
        let cost = rate.map(|rate| rate.cost);
        let (known_by, runs) = match cost.map(|cost| cost.source) {
            Some(Source::Runs { runs, .. }) => ("earlier-runs", Some(runs)),
            Some(Source::Documented) => ("documented", None),
            None => ("unknown", None),
        };
        Self {
            known_by,
            runs,
            devices_per_s: rate.map(|rate| rounded(rate.per_second)),
            least_devices_per_s: rate.map(|rate| rounded(rate.bounds[0])),
            most_devices_per_s: rate.map(|rate| rounded(rate.bounds[1])),
            generator_cpu_per_device_us: cost.map(|cost| us(cost.generator)),
            emulator_cpu_per_device_us: cost.and_then(|cost| cost.emulator).map(us),
            behind_us: expected.behind.map(us),
            keeps_up: expected.keeps_up(),
            warning: expected.warning(),
        }
    }
}

impl Quota {
    fn of(check: &QuotaCheck) -> Self {
        Self {
            quota: check.quota.key(),
            limit: check.limit,
            period_fleet_us: fleet_us(check.period),
            needed: check.needed,
            peak_per_period: check.peak,
            verdict: check.verdict.name(),
            exceeded: check.verdict == QuotaVerdict::Exceeded,
            devices_over: check.over,
            first_over_fleet_us: check.first_over.map(fleet_us),
            // Rounded up: what is printed fits.
            shortest_spread_fleet_us: check.shortest_spread.map(|spread| fleet_us(spread + FleetTime::from_nanos(999))),
        }
    }
}

impl<'a> Together<'a> {
    fn of(check: &QuotaCheck, scenario: &'a Scenario) -> Self {
        let name = |stage: usize| scenario.stages.get(stage).map_or("", |stage| stage.name.as_str());
        let asked = |shares: &[StageCount]| -> Vec<Asked<'a>> {
            shares.iter().map(|share| Asked { stage: name(share.stage), asked: share.count }).collect()
        };
        Self {
            quota: Quota::of(check),
            peak_at_fleet_us: check.peak_at.map(fleet_us),
            peak_stages: asked(&check.peak_of),
            untimed_stages: asked(&check.untimed),
            over_stages: check
                .over_of
                .iter()
                .map(|over| Over { stage: name(over.stage), devices: over.count })
                .collect(),
            later: check.later.map(|later| Later {
                stage: name(later.stage),
                by_fleet_us: fleet_us(later.by),
                peak_per_period: later.peak,
                devices_over: later.over,
            }),
        }
    }
}

impl<'a> Keys<'a> {
    fn of(work: &KeyWork<'a>) -> Self {
        let KeyWork { class, keys, csrs, cpu } = *work;
        Self { class: &class.name, algorithm: class.key_algorithm.name(), keys, csrs, cpu_us: us(cpu) }
    }
}

impl<'a> KeyTime<'a> {
    fn of(time: &key_time::KeyTime, scenario: &'a Scenario) -> Self {
        let late = time.late.iter().map(|late| LateKeys {
            stage: scenario.stages.get(late.stage).map_or("", |stage| stage.name.as_str()),
            begins_with_run: late.first,
            longest_us: us(late.longest),
            devices: late.devices,
            dropped: late.dropped,
        });
        Self { cores: time.cores, before_us: us(time.before), in_time: time.late.is_empty(), late: late.collect() }
    }
}

impl<'a> Setting<'a> {
    fn of(setting: &'a domain::Setting) -> Self {
        let domain::Setting { key, value, origin } = setting;
        Self { key, value, origin: origin.name() }
    }
}

fn us(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

fn fleet_us(time: FleetTime) -> u64 {
    us(time.length())
}
