use crate::measure::Observed;
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
    /// `None` when there was nothing to look at.
    pub(super) fn of(observed: Observed) -> Option<Self> {
        let (number, unit) = match observed {
            Observed::Time(time) => (duration_micros(time) as f64, "us"),
            Observed::Share(share) => (share, "share"),
            Observed::PerSecond(rate) => (units::rounded(rate), "per_s"),
            Observed::Number(number) => (number, "count"),
            Observed::Nothing => return None,
        };
        Some(Self { number, unit })
    }
}

/// What a threshold saw, for a person.
pub(super) fn words(observed: Observed) -> String {
    match observed {
        Observed::Time(time) => units::duration(time),
        Observed::Share(share) => units::percent(share),
        Observed::PerSecond(rate) => units::rate_of(rate),
        // Lossless for every count that a run reaches.
        Observed::Number(number) if number.fract() == 0.0 && number >= 0.0 => units::count(number as u64),
        Observed::Number(number) => format!("{number:.2}"),
        Observed::Nothing => "nothing".to_owned(),
    }
}
