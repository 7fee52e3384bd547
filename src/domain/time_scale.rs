use std::fmt;
use std::time::Duration;

use crate::domain::{FleetTime, in_largest_unit};

/// How much faster the fleet's life passes than real time: so much fleet time in so much real time. What makes a [`FleetTime`] of a
/// [`Duration`], and the other way round.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TimeScale {
    fleet: FleetTime,
    real: Duration,
}

impl TimeScale {
    /// Fleet time is real time.
    pub const REAL: Self = Self { fleet: FleetTime::from_secs(1), real: Duration::from_secs(1) };

    /// Most fleet seconds in one real second: a year in a minute and a bit more.
    pub const MAX: u64 = 1_000_000;

    /// `fleet` passes in `real`; `None` unless fleet time is at least as fast as real time and at most [`Self::MAX`] times
    /// faster.
    pub fn new(fleet: FleetTime, real: Duration) -> Option<Self> {
        let most = real.checked_mul(u32::try_from(Self::MAX).unwrap_or(u32::MAX));
        let may_be = fleet.length() >= real && most.is_none_or(|most| fleet.length() <= most);
        (!real.is_zero() && may_be).then_some(Self { fleet, real })
    }

    /// How much fleet time passes in [`Self::real`].
    pub const fn fleet(self) -> FleetTime {
        self.fleet
    }

    /// How much real time [`Self::fleet`] takes.
    pub const fn real(self) -> Duration {
        self.real
    }

    /// Whether fleet time is real time.
    pub fn is_real(self) -> bool {
        self.fleet.length() == self.real
    }

    /// Fleet seconds per real second.
    pub fn factor(self) -> f64 {
        self.fleet.as_secs_f64() / self.real.as_secs_f64()
    }

    /// How long that really takes, to the nanosecond below.
    pub fn to_real(self, fleet: FleetTime) -> Duration {
        scaled(fleet.length(), self.real, self.fleet.length())
    }

    /// How much of the fleet's time passes meanwhile, to the nanosecond below.
    pub fn to_fleet(self, real: Duration) -> FleetTime {
        FleetTime::new(scaled(real, self.fleet.length(), self.real))
    }
}

/// What a clock that counts nanoseconds can say: 584 years.
const LONGEST: Duration = Duration::from_nanos(u64::MAX);

/// `time` times `up` divided by `down`, without an overflow in between.
fn scaled(time: Duration, up: Duration, down: Duration) -> Duration {
    if up == down {
        return time;
    }
    // Both parts of the scale without what they have in common: days and seconds become small numbers.
    let common = gcd(up.as_nanos(), down.as_nanos()).max(1);
    let (factor, divisor) = (up.as_nanos() / common, (down.as_nanos() / common).max(1));
    let scaled = match time.as_nanos().checked_mul(factor) {
        Some(product) => u64::try_from(product / divisor).ok().map(Duration::from_nanos),
        // So long that nanoseconds do not matter.
        None => Duration::try_from_secs_f64(time.as_secs_f64() * (up.as_secs_f64() / down.as_secs_f64())).ok(),
    };
    scaled.map_or(LONGEST, |scaled| scaled.min(LONGEST))
}

const fn gcd(mut a: u128, mut b: u128) -> u128 {
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a
}

impl Default for TimeScale {
    fn default() -> Self {
        Self::REAL
    }
}

impl fmt::Display for TimeScale {
    /// As a scenario says it, exactly: `1d = 1s`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} = {}", self.fleet, in_largest_unit(self.real))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const DAY: FleetTime = FleetTime::from_secs(86_400);
    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_day_may_pass_in_a_second() {
        let scale = TimeScale::new(DAY, SECOND).unwrap();
        assert_eq!((scale.to_real(DAY * 30), scale.to_fleet(7 * SECOND)), (30 * SECOND, DAY * 7));
        assert_eq!((scale.to_string(), scale.factor()), ("1d = 1s".to_owned(), 86_400.0));
        assert!(!scale.is_real() && TimeScale::REAL.is_real());
    }

