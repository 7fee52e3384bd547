use std::fmt;
use std::ops::{Add, Mul};
use std::time::{Duration, SystemTime};

/// A length of the fleet's time: of validities, renewal windows, arrivals, waits, quotas. What a machine takes or may take is a
/// [`Duration`], which is real time. Only a [`TimeScale`](crate::domain::TimeScale) makes one of the other.
///
/// Dates in certificates and tokens are the fleet's: its wall clock shows them, so lengths between them are of its time.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct FleetTime(Duration);

impl FleetTime {
    /// None at all.
    pub const ZERO: Self = Self(Duration::ZERO);

    /// Longer than anything lasts.
    pub const MAX: Self = Self(Duration::MAX);

    /// What was written down, or said by a service, as a length of the fleet's time.
    pub const fn new(length: Duration) -> Self {
        Self(length)
    }

    /// So many seconds.
    pub const fn from_secs(seconds: u64) -> Self {
        Self(Duration::from_secs(seconds))
    }

    /// So many milliseconds.
    pub const fn from_millis(millis: u64) -> Self {
        Self(Duration::from_millis(millis))
    }

    /// So many nanoseconds.
    pub const fn from_nanos(nanos: u64) -> Self {
        Self(Duration::from_nanos(nanos))
    }

    /// So many seconds; `None` for what is no length, or too long for one.
    pub fn try_from_secs_f64(seconds: f64) -> Option<Self> {
        Duration::try_from_secs_f64(seconds).ok().map(Self)
    }

    /// From one date to another, which the fleet's wall clock shows; none when that is not later.
    pub fn between(earlier: SystemTime, later: SystemTime) -> Self {
        Self(later.duration_since(earlier).unwrap_or_default())
    }

    /// The bare number, to be written down or calculated with where all numbers are of the fleet's time. Not to be waited for.
    pub const fn length(self) -> Duration {
        self.0
    }

    /// Whether it is none at all.
    pub const fn is_zero(self) -> bool {
        self.0.is_zero()
    }

    /// In whole seconds.
    pub const fn as_secs(self) -> u64 {
        self.0.as_secs()
    }

    /// In seconds.
    pub const fn as_secs_f64(self) -> f64 {
        self.0.as_secs_f64()
    }

    /// In nanoseconds.
    pub const fn as_nanos(self) -> u128 {
        self.0.as_nanos()
    }

    /// Without `other`; none when that is longer.
    #[must_use]
    pub const fn saturating_sub(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }

    /// So much of it; `factor` is finite and not negative.
    #[must_use]
    pub fn mul_f64(self, factor: f64) -> Self {
        Self(self.0.mul_f64(factor))
    }

    /// The date so long after another one; that one where no date is so late.
    pub fn after(self, date: SystemTime) -> SystemTime {
        date.checked_add(self.0).unwrap_or(date)
    }

    /// The date so long before another one; `None` where no date is so early.
    pub fn before(self, date: SystemTime) -> Option<SystemTime> {
        date.checked_sub(self.0)
    }
}

/// Together; the longest there is instead of an overflow.
impl Add for FleetTime {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
}

/// So often; the longest there is instead of an overflow.
impl Mul<u32> for FleetTime {
    type Output = Self;

    fn mul(self, times: u32) -> Self {
        Self(self.0.saturating_mul(times))
    }
}

/// As the other way round.
impl Mul<FleetTime> for u32 {
    type Output = FleetTime;

    fn mul(self, time: FleetTime) -> FleetTime {
        time * self
    }
}

/// As a [`Duration`] of that length.
impl fmt::Debug for FleetTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// As [`in_largest_unit`] has it.
impl fmt::Display for FleetTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&in_largest_unit(self.0))
    }
}

/// A length in the largest unit of which it is a whole number: `90min`, `30d`, `250ms`.
pub fn in_largest_unit(time: Duration) -> String {
    const UNITS: [(u128, &str); 6] = [
        (86_400_000_000_000, "d"),
        (3_600_000_000_000, "h"),
        (60_000_000_000, "min"),
        (1_000_000_000, "s"),
        (1_000_000, "ms"),
        (1_000, "us"),
    ];
    let nanos = time.as_nanos();
    let unit = UNITS.into_iter().find(|(unit, _)| nanos > 0 && nanos.is_multiple_of(*unit));
    match unit {
        Some((unit, name)) => format!("{}{name}", nanos / unit),
        None if nanos == 0 => "0s".to_owned(),
        None => format!("{nanos}ns"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: FleetTime = FleetTime::from_secs(86_400);
    const LONGEST: FleetTime = FleetTime::MAX;

    #[test]
    fn sums_and_differences_end_where_there_is_nothing_longer_or_shorter() {
        assert_eq!((DAY + DAY, DAY * 3), (FleetTime::from_secs(172_800), FleetTime::from_secs(259_200)));
        assert_eq!((LONGEST + DAY, LONGEST * 2), (LONGEST, LONGEST));
        assert_eq!((DAY.saturating_sub(LONGEST), LONGEST.saturating_sub(LONGEST)), (FleetTime::ZERO, FleetTime::ZERO));
    }

    #[test]
    fn between_dates_there_is_a_length_or_none() {
        let (begin, end) = (SystemTime::UNIX_EPOCH, DAY.after(SystemTime::UNIX_EPOCH));
        assert_eq!((FleetTime::between(begin, end), FleetTime::between(end, begin)), (DAY, FleetTime::ZERO));
        assert_eq!((DAY.before(end), LONGEST.before(end), LONGEST.after(end)), (Some(begin), None, end));
    }

    #[test]
    fn it_is_shown_in_the_largest_unit() {
        let shown = [DAY * 30, FleetTime::from_millis(250), FleetTime::from_secs(5_400), FleetTime::ZERO];
        assert_eq!(shown.map(|time| time.to_string()), ["30d", "250ms", "90min", "0s"]);
    }
}
