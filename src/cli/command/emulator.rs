//! `fleetstorm emulator`.

use crate::cli::{CommandError, Exit, Terminal};

/// Arguments of `fleetstorm emulator`.
#[derive(Debug, clap::Args)]
pub struct EmulatorArgs {}

/// Runs the command.
pub fn run(_args: EmulatorArgs, _terminal: &Terminal) -> Result<Exit, CommandError> {
    todo!()
}
