//! `fleetstorm merge`: several runs, or the shards of one, as one.

use std::path::PathBuf;

use crate::cli::command::compare::{Documents, runs_in};
use crate::cli::command::finish::finish;
use crate::cli::{CommandError, Exit, Explained, Terminal};
use crate::engine::judge_again;
use crate::measure::{MergeError, Merging, RunStatus};
use crate::report::compare::{Mergeable, NotMergeable};
use crate::report::{ResultsFolder, read};

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
    let mut parts = folders.iter().map(|folder| runs_in(folder)).collect::<Result<Vec<_>, _>>()?.into_iter().flatten();
    let Some(first) = parts.next() else { return Err(NotMerged(MergeError::Nothing).into()) };
    let first = read(&first)?;
    let mut mergeable = Mergeable::new(&first, allow);
    let mut merging = Merging::new(first).map_err(NotMerged)?;
    // There may be thousands: no more than one is in memory beside the sum.
    for part in parts {
        let part = read(&part)?;
        mergeable.add(&part);
        merging.add(&part).map_err(NotMerged)?;
    }
    // First what cannot be added at all, which no flag allows.
    let mut sum = merging.finish().map_err(NotMerged)?;
    sum.notes.extend(mergeable.finish()?);
    // A run of the whole fleet to its end.
    if sum.status == RunStatus::Complete && sum.is_made_of_shards() {
        let (thresholds, not_judged) = judge_again(&sum);
        sum.thresholds = thresholds;
        sum.notes.extend(not_judged);
    }
    Ok(finish(&sum.at_rest(), &ResultsFolder::open(out)?, terminal, Documents::Whole).exit())
}

/// Runs that cannot be added.
#[derive(Debug, thiserror::Error, miette::Diagnostic)]
#[error("these runs cannot be merged: {0}")]
#[diagnostic(help("merge runs of one scenario with different seeds, or the shards of one run"))]
struct NotMerged(#[source] MergeError);

impl Explained for NotMerged {}

impl Explained for NotMergeable {}
