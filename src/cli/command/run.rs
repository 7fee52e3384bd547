//! `fleetstorm run`.

use crate::cli::{CommandError, Exit, Terminal};

/// Arguments of `fleetstorm run`.
#[derive(Debug, clap::Args)]
pub struct RunArgs {}

/// Runs the command.
pub fn run(_args: RunArgs, _terminal: &Terminal) -> Result<Exit, CommandError> {
    todo!()
}
