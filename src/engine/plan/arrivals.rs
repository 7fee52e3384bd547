use std::sync::Arc;
use std::time::Duration;

use crate::scenario::{Arrival, DueOffsets};

/// When the devices of a stage are due.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Arrivals {
    /// As the arrival process says.
    Process { arrival: Arrival, devices: u32, seed: u64, stage: u16 },
    /// As it says of the devices of a shard. Fleet time from the start of the stage.
    Drawn(Arc<[Duration]>),
    /// As the certificates will say, if every device gets its own when it is due. Fleet time from the start of the stage.
    Renewals { due: Arc<[Duration]>, devices: Arc<[u32]> },
    /// When a slot is free.
    Pulled,
}

impl Arrivals {
    /// In fleet time from the start of the stage, in order.
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

/// Due times in fleet time, in order. See [`Plan::arrivals`](crate::engine::plan::Plan::arrivals).
#[derive(Debug, Clone)]
pub enum Offsets {
    /// Of an arrival process.
    Due(DueOffsets),
    /// A list of them, from that place on.
    List(Arc<[Duration]>, usize),
}

impl Iterator for Offsets {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
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
