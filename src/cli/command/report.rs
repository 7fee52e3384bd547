//! `fleetstorm report`: every format once more, from the stored record.

use std::path::PathBuf;

use crate::cli::command::compare::Documents;
use crate::cli::command::finish::{finish, finish_unwritten};
use crate::cli::{CommandError, Exit, Explained, Terminal};
use crate::measure::RunStatus;
use crate::report::{FolderError, ReadError, ResultsFolder, read};

/// Arguments of `fleetstorm report`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct ReportArgs {
    /// Folder with the results of a run
    #[arg(value_name = "DIR")]
    pub folder: PathBuf,
}

const EXAMPLES: &str = "\
Examples:
  fleetstorm report results/20250301T093000Z-provisioning-storm
      writes summary, tables and logs anew, prints the summary and ends with the code of the run
  fleetstorm report results/20250301T093000Z-provisioning-storm --json --quiet
      the content of run.json on stdout

A run that was killed leaves what it had measured up to a second before: its report is marked as partial. Ends with the code \
of the run, so with 130 then.";

/// Runs the command.
///
/// # Errors
/// The folder holds no results that can be read. What was measured is printed even where nothing can be written.
pub fn run(args: ReportArgs, terminal: &Terminal) -> Result<Exit, CommandError> {
    let ReportArgs { folder } = args;
    let record = read(&folder)?;
    let ending = match ResultsFolder::existing(folder) {
        Ok(folder) => finish(&record, &folder, terminal, Documents::Whole),
        // What it came to is not known yet: it was not killed.
        Err(why @ FolderError::InUse { .. }) if record.status == RunStatus::Lost => return Err(why.into()),
        Err(why) => finish_unwritten(&record, why, terminal, Documents::Whole),
    };
    Ok(ending.exit())
}

impl Explained for ReadError {}
