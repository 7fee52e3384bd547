//! `fleetstorm compare`: what differs between two sides, and whether chance alone may have made it.

use std::path::{Path, PathBuf};
use std::{fs, io};

use crate::cli::command::finish::RunEnding;
use crate::cli::terminal::StdoutError;
use crate::cli::{CommandError, Exit, Explained, Terminal};
use crate::measure::RunRecord;
use crate::report::compare::{
    Comparison, ComparisonJson, DifferenceLimits, MayDiffer, NotComparable, compare, match_stages, table,
};
use crate::report::console::Look;
use crate::report::{ReadError, Side, comparison_page, holds_results, read, write_whole};

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
    /// Write the comparison as a page with plots of both sides, which needs nothing else, too
    #[arg(long, value_name = "FILE")]
    pub html: Option<PathBuf>,
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
    /// Hold two scenarios against each other on purpose: settings that differ are what is compared
    #[arg(long, help_heading = "Comparison")]
    pub across: bool,
    /// End with code 8 when it cannot be told whether B is worse: not enough data, or large differences from few runs
    #[arg(long, help_heading = "Comparison")]
    pub require_verdict: bool,
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
  fleetstorm compare well-behaved ignores-retry-after --across
      two scenarios on purpose: what differs in their settings is what is compared
  fleetstorm compare before after --html comparison.html
      both sides in one picture: percentile curves, latency and outcome over time, phases

Ends with code 6 when a phase got slower, more devices fail, or they ask more of the service. Two percentiles of a phase at \
least must agree, and chance alone must not explain it: blocks of intervals, or whole runs from three on either side, are held \
against each other. A large difference from one run each is told, and is no regression: with --require-verdict it ends with \
code 8, as too little data does.";

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
    let CompareArgs { baseline, candidate, html, judging } = args;
    let mut runs = [read_runs(&baseline)?, read_runs(&candidate)?];
    let notes = judging.match_stages(&mut runs)?;
    let names = [&baseline, &candidate].map(|path| path.display().to_string());
    let sides = [0, 1].map(|side| Side { name: &names[side], runs: &runs[side] });
    let judged = judge(sides, &judging, notes)?;
    judged.print(terminal, Documents::Whole)?;
    let written = html.map_or(Ok(()), |file| judged.write_page(&file, terminal));
    Ok(judged.ending(written, terminal).exit())
}

/// How JSON is printed: as one document for itself, or in one line, for documents that follow each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Documents {
    Whole,
    Lines,
}

/// Two sides, and what comparing them found out.
pub(super) struct Judged<'a> {
    sides: [Side<'a>; 2],
    comparison: Comparison,
    require_verdict: bool,
}

impl JudgingArgs {
    /// Leaves the stages that are compared, and says how they were found.
    pub(super) fn match_stages(&self, runs: &mut [Vec<RunRecord>; 2]) -> Result<Vec<String>, NotComparable> {
        let [a, b] = runs;
        if self.across { match_stages([a, b]) } else { Ok(Vec::new()) }
    }
}

/// Compares two sides. `notes`: what the reader must know beside what comparing finds out.
pub(super) fn judge<'a>(
    sides: [Side<'a>; 2],
    judging: &JudgingArgs,
    notes: Vec<String>,
) -> Result<Judged<'a>, NotComparable> {
    let JudgingArgs { min_effect, confidence, allow, across, require_verdict } = judging;
    let limits = DifferenceLimits { effect: min_effect / 100.0, confidence: confidence / 100.0 };
    let allowed = MayDiffer { settings: allow, scenario: *across };
    let mut comparison = compare(sides[0].runs, sides[1].runs, allowed, limits)?;
    comparison.notes.splice(0..0, notes);
    Ok(Judged { sides, comparison, require_verdict: *require_verdict })
}

impl Judged<'_> {
    /// To stdout, for a person or a machine.
    pub(super) fn print(&self, terminal: &Terminal, documents: Documents) -> Result<(), StdoutError> {
        let Self { sides, comparison, .. } = self;
        match (terminal.json, documents) {
            (true, Documents::Whole) => terminal.print_json(&ComparisonJson::from(comparison)),
            (true, Documents::Lines) => terminal.print_json_line(&ComparisonJson::from(comparison)),
            (false, _) => {
                let look = Look::new(terminal.color_stdout);
                terminal.print(&table(comparison, sides.map(|side| side.name), look))
            }
        }
    }

    /// As a page, and says where.
    pub(super) fn write_page(&self, file: &Path, terminal: &Terminal) -> Result<(), NotWritten> {
        let page = comparison_page(&self.comparison, self.sides);
        NotWritten::unless(file, page.and_then(|page| write_whole(file, page.as_bytes())))?;
        terminal.note(format!("comparison in {}", file.display()));
        Ok(())
    }

    /// For machines, as `compare --json` prints it.
    pub(super) fn write_json(&self, file: &Path) -> Result<(), NotWritten> {
        let json = serde_json::to_vec_pretty(&ComparisonJson::from(&self.comparison)).map_err(io::Error::from);
        let written = json.and_then(|mut json| {
            json.push(b'\n');
            write_whole(file, &json)
        });
        NotWritten::unless(file, written)
    }

    /// Whether anything got worse. What cannot be written never hides it.
    pub(super) fn ending(&self, written: Result<(), NotWritten>, terminal: &Terminal) -> RunEnding {
        let failed = written.map_err(|error| terminal.error(&error.into())).is_err();
        match (self.comparison.is_regression(), failed) {
            (true, _) => RunEnding::Regression,
            (false, true) => RunEnding::Unexpected,
            (false, false) if self.require_verdict && self.comparison.is_undecided() => RunEnding::Undecided,
            (false, false) => RunEnding::Done,
        }
    }
}

/// A file of the comparison could not be written.
#[derive(Debug, thiserror::Error, miette::Diagnostic)]
#[error("cannot write {}: {source}", path.display())]
#[diagnostic(help("is there a folder of that name, with room in it, that you may write to?"))]
pub(super) struct NotWritten {
    path: PathBuf,
    source: io::Error,
}

impl NotWritten {
    fn unless(path: &Path, written: io::Result<()>) -> Result<(), Self> {
        written.map_err(|source| Self { path: path.to_owned(), source })
    }
}

impl Explained for NotWritten {}

/// The run of a folder, or all runs in its folders.
pub(super) fn read_runs(folder: &Path) -> Result<Vec<RunRecord>, ReadError> {
    runs_in(folder)?.iter().map(|folder| read(folder)).collect()
}

/// A folder that holds the results of a run, or its folders that do.
pub(super) fn runs_in(folder: &Path) -> Result<Vec<PathBuf>, ReadError> {
    if holds_results(folder) {
        return Ok(vec![folder.to_owned()]);
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
    Ok(folders)
}

impl Explained for NotComparable {}
