mod header;
mod offsets;
mod point_in_time;
mod profile;
mod replay;
mod spread;

use std::fmt;

use crate::domain::{FleetTime, rng};
use crate::scenario::arrival::profile::RateProfile;
use crate::scenario::{Rate, RenewalTiming};
pub use offsets::DueOffsets;
use offsets::Source;
pub use replay::Replay;
use spread::Spread;

/// When devices come in an open workload.
#[derive(Debug, Clone, PartialEq)]
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
    /// Independent of each other: exponentially distributed time between two arrivals.
    Poisson {
        /// Arrivals per time on average, above zero.
        rate: Rate,
    },
    /// Evenly spaced under a rate that is higher for a while.
    Spike {
        /// Rate before and after.
        rate: Rate,
        /// Rate in between, higher than `rate`.
        peak: Rate,
        /// Begin of the peak, from the start of the stage.
        at: FleetTime,
        /// Length of the peak.
        lasts: FleetTime,
    },
    /// Evenly over a window, each device moved at random but not out of it.
    Spread {
        /// Length of the window.
        over: FleetTime,
        /// Most that a device is moved, earlier or later; at most `over`.
        jitter: FleetTime,
    },
    /// As they came once before.
    Replay(Replay),
    /// When each device's own certificate is to be renewed.
    FromExpiry(RenewalTiming),
}

/// A point of a piecewise linear rate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RatePoint {
    /// From the start of the stage.
    pub at: FleetTime,
    /// Rate at that time.
    pub rate: Rate,
}

impl Arrival {
    /// Due times from the start of the stage, one per device, in order; `None` when they follow from the
    /// devices' certificates. Pulled one by one: nothing is stored per device. `seed` and `stage` decide what is random.
    ///
    /// Fewer than `devices` come if a ramp ends at zero or a replay is too short; a scenario is refused for that.
    pub fn due_offsets(&self, devices: u32, seed: u64, stage: u16) -> Option<DueOffsets> {
        let rng = || Box::new(rng(seed, "arrival", u64::from(stage)));
        let source = match self {
            Self::AtOnce => Source::AtOnce,
            Self::Constant { .. } | Self::Ramp { .. } | Self::Spike { .. } => {
                Source::Even { profile: self.profile()?, segment: 0 }
            }
            Self::Poisson { .. } => Source::Poisson { profile: self.profile()?, area: 0, rng: rng() },
            Self::Spread { over, jitter } => Source::Spread(Spread::new(*over, *jitter, devices, rng())),
            Self::Replay(replay) => Source::Replay(replay.clone()),
            Self::FromExpiry(_) => return None,
        };
        Some(DueOffsets::new(source, devices))
    }

    /// The rate over time, where there is one.
    pub(super) fn profile(&self) -> Option<RateProfile> {
        match self {
            Self::Constant { rate } | Self::Poisson { rate } => Some(RateProfile::constant(*rate)),
            Self::Ramp { points } => Some(RateProfile::new(points)),
            Self::Spike { rate, peak, at, lasts } => {
                let point = |at, rate: &Rate| RatePoint { at, rate: *rate };
                let end = *at + *lasts;
                Some(RateProfile::new(&[
                    point(FleetTime::ZERO, rate),
                    point(*at, rate),
                    point(*at, peak),
                    point(end, peak),
                    point(end, rate),
                ]))
            }
            Self::AtOnce | Self::Spread { .. } | Self::Replay(_) | Self::FromExpiry(_) => None,
        }
    }
}

impl fmt::Display for Arrival {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AtOnce => f.write_str("at once"),
            Self::Constant { rate } => write!(f, "constant {rate}"),
            Self::Ramp { points } => {
                f.write_str("ramp ")?;
                for (i, RatePoint { at, rate }) in points.iter().enumerate() {
                    let arrow = if i > 0 { " → " } else { "" };
                    write!(f, "{arrow}{rate} at {at}")?;
                }
                Ok(())
            }
            Self::Poisson { rate } => write!(f, "Poisson, {rate} on average"),
            Self::Spike { rate, peak, at, lasts } => {
                write!(f, "{rate} with a spike to {peak} at {at} for {lasts}")
            }
            Self::Spread { over, jitter } if jitter.is_zero() => write!(f, "spread over {over}"),
            Self::Spread { over, jitter } => {
                write!(f, "spread over {over}, each moved by up to {jitter}")
            }
            Self::Replay(replay) => replay.fmt(f),
            Self::FromExpiry(timing) => timing.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests;
