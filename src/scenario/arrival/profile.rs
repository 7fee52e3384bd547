//! A piecewise linear rate and the inverse of the area under it, in whole numbers where it decides anything: no time is
//! ever found by adding intervals, so nothing drifts.

use crate::domain::FleetTime;
use crate::scenario::{Rate, RatePoint};

/// Twice the area of one arrival, in millionths of an arrival per day times nanoseconds. Twice, so that the area of a
/// trapezium needs no halves.
pub(in crate::scenario) const ARRIVAL: u128 = 2 * 1_000_000 * 86_400_000_000_000;

/// The rate over time: linear between points, constant after the last.
#[derive(Debug, Clone)]
pub(in crate::scenario) struct RateProfile {
    segments: Vec<Segment>,
    /// Rate after the last segment.
    last: Segment,
}

#[derive(Debug, Clone, Copy)]
struct Segment {
    /// Nanoseconds from the start.
    start: u64,
    /// Nanoseconds; unused in the last one, which never ends.
    length: u64,
    /// Rates at both ends, in millionths per day.
    from: u64,
    to: u64,
    /// Twice the area under all segments before.
    before: u128,
}

impl Segment {
    fn area(&self) -> u128 {
        (u128::from(self.from) + u128::from(self.to)) * u128::from(self.length)
    }

    /// Nanoseconds into the segment until twice the area under it is `area`.
    fn inverse(&self, area: u128) -> u64 {
        if self.from == self.to {
            return u64::try_from(area / (2 * u128::from(self.from)).max(1)).unwrap_or(u64::MAX);
        }
        // area = 2·from·s + slope·s², solved in the form that does not cancel; the error stays below a nanosecond.
        let (area, from) = (area as f64, self.from as f64);
        let slope = (self.to as f64 - from) / self.length as f64;
        let root = (from * from + slope * area).max(0.0).sqrt();
        let nanos = if area == 0.0 { 0.0 } else { area / (from + root) };
        (nanos as u64).min(self.length)
    }
}

impl RateProfile {
    pub(in crate::scenario) fn constant(rate: Rate) -> Self {
        Self::new(&[RatePoint { at: FleetTime::ZERO, rate }])
    }

    /// `points` in order of time, the first at zero.
    pub(in crate::scenario) fn new(points: &[RatePoint]) -> Self {
        let mut segments = Vec::new();
        let mut before = 0;
        for pair in points.windows(2) {
            if let [a, b] = pair {
                let (start, end) = (nanos(a.at), nanos(b.at));
                let (from, to) = (a.rate.micros_per_day(), b.rate.micros_per_day());
                let segment = Segment { start, length: end.saturating_sub(start), from, to, before };
                before += segment.area();
                segments.push(segment);
            }
        }
        let (start, rate) = points.last().map_or((0, 0), |p| (nanos(p.at), p.rate.micros_per_day()));
        Self { segments, last: Segment { start, length: 0, from: rate, to: rate, before } }
    }

    /// How many arrivals it makes, `None` when it never ends.
    pub(in crate::scenario) fn arrivals(&self) -> Option<u64> {
        (self.last.from == 0).then(|| u64::try_from(self.last.before.div_ceil(ARRIVAL)).unwrap_or(u64::MAX))
    }

    /// The time at which the area under the rate passes `area` (an arrival is [`ARRIVAL`]), `None` when it never does. The
    /// search begins at segment `hint`, which is moved to the one found: pass areas in rising order.
    pub(in crate::scenario) fn due(&self, area: u128, hint: &mut usize) -> Option<FleetTime> {
        while let Some(segment) = self.segments.get(*hint) {
            if area < segment.before + segment.area() {
                return Some(FleetTime::from_nanos(
                    segment.start + segment.inverse(area.saturating_sub(segment.before)),
                ));
            }
            *hint += 1;
        }
        let nanos = self.last.inverse(area.saturating_sub(self.last.before));
        (self.last.from > 0).then(|| FleetTime::from_nanos(self.last.start.saturating_add(nanos)))
    }
}

