use std::borrow::Cow;

use crate::report::compare::{Comparison, Judgement, Row};
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
    /// Rows differ much, maybe for the worse, but that is from too few runs to be told.
    Undecided,
    /// No detectable difference.
    Same,
    /// No row had enough data.
    TooFew,
}

impl Headline {
    pub(in crate::report) fn of(comparison: &Comparison) -> Self {
        let undecided = comparison.undecided();
        let maybe_worse =
            comparison.rows.iter().any(|row| matches!(row.judgement, Judgement::Undecided { worse: true, .. }));
        match (comparison.count(Judgement::Worse), comparison.count(Judgement::Better)) {
            (0, 0) if undecided > 0 => Self::Undecided,
            (0, 0) if comparison.count(Judgement::TooFew) == comparison.rows.len() => Self::TooFew,
            (0, 0) => Self::Same,
            // What got better does not hide what may have got worse.
            (0, _) if maybe_worse => Self::Undecided,
            (0, _) => Self::Better,
            (_, 0) => Self::Worse,
            _ => Self::Mixed,
        }
    }

    /// The name in JSON, which never changes.
    pub(in crate::report) const fn name(self) -> &'static str {
        match self {
            Self::Worse => "worse",
            Self::Mixed => "worse_and_better",
            Self::Better => "better",
            Self::Undecided => "large_but_undecided",
            Self::Same => "no_difference",
            Self::TooFew => "not_enough_data",
        }
    }
}

/// Of how few runs large differences are.
pub(in crate::report) const fn from_few(comparison: &Comparison) -> &'static str {
    match comparison.runs {
        [1, 1] => "from one run each",
        _ => "from few runs",
    }
}

/// `of 9 rows B is worse in 2, better in 0, 1 has too little data`.
pub(in crate::report) fn tally(comparison: &Comparison) -> String {
    let few = comparison.count(Judgement::TooFew);
    let undecided = match comparison.undecided() {
        0 => String::new(),
        rows => {
            let (differ, few) = (if rows == 1 { "differs" } else { "differ" }, from_few(comparison));
            let runs = comparison.runs_to_tell();
            format!("{rows} {differ} much but {few} (`run --repeat {runs}` or more on both sides tells), ")
        }
    };
    format!(
        "of {} rows B is worse in {}, better in {}, {undecided}{few} {} too little data",
        comparison.rows.len(),
        comparison.count(Judgement::Worse),
        comparison.count(Judgement::Better),
        if few == 1 { "has" } else { "have" },
    )
}

/// A judgement of a row: `slower`, `no difference`, `slower? (5 runs tell)`.
pub(in crate::report) fn word(row: &Row) -> Cow<'static, str> {
    let [worse, better] = row.what.words();
    Cow::Borrowed(match row.judgement {
        Judgement::Worse => worse,
        Judgement::Better => better,
        Judgement::Same => "no difference",
        Judgement::TooFew => "not enough data",
        Judgement::Undecided { worse: is_worse, runs } => {
            let direction = if is_worse { worse } else { better };
            return Cow::Owned(format!("{direction}? ({runs} runs)"));
        }
    })
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
