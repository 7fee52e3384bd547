//! Two sides of one or several runs each, phase by phase: what differs, and whether chance alone may have made it.

mod across;
mod comparable;
mod document;
mod judging;
mod rows;
mod side;
mod statistics;
mod table;
#[cfg(test)]
mod tests;
mod times;
mod what;
mod words;

use crate::domain::{Known, Quantity};
use crate::measure::RunRecord;

pub use across::match_stages;
use comparable::Remarks;
pub use comparable::{Mergeable, NotComparable, NotMergeable};
pub use document::ComparisonJson;
use statistics::Proportion;
pub use table::table;
pub use what::What;
pub(in crate::report) use words::{Headline, change, tally, word};

/// When a difference counts.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct DifferenceLimits {
    /// Smallest relative difference that matters, as a share of one.
    pub effect: f64,
    /// Probability with which nothing is called a difference when there is none, over all rows together.
    pub confidence: f64,
}

/// From so many runs on either side, each counts as one block.
const REPEATS: usize = 3;
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
    /// A large difference, but from so few runs that it is not known whether two of the same would not differ as much.
    Undecided {
        /// Whether the second side would be slower, or fail more.
        worse: bool,
        /// How many runs of either side tell it, at least.
        runs: usize,
    },
}

/// The percentiles that are compared.
pub const PERCENTILES: [f64; 3] = [0.5, 0.9, 0.99];

/// One thing that is compared of one stage.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// Name of the stage, on the first side.
    pub stage: String,
    /// What it is.
    pub what: What,
    /// Of how many, on either side.
    pub counts: [u64; 2],
    /// Of times, one entry for each of [`PERCENTILES`]; one of everything else.
    pub values: Vec<Values>,
    /// The verdict on all values together.
    pub judgement: Judgement,
}

/// Values that are held against each other.
#[derive(Debug, Clone, PartialEq)]
pub struct Values {
    /// Of either side, in the unit of [`What`].
    pub sides: [Known<f64>; 2],
    /// How probable a difference like this is by chance; absent where there is too little to tell.
    pub chance: Option<f64>,
    /// What is known of both within runs.
    within: Option<[Proportion; 2]>,
}

impl Values {
    /// The difference as a share of the first side; `None` where either is not known, or there is nothing to relate it to.
    pub fn change(&self) -> Option<f64> {
        let [Known::Is(a), Known::Is(b)] = self.sides else { return None };
        (a > 0.0).then(|| (b - a) / a)
    }
}

impl Row {
    /// Whether chance is known of enough values.
    fn is_told(&self) -> bool {
        let told = self.values.iter().filter(|values| values.chance.is_some()).count();
        told >= if self.what.phase().is_some() { 2 } else { 1 }
    }

    /// Whether there is nothing on either side.
    pub fn is_nothing(&self) -> bool {
        self.values.iter().all(|values| values.sides == [Known::Is(0.0); 2])
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
    /// What was compared, by stage: first its times.
    pub rows: Vec<Row>,
    /// Thresholds that both sides have.
    pub thresholds: Vec<ThresholdRow>,
    /// What stands before every conclusion: that it may be one about machines.
    pub warnings: Vec<String>,
    /// What the reader must know.
    pub notes: Vec<String>,
}

impl Comparison {
    /// Whether anything got worse.
    pub fn is_regression(&self) -> bool {
        self.count(Judgement::Worse) > 0
    }

    /// Whether it is not known if anything got worse.
    pub fn is_undecided(&self) -> bool {
        matches!(Headline::of(self), Headline::Undecided | Headline::TooFew)
    }

    /// Whether whole runs were held against each other, instead of parts of single ones.
    pub fn between_runs(&self) -> bool {
        self.runs.iter().all(|runs| *runs >= REPEATS)
    }

    /// Rows that are judged so.
    pub fn count(&self, judgement: Judgement) -> usize {
        self.rows.iter().filter(|row| row.judgement == judgement).count()
    }

    /// Rows whose differences are large, but not decided.
    pub fn undecided(&self) -> usize {
        self.rows.iter().filter(|row| matches!(row.judgement, Judgement::Undecided { .. })).count()
    }

    /// Runs of either side that decide them, at least. 0: there are none.
    pub fn runs_to_tell(&self) -> usize {
        let runs = |row: &Row| if let Judgement::Undecided { runs, .. } = row.judgement { runs } else { 0 };
        self.rows.iter().map(runs).max().unwrap_or_default()
    }

    /// Rows stage by stage, in order.
    pub fn by_stage(&self) -> impl Iterator<Item = &[Row]> {
        self.rows.chunk_by(|a, b| a.stage == b.stage)
    }
}

/// What may differ between two sides.
#[derive(Debug, Clone, Copy, Default)]
pub struct MayDiffer<'a> {
    /// Settings: keys, or their beginnings.
    pub settings: &'a [String],
    /// Scenario and settings, on purpose: that is what is compared. The stages are matched before ([`match_stages`]).
    pub scenario: bool,
}

/// Compares the runs `b` with the runs `a`.
///
/// # Errors
/// They are not comparable: every reason.
pub fn compare(
    a: &[RunRecord],
    b: &[RunRecord],
    allowed: MayDiffer<'_>,
    limits: DifferenceLimits,
) -> Result<Comparison, NotComparable> {
    let Remarks { warnings, mut notes } = comparable::check(a, b, allowed)?;
    let rows = rows::judged(a, b, limits);
    if a.len().min(b.len()) < REPEATS {
        notes.push(format!(
            "noise within runs is known, that between runs is not: `run --repeat {}` or more on both sides tells it",
            REPEATS
        ));
    } else if a.len().min(b.len()) < FEW_RUNS {
        notes.push(format!(
            "with {} runs on a side only differences far above the noise between runs can be told: `run --repeat \
             {FEW_RUNS}` on both sides tells much smaller ones",
            a.len().min(b.len())
        ));
    }
    let mut scenarios: Vec<&str> = [a, b].iter().filter_map(|runs| Some(runs.first()?.scenario.as_str())).collect();
    scenarios.dedup();
    Ok(Comparison {
        scenario: scenarios.join(" against "),
        runs: [a.len(), b.len()],
        limits,
        rows,
        thresholds: thresholds(a, b),
        warnings,
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
