//! Two sides of one or several runs each, phase by phase: what differs, and whether chance alone may have made it.

mod comparable;
mod document;
mod phases;
mod statistics;
mod table;
#[cfg(test)]
mod tests;
mod words;

use crate::domain::Phase;
use crate::domain::{Known, Quantity};
use crate::measure::RunRecord;

pub use comparable::{Mergeable, NotComparable, NotMergeable};
pub use document::ComparisonJson;
pub use table::table;
pub(in crate::report) use words::{Headline, change, tally};

/// When a difference counts.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct DifferenceLimits {
    /// Smallest relative difference that matters, as a share of one.
    pub effect: f64,
    /// Probability with which nothing is called a difference when there is none, over all rows together.
    pub confidence: f64,
}

/// With fewer runs on a side there are so few degrees of freedom that little is beyond chance.
const FEW_RUNS: usize = 5;

/// What is told of a difference.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Judgement {
    /// The second side is slower, or fails more.
    Worse,
    /// The second side is faster, or fails less.
    Better,
    /// Nothing that chance could not have made, or too small to matter.
    Same,
    /// Too few values, intervals or runs to tell. Also where chance is unlikely to have made it, but not unlikely enough among
    /// so many rows: more runs would tell.
    TooFew,
}

/// The percentiles that are compared.
pub const PERCENTILES: [f64; 3] = [0.5, 0.9, 0.99];

/// One phase of one stage; times of the successes.
#[derive(Debug, Clone, PartialEq)]
pub struct PhaseRow {
    /// Name of the stage.
    pub stage: String,
    /// The phase.
    pub phase: Phase,
    /// Values of either side.
    pub counts: [u64; 2],
    /// Nanoseconds at [`PERCENTILES`] of either side.
    pub nanos: [[u64; 3]; 2],
    /// How probable a difference like this is by chance, by percentile; absent where there is too little to tell.
    pub chance: [Option<f64>; 3],
    /// The verdict on all percentiles together.
    pub judgement: Judgement,
}

impl PhaseRow {
    /// The difference at a percentile as a share of the first side.
    pub fn change(&self, percentile: usize) -> Option<f64> {
        let [a, b] = self.nanos.map(|nanos| nanos.get(percentile).copied().unwrap_or_default() as f64);
        (a > 0.0).then(|| (b - a) / a)
    }
}

/// Devices of one stage that failed or were dropped.
#[derive(Debug, Clone, PartialEq)]
pub struct FailureRow {
    /// Name of the stage.
    pub stage: String,
    /// Devices that failed or were dropped, of either side.
    pub failed: [u64; 2],
    /// Devices with an outcome, of either side.
    pub counts: [u64; 2],
    /// How probable a difference like this is by chance.
    pub chance: Option<f64>,
    /// The verdict.
    pub judgement: Judgement,
}

impl FailureRow {
    /// Shares of one of either side.
    pub fn shares(&self) -> [f64; 2] {
        [0, 1]
            .map(|side| if self.counts[side] == 0 { 0.0 } else { self.failed[side] as f64 / self.counts[side] as f64 })
    }
}

/// A threshold of both sides. It judges by itself: no verdict of the comparison comes from it.
#[derive(Debug, Clone, PartialEq)]
pub struct ThresholdRow {
    /// The threshold as written.
    pub text: String,
    /// What was observed, in the last run of either side.
    pub observed: [Option<Known<Quantity>>; 2],
    /// Runs of either side that met it.
    pub met: [u64; 2],
    /// Runs of either side.
    pub runs: [u64; 2],
}

/// What comparing found out.
#[derive(Debug, Clone, PartialEq)]
pub struct Comparison {
    /// Name of the scenario.
    pub scenario: String,
    /// Runs of either side.
    pub runs: [usize; 2],
    /// When a difference counted.
    pub limits: DifferenceLimits,
    /// Phases by stage.
    pub phases: Vec<PhaseRow>,
    /// Failures by stage.
    pub failures: Vec<FailureRow>,
    /// Thresholds that both sides have.
    pub thresholds: Vec<ThresholdRow>,
    /// What the reader must know.
    pub notes: Vec<String>,
}

impl Comparison {
    /// Whether anything got worse.
    pub fn is_regression(&self) -> bool {
        self.phases.iter().any(|row| row.judgement == Judgement::Worse)
            || self.failures.iter().any(|row| row.judgement == Judgement::Worse)
    }

    /// Whether whole runs were held against each other, instead of parts of single ones.
    pub fn between_runs(&self) -> bool {
        self.runs.iter().all(|runs| *runs >= phases::REPEATS)
    }

    /// Rows that are judged.
    pub fn rows(&self) -> usize {
        self.phases.len() + self.failures.len()
    }

    /// Rows that are judged so.
    pub fn count(&self, judgement: Judgement) -> usize {
        let phases = self.phases.iter().filter(|row| row.judgement == judgement).count();
        phases + self.failures.iter().filter(|row| row.judgement == judgement).count()
    }
}

/// Compares the runs `b` with the runs `a`. `allowed`: settings that may differ (keys, or their beginnings).
///
/// # Errors
/// They are not comparable: every reason.
pub fn compare(
    a: &[RunRecord],
    b: &[RunRecord],
    allowed: &[String],
    limits: DifferenceLimits,
) -> Result<Comparison, NotComparable> {
    let mut notes = comparable::check(a, b, allowed)?;
    let (phases, failures) = phases::judged(a, b, limits);
    if a.len().min(b.len()) < phases::REPEATS {
        notes.push(format!(
            "noise within runs is known, that between runs is not: `run --repeat {}` or more on both sides tells it",
            phases::REPEATS
        ));
    } else if a.len().min(b.len()) < FEW_RUNS {
        notes.push(format!(
            "with {} runs on a side only differences far above the noise between runs can be told: `run --repeat \
             {FEW_RUNS}` on both sides tells much smaller ones",
            a.len().min(b.len())
        ));
    }
    Ok(Comparison {
        scenario: a.first().map(|run| run.scenario.clone()).unwrap_or_default(),
        runs: [a.len(), b.len()],
        limits,
        phases,
        failures,
        thresholds: thresholds(a, b),
        notes,
    })
}

fn thresholds(a: &[RunRecord], b: &[RunRecord]) -> Vec<ThresholdRow> {
    let texts = a.iter().take(1).flat_map(|run| &run.thresholds).map(|threshold| &threshold.text);
    let row = |text: &String| {
        let of = |runs: &[RunRecord]| {
            let results: Vec<_> =
                runs.iter().flat_map(|run| &run.thresholds).filter(|threshold| threshold.text == *text).collect();
            let met = results.iter().filter(|result| result.met).count() as u64;
            results.last().map(|last| (last.observed, met, results.len() as u64))
        };
        let ((first, met, runs), (second, met_second, runs_second)) = (of(a)?, of(b)?);
        let (met, runs) = ([met, met_second], [runs, runs_second]);
        Some(ThresholdRow { text: text.clone(), observed: [first, second], met, runs })
    };
    texts.filter_map(row).collect()
}
