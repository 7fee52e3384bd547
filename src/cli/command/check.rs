//! `fleetstorm check`: every problem of every file.

use std::path::PathBuf;

use serde::Serialize;

use crate::cli::{CommandError, Exit, Terminal};
use crate::emulator;
use crate::scenario::Scenario;
use crate::settings::Problem;

/// Arguments of `fleetstorm check`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct CheckArgs {
    /// Scenario files (TOML)
    #[arg(required = true)]
    pub scenarios: Vec<PathBuf>,
}

const EXAMPLES: &str = "\
Examples:
  fleetstorm check scenarios/*.toml
      every mistake of every file at once, with its line and what would be valid
  fleetstorm check my.toml --json | jq '.[].problems[]'
      for editors and CI

Ends with code 3 when a file has a problem.";

/// What was found in one file, for `--json`.
#[derive(Serialize)]
struct Checked {
    file: String,
    valid: bool,
    problems: Vec<Found>,
}

#[derive(Serialize)]
struct Found {
    message: String,
    remedy: Option<String>,
    line: Option<usize>,
    column: Option<usize>,
}

/// Runs the command.
///
/// # Errors
/// stdout cannot be written. Invalid files are not an error of the command: they give [`Exit::ScenarioInvalid`].
pub fn run(args: CheckArgs, terminal: &Terminal) -> Result<Exit, CommandError> {
    let CheckArgs { scenarios } = args;
    let mut checked = Vec::new();
    for file in &scenarios {
        let found = match Scenario::load(file, &[], emulator::read_within) {
            Ok(_) => Vec::new(),
            Err(problems) => {
                if !terminal.json {
                    terminal.diagnostic(&problems);
                }
                problems.iter().map(Found::of).collect()
            }
        };
        checked.push(Checked { file: file.display().to_string(), valid: found.is_empty(), problems: found });
    }
    let exit = if checked.iter().all(|file| file.valid) { Exit::Done } else { Exit::ScenarioInvalid };
    if terminal.json {
        terminal.print_json(&checked)?;
    } else {
        let mut text = String::new();
        for Checked { file, problems, .. } in &checked {
            text.push_str(&match problems.len() {
                0 => format!("{file}: valid\n"),
                1 => format!("{file}: 1 problem\n"),
                count => format!("{file}: {count} problems\n"),
            });
        }
        terminal.print(&text)?;
    }
    Ok(exit)
}

impl Found {
    fn of(problem: &Problem) -> Self {
        let (line, column) = problem.location().map(|(_, line, column)| (line, column)).unzip();
        Self { message: problem.message().to_owned(), remedy: problem.remedy().map(str::to_owned), line, column }
    }
}
