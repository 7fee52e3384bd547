//! `fleetstorm man`: manual pages, from the definition of the command line.

use std::io;
use std::path::{Path, PathBuf};

use clap::CommandFactory as _;
use clap_mangen::Man;

use crate::cli::args::Cli;
use crate::cli::{CommandError, Exit, Explained, Terminal};

/// Arguments of `fleetstorm man`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct ManArgs {
    /// Folder for one page per command, made if need be; without it, the page of fleetstorm itself goes to stdout
    #[arg(long, value_name = "DIR")]
    pub dir: Option<PathBuf>,
}

const EXAMPLES: &str = "\
Examples:
  fleetstorm man | man -l -
      the page of fleetstorm itself
  fleetstorm man --dir ~/.local/share/man/man1
      fleetstorm.1, fleetstorm-run.1 and so on, for `man fleetstorm-run`";

/// A page cannot be written.
#[derive(Debug, thiserror::Error, miette::Diagnostic)]
#[error("cannot write manual pages to {}: {source}", dir.display())]
#[diagnostic(help("name a folder that can be written with --dir"))]
pub struct ManError {
    dir: PathBuf,
    source: io::Error,
}

impl Explained for ManError {}

/// Runs the command.
///
/// # Errors
/// stdout or the folder cannot be written.
pub fn run(args: ManArgs, terminal: &Terminal) -> Result<Exit, CommandError> {
    let ManArgs { dir } = args;
    match dir {
        None => terminal.print(&page())?,
        Some(dir) => write(&dir)?,
    }
    Ok(Exit::Done)
}

/// That of fleetstorm itself.
fn page() -> String {
    let mut page = Vec::new();
    // Writing into memory does not fail.
    let _ = Man::new(Cli::command().disable_help_subcommand(true)).render(&mut page);
    String::from_utf8_lossy(&page).into_owned()
}

/// That of fleetstorm itself and one per command.
fn write(dir: &Path) -> Result<(), ManError> {
    let failed = |source| ManError { dir: dir.to_owned(), source };
    std::fs::create_dir_all(dir).map_err(failed)?;
    clap_mangen::generate_to(Cli::command(), dir).map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_has_a_page_with_its_examples() {
        let dir = tempfile::TempDir::new().expect("a folder");
        let dir = dir.path().join("man1");
        write(&dir).expect("pages");
        for name in ["fleetstorm", "fleetstorm-run", "fleetstorm-emulator", "fleetstorm-pki-root", "fleetstorm-man"] {
            assert!(dir.join(format!("{name}.1")).is_file(), "{name}");
        }
        let run = std::fs::read_to_string(dir.join("fleetstorm-run.1")).expect("a page");
        assert!(run.contains("confirm\\-id\\-scope") && run.contains("Examples:"), "{run}");
        assert!(page().contains("fleetstorm\\-run(1)"), "{}", page());
    }

    #[test]
    fn a_folder_that_cannot_be_made_is_named() {
        let error = write(Path::new("/dev/null/man1")).expect_err("no folder");
        assert!(error.to_string().starts_with("cannot write manual pages to /dev/null/man1: "), "{error}");
    }
}
