use std::fmt;
use std::path::Path;
use std::time::Duration;

use crate::scenario::expect::{choice, duration, rate};
use crate::scenario::profile::RateProfile;
use crate::scenario::reader::Section;
use crate::scenario::{Policy, Rate, RenewalTiming, StageKind};

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
    /// When each device's own certificate is to be renewed.
    FromExpiry(RenewalTiming),
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
    /// Due times from the start of the stage in fleet time, one per device, in order; `None` when they follow from the
    /// devices' certificates. Pulled one by one: nothing is stored. `seed` and `stage` decide what is random.
    pub fn due_offsets(&self, devices: u32, _seed: u64, _stage: u16) -> Option<DueOffsets> {
        let profile = match self {
            Self::AtOnce => None,
            Self::Constant { rate } => Some(RateProfile::constant(*rate)),
            Self::Ramp { points } => Some(RateProfile::new(points)),
            Self::FromExpiry(_) => return None,
        };
        Some(DueOffsets { profile, segment: 0, next: 0, devices: u64::from(devices), last: Duration::ZERO })
    }
}

impl fmt::Display for Arrival {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AtOnce => f.write_str("at once"),
            Self::FromExpiry(_) => f.write_str("when certificates are to be renewed"),
            Self::Constant { rate } => write!(f, "constant {rate}"),
            Self::Ramp { points } => {
                f.write_str("ramp ")?;
                for (i, RatePoint { at, rate }) in points.iter().enumerate() {
                    let arrow = if i > 0 { " → " } else { "" };
                    write!(f, "{arrow}{rate} at {}", humantime::format_duration(*at))?;
                }
                Ok(())
            }
        }
    }
}

/// Iterator of due times. See [`Arrival::due_offsets`].
#[derive(Debug, Clone)]
pub struct DueOffsets {
    /// `None`: all at once.
    profile: Option<RateProfile>,
    segment: usize,
    next: u64,
    devices: u64,
    last: Duration,
}

impl Iterator for DueOffsets {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        if self.next == self.devices {
            return None;
        }
        if let Some(profile) = &self.profile {
            self.last = profile.due(self.next, &mut self.segment)?.max(self.last);
        }
        self.next += 1;
        Some(self.last)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (0, usize::try_from(self.devices - self.next).ok())
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Process {
    AtOnce,
    Constant,
    Ramp,
}

const PROCESSES: &[(&str, Process)] =
    &[("at-once", Process::AtOnce), ("constant", Process::Constant), ("ramp", Process::Ramp)];
const POINTS: &str = "write points = [{ at = \"0s\", rate = \"10/s\" }, { at = \"1m\", rate = \"500/s\" }]";
const LONGEST: Duration = Duration::from_secs(366 * 86_400);

/// What arrivals are read against.
pub(super) struct Needs<'a> {
    pub(super) kind: Option<StageKind>,
    /// Devices that take part.
    pub(super) devices: Option<u32>,
    /// Folder of the scenario file.
    pub(super) folder: &'a Path,
    pub(super) policy: Option<&'a Policy>,
}

pub(super) fn read(mut section: Section<'_>, needs: &Needs<'_>) -> Option<Arrival> {
    let arrival = match section.required("process", &choice(PROCESSES)) {
        Some(Process::AtOnce) => Some(Arrival::AtOnce),
        Some(Process::Constant) => section.required("rate", &rate(Rate::MIN)).map(|rate| Arrival::Constant { rate }),
        Some(Process::Ramp) => read_points(&mut section, needs.devices).map(|points| Arrival::Ramp { points }),
        // Which other keys belong here depends on the process.
        None => return None,
    };
    section.finish();
    arrival
}

fn read_points(section: &mut Section<'_>, devices: Option<u32>) -> Option<Vec<RatePoint>> {
    let mut points = Vec::new();
    let mut complete = true;
    for mut point in section.sections("points", POINTS) {
        let at = point.required("at", &duration(Duration::ZERO..=LONGEST));
        let rate = point.required("rate", &rate(Rate::ZERO));
        match at.zip(rate) {
            Some((at, rate)) => {
                match points.last() {
                    None if !at.is_zero() => point.problem("at", "must be \"0s\" in the first point", POINTS),
                    Some(RatePoint { at: before, .. }) if at < *before => {
                        point.problem("at", "is before the point before it", "list points in order of time");
                    }
                    _ => {}
                }
                points.push(RatePoint { at, rate });
            }
            None => complete = false,
        }
        point.finish();
    }
    if !complete || points.is_empty() {
        return None;
    }
    if let (Some(arrivals), Some(devices)) = (RateProfile::new(&points).arrivals(), devices)
        && arrivals < u64::from(devices)
    {
        section.problem(
            "points",
            &format!("let {arrivals} devices come, then the rate stays at zero, but the fleet has {devices}"),
            "end at a rate above zero, raise the rates, or lower fleet.devices",
        );
    }
    Some(points)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_device_gets_one_due_time() {
        let ramp = Arrival::Ramp {
            points: vec![
                RatePoint { at: Duration::ZERO, rate: Rate::ZERO },
                RatePoint { at: Duration::from_secs(10), rate: Rate::per_second_exact(100) },
            ],
        };
        for arrival in [Arrival::AtOnce, Arrival::Constant { rate: Rate::per_second_exact(7) }, ramp] {
            let due: Vec<Duration> = arrival.due_offsets(2_000, 1, 0).unwrap().collect();
            assert_eq!(due.len(), 2_000, "{arrival}");
            assert!(due.is_sorted(), "{arrival}");
        }
    }

    #[test]
    fn a_ramp_from_zero_makes_half_the_area_of_its_square() {
        let point = |at, rate| RatePoint { at: Duration::from_secs(at), rate: Rate::per_second_exact(rate) };
        let ramp = Arrival::Ramp { points: vec![point(0, 0), point(10, 100)] };
        let within =
            |seconds| ramp.due_offsets(10_000, 1, 0).unwrap().filter(|d| *d < Duration::from_secs(seconds)).count();
        assert_eq!((within(5), within(10), within(20)), (125, 500, 1_500));
    }
}
