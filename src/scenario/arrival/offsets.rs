use rand::RngExt as _;
use rand_chacha::ChaCha8Rng;
use rand_distr::Exp1;

use crate::domain::FleetTime;
use crate::scenario::Replay;
use crate::scenario::arrival::profile::{ARRIVAL, RateProfile};
use crate::scenario::arrival::spread::Spread;

/// Iterator of due times. See [`Arrival::due_offsets`](super::Arrival::due_offsets).
#[derive(Debug, Clone)]
pub struct DueOffsets {
    source: Source,
    next: u32,
    devices: u32,
    last: FleetTime,
}

/// Where due times come from.
#[derive(Debug, Clone)]
pub(super) enum Source {
    AtOnce,
    /// One for every whole arrival of the area under the rate.
    Even {
        profile: RateProfile,
        segment: usize,
    },
    /// Exponentially distributed areas under the rate between two arrivals. Areas are summed up in whole numbers and made a
    /// time only then, so nothing drifts.
    Poisson {
        profile: RateProfile,
        area: u128,
        rng: Box<ChaCha8Rng>,
    },
    Spread(Spread),
    Replay(Replay),
}

impl DueOffsets {
    pub(super) const fn new(source: Source, devices: u32) -> Self {
        Self { source, next: 0, devices, last: FleetTime::ZERO }
    }
}

impl Source {
    fn due(&mut self, arrival: u32) -> Option<FleetTime> {
        match self {
            Self::AtOnce => Some(FleetTime::ZERO),
            Self::Even { profile, segment } => profile.due(u128::from(arrival) * ARRIVAL, segment),
            Self::Poisson { profile, area, rng } => {
                let arrivals: f64 = rng.sample(Exp1);
                *area += (arrivals * ARRIVAL as f64) as u128;
                profile.due(*area, &mut 0)
            }
            Self::Spread(spread) => spread.next(),
            Self::Replay(replay) => replay.offset(arrival),
        }
    }
}

impl Iterator for DueOffsets {
    type Item = FleetTime;

    fn next(&mut self) -> Option<FleetTime> {
        if self.next == self.devices {
            return None;
        }
        // A nanosecond of rounding must not turn the order around.
        self.last = self.source.due(self.next)?.max(self.last);
        self.next += 1;
        Some(self.last)
    }
}
