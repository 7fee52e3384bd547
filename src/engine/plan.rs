use std::time::Duration;

use crate::domain::RegistrationId;
use crate::scenario::{DueOffsets, Scenario, StageKind};

/// What a run will do, derived from scenario and seed alone: the same two give the same plan and the same devices.
/// Making it starts nothing.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// Seed of all random draws.
    pub seed: u64,
    /// Devices of the fleet.
    pub devices: u32,
    /// The stages in order.
    pub stages: Vec<PlannedStage>,
    /// What it needs of the machine.
    pub needs: Needs,
}

/// One stage of a plan.
#[derive(Debug, Clone, PartialEq)]
pub struct PlannedStage {
    /// Name of the stage.
    pub name: String,
    /// What each device does.
    pub kind: StageKind,
    /// Workload and arrival process in words.
    pub workload: String,
    /// Devices that take part.
    pub devices: u32,
    /// When the last device is due, from the start of the stage; `None` in a closed workload.
    pub last_due: Option<Duration>,
    /// Devices due per step of time, for a drawing; empty in a closed workload.
    pub arrivals: Vec<u32>,
    /// Length of one step of `arrivals`.
    pub step: Duration,
    /// Most devices due within one second; `None` in a closed workload.
    pub peak_per_second: Option<u32>,
}

/// What a plan needs of the machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Needs {
    /// Key pairs, CSRs and SAS tokens to make.
    pub keys: u64,
    /// Most attempts that could be in flight at once if the service answered nothing.
    pub in_flight: u64,
    /// Open files for that.
    pub open_files: u64,
}

impl Plan {
    /// Derives the plan.
    pub fn new(scenario: &Scenario, seed: u64) -> Self {
        todo!("{scenario:?} {seed}")
    }

    /// Registration id of a device of the fleet, `None` past its end.
    pub fn registration_id(&self, device: u32) -> Option<RegistrationId> {
        todo!("{device}")
    }

    /// When each device of a stage is due, in order, from the start of the stage; `None` in a closed workload or past
    /// the last stage.
    pub fn due_offsets(&self, stage: usize) -> Option<DueOffsets> {
        todo!("{stage}")
    }
}
