//! `fleetstorm man`: manual pages, from the definition of the command line.

mod after_help;

use std::io;
use std::path::{Path, PathBuf};

use clap::{Command, CommandFactory as _};
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
    let mut command = Cli::command().disable_help_subcommand(true);
    command.build();
    page_of(&command)
}

/// That of fleetstorm itself and one per command.
fn write(dir: &Path) -> Result<(), ManError> {
    std::fs::create_dir_all(dir).map_err(|source| ManError { dir: dir.to_owned(), source })?;
    let mut command = Cli::command().disable_help_subcommand(true);
    command.build();
    write_with_all_below(&command, dir)
}

fn write_with_all_below(command: &Command, dir: &Path) -> Result<(), ManError> {
    for below in command.get_subcommands() {
        write_with_all_below(below, dir)?;
    }
    let name = command.get_display_name().unwrap_or_else(|| command.get_name());
    std::fs::write(dir.join(format!("{name}.1")), page_of(command))
        .map_err(|source| ManError { dir: dir.to_owned(), source })
}

/// That of a command.
fn page_of(command: &Command) -> String {
    let version = command.get_version().unwrap_or_default();
    let man = Man::new(command.clone()).source(format!("fleetstorm {version}")).manual("fleetstorm");
    let mut page = Vec::new();
    // Writing into memory does not fail.
    let _ = man.render_title(&mut page);
    // Lines are neither stretched nor are words broken, as what stands there is often to be copied.
    page.extend_from_slice(b".ad l\n.nh\n");
    let _ = man.render_name_section(&mut page);
    let _ = man.render_synopsis_section(&mut page);
    let _ = man.render_description_section(&mut page);
    let _ = man.render_options_section(&mut page);
    if command.has_subcommands() {
        let _ = man.render_subcommands_section(&mut page);
    }
    let help = command.get_after_long_help().or_else(|| command.get_after_help());
    if let Some(help) = help {
        page.extend_from_slice(after_help::sections(&help.to_string()).as_bytes());
    }
    let page = String::from_utf8_lossy(&page);
    // Space at the end of a line is nothing that anybody asked for.
    page.lines().map(|line| format!("{}\n", line.trim_end())).collect()
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
        assert!(
            run.contains("confirm\\-id\\-scope") && run.contains("\n.SH \"EXAMPLES\"\n.TP\n\\fBfleetstorm run "),
            "{run}"
        );
        assert!(run.contains(&format!("\"fleetstorm {}\" fleetstorm\n", env!("CARGO_PKG_VERSION"))), "{run}");
        let page = page();
        assert!(
            page.contains("fleetstorm\\-run(1)") && page.contains("\n.SH \"EXIT STATUS\"\n.TP\n\\fB0\\fR\n"),
            "{page}"
        );
    }

    #[test]
    fn a_folder_that_cannot_be_made_is_named() {
        let error = write(Path::new("/dev/null/man1")).expect_err("no folder");
        assert!(error.to_string().starts_with("cannot write manual pages to /dev/null/man1: "), "{error}");
    }
}
