use std::cmp::Ordering;

use crate::domain::Known;
use crate::report::compare::statistics::{chance_of_independent, runs_to_tell};
use crate::report::compare::{DifferenceLimits, Judgement, Row, Values, What};

/// Times that differ by less (nanoseconds) are the same to the histograms.
const RESOLUTION: f64 = 2_000.0;
/// Smallest difference of shares and other measures that matters.
const SHARE: f64 = 0.001;
/// From this factor on a difference is large, and of shares from this on.
const LARGE: f64 = 1.5;
const LARGE_SHARE: f64 = 0.01;

/// How probable by chance a difference may be at most to be told.
#[derive(Clone, Copy)]
pub(super) struct Bars {
    /// When the row is one of all: the more rows, the more of them differ by chance.
    among_all: f64,
    /// When only this row were looked at. What passes this bar but not the other is not called the same: more runs would tell.
    alone: f64,
}

impl Bars {
    pub(super) fn new(limits: DifferenceLimits, rows: usize) -> Self {
        let alone = 1.0 - limits.confidence;
        Self { alone, among_all: alone / rows.max(1) as f64 }
    }
}

/// Which of two values is the greater one, as far as it is known.
pub(super) fn order(sides: [Known<f64>; 2]) -> Option<Ordering> {
    match sides {
        [Known::Is(a), Known::Is(b)] => Some(a.total_cmp(&b)),
        [Known::Is(a), Known::Above(b)] if a <= b => Some(Ordering::Less),
        [Known::Above(a), Known::Is(b)] if a >= b => Some(Ordering::Greater),
        _ => None,
    }
}

/// Two percentiles at least must agree. Then a row without a difference is called one no more often than the bar says: of
/// three percentiles at two thirds of it each, two are wrong at once at most as often.
const fn agreeing(row: &Row) -> (usize, f64) {
    match row.what {
        What::Time(_) => (2, 2.0 / 3.0),
        _ => (1, 1.0),
    }
}

/// `repeats`: whole runs were held against each other.
pub(super) fn judge(row: &Row, bars: Bars, effect: f64, repeats: bool) -> Judgement {
    let (needed, part) = agreeing(row);
    let by_blocks = |bar: f64| {
        let counts = |values: &Values| {
            values.chance.is_some_and(|found| found < bar * part) && matters(row.what, values, effect)
        };
        direction(row, counts).unwrap_or(Judgement::Same)
    };
    let judged = match (by_blocks(bars.among_all), by_blocks(bars.alone)) {
        _ if !row.is_told() => Judgement::TooFew,
        // What only a row by itself would tell is neither told nor called the same.
        (Judgement::Same, alone) if alone != Judgement::Same => Judgement::TooFew,
        (among_all, _) => among_all,
    };
    if repeats || !matches!(judged, Judgement::Same | Judgement::TooFew) {
        return judged;
    }
    // The noise between runs is not known, and that within hides it, or is not known either.
    let bar = bars.among_all * part;
    let large = |values: &Values| {
        let beyond = values.within.is_some_and(|[a, b]| chance_of_independent(&a, &b) < bar);
        beyond && is_large(row.what, values) && matters(row.what, values, effect)
    };
    let Some(found) = direction(row, large) else { return judged };
    let mut runs: Vec<usize> = row
        .values
        .iter()
        .filter(|values| large(values))
        .filter_map(|values| values.within.map(|[a, b]| runs_to_tell(&a, &b, bar)))
        .collect();
    runs.sort_unstable();
    Judgement::Undecided { worse: found == Judgement::Worse, runs: runs.get(needed - 1).copied().unwrap_or_default() }
}

/// Worse or better, when enough of the values that count say so and none of them says the contrary.
fn direction(row: &Row, counts: impl Fn(&Values) -> bool) -> Option<Judgement> {
    let (needed, _) = agreeing(row);
    let (mut worse, mut better) = (0, 0);
    for values in row.values.iter().filter(|values| counts(values)) {
        let [a, b] = badness(row.what, values);
        worse += usize::from(b > a);
        better += usize::from(b < a);
    }
    match (worse, better) {
        (worse, 0) if worse >= needed => Some(Judgement::Worse),
        (0, better) if better >= needed => Some(Judgement::Better),
        _ => None,
    }
}

/// How bad either side is, at least where it is not known; the difference is not smaller than that of these.
fn badness(what: What, values: &Values) -> [f64; 2] {
    values.sides.map(|side| what.badness(side.least()))
}

fn matters(what: What, values: &Values, effect: f64) -> bool {
    let [a, b] = badness(what, values);
    let least = if what.phase().is_some() { RESOLUTION } else { SHARE };
    (b - a).abs() >= least.max(a * effect)
}

fn is_large(what: What, values: &Values) -> bool {
    let [a, b] = badness(what, values);
    a.max(b) >= LARGE * a.min(b) && (!what.is_share() || (b - a).abs() >= LARGE_SHARE)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Phase;

    const BARS: Bars = Bars { among_all: 0.000_3, alone: 0.01 };

    fn row(what: What, counts: [u64; 2], sides: &[[Known<f64>; 2]], chance: f64) -> Row {
        let values = |sides: &[Known<f64>; 2]| Values { sides: *sides, chance: Some(chance), within: None };
        let values = sides.iter().map(values).collect();
        Row { stage: "storm".to_owned(), what, counts, values, judgement: Judgement::TooFew }
    }

    #[test]
    fn what_only_a_row_by_itself_would_tell_is_neither_told_nor_called_the_same() {
        let times = [[Known::Is(1e6), Known::Is(126e6)]; 3];
        for (chance, expected) in
            [(0.000_1, Judgement::Worse), (0.001, Judgement::TooFew), (0.02, Judgement::Same), (1.0, Judgement::Same)]
        {
            let judged = |row: Row| judge(&row, BARS, 0.05, true);
            assert_eq!(judged(row(What::Time(Phase::Register), [9_000; 2], &times, chance)), expected, "{chance}");
            let failed = [[Known::Is(0.0), Known::Is(0.1)]];
            assert_eq!(judged(row(What::FailedOrDropped, [900; 2], &failed, chance)), expected, "{chance}");
        }
    }

    #[test]
    fn more_is_worse_but_of_those_who_are_through() {
        let judged = |what, a, b| judge(&row(what, [900; 2], &[[Known::Is(a), Known::Is(b)]], 0.0), BARS, 0.05, true);
        assert_eq!(judged(What::AttemptsPerSuccess, 5.8, 24.3), Judgement::Worse);
        assert_eq!(judged(What::Throttled, 3.0, 0.5), Judgement::Better);
        assert_eq!(judged(What::Through, 0.99, 0.95), Judgement::Worse);
        assert_eq!(judged(What::Recovered, 0.5, 1.0), Judgement::Better);
        assert_eq!(judged(What::Expired, 0.1, 0.100_5), Judgement::Same, "too small to matter");
    }

    #[test]
    fn what_is_unknown_above_what_the_other_has_is_more_and_two_unknowns_tell_nothing() {
        use Known::{Above, Is};
        assert_eq!(order([Is(5.0), Above(62.0)]), Some(Ordering::Less));
        assert_eq!(order([Above(62.0), Is(5.0)]), Some(Ordering::Greater));
        assert_eq!([order([Is(70.0), Above(62.0)]), order([Above(5.0), Is(9.0)])], [None; 2]);
        assert_eq!(order([Above(5.0), Above(62.0)]), None);
    }
}
