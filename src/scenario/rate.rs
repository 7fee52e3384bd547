use std::fmt;

/// Arrivals per time, exact: `1000/min` does not become 16.666… per second.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Rate {
    /// Millionths of an arrival per day, so that every unit up to a day divides evenly.
    micros_per_day: u64,
}

const MICROS: u64 = 1_000_000;
const SECONDS_PER_DAY: u64 = 86_400;

/// Units with how many of them make a day. The first name of each is the one shown.
const UNITS: [(&[&str], u64); 4] =
    [(&["s", "sec", "second"], SECONDS_PER_DAY), (&["min", "minute"], 1_440), (&["h", "hour"], 24), (&["d", "day"], 1)];

impl Rate {
    /// No arrivals.
    pub const ZERO: Self = Self { micros_per_day: 0 };
    /// The smallest rate above zero: one arrival in a million days.
    pub const MIN: Self = Self { micros_per_day: 1 };
    /// A million per second.
    pub const MAX: Self = Self::per_second_exact(1_000_000);

    /// A whole number of arrivals per second, at most 10 million.
    pub const fn per_second_exact(arrivals: u32) -> Self {
        Self { micros_per_day: arrivals as u64 * SECONDS_PER_DAY * MICROS }
    }

    /// As arrivals per second, rounded.
    pub fn per_second(self) -> f64 {
        self.micros_per_day as f64 / (SECONDS_PER_DAY * MICROS) as f64
    }

    /// In millionths of an arrival per day: exact.
    pub(super) const fn micros_per_day(self) -> u64 {
        self.micros_per_day
    }

    #[cfg(test)]
    pub(super) const fn from_micros_per_day(micros_per_day: u64) -> Self {
        Self { micros_per_day }
    }
}

impl fmt::Display for Rate {
    /// In the largest unit of which it is a whole number, seconds preferred.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (names, per_day) in UNITS {
            if self.micros_per_day.is_multiple_of(per_day * MICROS) {
                return write!(f, "{}/{}", self.micros_per_day / (per_day * MICROS), names[0]);
            }
        }
        write!(f, "{:.3}/s", self.per_second())
    }
}

/// `100/s`, `1000/min`, `2.5/h`, or a number alone: per second. At most six decimals.
pub(super) fn parse(text: &str) -> Option<Rate> {
    let (number, unit) = text.split_once('/').unwrap_or((text, "s"));
    let (_, per_day) = UNITS.into_iter().find(|(names, _)| names.contains(&unit.trim()))?;
    let (whole, fraction) = number.trim().split_once('.').unwrap_or((number.trim(), ""));
    let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    if whole.is_empty() || fraction.len() > 6 || !digits(whole) || !digits(fraction) || number.trim().ends_with('.') {
        return None;
    }
    let micros: u64 = format!("{whole}{fraction:0<6}").parse().ok()?;
    Some(Rate { micros_per_day: micros.checked_mul(per_day)? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_kept_exactly() {
        assert_eq!(parse("1000/min").map(|r| r.micros_per_day), Some(1_440_000 * MICROS));
        assert_eq!(parse("100"), parse("100/s"));
        assert_eq!(parse("0.5 / sec"), parse("30/min"));
        assert_eq!(parse("60/min"), Some(Rate::per_second_exact(1)));
        assert_eq!(parse("0.000001/d"), Some(Rate::MIN));
        for wrong in ["", "/s", "1/year", "-1/s", "1./s", "1e3", "0.0000001", "99999999999999999999/s", "12/s/s"] {
            assert_eq!(parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn rates_are_shown_as_a_person_would_write_them() {
        let shown = |text| parse(text).map(|r| r.to_string());
        assert_eq!(shown("1000/min").as_deref(), Some("1000/min"));
        assert_eq!(shown("60/min").as_deref(), Some("1/s"));
        assert_eq!(shown("2.5/s").as_deref(), Some("150/min"));
        assert_eq!(Rate::MAX.to_string(), "1000000/s");
    }
}
