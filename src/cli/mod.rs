//! The command line: what was typed ([`args`]), what it means ([`settings`]), one function per command ([`command`]),
//! and the exit code ([`Exit`]).

pub mod args;
pub mod command;
mod error;
mod exit;
pub mod expected;
mod explained;
mod harmless;
pub mod live;
pub mod metrics;
pub mod secrets;
pub mod settings;
pub mod signals;
pub mod start_at;
mod terminal;

use crate::rig::defect::caught;

pub use error::{CommandError, Explained};
pub use exit::Exit;
pub use terminal::Terminal;

/// Entry point of the binary: parse, dispatch, say what went wrong, exit.
pub fn main() -> std::process::ExitCode {
    secrets::leave_no_dump();
    signals::outlive_file_size_limit();
    let args::Cli { global, command } = match args::Cli::of_process() {
        Ok(cli) => cli,
        Err(refused) => return args::explain(&refused).into(),
    };
    let terminal = Terminal::new(&global);
    let done = caught("the command", || command::dispatch(command, &terminal));
    match done.map_err(CommandError::from).flatten() {
        Ok(exit) => exit,
        Err(error) => {
            terminal.error(&error);
            error.exit()
        }
    }
    .into()
}
