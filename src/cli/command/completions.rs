//! `fleetstorm completions`: what a shell offers after Tab, from the definition of the command line.

use clap::CommandFactory as _;
use clap_complete::Shell;

use crate::cli::args::Cli;
use crate::cli::{CommandError, Exit, Terminal};

/// Arguments of `fleetstorm completions`.
#[derive(Debug, Clone, Copy, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct CompletionsArgs {
    /// Shell that the script is for
    #[arg(value_enum)]
    pub shell: Shell,
}

const EXAMPLES: &str = "\
Examples:
  fleetstorm completions bash > ~/.local/share/bash-completion/completions/fleetstorm
  fleetstorm completions zsh > ~/.zfunc/_fleetstorm
      with `fpath+=~/.zfunc` before `compinit` in ~/.zshrc
  fleetstorm completions fish > ~/.config/fish/completions/fleetstorm.fish
  source <(fleetstorm completions bash)
      for this shell only";

/// Runs the command.
///
/// # Errors
/// stdout cannot be written.
pub fn run(args: CompletionsArgs, terminal: &Terminal) -> Result<Exit, CommandError> {
    let CompletionsArgs { shell } = args;
    terminal.print(&script(shell))?;
    Ok(Exit::Done)
}

fn script(shell: Shell) -> String {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "fleetstorm", &mut script);
    String::from_utf8_lossy(&script).into_owned()
}

#[cfg(test)]
mod tests {
    use clap::ValueEnum as _;

    use super::*;

    #[test]
    fn every_shell_is_offered_every_command_and_flag() {
        for shell in Shell::value_variants() {
            let script = script(*shell);
            for command in Cli::command().get_subcommands() {
                assert!(script.contains(command.get_name()), "{shell}: {}", command.get_name());
            }
            assert!(script.contains("confirm-id-scope"), "{shell}");
        }
    }
}
