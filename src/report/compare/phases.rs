use crate::domain::Phase;
use crate::measure::{CompactHistogram, Histogram, Interval, RunRecord, StageRecord};
use crate::report::compare::statistics::{Block, Proportion, chance};
use crate::report::compare::{DifferenceLimits, FailureRow, Judgement, PERCENTILES, PhaseRow};

/// From so many runs on either side, each counts as one block.
pub(super) const REPEATS: usize = 3;
/// So many blocks of intervals are needed on either side of single runs, and so many are made at most of a run.
const FEWEST_BLOCKS: usize = 8;
const MOST_BLOCKS: usize = 16;
/// So many values must lie beyond a percentile for it to say something.
const FEWEST_BEYOND: f64 = 5.0;
/// Times that differ by less are the same to the histograms.
const RESOLUTION: u64 = 2_000;
/// Smallest difference of shares of failed devices that matters.
const SHARE: f64 = 0.001;

/// Every phase and the failures of every stage. The confidence is that of all rows together.
pub(super) fn judged(a: &[RunRecord], b: &[RunRecord], limits: DifferenceLimits) -> (Vec<PhaseRow>, Vec<FailureRow>) {
    let (mut phases, mut failures) = (Vec::new(), Vec::new());
    for index in 0..a.first().map_or(0, |run| run.stages.len()) {
        let repeats = a.len().min(b.len()) >= REPEATS;
        let sides = [a, b].map(|runs| Side::new(runs, index, repeats));
        phases.extend(Phase::ALL.into_iter().filter_map(|phase| phase_row(&sides, phase)));
        failures.extend(failure_row(&sides));
    }
    let told =
        phases.iter().filter(|row| told(row) >= 2).count() + failures.iter().filter(|r| r.chance.is_some()).count();
    let alone = 1.0 - limits.confidence;
    let bars = Bars { alone, among_all: alone / told.max(1) as f64 };
    for row in &mut phases {
        row.judgement = phase_judgement(row, bars, limits.effect);
    }
    for row in &mut failures {
        row.judgement = failure_judgement(row, bars, limits.effect);
    }
    (phases, failures)
}

/// How probable by chance a difference may be at most to be told.
#[derive(Clone, Copy)]
struct Bars {
    /// When the row is one of all: the more rows, the more of them differ by chance.
    among_all: f64,
    /// When only this row were looked at. What passes this bar but not the other is not called the same: more runs would tell.
    alone: f64,
}

/// One stage of all runs of one side.
struct Side<'a> {
    stages: Vec<&'a StageRecord>,
    /// Whether every run counts as a block. Then there are no others.
    repeats: bool,
    /// `total` of the successes in blocks of intervals that follow each other.
    blocks: Vec<CompactHistogram>,
    /// Devices with an outcome in the same way, and those of them that failed.
    outcomes: Vec<Block>,
    /// Shares of `total` above its own percentiles.
    like: [Option<Proportion>; PERCENTILES.len()],
}

impl<'a> Side<'a> {
    fn new(runs: &'a [RunRecord], index: usize, repeats: bool) -> Self {
        let stages: Vec<_> = runs.iter().filter_map(|run| run.stages.get(index)).collect();
        let mut side = Self { stages, repeats, blocks: Vec::new(), outcomes: Vec::new(), like: [None; _] };
        if repeats {
            return side;
        }
        for stage in &side.stages {
            let busy: Vec<&Interval> = stage.intervals.iter().filter(|i| outcome(i).count > 0.0).collect();
            for part in busy.chunks(busy.len().div_ceil(MOST_BLOCKS).max(1)) {
                let mut sum = Histogram::new();
                part.iter().for_each(|interval| sum.merge(&interval.total.decode()));
                side.blocks.push(CompactHistogram::new(&sum));
                let add = |sum: Block, interval: &&Interval| {
                    let Block { count, above } = outcome(interval);
                    Block { count: sum.count + count, above: sum.above + above }
                };
                side.outcomes.push(part.iter().fold(Block { count: 0.0, above: 0.0 }, add));
            }
        }
        let total = side.merged(Phase::Total);
        side.like = blocks(side.totals(), PERCENTILES.map(|percentile| nanos_at(&total, percentile)))
            .map(|blocks| Proportion::of(&blocks));
        side
    }

