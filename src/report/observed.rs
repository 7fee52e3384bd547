use crate::domain::Quantity;
use crate::report::csv::duration_micros;
use crate::report::units;

/// What a threshold saw, as files write it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Value {
    /// The number, in `unit`.
    pub(super) number: f64,
    /// `us`, `share`, `per_s` or `count`.
    pub(super) unit: &'static str,
}

impl Value {
    pub(super) fn of(observed: Quantity) -> Self {
        let (number, unit) = match observed {
            Quantity::Time(time) => (duration_micros(time) as f64, "us"),
            Quantity::Share(share) => (share, "share"),
            Quantity::PerSecond(rate) => (units::rounded(rate), "per_s"),
            Quantity::Number(number) => (number, "count"),
        };
        Self { number, unit }
    }
}

/// What a threshold saw, for a person.
pub(super) fn words(observed: Option<Quantity>) -> String {
    let Some(observed) = observed else { return "nothing".to_owned() };
    match observed {
        Quantity::Time(time) => units::duration(time),
        Quantity::Share(share) => units::percent(share),
        Quantity::PerSecond(rate) => units::rate_of(rate),
        // Lossless for every count that a run reaches.
        Quantity::Number(number) if number.fract() == 0.0 && number >= 0.0 => units::count(number as u64),
        Quantity::Number(number) => format!("{number:.2}"),
    }
}
