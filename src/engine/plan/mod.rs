//! What is to be done, as values: who is due when, which share of it is whose, and what that asks of a service.

pub(super) mod arrivals;
pub(super) mod due;
pub mod quota_check;
pub(super) mod setup;
pub(super) mod share;

use std::time::{Duration, SystemTime};

use crate::domain::{RegistrationId, Shard, TimeScale};
use crate::engine::plan::arrivals::{Arrivals, Offsets, most_within};
use crate::engine::plan::setup::members;
use crate::engine::plan::share::open_files_for;
use crate::scenario::{Arrival, IdPattern, RenewalTiming, Scenario, Stage, StageKind, Start, Workload};

/// What a run will do, derived from scenario, seed and shard alone: the same three give the same plan and the same devices.
/// Making it starts nothing. The plans of all shards together are the plan of the whole fleet.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// Seed of all random draws.
    pub seed: u64,
    /// The part of the fleet that it is about.
    pub shard: Shard,
    /// Devices of the whole fleet.
    pub devices: u32,
    /// How fast the fleet's life passes.
    pub time_scale: TimeScale,
    /// The stages in order.
    pub stages: Vec<PlannedStage>,
    /// What it needs of the machine.
    pub needs: Needs,
    ids: IdPattern,
    /// Per stage.
    arrivals: Vec<Arrivals>,
}

/// One stage of a plan. All times are real.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlannedStage {
    /// Name of the stage.
    pub name: String,
    /// What each device does.
    pub kind: StageKind,
    /// Workload and arrival process in words.
    pub workload: String,
    /// Devices that take part.
    pub devices: u32,
    /// When it begins, if the stages that it waits for end with their last arrivals; `None` when one of them is closed.
    pub start: Option<Duration>,
    /// When the last device is due, or an operating one done, from the start of the stage; `None` in a closed workload.
    pub last_due: Option<Duration>,
    /// Devices due per step of time, for a drawing; empty in a closed workload.
    pub arrivals: Vec<u32>,
    /// Length of one step of `arrivals`.
    pub step: Duration,
    /// Most devices due within one second of the stage; `None` in a closed workload.
    pub peak_per_second: Option<u32>,
}

/// A shard that has nothing to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IdleShard {
    /// There are more shards than devices.
    #[error("{shard} has no device: the fleet has {devices}")]
    Devices {
        /// The shard.
        shard: Shard,
        /// Devices of the fleet.
        devices: u32,
    },
    /// There are more shards than slots of a closed workload.
    #[error("{shard} has no part in stage {stage}, of which {concurrency} devices are at work at a time")]
    Concurrency {
        /// The shard.
        shard: Shard,
        /// Name of the stage.
        stage: String,
        /// Slots of the stage on all shards together.
        concurrency: u32,
    },
}

/// What a plan needs of the machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Needs {
    /// Key pairs, CSRs and SAS tokens to make.
    pub keys: u64,
    /// Most attempts in flight at once if the service answered nothing, bounded by `limits.max_in_flight`.
    pub in_flight: u64,
    /// Most connections with hubs held at once.
    pub held: u64,
    /// Most connections of both kinds at once.
    pub connections: u64,
    /// Open files for those. With fewer, less is in flight and devices that are due wait.
    pub open_files: u64,
}

/// Steps of [`PlannedStage::arrivals`].
const STEPS: u32 = 60;

impl Plan {
    /// Derives the plan of the whole fleet.
    pub fn new(scenario: &Scenario, seed: u64) -> Self {
        Self::make(scenario, seed, Shard::WHOLE)
    }

    /// Derives the plan of a shard: its devices, due when they would be without sharding.
    ///
    /// # Errors
    /// It has nothing to do.
    pub fn of_shard(scenario: &Scenario, seed: u64, shard: Shard) -> Result<Self, IdleShard> {
        let devices = scenario.fleet.devices;
        if shard.of(devices) == 0 {
            return Err(IdleShard::Devices { shard, devices });
        }
        for stage in &scenario.stages {
            if let Workload::Closed { concurrency } = stage.workload
                && shard.of(concurrency) == 0
            {
                return Err(IdleShard::Concurrency { shard, stage: stage.name.clone(), concurrency });
            }
        }
        Ok(Self::make(scenario, seed, shard))
    }

    fn make(scenario: &Scenario, seed: u64, shard: Shard) -> Self {
        let mut foreseen = Foreseen { scenario, seed, shard, stages: Vec::new() };
        let mut stages = Vec::new();
        let mut arrivals = Vec::new();
        for (index, stage) in scenario.stages.iter().enumerate() {
            let start = foreseen.start(stage);
            let how = foreseen.arrivals(index, stage, start);
            let planned = PlannedStage::new(scenario, shard, index, &how, start);
            foreseen.stages.push((start, planned.last_due, how.clone()));
            stages.push(planned);
            arrivals.push(how);
        }
        let needs = Needs::new(scenario, shard, &stages, &arrivals);
        let ids = scenario.fleet.registration_id.clone();
        let devices = scenario.fleet.devices;
        Self { seed, shard, devices, time_scale: scenario.time_scale, stages, needs, ids, arrivals }
    }