    fn histograms(&self, phase: Phase) -> impl Iterator<Item = Histogram> {
        self.stages.iter().filter_map(move |stage| stage.phases.succeeded(phase))
    }

    fn merged(&self, phase: Phase) -> Histogram {
        let mut sum = Histogram::new();
        self.histograms(phase).for_each(|histogram| sum.merge(&histogram));
        sum
    }

    /// `total` in blocks of intervals.
    fn totals(&self) -> impl Iterator<Item = Histogram> {
        self.blocks.iter().map(CompactHistogram::decode)
    }

    /// The shares of a phase above bounds, which lie at the percentiles; `sum` is all of the phase.
    fn shares(
        &self,
        phase: Phase,
        sum: &Histogram,
        bounds: [u64; PERCENTILES.len()],
    ) -> [Option<Proportion>; PERCENTILES.len()] {
        if self.repeats {
            return blocks(self.histograms(phase), bounds)
                .map(|blocks| (blocks.len() >= REPEATS).then(|| Proportion::of_runs(&blocks))?);
        }
        if self.blocks.len() < FEWEST_BLOCKS {
            return [None; _];
        }
        if phase == Phase::Total {
            return blocks(self.totals(), bounds).map(|blocks| Proportion::of(&blocks));
        }
        // Only `total` is known by interval: other phases are as uncertain as it is at the same percentile.
        std::array::from_fn(|place| {
            let like = self.like[place]?;
            let Block { count, above } = block(sum, bounds[place]);
            Proportion::like(above, count, like.spread(), like.freedom())
        })
    }
}

/// Devices that came to an end in an interval, and those of them that did not succeed.
fn outcome(interval: &Interval) -> Block {
    let bad = interval.counts.failed.total() + interval.counts.dropped;
    Block { count: (interval.counts.succeeded + bad) as f64, above: bad as f64 }
}

/// 0 when nothing was recorded.
fn nanos_at(histogram: &Histogram, quantile: f64) -> u64 {
    histogram.quantile(quantile).map_or(0, |time| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX))
}

fn block(histogram: &Histogram, bound: u64) -> Block {
    let hdr = histogram.as_hdr();
    Block { count: hdr.len() as f64, above: hdr.len().saturating_sub(hdr.count_between(0, bound)) as f64 }
}

/// One block of every histogram for each bound. Only one histogram is in memory.
fn blocks(
    histograms: impl Iterator<Item = Histogram>,
    bounds: [u64; PERCENTILES.len()],
) -> [Vec<Block>; PERCENTILES.len()] {
    let mut blocks = [const { Vec::new() }; _];
    for histogram in histograms {
        blocks.iter_mut().zip(bounds).for_each(|(blocks, bound)| blocks.push(block(&histogram, bound)));
    }
    blocks
}

