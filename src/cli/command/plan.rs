//! `fleetstorm plan`.

use crate::cli::{CommandError, Exit, Terminal};

/// Arguments of `fleetstorm plan`.
#[derive(Debug, clap::Args)]
pub struct PlanArgs {}

/// Runs the command.
pub fn run(_args: PlanArgs, _terminal: &Terminal) -> Result<Exit, CommandError> {
    todo!()
}
