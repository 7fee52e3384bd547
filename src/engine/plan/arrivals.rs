use std::sync::Arc;
use std::time::Duration;

use crate::domain::{FleetTime, Shard};
use crate::engine::plan::members::Members;
use crate::scenario::{Arrival, DueOffsets, Scenario, Workload};

/// When the devices of a stage are due.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Arrivals {
    /// As the arrival process says.
    Process { arrival: Arrival, devices: u32, seed: u64, stage: u16 },
    /// As it says of the devices of a shard, from the start of the stage.
    Drawn(Arc<[FleetTime]>),
    /// As the certificates will say, if every device gets its own when it is due; from the start of the stage.
    Renewals { due: Arc<[FleetTime]>, devices: Arc<[u32]> },
    /// When a slot is free.
    Pulled,
}

impl Arrivals {
    /// Those of a stage whose due times do not hang on certificates.
    pub(crate) fn drawn(scenario: &Scenario, seed: u64, shard: Shard, stage: usize) -> Self {
        let Workload::Open { arrival, .. } = &scenario.stages[stage].workload else { return Self::Pulled };
        // Times are drawn for the whole fleet, so that a device is due when it would be without sharding.
        let fleet = Members::new(scenario, Shard::WHOLE, stage);
        let process = Self::Process {
            arrival: arrival.clone(),
            devices: fleet.count(),
            seed,
            stage: u16::try_from(stage).unwrap_or(u16::MAX),
        };
        if shard.is_whole() {
            return process;
        }
        let all = fleet.iter().zip(process.offsets());
        Self::Drawn(all.filter(|(device, _)| shard.has(*device)).map(|(_, due)| due).collect())
    }

    /// From the start of the stage, in order.
    pub(crate) fn offsets(&self) -> Offsets {
        match self {
            Self::Process { arrival, devices, seed, stage } => match arrival.due_offsets(*devices, *seed, *stage) {
                Some(due) => Offsets::Due(due),
                None => Offsets::List(Arc::default(), 0),
            },
            Self::Drawn(list) | Self::Renewals { due: list, .. } => Offsets::List(Arc::clone(list), 0),
            Self::Pulled => Offsets::List(Arc::default(), 0),
        }
    }
}

/// Due times, in order. See [`Schedule::arrivals`](crate::engine::Schedule::arrivals).
#[derive(Debug, Clone)]
pub enum Offsets {
    /// Of an arrival process.
    Due(DueOffsets),
    /// A list of them, from that place on.
    List(Arc<[FleetTime]>, usize),
}

impl Iterator for Offsets {
    type Item = FleetTime;

    fn next(&mut self) -> Option<FleetTime> {
        match self {
            Self::Due(due) => due.next(),
            Self::List(list, place) => {
                let at = list.get(*place).copied();
                *place += 1;
                at
            }
        }
    }
}

/// Most arrivals within any span of that length.
pub(crate) fn most_within(due: impl Iterator<Item = Duration> + Clone, span: Duration) -> u32 {
    let (mut most, mut within) = (0, 0);
    let mut oldest = due.clone().peekable();
    for offset in due {
        within += 1;
        while oldest.next_if(|o| *o + span <= offset).is_some() {
            within -= 1;
        }
        most = most.max(within);
    }
    most
}
