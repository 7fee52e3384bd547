use std::time::Duration;

use crate::scenario::Rate;

/// When devices come in an open workload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Arrival {
    /// All at the same moment.
    AtOnce,
    /// Evenly spaced.
    Constant {
        /// Arrivals per time, above zero.
        rate: Rate,
    },
    /// Evenly spaced under a rate that changes linearly between points, then stays at that of the last point.
    Ramp {
        /// Points in order of time, the first at zero.
        points: Vec<RatePoint>,
    },
}

/// A point of a piecewise linear rate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RatePoint {
    /// From the start of the stage.
    pub at: Duration,
    /// Rate at that time.
    pub rate: Rate,
}

impl Arrival {
    /// Due times from the start of the stage, one per device, in order. Pulled one by one: nothing is stored.
    pub fn due_offsets(&self, devices: u32) -> DueOffsets {
        todo!("{devices}")
    }
}

/// Iterator of due times. See [`Arrival::due_offsets`].
#[derive(Debug, Clone)]
pub struct DueOffsets {}

impl Iterator for DueOffsets {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        todo!()
    }
}
