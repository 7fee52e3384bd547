//! `fleetstorm check`.

use crate::cli::{CommandError, Exit, Terminal};

/// Arguments of `fleetstorm check`.
#[derive(Debug, clap::Args)]
pub struct CheckArgs {}

/// Runs the command.
pub fn run(_args: CheckArgs, _terminal: &Terminal) -> Result<Exit, CommandError> {
    todo!()
}