    #[test]
    fn fleet_time_is_never_slower_than_real_time_nor_boundless() {
        for (fleet, real) in
            [(FleetTime::from_secs(1), DAY.length()), (DAY, Duration::ZERO), (FleetTime::from_secs(1_000_001), SECOND)]
        {
            assert_eq!(TimeScale::new(fleet, real), None);
        }
        assert!(TimeScale::new(FleetTime::from_secs(1), SECOND).is_some_and(TimeScale::is_real));
    }

    #[test]
    fn scales_are_told_in_the_largest_unit_that_fits() {
        let shown = |fleet: u64, real| TimeScale::new(FleetTime::from_secs(fleet), real).unwrap().to_string();
        assert_eq!(shown(2 * 86_400, SECOND), "2d = 1s");
        assert_eq!(shown(25 * 3_600, Duration::from_mins(1)), "25h = 1min");
        assert_eq!(shown(61 * 60, Duration::from_millis(1_500)), "61min = 1500ms");
        assert_eq!(shown(86_401, SECOND), "86401s = 1s");
        let tiny = TimeScale { fleet: FleetTime::ZERO, real: SECOND };
        assert_eq!(tiny.to_string(), "0s = 1s", "no time at all has no larger unit");
    }

    #[test]
    fn the_factor_is_fleet_seconds_per_real_second() {
        let scale = TimeScale::new(DAY, Duration::from_secs(4)).unwrap();
        assert_eq!((scale.factor(), scale.fleet(), scale.real()), (21_600.0, DAY, Duration::from_secs(4)));
    }

    #[test]
    fn parts_without_a_common_divisor_and_the_longest_times_are_scaled_too() {
        let scale = TimeScale::new(FleetTime::from_nanos(7_000_000_003), SECOND).unwrap();
        assert_eq!(scale.to_real(FleetTime::from_nanos(14_000_000_006)), 2 * SECOND);
        // 584 years of nanoseconds; without the common divisor the product would not fit in between.
        let long = Duration::from_nanos(u64::MAX);
        let scale = TimeScale::new(DAY, SECOND).unwrap();
        assert_eq!(scale.to_real(FleetTime::new(long)), Duration::from_nanos(u64::MAX / 86_400));
        assert_eq!(scale.to_fleet(long), FleetTime::new(long), "what is beyond the clock stays at its end");
        // Longer than any clock: the product of nanoseconds and scale does not fit, only their quotient does.
        let fast =
            TimeScale::new(FleetTime::from_nanos(1_000_000_000_000_001), Duration::from_nanos(1_000_000_007)).unwrap();
        let real = fast.to_real(FleetTime::new(Duration::MAX));
        let wanted = Duration::MAX.as_secs_f64() / fast.factor();
        assert!(real == Duration::from_nanos(u64::MAX) && wanted > real.as_secs_f64(), "{real:?}, {wanted}");
        assert_eq!(fast.to_fleet(Duration::MAX), FleetTime::from_nanos(u64::MAX));
        // Parts so long that their product with a time does not fit, though what comes of it is short.
        let slow =
            TimeScale::new(FleetTime::new(Duration::new(10_000_000_000_000, 9)), Duration::new(1_000_000_000_000, 7))
                .unwrap();
        let (real, wanted) = (slow.to_real(FleetTime::from_secs(1_000_000_000)), Duration::from_secs(100_000_000));
        assert!(real.abs_diff(wanted) < Duration::from_millis(1), "{real:?}");
    }

    #[test]
    fn common_divisors_are_the_greatest() {
        assert_eq!([gcd(12, 18), gcd(18, 12), gcd(7, 5), gcd(0, 9), gcd(9, 0)], [6, 6, 1, 9, 9]);
    }

    proptest! {
        #[test]
        fn there_and_back_is_the_same_to_the_step_of_the_scale(millis in 0u64..10_000_000_000, factor in 1u64..TimeScale::MAX) {
            let scale = TimeScale::new(FleetTime::from_secs(factor), SECOND).unwrap();
            let fleet = FleetTime::from_millis(millis);
            let back = scale.to_fleet(scale.to_real(fleet));
            prop_assert!(back <= fleet && fleet.saturating_sub(back) <= FleetTime::from_nanos(factor));
            prop_assert_eq!(TimeScale::REAL.to_real(fleet), fleet.length());
        }
    }
}