fn nanos(time: FleetTime) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn points() -> impl Strategy<Value = Vec<RatePoint>> {
        let point = (0u64..=20_000_000_000, prop_oneof![Just(0), 0u64..=2_000 * 86_400 * 1_000_000]);
        prop::collection::vec(point, 1..6).prop_map(|mut steps| {
            steps[0].0 = 0;
            let mut at = 0;
            let mut points = Vec::new();
            for (step, rate) in steps {
                at += step;
                points.push(RatePoint { at: FleetTime::from_nanos(at), rate: Rate::from_micros_per_day(rate) });
            }
            points
        })
    }

    /// Arrivals until `nanos`, as a fraction.
    fn area(profile: &RateProfile, nanos: u64) -> f64 {
        let mut twice = 0.0;
        for s in &profile.segments {
            let within = nanos.saturating_sub(s.start).min(s.length) as f64;
            if s.length > 0 {
                let slope = (s.to as f64 - s.from as f64) / s.length as f64;
                twice += 2.0 * s.from as f64 * within + slope * within * within;
            }
        }
        twice += 2.0 * profile.last.from as f64 * nanos.saturating_sub(profile.last.start) as f64;
        twice / ARRIVAL as f64
    }

    proptest! {
        #[test]
        fn arrivals_are_the_area_under_the_rate(points in points()) {
            let profile = RateProfile::new(&points);
            let (mut hint, mut before) = (0, FleetTime::ZERO);
            for k in 0..3_000 {
                let Some(due) = profile.due(k * ARRIVAL, &mut hint) else {
                    prop_assert!(profile.arrivals().is_some_and(|n| u128::from(n) <= k));
                    break;
                };
                prop_assert!(profile.arrivals().is_none_or(|n| u128::from(n) > k));
                prop_assert!(due + FleetTime::from_nanos(1) >= before, "{due:?} after {before:?}");
                // Whole numbers of nanoseconds: 2,000/s make an arrival of 2 millionths per nanosecond.
                let at = area(&profile, nanos(due));
                prop_assert!((at - k as f64).abs() < 1e-5, "arrival {k} is due at {due:?}, where the area is {at}");
                before = due;
            }
        }

        #[test]
        fn a_constant_rate_never_drifts(per_second in 1u32..=1_000_000, second in 0u64..=100_000) {
            let profile = RateProfile::constant(Rate::per_second_exact(per_second));
            let arrival = u128::from(per_second) * u128::from(second);
            prop_assert_eq!(profile.due(arrival * ARRIVAL, &mut 0), Some(FleetTime::from_secs(second)));
        }
    }

    #[test]
    fn nothing_arrives_while_the_rate_is_zero() {
        let point = |at, rate| RatePoint { at: FleetTime::from_secs(at), rate: Rate::per_second_exact(rate) };
        let profile = RateProfile::new(&[
            point(0, 0),
            point(5, 0),
            point(5, 2),
            point(6, 2),
            point(6, 0),
            point(9, 0),
            point(9, 1),
        ]);
        let mut hint = 0;
        let due: Vec<f64> =
            (0..4).filter_map(|k| profile.due(k * ARRIVAL, &mut hint)).map(|d| d.as_secs_f64()).collect();
        assert_eq!(due, [5.0, 5.5, 9.0, 10.0]);
    }

    #[test]
    fn fractions_are_carried_over() {
        // 2.5 arrivals in the first second, 2.5 in the second: five together.
        let point = |at, rate| RatePoint { at: FleetTime::from_secs(at), rate: Rate::from_micros_per_day(rate) };
        let rate = 86_400 * 2_500_000;
        let profile = RateProfile::new(&[point(0, rate), point(1, rate), point(2, rate), point(2, 0)]);
        assert_eq!(profile.arrivals(), Some(5));
        assert_eq!(profile.due(4 * ARRIVAL, &mut 0), Some(FleetTime::from_millis(1_600)));
        assert_eq!(profile.due(5 * ARRIVAL, &mut 0), None);
    }
}