    /// How many devices it is about.
    pub const fn own_devices(&self) -> u32 {
        self.shard.of(self.devices)
    }

    /// The first device that it is about.
    pub const fn first_device(&self) -> u32 {
        self.shard.index() - 1
    }

    /// Registration id of a device of the fleet, `None` past its end.
    pub fn registration_id(&self, device: u32) -> Option<RegistrationId> {
        (device < self.devices).then(|| self.ids.registration_id(device).ok()).flatten()
    }

    /// When each device of a stage is due, in order, from the start of the stage in fleet time; `None` in a closed workload,
    /// where certificates decide, or past the last stage.
    pub fn due_offsets(&self, stage: usize) -> Option<Offsets> {
        match self.arrivals.get(stage)? {
            drawn @ (Arrivals::Process { .. } | Arrivals::Drawn(_)) => Some(drawn.offsets()),
            Arrivals::Renewals { .. } | Arrivals::Pulled => None,
        }
    }

    /// The same with what can be foreseen of renewals: as if every device had got its certificate when it was due. Empty in
    /// a closed workload.
    pub fn arrivals(&self, stage: usize) -> Offsets {
        self.arrivals.get(stage).map_or_else(|| Arrivals::Pulled.offsets(), Arrivals::offsets)
    }

    /// Who is due when in a stage, in order, from its start in fleet time, as [`Self::arrivals`] has it.
    pub fn who_is_due<'a>(
        &'a self,
        scenario: &'a Scenario,
        stage: usize,
    ) -> impl Iterator<Item = (Duration, u32)> + 'a {
        let foreseen = match self.arrivals.get(stage) {
            Some(Arrivals::Renewals { devices, .. }) => Some(devices.iter().copied()),
            _ => None,
        };
        let members = foreseen.is_none().then(|| members(scenario, self.shard, stage));
        self.arrivals(stage).zip(foreseen.into_iter().flatten().chain(members.into_iter().flatten()))
    }
}

/// Which stages begin with the run in any case: their keys are made before it.
pub fn begins_with_run(scenario: &Scenario) -> Vec<bool> {
    let mut first: Vec<bool> = Vec::with_capacity(scenario.stages.len());
    for stage in &scenario.stages {
        // Renewals follow from the certificates that are there when the stage begins, so nothing can be made before.
        let begins = match &stage.start {
            Start::At(delay) => delay.is_zero(),
            Start::With { stage, delay } => delay.is_zero() && first[*stage],
            Start::After { .. } => false,
        };
        first.push(begins && stage.renewal_timing().is_none());
    }
    first
}

/// What is foreseen of the stages so far: start and last arrival (real time), and arrivals.
struct Foreseen<'a> {
    scenario: &'a Scenario,
    seed: u64,
    shard: Shard,
    stages: Vec<(Option<Duration>, Option<Duration>, Arrivals)>,
}

impl Foreseen<'_> {
    fn start(&self, stage: &Stage) -> Option<Duration> {
        let real = |delay| self.scenario.time_scale.to_real(delay);
        let of = |stage: &usize| self.stages.get(*stage).map(|(start, last, _)| (*start, *last));
        match &stage.start {
            Start::At(delay) => Some(real(*delay)),
            Start::With { stage, delay } => Some(of(stage)?.0? + real(*delay)),
            Start::After { stages, delay } => {
                let mut latest = Duration::ZERO;
                for stage in stages {
                    let (start, last) = of(stage)?;
                    latest = latest.max(start? + last?);
                }
                Some(latest + real(*delay))
            }
        }
    }

    fn arrivals(&self, index: usize, stage: &Stage, start: Option<Duration>) -> Arrivals {
        match &stage.workload {
            Workload::Closed { .. } => Arrivals::Pulled,
            Workload::Open { arrival: Arrival::FromExpiry(timing), .. } => {
                let (due, devices): (Vec<_>, Vec<_>) = self.renewals(index, timing, start).into_iter().unzip();
                Arrivals::Renewals { due: due.into(), devices: devices.into() }
            }
            Workload::Open { arrival, .. } => {
                // Times are drawn for the whole fleet, so that a device is due when it would be without sharding.
                let process = Arrivals::Process {
                    arrival: arrival.clone(),
                    devices: u32::try_from(members(self.scenario, Shard::WHOLE, index).count()).unwrap_or(u32::MAX),
                    seed: self.seed,
                    stage: u16::try_from(index).unwrap_or(u16::MAX),
                };
                if self.shard.is_whole() {
                    return process;
                }
                let all = members(self.scenario, Shard::WHOLE, index).zip(process.offsets());
                Arrivals::Drawn(all.filter(|(device, _)| self.shard.has(*device)).map(|(_, due)| due).collect())
            }
        }
    }

    fn renewals(&self, index: usize, timing: &RenewalTiming, start: Option<Duration>) -> Vec<(Duration, u32)> {
        let Scenario { policy, time_scale, fleet, .. } = self.scenario;
        let begin = SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000);
        let start = start.map(|start| time_scale.to_fleet(start));
        // When each device got the certificate that it has then.
        let mut issued: Vec<Option<Duration>> = vec![None; fleet.devices as usize];
        for (before, (began, _, arrivals)) in self.stages.iter().enumerate().take(index) {
            let Some(stage) = self.scenario.stages.get(before).filter(|stage| stage.kind.makes_keys()) else {
                continue;
            };
            let began = time_scale.to_fleet(began.unwrap_or_default());
            let at_once = std::iter::repeat(Duration::ZERO);
            let offsets: Box<dyn Iterator<Item = Duration>> = match stage.workload {
                Workload::Closed { .. } => Box::new(at_once),
                Workload::Open { .. } => Box::new(arrivals.offsets()),
            };
            for (device, offset) in members(self.scenario, self.shard, before).zip(offsets) {
                // What begins later, or goes on then, has not given it one yet.
                if start.is_none_or(|start| began + offset <= start) {
                    let issued = &mut issued[device as usize];
                    *issued = (*issued).max(Some(began + offset));
                }
            }
        }
        let round = u32::try_from(index).unwrap_or(u32::MAX);
        let mut due: Vec<(Duration, u32)> = members(self.scenario, self.shard, index)
            .filter_map(|device| {
                let issued = begin + issued[device as usize]?;
                let due = timing.due(policy, (issued, issued + policy.validity), self.seed, device, round);
                Some((due.duration_since(begin + start.unwrap_or_default()).unwrap_or_default(), device))
            })
            .collect();
        due.sort_unstable();
        due
    }
}

