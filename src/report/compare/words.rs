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
