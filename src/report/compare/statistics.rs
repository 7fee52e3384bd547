//! Can chance alone have made this difference? Shares of values above a bound are compared over blocks of a run, so that
//! values that depend on each other (a queue, a pause of the machine) are not counted as if they did not.

use crate::report::compare::REPEATS;

/// A part of a run: a few intervals, or one run of several.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Block {
    /// Values seen.
    pub(super) count: f64,
    /// Those above the bound.
    pub(super) above: f64,
}

impl Block {
    /// Nothing seen.
    pub(super) const NONE: Self = Self { count: 0.0, above: 0.0 };

    /// Both together.
    pub(super) fn plus(self, other: Self) -> Self {
        Self { count: self.count + other.count, above: self.above + other.above }
    }

    /// Whether anything was seen.
    pub(super) fn happened(self) -> bool {
        self.count != 0.0 || self.above != 0.0
    }
}

/// A share of values, or how many events there are for each of some, and how far it is to be trusted.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Proportion {
    share: f64,
    count: f64,
    variance: f64,
    freedom: f64,
}

impl Proportion {
    /// Of blocks that follow each other, two at least. `None` when there are no values.
    pub(super) fn of(blocks: &[Block]) -> Option<Self> {
        Self::new(blocks, true)
    }

    /// Of blocks that have nothing to do with each other, two at least. `None` when there are no values.
    pub(super) fn of_runs(blocks: &[Block]) -> Option<Self> {
        Self::new(blocks, false)
    }

    fn new(blocks: &[Block], follow: bool) -> Option<Self> {
        let count: f64 = blocks.iter().map(|block| block.count).sum();
        if count <= 0.0 || blocks.len() < 2 {
            return None;
        }
        let above: f64 = blocks.iter().map(|block| block.above).sum();
        let share = above / count;
        let off: Vec<f64> = blocks.iter().map(|block| block.above - share * block.count).collect();
        let squares: f64 = off.iter().map(|off| off * off).sum();
        // Neighbours that are off in the same direction say less than two.
        let lag: f64 = if follow { off.windows(2).map(|pair| pair[0] * pair[1]).sum() } else { 0.0 };
        let blocks = blocks.len() as f64;
        let between = blocks / (blocks - 1.0) * (squares + 2.0 * lag.max(0.0)) / (count * count);
        Some(Self { share, count, variance: between.max(independent(above, count)), freedom: blocks - 1.0 })
    }

    /// Of values of which no blocks are known: as uncertain as `like`, whose blocks are, is in proportion.
    pub(super) fn like(all: Block, like: Self) -> Option<Self> {
        let independent = Self::independent(all);
        let variance = independent.variance * like.spread();
        (all.count > 0.0).then_some(Self { variance, freedom: like.freedom, ..independent })
    }

    /// Of values that have nothing to do with each other.
    pub(super) fn independent(Block { count, above }: Block) -> Self {
        Self { share: above / count, count, variance: independent(above, count), freedom: CERTAIN }
    }

    /// How many times greater the variance is than that of independent values.
    fn spread(&self) -> f64 {
        (self.variance / independent(self.share * self.count, self.count)).max(1.0)
    }
}

/// Degrees of freedom of a variance that is not estimated.
const CERTAIN: f64 = 1_000.0;
/// More runs than that are not asked for.
const MOST_RUNS: usize = 30;

/// Variance of a share of independent values; never zero, as nobody saw all values that there could be. Of events that are more
/// than the values they are counted for: of their number.
fn independent(above: f64, count: f64) -> f64 {
    let share = ((above + 1.0) / (count + 2.0)).max(0.0);
    if share < 1.0 { share * (1.0 - share) / count } else { share / count }
}

/// How probable a difference like this is when both sides are the same (Welch's test, two-sided).
pub(super) fn chance(a: &Proportion, b: &Proportion) -> f64 {
    let variance = a.variance + b.variance;
    let freedom = variance * variance / (a.variance * a.variance / a.freedom + b.variance * b.variance / b.freedom);
    student(((a.share - b.share) / variance.sqrt()).abs(), freedom)
}

