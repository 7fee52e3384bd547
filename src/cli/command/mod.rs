//! One module per command, each with its arguments and `run`.

pub mod check;
pub mod compare;
pub mod completions;
pub mod emulator;
mod finish;
pub mod man;
pub mod merge;
pub mod pki;
pub mod plan;
pub mod report;
pub mod run;
pub mod schema;

use std::time::SystemTime;

use crate::cli::args::Command;
use crate::cli::{CommandError, Exit, Terminal};
use crate::rig::machine::clock;

/// Runs the command that was typed.
pub fn dispatch(command: Command, terminal: &Terminal) -> Result<Exit, CommandError> {
    if matches!(command, Command::Run(_) | Command::Emulator(_) | Command::Pki(_)) {
        clock::check(SystemTime::now())?;
    }
    match command {
        Command::Run(args) => run::run(*args, terminal),
        Command::Compare(args) => compare::run(args, terminal),
        Command::Merge(args) => merge::run(args, terminal),
        Command::Report(args) => report::run(args, terminal),
        Command::Plan(args) => plan::run(args, terminal),
        Command::Check(args) => check::run(args, terminal),
        Command::Emulator(args) => emulator::run(args, terminal),
        Command::Pki(args) => pki::run(args, terminal),
        Command::Schema(args) => schema::run(args, terminal),
        Command::Completions(args) => completions::run(args, terminal),
        Command::Man(args) => man::run(args, terminal),
    }
}
