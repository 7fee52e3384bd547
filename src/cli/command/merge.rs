//! `fleetstorm merge`: several runs, or the shards of one, as one.

use std::path::PathBuf;

use crate::cli::command::compare::{Documents, read_runs};
use crate::cli::command::finish::finish;
use crate::cli::{CommandError, Exit, Explained, Terminal};
use crate::engine::judge_again;
use crate::measure::{MergeError, RunRecord, RunStatus, merge};
use crate::report::ResultsFolder;
use crate::report::compare::{NotMergeable, mergeable};

/// Arguments of `fleetstorm merge`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct MergeArgs {
    /// Results to add: runs, or folders of runs (as `run --repeat` writes them)
    #[arg(value_name = "DIR", required = true)]
    pub folders: Vec<PathBuf>,
    /// Folder for the sum, made if need be
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
    /// Setting that may differ, such as limits.max_in_flight, or the beginning of several
    #[arg(long, value_name = "KEY")]
    pub allow: Vec<String>,
}

const EXAMPLES: &str = "\
Examples:
  fleetstorm merge shard-1 shard-2 shard-3 --out whole
      the shards of one run (`run --shard 1/3 --seed 7`, and so on) as the run of the whole fleet that they were
  fleetstorm run scenarios/smoke.toml --repeat 5 --out runs && fleetstorm merge runs --out sum
      five runs with different seeds as one
  fleetstorm merge shard-1 shard-2 --out whole --allow limits.max_in_flight
      generators that were bounded differently

Distributions and counts are added, intervals by their time since the start of each run. Runs of different scenarios, stages, \
time scales, targets or settings are refused, with every reason, and so is whatever has the same devices twice: the same seed \
or shard again, a shard and the whole, shards of different counts that overlap. Shards that are missing are told. When all \
shards of a run are there and complete, its thresholds are judged again over the sum; else what became of those of each part \
is told. Ends with the code of the sum, as if it were one run.";

/// Runs the command.
///
/// # Errors
/// Results cannot be read, do not fit each other, or cannot be written.
pub fn run(args: MergeArgs, terminal: &Terminal) -> Result<Exit, CommandError> {
    let MergeArgs { folders, out, allow } = args;
    let mut parts = Vec::new();
    for folder in &folders {
        parts.extend(read_runs(folder)?);
    }
    // First what cannot be added at all, which no flag allows.
    let mut sum = merge(&parts).map_err(NotMerged)?;
    let notes = mergeable(&parts, &allow)?;
    sum.notes.extend(notes);
    if is_one_run(&parts, &sum) {
        let (thresholds, not_judged) = judge_again(&sum);
        sum.thresholds = thresholds;
        sum.notes.extend(not_judged);
    }
    finish(&sum.at_rest(), &ResultsFolder::open(out)?, terminal, Documents::Whole)
}

/// Whether the sum is a run of the whole fleet to its end, which had to meet the same everywhere.
fn is_one_run(parts: &[RunRecord], sum: &RunRecord) -> bool {
    let thresholds = |part: &RunRecord| -> Vec<(String, String)> {
        let of_threshold = |key: &str| key.starts_with("thresholds.") || key.starts_with("threshold.");
        let settings = part.settings.iter().filter(|setting| of_threshold(&setting.key));
        settings.map(|setting| (setting.key.clone(), setting.value.clone())).collect()
    };
    let same = parts.iter().all(|part| parts.first().is_some_and(|first| thresholds(first) == thresholds(part)));
    same && sum.status == RunStatus::Complete && sum.is_made_of_shards()
}

/// Runs that cannot be added.
#[derive(Debug, thiserror::Error, miette::Diagnostic)]
#[error("these runs cannot be merged: {0}")]
#[diagnostic(help("merge runs of one scenario with different seeds, or the shards of one run"))]
struct NotMerged(#[source] MergeError);

impl Explained for NotMerged {}

impl Explained for NotMergeable {}
