use std::fmt;
use std::time::Duration;

use crate::scenario::Arrival;

/// One thing that the whole fleet does.
#[derive(Debug, Clone, PartialEq)]
pub struct Stage {
    /// Name in reports, unique in the scenario.
    pub name: String,
    /// What each device does.
    pub kind: StageKind,
    /// How devices come.
    pub workload: Workload,
    /// Longest time for one attempt, from its start until it is given up.
    pub timeout: Duration,
    /// Whether the device connects to its hub once it has its certificate.
    pub hub_connect: bool,
    /// Whether it sends a telemetry message there.
    pub telemetry: bool,
}

/// What each device does in a stage.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum StageKind {
    /// Register with DPS, take the issued certificate, connect to the hub with it.
    Provision,
}

impl StageKind {
    /// Every kind.
    pub const ALL: [Self; 1] = [Self::Provision];

    /// The name in scenarios and reports.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Provision => "provision",
        }
    }
}

impl fmt::Display for StageKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Who decides when the next device starts.
#[derive(Debug, Clone, PartialEq)]
pub enum Workload {
    /// The clock: devices come when they are due, however slow the service is.
    Open {
        /// When they come.
        arrival: Arrival,
        /// What cannot start within this time of its due time is dropped and counted.
        max_lateness: Duration,
    },
    /// The service: a number of slots, each starts the next device when its last one is done.
    Closed {
        /// Number of slots.
        concurrency: u32,
    },
}
