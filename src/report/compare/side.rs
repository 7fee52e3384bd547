use std::time::Duration;

use crate::domain::Phase;
use crate::measure::{CompactHistogram, Histogram, Interval, RunRecord, StageRecord};
use crate::report::compare::statistics::{Block, Proportion};
use crate::report::compare::times::{Times, beyond};
use crate::report::compare::{PERCENTILES, REPEATS, What};

/// So many blocks of intervals are needed on either side of single runs, and so many are made at most of a run.
const FEWEST_BLOCKS: usize = 8;
const MOST_BLOCKS: usize = 16;

/// One stage of all runs of one side.
pub(super) struct Side<'a> {
    pub(super) stages: Vec<&'a StageRecord>,
    /// Whether every run counts as a block. Otherwise parts of runs do.
    repeats: bool,
    /// `total` of those who came to an end, in blocks of intervals that follow each other.
    ended: Vec<Ended>,
    /// Shares of `total` above its own percentiles: of the devices that succeeded, and of all who began.
    like: [[Option<Proportion>; PERCENTILES.len()]; 2],
}

/// Devices that started, and came to an end in some intervals.
struct Ended {
    through: CompactHistogram,
    failed: u64,
}

impl Ended {
    /// `all`: those who failed, who never get through, too.
    fn beyond(&self, bound: Duration, all: bool) -> Block {
        let failed = if all { self.failed as f64 } else { 0.0 };
        beyond(&self.through.decode(), bound).plus(Block { count: failed, above: failed })
    }
}

/// How far a share is to be trusted.
#[derive(Debug, Clone, Copy)]
pub(super) struct Trust {
    /// By blocks; `None` where there are too few, or none are known.
    pub(super) of_blocks: Option<Proportion>,
    /// By all that is known within runs: at least as if values had nothing to do with each other.
    pub(super) within: Proportion,
}

impl<'a> Side<'a> {
    pub(super) fn new(runs: &'a [RunRecord], index: usize, repeats: bool) -> Self {
        let stages: Vec<_> = runs.iter().filter_map(|run| run.stages.get(index)).collect();
        let mut side = Self { stages, repeats, ended: Vec::new(), like: [[None; _]; 2] };
        if repeats {
            return side;
        }
        let came_to_an_end = |interval: &Interval| {
            let counts = &interval.counts;
            counts.succeeded + counts.failed.total() + counts.dropped > 0
        };
        side.ended = side.parts(came_to_an_end, |part| {
            let mut through = Histogram::new();
            part.iter().for_each(|interval| through.merge(&interval.total.decode()));
            let failed = part.iter().map(|interval| interval.counts.failed.total()).sum();
            Ended { through: CompactHistogram::new(&through), failed }
        });
        let mut succeeded = Histogram::new();
        side.stages
            .iter()
            .filter_map(|stage| stage.phases.succeeded(Phase::Total))
            .for_each(|times| succeeded.merge(&times));
        let of_attempts = Some(Times::OfAttempts(succeeded)).filter(|times| times.count() > 0);
        side.like = [(of_attempts, false), (Times::of(&side.stages, Phase::Total), true)].map(|(total, all)| {
            PERCENTILES.map(|percentile| {
                let nanos = total.as_ref()?.at(percentile).exact()?;
                Proportion::of(&side.totals(Duration::from_nanos(nanos as u64), all))
            })
        });
        side
    }

    /// Intervals of each run in which something happened, in parts that follow each other.
    fn parts<T>(&self, busy: impl Fn(&Interval) -> bool, of: impl Fn(&[&Interval]) -> T) -> Vec<T> {
        let mut parts = Vec::new();
        for stage in &self.stages {
            let busy: Vec<&Interval> = stage.intervals.iter().filter(|interval| busy(interval)).collect();
            parts.extend(busy.chunks(busy.len().div_ceil(MOST_BLOCKS).max(1)).map(&of));
        }
        parts
    }

    /// `total` in blocks of intervals.
    fn totals(&self, bound: Duration, all: bool) -> Vec<Block> {
        self.ended.iter().map(|ended| ended.beyond(bound, all)).collect()
    }

    /// The shares of a phase above bounds, one for each percentile; `sum` is all of the phase.
    pub(super) fn times(&self, phase: Phase, sum: &Times, bounds: [Duration; PERCENTILES.len()]) -> [Trust; 3] {
        let mut of_runs = [const { Vec::new() }; PERCENTILES.len()];
        if self.repeats {
            // One run after the other, as histograms are large.
            for times in self.stages.iter().filter_map(|stage| Times::of(&[stage], phase)) {
                of_runs.iter_mut().zip(bounds).for_each(|(blocks, bound)| blocks.push(times.beyond(bound)));
            }
        }
        std::array::from_fn(|place| {
            let all = sum.beyond(bounds[place]);
            let of_blocks = if self.repeats {
                (of_runs[place].len() >= REPEATS).then(|| Proportion::of_runs(&of_runs[place])).flatten()
            } else if self.ended.len() < FEWEST_BLOCKS {
                None
            } else if phase == Phase::Total {
                Proportion::of(&self.totals(bounds[place], true))
            } else {
                // Only `total` is known by interval: other phases are as uncertain as it is at the same percentile.
                self.like[usize::from(phase.is_of_device())][place].and_then(|like| Proportion::like(all, like))
            };
            Trust::new(of_blocks, all)
        })
    }

    /// What is bad among so many, of all runs together.
    pub(super) fn sum(&self, what: What) -> Block {
        self.stages.iter().map(|stage| what.in_stage(stage)).fold(Block::NONE, Block::plus)
    }

    /// The share of that.
    pub(super) fn measure(&self, what: What, sum: Block) -> Trust {
        if self.repeats {
            let runs: Vec<Block> = self.stages.iter().map(|stage| what.in_stage(stage)).collect();
            return Trust::new(Proportion::of_runs(&runs), sum);
        }
        let tally = |interval: &Interval| what.in_counts(&interval.counts).unwrap_or(Block::NONE);
        let blocks = self.parts(
            |interval| tally(interval).happened(),
            |part| part.iter().map(|interval| tally(interval)).fold(Block::NONE, Block::plus),
        );
        let of_blocks = (blocks.len() >= FEWEST_BLOCKS).then(|| Proportion::of(&blocks)).flatten();
        Trust::new(of_blocks.and_then(|blocks| Proportion::like(sum, blocks)), sum)
    }
}

impl Trust {
    fn new(of_blocks: Option<Proportion>, all: Block) -> Self {
        Self { of_blocks, within: of_blocks.unwrap_or_else(|| Proportion::independent(all)) }
    }
}
