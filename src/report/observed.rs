use std::time::Duration;

use crate::domain::{Known, Quantity};
use crate::report::units;

/// What a threshold is bounded by, or saw, as files write it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Value {
    /// The number, in `unit`.
    pub(super) number: f64,
    /// `us`, `share`, `per_s` or `count`.
    pub(super) unit: &'static str,
}

impl Value {
    /// As precise as it is: what was observed is at rest, a bound may have parts of a microsecond.
    pub(super) fn of(quantity: Quantity) -> Self {
        let (number, unit) = match quantity {
            Quantity::Time(time) => (time.as_micros() as f64 + f64::from(time.subsec_nanos() % 1_000) / 1e3, "us"),
            Quantity::Share(share) => (share, "share"),
            Quantity::PerSecond(rate) => (rate, "per_s"),
            Quantity::Number(number) => (number, "count"),
        };
        Self { number, unit }
    }

    /// What was written so; negative times become zero. `None`: there is no such unit.
    pub(super) fn quantity(number: f64, unit: &str) -> Option<Quantity> {
        Some(match unit {
            "us" => {
                let nanos = (number.fract() * 1e3).round() as u64;
                Quantity::Time(Duration::from_micros(number as u64) + Duration::from_nanos(nanos))
            }
            "share" => Quantity::Share(number),
            "per_s" => Quantity::PerSecond(number),
            "count" => Quantity::Number(number),
            _ => return None,
        })
    }
}

/// What a threshold saw, as files write it: the number, what it is above of when it is not known, and their unit.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Observed {
    pub(super) number: Option<f64>,
    pub(super) above: Option<f64>,
    pub(super) unit: Option<&'static str>,
}

impl Observed {
    pub(super) fn of(observed: Option<Known<Quantity>>) -> Self {
        let value = observed.map(|observed| observed.map(Value::of));
        let number = |value: Value| value.number;
        Self {
            number: value.and_then(Known::exact).map(number),
            above: value.and_then(Known::above).map(number),
            unit: value.map(|value| value.least().unit),
        }
    }
}

/// What a threshold saw, for a person.
pub(super) fn words(observed: Option<Known<Quantity>>) -> String {
    match observed {
        None => "nothing".to_owned(),
        Some(Known::Is(observed)) => quantity(observed),
        Some(Known::Above(least)) => format!("> {}", quantity(least)),
    }
}

fn quantity(observed: Quantity) -> String {
    match observed {
        Quantity::Time(time) => units::duration(time),
        Quantity::Share(share) => units::percent(share),
        Quantity::PerSecond(rate) => units::rate_of(rate),
        // Lossless for every count that a run reaches.
        Quantity::Number(number) if number.fract() == 0.0 && number >= 0.0 => units::count(number as u64),
        Quantity::Number(number) => format!("{number:.2}"),
    }
}
