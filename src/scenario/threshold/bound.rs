//! What a metric is compared with: in which unit, and whether that says anything.

use std::time::Duration;

use crate::domain::{ComparisonOperator, Metric, Quantity, Ratio, Statistic};
use crate::scenario::rate;
use crate::scenario::threshold::parse::Refusal;
use crate::settings::expect::grouped;
use crate::settings::time;

/// What a bound is counted in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::scenario) enum Unit {
    Time,
    Share,
    PerTime,
    Count,
    Ratio,
}

/// Up to here every whole number is a number of its own.
const LARGEST_COUNT: u64 = 1 << 53;

impl Unit {
    pub(in crate::scenario) const fn of(metric: Metric) -> Self {
        match metric {
            Metric::Phase { statistic: Statistic::Count, .. }
            | Metric::Lateness(Statistic::Count)
            | Metric::Count(_)
            | Metric::OfClass(..) => Self::Count,
            Metric::Phase { .. } | Metric::Lateness(_) => Self::Time,
            Metric::Ratio(Ratio::ErrorRate | Ratio::SuccessRate) => Self::Share,
            Metric::Ratio(Ratio::Throughput) => Self::PerTime,
            Metric::Ratio(Ratio::AttemptsPerSuccess) => Self::Ratio,
        }
    }

    const fn wanted(self) -> &'static str {
        match self {
            Self::Time => "a time, such as 2s or 250ms",
            Self::Share => "a share, such as 0.1%",
            Self::PerTime => "devices per time, such as 600/s or 1000/min",
            Self::Count => "a whole number, such as 0",
            Self::Ratio => "a number, such as 1.2",
        }
    }
}

/// The bound as a threshold has it.
pub(in crate::scenario) fn read(text: &str, unit: Unit) -> Result<Quantity, Refusal> {
    let read = match unit {
        Unit::Time => time::parse_duration(text).map(Quantity::Time),
        Unit::Share => text
            .strip_suffix('%')
            .and_then(|percent| percent_of_one(percent.trim()))
            // Nothing is nothing in every unit.
            .or_else(|| decimal(text).filter(|number| *number == 0.0))
            .map(Quantity::Share),
        Unit::PerTime => {
            let rate = text.contains('/').then(|| rate::parse(text)).flatten();
            rate.map(|rate| Quantity::PerSecond(rate.per_second()))
        }
        #[expect(clippy::cast_precision_loss, reason = "no larger than what is exact")]
        Unit::Count => {
            let count = text.parse().ok().filter(|count: &u64| *count <= LARGEST_COUNT);
            count.map(|count| Quantity::Number(count as f64))
        }
        Unit::Ratio => decimal(text).map(Quantity::Number),
    };
    read.ok_or_else(|| {
        let most = match unit {
            Unit::Count => format!(" (at most {})", grouped(LARGEST_COUNT)),
            _ => String::new(),
        };
        Refusal::new(format!("\"{text}\" is not what this is counted in"), format!("it wants {}{most}", unit.wanted()))
    })
}

/// Digits with or without a fraction, no more than a number holds: no sign, no exponent, no infinity.
fn decimal(text: &str) -> Option<f64> {
    let plain = text.bytes().all(|b| b.is_ascii_digit() || b == b'.');
    text.parse().ok().filter(|number: &f64| plain && number.is_finite())
}

/// `99.9` as 0.999: divided once, so that it is the number nearest to it and equal to a share of 999 in 1,000.
pub(in crate::scenario) fn percent_of_one(percent: &str) -> Option<f64> {
    let (whole, fraction) = percent.split_once('.').unwrap_or((percent, ""));
    let digits = format!("{whole}{fraction}");
    let plain = digits.bytes().all(|b| b.is_ascii_digit());
    if !plain || whole.is_empty() || percent.ends_with('.') || digits.len() > 12 {
        return None;
    }
    let number: f64 = digits.parse().ok()?;
    Some(number / 10f64.powi(i32::try_from(fraction.len()).ok()? + 2))
}

/// Refuses what every run or no run would meet.
pub(in crate::scenario) fn check(
    metric: Metric,
    comparison: ComparisonOperator,
    bound: Quantity,
) -> Result<(), Refusal> {
    let unit = Unit::of(metric);
    let exact = matches!(comparison, ComparisonOperator::Equal | ComparisonOperator::NotEqual);
    if exact && matches!(unit, Unit::Time | Unit::PerTime) {
        let reason = "what is measured is never exactly that";
        return Err(Refusal::new(reason, "compare with <, <=, > or >="));
    }
    let (least, most) = match unit {
        Unit::Time => (Quantity::Time(Duration::ZERO), Quantity::Time(Duration::MAX)),
        Unit::PerTime => (Quantity::PerSecond(0.0), Quantity::PerSecond(f64::INFINITY)),
        Unit::Count => (Quantity::Number(0.0), Quantity::Number(f64::INFINITY)),
        Unit::Share => (Quantity::Share(0.0), Quantity::Share(1.0)),
        Unit::Ratio => (Quantity::Number(1.0), Quantity::Number(f64::INFINITY)),
    };
    // Both ends tell: what holds, or does not hold, from the least to the most holds always, or never.
    let (at_least, at_most) = (comparison.holds(least, bound), comparison.holds(most, bound));
    let varies = at_least != at_most || (exact && (least..=most).contains(&bound));
    if varies {
        return Ok(());
    }
    let always = at_least;
    let range = match unit {
        Unit::Share => "it lies between 0% and 100%",
        Unit::Ratio => "a device that succeeds makes at least one attempt",
        Unit::Time | Unit::PerTime | Unit::Count => "it is never below 0",
    };
    let reason = if always { "every run would meet it" } else { "no run could meet it" };
    Err(Refusal::new(format!("{reason}: {range}"), "compare with a bound that a run may miss or meet"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn percents_are_the_nearest_numbers() {
        assert_eq!(["50", "99", "99.9", "100"].map(percent_of_one), [0.5, 0.99, 0.999, 1.0].map(Some));
        assert_eq!((percent_of_one("99.999"), percent_of_one("0")), (Some(0.999_99), Some(0.0)));
        assert_eq!(percent_of_one("99.1234567890"), Some(0.991_234_567_89), "twelve digits");
        for wrong in ["", ".5", "99.", "9x", "-1", "1e2", "99.12345678901"] {
            assert_eq!(percent_of_one(wrong), None, "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn a_share_written_in_percent_is_the_share_that_is_counted(part in 0u32..=100_000) {
            let text = format!("{}.{:03}", part / 1_000, part % 1_000);
            prop_assert_eq!(percent_of_one(&text), Some(f64::from(part) / 100_000.0));
        }
    }
}