fn phase_row(sides: &[Side<'_>; 2], phase: Phase) -> Option<PhaseRow> {
    let [a, b] = sides;
    let sums = [a, b].map(|side| side.merged(phase));
    let counts = [sums[0].count(), sums[1].count()];
    if counts.contains(&0) {
        return None;
    }
    let nanos = [0, 1].map(|side| PERCENTILES.map(|p| nanos_at(&sums[side], p)));
    // Between both percentiles: the one side has more above it, the other less.
    let bounds = std::array::from_fn(|place| (nanos[0][place] as f64 * nanos[1][place] as f64).sqrt() as u64);
    let shares = [a.shares(phase, &sums[0], bounds), b.shares(phase, &sums[1], bounds)];
    let chance = std::array::from_fn(|place| {
        if counts.iter().any(|count| *count as f64 * (1.0 - PERCENTILES[place]) < FEWEST_BEYOND) {
            return None;
        }
        let (first, second) = (shares[0][place]?, shares[1][place]?);
        Some(if nanos[0][place] == nanos[1][place] { 1.0 } else { chance(&first, &second) })
    });
    let stage = a.stages.first().map(|stage| stage.name.clone()).unwrap_or_default();
    Some(PhaseRow { stage, phase, counts, nanos, chance, judgement: Judgement::TooFew })
}

/// Percentiles of which something can be told.
fn told(row: &PhaseRow) -> usize {
    row.chance.iter().flatten().count()
}

/// Two percentiles at least must agree. Then a row without a difference is called one no more often than the bar says: of
/// three percentiles at two thirds of it each, two are wrong at once at most as often.
fn phase_judgement(row: &PhaseRow, bars: Bars, effect: f64) -> Judgement {
    if told(row) < 2 {
        return Judgement::TooFew;
    }
    let at = |bar: f64| {
        let (mut slower, mut faster) = (0, 0);
        for (place, found) in row.chance.iter().enumerate() {
            let [a, b] = [row.nanos[0][place], row.nanos[1][place]];
            let counts = found.is_some_and(|found| found < bar * 2.0 / 3.0)
                && a.abs_diff(b) >= RESOLUTION
                && row.change(place).is_some_and(|change| change.abs() >= effect);
            slower += u32::from(counts && b > a);
            faster += u32::from(counts && b < a);
        }
        match (slower, faster) {
            (2.., 0) => Judgement::Worse,
            (0, 2..) => Judgement::Better,
            _ => Judgement::Same,
        }
    };
    told_or_too_few(at(bars.among_all), at(bars.alone))
}

/// What only a row by itself would tell is neither told nor called the same.
fn told_or_too_few(among_all: Judgement, alone: Judgement) -> Judgement {
    if among_all == Judgement::Same && alone != Judgement::Same { Judgement::TooFew } else { among_all }
}

fn failure_row(sides: &[Side<'_>; 2]) -> Option<FailureRow> {
    let [a, b] = sides;
    let runs = [a, b].map(|side| {
        let outcome = |stage: &&StageRecord| {
            let totals = &stage.totals;
            let bad = totals.failed.total() + totals.dropped;
            (totals.succeeded + bad, bad)
        };
        side.stages.iter().map(outcome).collect::<Vec<_>>()
    });
    let sum = |of: fn(&(u64, u64)) -> u64| [0, 1].map(|side| runs[side].iter().map(of).sum::<u64>());
    let (counts, failed) = (sum(|run| run.0), sum(|run| run.1));
    if counts.contains(&0) {
        return None;
    }
    let share = |side: usize| {
        let Side { repeats, outcomes, .. } = &sides[side];
        if *repeats {
            let block = |(count, bad): &(u64, u64)| Block { count: *count as f64, above: *bad as f64 };
            return Proportion::of_runs(&runs[side].iter().map(block).collect::<Vec<_>>());
        }
        (outcomes.len() >= FEWEST_BLOCKS).then(|| Proportion::of(outcomes))?
    };
    let chance = share(0).zip(share(1)).map(|(a, b)| if failed == [0, 0] { 1.0 } else { chance(&a, &b) });
    let stage = a.stages.first().map(|stage| stage.name.clone()).unwrap_or_default();
    Some(FailureRow { stage, failed, counts, chance, judgement: Judgement::TooFew })
}

fn failure_judgement(row: &FailureRow, bars: Bars, effect: f64) -> Judgement {
    let Some(found) = row.chance else { return Judgement::TooFew };
    let [a, b] = row.shares();
    let at = |bar: f64| {
        if found >= bar || (b - a).abs() < SHARE.max(a * effect) {
            Judgement::Same
        } else if b > a {
            Judgement::Worse
        } else {
            Judgement::Better
        }
    };
    told_or_too_few(at(bars.among_all), at(bars.alone))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_only_a_row_by_itself_would_tell_is_neither_told_nor_called_the_same() {
        let judged = |chance: f64| {
            let row = PhaseRow {
                stage: "storm".to_owned(),
                phase: Phase::Register,
                counts: [9_000; 2],
                nanos: [[1_000_000, 2_000_000, 3_000_000], [126_000_000; 3]],
                chance: [Some(chance); 3],
                judgement: Judgement::TooFew,
            };
            phase_judgement(&row, Bars { among_all: 0.000_3, alone: 0.01 }, 0.05)
        };
        let failures = |chance: f64| {
            let stage = "storm".to_owned();
            let row = FailureRow {
                stage,
                failed: [0, 90],
                counts: [900; 2],
                chance: Some(chance),
                judgement: Judgement::TooFew,
            };
            failure_judgement(&row, Bars { among_all: 0.000_3, alone: 0.01 }, 0.05)
        };
        for (chance, expected) in
            [(0.000_1, Judgement::Worse), (0.001, Judgement::TooFew), (0.02, Judgement::Same), (1.0, Judgement::Same)]
        {
            assert_eq!(judged(chance), expected, "{chance}");
            assert_eq!(failures(chance), expected, "{chance}");
        }
    }
}
