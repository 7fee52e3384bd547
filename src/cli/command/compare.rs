//! `fleetstorm compare`: what differs between two sides, and whether chance alone may have made it.

use std::fs;
use std::path::{Path, PathBuf};

use crate::cli::{CommandError, Exit, Explained, Terminal};
use crate::measure::RunRecord;
use crate::report::compare::{ComparisonJson, Limits, NotComparable, compare, table};
use crate::report::console::Look;
use crate::report::{ReadError, holds_results, read};

/// Arguments of `fleetstorm compare`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct CompareArgs {
    /// Results of the baseline: a run, or a folder of runs (as `run --repeat` writes it)
    #[arg(value_name = "A")]
    pub baseline: PathBuf,
    /// Results to hold against it
    #[arg(value_name = "B")]
    pub candidate: PathBuf,
    /// When a difference counts.
    #[command(flatten)]
    pub judging: JudgingArgs,
}

/// When a difference counts.
#[derive(Debug, Clone, clap::Args)]
pub struct JudgingArgs {
    /// Smallest difference that matters, in percent
    #[arg(long, value_name = "PERCENT", default_value_t = 5.0, value_parser = percent, help_heading = "Comparison")]
    pub min_effect: f64,
    /// Confidence over all rows together, in percent
    #[arg(long, value_name = "PERCENT", default_value_t = 99.0, value_parser = percent, help_heading = "Comparison")]
    pub confidence: f64,
    /// Setting that may differ, such as fleet.key_algorithm, or the beginning of several
    #[arg(long, value_name = "KEY", help_heading = "Comparison")]
    pub allow: Vec<String>,
}

const EXAMPLES: &str = "\
Examples:
  fleetstorm compare results/20250301T093000Z-smoke results/20250308T093000Z-smoke
      phase by phase: p50, p90 and p99 of both, and whether the difference is more than noise
  fleetstorm run scenarios/smoke.toml --repeat 5 --out before
  fleetstorm run scenarios/smoke.toml --repeat 5 --out after --baseline before
      five runs on either side tell how much runs of the same thing differ, too
  fleetstorm compare before after --allow fleet.key_algorithm --json
      a setting that was changed on purpose; for machines

Ends with code 6 when a phase got slower or more devices fail. Two percentiles of a phase at least must agree, and chance \
alone must not explain it: blocks of intervals, or whole runs from three on either side, are held against each other.";

fn percent(text: &str) -> Result<f64, String> {
    match text.trim_end_matches('%').trim().parse::<f64>() {
        Ok(percent) if (0.0..100.0).contains(&percent) => Ok(percent),
        _ => Err("write a percentage from 0 to less than 100, such as 5".to_owned()),
    }
}

/// Runs the command.
///
/// # Errors
/// Results cannot be read, or are not comparable.
pub fn run(args: CompareArgs, terminal: &Terminal) -> Result<Exit, CommandError> {
    let CompareArgs { baseline, candidate, judging } = args;
    let sides = [read_runs(&baseline)?, read_runs(&candidate)?];
    let names = [&baseline, &candidate].map(|path| path.display().to_string());
    let exit = judge([&sides[0], &sides[1]], names.each_ref().map(String::as_str), &judging, terminal)?;
    Ok(exit)
}

/// Compares, prints, and says whether anything got worse.
pub(super) fn judge(
    [a, b]: [&[RunRecord]; 2],
    names: [&str; 2],
    judging: &JudgingArgs,
    terminal: &Terminal,
) -> Result<Exit, CommandError> {
    let JudgingArgs { min_effect, confidence, allow } = judging;
    let limits = Limits { effect: min_effect / 100.0, confidence: confidence / 100.0 };
    let comparison = compare(a, b, allow, limits)?;
    if terminal.json {
        terminal.print_json(&ComparisonJson::from(&comparison))?;
    } else {
        terminal.print(&table(&comparison, names, Look { color: terminal.color_stdout }))?;
    }
    Ok(if comparison.is_regression() { Exit::Regression } else { Exit::Done })
}

/// The run of a folder, or all runs in its folders.
pub(super) fn read_runs(folder: &Path) -> Result<Vec<RunRecord>, ReadError> {
    if holds_results(folder) {
        return Ok(vec![read(folder)?]);
    }
    let unreadable = |source| ReadError::Unreadable { path: folder.to_owned(), source };
    let mut folders = Vec::new();
    for entry in fs::read_dir(folder).map_err(unreadable)? {
        let path = entry.map_err(unreadable)?.path();
        if holds_results(&path) {
            folders.push(path);
        }
    }
    folders.sort();
    if folders.is_empty() {
        return Err(ReadError::Nothing { path: folder.to_owned() });
    }
    folders.iter().map(|folder| read(folder)).collect()
}

impl Explained for NotComparable {}
