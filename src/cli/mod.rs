//! The command line: what was typed ([`args`]), what it means, one function per command, and the exit code.

pub mod args;
pub mod command;
pub mod connection;
mod error;
mod exit;
mod terminal;

pub use error::CommandError;
pub use exit::Exit;
pub use terminal::Terminal;

use clap::Parser as _;

/// Entry point of the binary: parse, dispatch, say what went wrong, exit.
pub fn main() -> std::process::ExitCode {
    let args::Cli { global, command } = match args::Cli::try_parse() {
        Ok(cli) => cli,
        Err(refused) => return args::explain(&refused).into(),
    };
    let terminal = Terminal::new(&global);
    match command::dispatch(command, &terminal) {
        Ok(exit) => exit,
        Err(error) => {
            terminal.error(&error);
            error.exit()
        }
    }
    .into()
}
