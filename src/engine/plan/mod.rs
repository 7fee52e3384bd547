//! What is to be done, as values: who is due when, which share of it is whose, and what that asks of a service.

pub(super) mod arrivals;
pub(super) mod due;
pub(super) mod members;
pub mod quota_check;
pub(super) mod schedule;
pub(super) mod setup;
pub(super) mod share;

use std::time::Duration;

use crate::domain::{RegistrationId, Shard, TimeScale};
use crate::engine::plan::arrivals::most_within;
use crate::engine::plan::schedule::Schedule;
use crate::engine::plan::share::open_files_for;
use crate::scenario::{IdPattern, Scenario, Stage, StageKind, Workload};

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
    /// When stages begin and who is due when.
    pub schedule: Schedule,
    ids: IdPattern,
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
        let schedule = Schedule::new(scenario, seed, shard);
        let stages: Vec<_> =
            (0..scenario.stages.len()).map(|index| PlannedStage::new(scenario, &schedule, index)).collect();
        let needs = Needs::new(scenario, shard, &stages, &schedule);
        let ids = scenario.fleet.registration_id.clone();
        let devices = scenario.fleet.devices;
        Self { seed, shard, devices, time_scale: scenario.time_scale, stages, needs, schedule, ids }
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
}

impl PlannedStage {
    fn new(scenario: &Scenario, schedule: &Schedule, index: usize) -> Self {
        let stage = &scenario.stages[index];
        let last_due = schedule.lasts(index);
        let due = || schedule.arrivals(index).map(|at| scenario.time_scale.to_real(at));
        let (arrivals, step) = match last_due {
            Some(_) => steps(due(), due().last().unwrap_or_default()),
            None => (Vec::new(), Duration::ZERO),
        };
        Self {
            name: stage.name.clone(),
            kind: stage.kind,
            workload: stage.workload.to_string(),
            devices: u32::try_from(schedule.members(index).count()).unwrap_or(u32::MAX),
            start: schedule.foreseen(index).begins,
            last_due,
            arrivals,
            step,
            peak_per_second: last_due.map(|_| most_within(due(), Duration::from_secs(1))),
        }
    }
}

impl Needs {
    fn new(scenario: &Scenario, shard: Shard, stages: &[PlannedStage], schedule: &Schedule) -> Self {
        let each = || scenario.stages.iter().zip(stages);
        let devices = |of: fn(&Stage) -> bool| {
            each().filter(move |(stage, _)| of(stage)).map(|(_, planned)| u64::from(planned.devices))
        };
        let keys = devices(|stage| stage.kind.makes_keys()).sum();
        let held = devices(|stage| stage.keep_connected || stage.kind == StageKind::Operate).max().unwrap_or_default();
        let in_flight = each().enumerate().map(|(index, (stage, planned))| match stage.workload {
            Workload::Closed { concurrency } => u64::from(shard.of(concurrency).min(planned.devices)),
            Workload::Open { .. } => {
                let due = schedule.arrivals(index).map(|at| scenario.time_scale.to_real(at));
                u64::from(most_within(due, stage.timeout))
            }
        });
        let in_flight = in_flight.max().unwrap_or_default();
        let bounded = |count: u64| scenario.limits.max_in_flight.map_or(count, |max| count.min(max.into()));
        // A device that is in flight is not held at the same time, but for those that renew.
        let renews = scenario.stages.iter().any(|stage| stage.kind == StageKind::Renew);
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
