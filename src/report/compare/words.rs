use crate::report::compare::{Comparison, Judgement};
use crate::report::units;

/// The comparison in one notion, from the judgements of its rows alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::report) enum Headline {
    /// Rows got worse, none better.
    Worse,
    /// Rows got worse, and others better.
    Mixed,
    /// Rows got better, none worse.
    Better,
    /// Nothing that can be told.
    Same,
    /// No row had enough data.
    TooFew,
}

impl Headline {
    pub(in crate::report) fn of(comparison: &Comparison) -> Self {
        match (comparison.count(Judgement::Worse), comparison.count(Judgement::Better)) {
            (0, 0) if comparison.count(Judgement::TooFew) == comparison.rows() => Self::TooFew,
            (0, 0) => Self::Same,
            (0, _) => Self::Better,
            (_, 0) => Self::Worse,
            _ => Self::Mixed,
        }
    }
}

/// `of 9 rows B is worse in 2, better in 0, 1 have too little data`.
pub(in crate::report) fn tally(comparison: &Comparison) -> String {
    let few = comparison.count(Judgement::TooFew);
    format!(
        "of {} rows B is worse in {}, better in {}, {few} {} too little data",
        comparison.rows(),
        comparison.count(Judgement::Worse),
        comparison.count(Judgement::Better),
        if few == 1 { "has" } else { "have" },
    )
}

/// When a difference counted.
pub(in crate::report) fn limits(comparison: &Comparison) -> String {
    format!(
        "differences below {} do not matter, {} confidence over all rows",
        units::percent(comparison.limits.effect),
        units::percent(comparison.limits.confidence),
    )
}

/// A difference as a share, short: `+1.2 %`, `-36 %`, and `×126` from ten times as much on.
pub(in crate::report) fn change(share: f64) -> String {
    match share * 100.0 {
        _ if share >= 9.0 => format!("×{}", units::count((share + 1.0).round() as u64)),
        percent if percent.abs() < 9.95 => format!("{percent:+.1} %"),
        percent => format!("{percent:+.0} %"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_are_short() {
        let words = [0.0, 0.0123, -0.0994, -0.0996, 8.99, 9.0, 1_299.2].map(change);
        assert_eq!(words, ["+0.0 %", "+1.2 %", "-9.9 %", "-10 %", "+899 %", "×10", "×1,300"]);
    }
}
