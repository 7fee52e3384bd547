mod head;
mod order;

use std::fmt;
use std::time::Duration;

use crate::domain::FleetTime;
pub use crate::domain::StageKind;
use crate::scenario::{Arrival, RenewalTiming};
pub(super) use head::Head;
pub(super) use order::Origin;

/// One thing that the fleet does.
#[derive(Debug, Clone, PartialEq)]
pub struct Stage {
    /// Name in reports, unique in the scenario.
    pub name: String,
    /// What each device does.
    pub kind: StageKind,
    /// When it begins.
    pub start: Start,
    /// Indices of the device classes that take part, in order; all of them unless the scenario says otherwise.
    pub classes: Vec<usize>,
    /// How devices come.
    pub workload: Workload,
    /// Longest time for one attempt, from its start until it is given up.
    pub timeout: Duration,
    /// Whether the device connects to its hub once it has its certificate.
    pub hub_connect: bool,
    /// Whether it sends a telemetry message there.
    pub telemetry: bool,
    /// Whether it stays connected with the hub when the stage is over.
    pub keep_connected: bool,
    /// For [`StageKind::Operate`]: what devices do while they are connected.
    pub operate: Option<Operate>,
}

impl Stage {
    /// Whether its devices send messages to their hub, once or again and again.
    pub fn sends_telemetry(&self) -> bool {
        self.telemetry || self.operate.is_some_and(|operate| operate.telemetry_every.is_some())
    }
}

impl Stage {
    /// When renewals are due, where certificates decide that.
    pub fn renewal_timing(&self) -> Option<RenewalTiming> {
        match &self.workload {
            Workload::Open { arrival: Arrival::FromExpiry(timing), .. } => Some(*timing),
            _ => None,
        }
    }
}

/// When a stage begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Start {
    /// So long after the start of the measured part.
    At(FleetTime),
    /// So long after the end of the last of some earlier stages.
    After {
        /// Their indices in rising order, at least one.
        stages: Vec<usize>,
        /// How long after.
        delay: FleetTime,
    },
    /// So long after the start of an earlier stage, beside which it goes on.
    With {
        /// Its index.
        stage: usize,
        /// How long after.
        delay: FleetTime,
    },
}

/// What devices do while they are connected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Operate {
    /// How long the stage lasts, from its start.
    pub duration: FleetTime,
    /// Time between two telemetry messages of a device; the first comes somewhere within it. `None` sends none.
    pub telemetry_every: Option<FleetTime>,
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

impl fmt::Display for Workload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Open { arrival, .. } => write!(f, "open, {arrival}"),
            Self::Closed { concurrency } => write!(f, "closed, {concurrency} at a time"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::Scenario;

    fn stages(more: &[&str]) -> Vec<Stage> {
        let first = "[[stage]]\nname = 'first'\nkind = 'provision'\n";
        let mut text = format!("schema = 1\nname = 'x'\nfleet.devices = 9\n{first}");
        more.iter().for_each(|line| text += &format!("{line}\n"));
        Scenario::parse("x.toml", &text, &[]).unwrap_or_else(|problems| panic!("{problems:?}")).stages
    }

    #[test]
    fn messages_are_sent_once_or_again_and_again_or_never() {
        let sends = |more: &[&str]| stages(more).last().map(Stage::sends_telemetry);
        let operate = ["arrival = 'at-once'", "[[stage]]", "name = 'o'", "kind = 'operate'", "arrival = 'at-once'"];
        assert_eq!(sends(&["arrival = 'at-once'"]), Some(true));
        assert_eq!(sends(&["arrival = 'at-once'", "telemetry = false"]), Some(false));
        assert_eq!(sends(&[&operate[..], &["duration = '1m'"]].concat()), Some(false));
        assert_eq!(sends(&[&operate[..], &["duration = '1m'", "telemetry_every = '1s'"]].concat()), Some(true));
    }

    #[test]
    fn workloads_are_said_in_words() {
        let said = |more: &[&str]| stages(more)[0].workload.to_string();
        assert_eq!(said(&["arrival = { process = 'constant', rate = 5 }"]), "open, constant 5/s");
        assert_eq!(said(&["workload = 'closed'", "concurrency = 3"]), "closed, 3 at a time");
    }
}
