//! `fleetstorm pki`.

use crate::cli::{CommandError, Exit, Terminal};

/// Arguments of `fleetstorm pki`.
#[derive(Debug, clap::Args)]
pub struct PkiArgs {}

/// Runs the command.
pub fn run(_args: PkiArgs, _terminal: &Terminal) -> Result<Exit, CommandError> {
    todo!()
}