impl PlannedStage {
    fn new(scenario: &Scenario, shard: Shard, index: usize, arrivals: &Arrivals, start: Option<Duration>) -> Self {
        let stage = &scenario.stages[index];
        let planned = Self {
            name: stage.name.clone(),
            kind: stage.kind,
            workload: stage.workload.to_string(),
            devices: u32::try_from(members(scenario, shard, index).count()).unwrap_or(u32::MAX),
            start,
            last_due: None,
            arrivals: Vec::new(),
            step: Duration::ZERO,
            peak_per_second: None,
        };
        if *arrivals == Arrivals::Pulled {
            return planned;
        }
        let scale = scenario.time_scale;
        let due = || arrivals.offsets().map(|at| scale.to_real(at));
        let last = due().last().unwrap_or_default();
        let (counts, step) = steps(due(), last);
        let operates = stage.operate.map_or(Duration::ZERO, |operate| scale.to_real(operate.duration));
        Self {
            last_due: Some(last.max(operates)),
            arrivals: counts,
            step,
            peak_per_second: Some(most_within(due(), Duration::from_secs(1))),
            ..planned
        }
    }
}

impl Needs {
    fn new(scenario: &Scenario, shard: Shard, stages: &[PlannedStage], arrivals: &[Arrivals]) -> Self {
        let each = || scenario.stages.iter().zip(stages).zip(arrivals);
        let keys =
            each().filter(|((stage, _), _)| stage.kind.makes_keys()).map(|((_, p), _)| u64::from(p.devices)).sum();
        let holds = |stage: &Stage| stage.keep_connected || stage.kind == StageKind::Operate;
        let held = each().filter(|((stage, _), _)| holds(stage)).map(|((_, p), _)| u64::from(p.devices)).max();
        let in_flight = each().map(|((stage, planned), arrivals)| match stage.workload {
            Workload::Closed { concurrency } => u64::from(shard.of(concurrency).min(planned.devices)),
            Workload::Open { .. } => {
                let due = arrivals.offsets().map(|at| scenario.time_scale.to_real(at));
                u64::from(most_within(due, stage.timeout))
            }
        });
        let in_flight = in_flight.max().unwrap_or_default();
        let bounded = |count: u64| scenario.limits.max_in_flight.map_or(count, |max| count.min(max.into()));
        // A device that is in flight is not held at the same time, but for those that renew.
        let renews = scenario.stages.iter().any(|stage| stage.kind == StageKind::Renew);
        let held = held.unwrap_or_default();
        let both = if renews && held > 0 { held + in_flight } else { held.max(in_flight) };
        let connections = bounded(both);
        Self { keys, in_flight: bounded(in_flight), held, connections, open_files: open_files_for(connections) }
    }
}

/// Counts per step; one step of a second when everything is due at once.
fn steps(due: impl Iterator<Item = Duration>, last: Duration) -> (Vec<u32>, Duration) {
    if last.is_zero() {
        return (vec![u32::try_from(due.count()).unwrap_or(u32::MAX)], Duration::from_secs(1));
    }
    // A nanosecond more, so that the last arrival falls into the last step.
    let step = last / STEPS + Duration::from_nanos(1);
    let mut counts = vec![0; STEPS as usize];
    for offset in due {
        let index = usize::try_from(offset.as_nanos() / step.as_nanos()).unwrap_or(usize::MAX);
        if let Some(count) = counts.get_mut(index) {
            *count += 1;
        }
    }
    (counts, step)
}

#[cfg(test)]
mod tests;
