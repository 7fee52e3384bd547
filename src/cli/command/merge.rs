//! `fleetstorm merge`: several runs as one.

use std::path::PathBuf;

use crate::cli::command::compare::read_runs;
use crate::cli::command::finish::finish;
use crate::cli::{CommandError, Exit, Explained, Terminal};
use crate::measure::{MergeError, merge};
use crate::report::ResultsFolder;

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
}

const EXAMPLES: &str = "\
Examples:
  fleetstorm merge one two three --out sum
      distributions and counts are added, intervals by their time since the start
  fleetstorm run scenarios/smoke.toml --repeat 5 --out runs && fleetstorm merge runs --out sum
      five runs as one

Runs of different scenarios, targets, stages or time scales are refused, and so are runs with the same seed: they have the \
same devices. Ends with the code of the sum, as if it were one run.";

/// Runs the command.
///
/// # Errors
/// Results cannot be read, do not fit each other, or cannot be written.
pub fn run(args: MergeArgs, terminal: &Terminal) -> Result<Exit, CommandError> {
    let MergeArgs { folders, out } = args;
    let mut parts = Vec::new();
    for folder in &folders {
        parts.extend(read_runs(folder)?);
    }
    let sum = merge(&parts).map_err(NotMerged)?;
    finish(&sum.at_rest(), &ResultsFolder::open(out)?, terminal)
}

/// Runs that cannot be added.
#[derive(Debug, thiserror::Error, miette::Diagnostic)]
#[error("these runs cannot be merged: {0}")]
#[diagnostic(help("merge runs of one scenario with different seeds"))]
struct NotMerged(#[source] MergeError);

impl Explained for NotMerged {}