/// How probable a difference like this is when both sides are the same and values have nothing to do with each other: more
/// than that is not known of a single run.
pub(super) fn chance_of_independent(a: &Proportion, b: &Proportion) -> f64 {
    let of = |side: &Proportion| Proportion {
        variance: independent(side.share * side.count, side.count),
        freedom: CERTAIN,
        ..*side
    };
    chance(&of(a), &of(b))
}

/// How many runs of either side tell this difference at least: as many as would if runs differed by no more than the noise
/// that is known within them. `bar`: how probable it may be by chance.
pub(super) fn runs_to_tell(a: &Proportion, b: &Proportion, bar: f64) -> usize {
    let of = |side: &Proportion, runs: f64| Proportion { variance: side.variance / runs, freedom: runs - 1.0, ..*side };
    let tell = |runs: &usize| chance(&of(a, *runs as f64), &of(b, *runs as f64)) < bar;
    (REPEATS..MOST_RUNS).find(tell).unwrap_or(MOST_RUNS)
}

/// Probability that Student's t is beyond ±`t`. Degrees of freedom are rounded down, to be on the safe side.
///
/// Abramowitz and Stegun, 26.7.3 and 26.7.4.
fn student(t: f64, freedom: f64) -> f64 {
    let freedom = freedom.clamp(1.0, 1_000.0).floor();
    let angle = (t / freedom.sqrt()).atan();
    let (sine, square) = (angle.sin(), angle.cos().powi(2));
    let odd = freedom % 2.0 == 1.0;
    let terms = ((freedom - if odd { 1.0 } else { 0.0 }) / 2.0) as u32;
    let (mut sum, mut term) = (0.0, if odd { angle.cos() } else { 1.0 });
    for number in 0..terms {
        sum += term;
        let number = f64::from(number);
        let (up, down) =
            if odd { (2.0 * number + 2.0, 2.0 * number + 3.0) } else { (2.0 * number + 1.0, 2.0 * number + 2.0) };
        term *= square * up / down;
    }
    let within = if odd { (angle + sine * sum) * std::f64::consts::FRAC_2_PI } else { sine * sum };
    (1.0 - within).clamp(0.0, 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tails_are_those_of_the_tables() {
        // t, degrees of freedom, two-sided probability.
        for (t, freedom, chance) in [
            (12.706, 1.0, 0.05),
            (4.303, 2.0, 0.05),
            (3.182, 3.0, 0.05),
            (4.604, 4.0, 0.01),
            (2.228, 10.0, 0.05),
            (2.131, 15.0, 0.05),
            (2.576, 1_000.0, 0.01),
            (0.0, 7.0, 1.0),
        ] {
            assert!((student(t, freedom) - chance).abs() < 3e-4, "{t} {freedom}: {}", student(t, freedom));
        }
        assert!(student(40.0, 14.0) < 1e-12);
    }

    #[test]
    fn the_runs_that_tell_are_more_the_smaller_the_difference() {
        let of = |share: f64| Proportion::independent(Block { count: 2_000.0, above: share * 2_000.0 });
        let runs = |share| runs_to_tell(&of(0.1), &of(share), 0.000_5);
        assert_eq!([runs(0.9), runs(0.2), runs(0.105)], [3, 4, 30]);
    }

    #[test]
    fn a_few_values_prove_nothing_and_blocks_that_move_together_count_less() {
        let blocks = |shares: &[f64], count: f64| -> Proportion {
            Proportion::of(&shares.iter().map(|share| Block { count, above: share * count }).collect::<Vec<_>>())
                .unwrap()
        };
        assert!(chance(&blocks(&[0.0; 8], 1.0), &blocks(&[1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0], 1.0)) > 0.1);
        assert!(chance(&blocks(&[0.1; 8], 500.0), &blocks(&[0.3; 8], 500.0)) < 1e-6);
        let (trend, mixed) = ([0.1, 0.2, 0.3, 0.4, 0.6, 0.7, 0.8, 0.9], [0.1, 0.9, 0.2, 0.8, 0.3, 0.7, 0.4, 0.6]);
        assert!(blocks(&trend, 500.0).variance > 1.5 * blocks(&mixed, 500.0).variance);
        assert!(blocks(&trend, 500.0).spread() > 10.0);
        assert_eq!(Proportion::of(&[Block { count: 0.0, above: 0.0 }; 4]), None);
    }
}
