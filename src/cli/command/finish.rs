use console::Term;

use crate::cli::command::compare::Documents;
use crate::cli::terminal::StdoutError;
use crate::cli::{CommandError, Exit, Terminal};
use crate::domain::injected_panic;
use crate::measure::RunRecord;
use crate::report::console::{Look, WIDTH, closing, summary};
use crate::report::{FolderError, HTML_REPORT, ResultsFolder, Verdict, WriteError, run_json, run_json_line, verdicts};
use crate::rig::defect::caught;

/// How a run ended, in the order in which one goes before the other when several apply: the gravest last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum RunEnding {
    Done,
    Undecided,
    Regression,
    ThresholdsFailed,
    Saturated,
    WrongCertificates,
    Unexpected,
    Interrupted,
}

impl RunEnding {
    pub(super) const fn exit(self) -> Exit {
        match self {
            Self::Done => Exit::Done,
            Self::Undecided => Exit::Undecided,
            Self::Regression => Exit::Regression,
            Self::ThresholdsFailed | Self::WrongCertificates => Exit::ThresholdsFailed,
            Self::Saturated => Exit::Saturated,
            Self::Unexpected => Exit::Unexpected,
            Self::Interrupted => Exit::Interrupted,
        }
    }
}

/// Writes and prints a record, and where its report is. What cannot be written never costs what is printed.
pub(super) fn finish(
    record: &RunRecord,
    folder: &ResultsFolder,
    terminal: &Terminal,
    documents: Documents,
) -> RunEnding {
    let unwritten = folder.write(record);
    let printed = show(record, terminal, documents);
    let place = place(folder, &unwritten);
    let is_whole = unwritten.is_empty();
    for error in unwritten {
        terminal.error(&CommandError::new(Exit::Unexpected, error));
    }
    terminal.note(place);
    ending_if(is_whole, printed, record, terminal)
}

/// Prints a record whose folder takes nothing, and why it does not.
pub(super) fn finish_unwritten(
    record: &RunRecord,
    why: FolderError,
    terminal: &Terminal,
    documents: Documents,
) -> RunEnding {
    let printed = show(record, terminal, documents);
    terminal.error(&why.into());
    ending_if(false, printed, record, terminal)
}

/// What cannot be printed is told, and costs nothing that was measured.
fn show(record: &RunRecord, terminal: &Terminal, documents: Documents) -> Result<(), CommandError> {
    caught("the summary", || try_show(record, terminal, documents))?
}

fn try_show(record: &RunRecord, terminal: &Terminal, documents: Documents) -> Result<(), CommandError> {
    injected_panic("summary");
    if terminal.json {
        let json = match documents {
            Documents::Whole => run_json(record),
            Documents::Lines => run_json_line(record),
        };
        // First, so that the verdict is what is left above the prompt of somebody who looks at both.
        let printed = terminal.print(&json.map_err(miette::Report::msg)?);
        terminal.note(summary(record, look(terminal)).trim_end());
        Ok(printed?)
    } else {
        Ok(terminal.print(&summary(record, look(terminal)))?)
    }
}

/// How a run ended whose results were written and printed, or not.
fn ending_if(written: bool, printed: Result<(), CommandError>, record: &RunRecord, terminal: &Terminal) -> RunEnding {
    let printed = printed.map_err(|error| terminal.error(&error)).is_ok();
    let told = if written && printed { RunEnding::Done } else { RunEnding::Unexpected };
    ending_of(record).max(told)
}

/// What a run came to, in a few lines.
pub(super) fn in_short(record: &RunRecord, terminal: &Terminal) -> String {
    closing(record, look(terminal))
}

/// What runs came to, one after the other, for somebody who has their summaries far above; each as [`in_short`] says it, with
/// its seed. Where the page of each is, `reports` says.
pub(super) fn overview(runs: &[(u64, String)], reports: &str, terminal: &Terminal) -> Result<(), StdoutError> {
    let mut words = String::new();
    for (number, (seed, came_to)) in runs.iter().enumerate() {
        let heading = if runs.len() > 1 { format!("run {}, seed {seed}\n", number + 1) } else { String::new() };
        words.push_str(&format!("\n{heading}{came_to}"));
    }
    let printed = if terminal.json {
        terminal.note(words.trim_end());
        Ok(())
    } else {
        terminal.print(&words)
    };
    terminal.note(reports);
    printed
}

/// Where a person looks next.
fn place(folder: &ResultsFolder, unwritten: &[WriteError]) -> String {
    let page = folder.path().join(HTML_REPORT);
    if unwritten.iter().any(|error| error.path == page) {
        return format!("results in {}", folder.path().display());
    }
    format!("report in {}", page.display())
}

/// How words for a person are printed: on stdout, or on stderr where that is for data.
fn look(terminal: &Terminal) -> Look {
    let (color, term) = match terminal.json {
        true => (terminal.color_stderr, Term::stderr()),
        false => (terminal.color_stdout, Term::stdout()),
    };
    Look::new(color).within(columns(&term))
}

/// What a summary may take: all that it would, but on a terminal not more than that has.
fn columns(term: &Term) -> u16 {
    term.size_checked().map_or(WIDTH, |(_, columns)| columns.min(WIDTH))
}

/// How a run that was measured ended.
fn ending_of(record: &RunRecord) -> RunEnding {
    let endings = verdicts(record).into_iter().map(|verdict| match verdict {
        Verdict::Interrupted | Verdict::Lost { .. } => RunEnding::Interrupted,
        Verdict::Aborted | Verdict::Unaccounted { .. } | Verdict::Broken { .. } | Verdict::Unwritten { .. } => {
            RunEnding::Unexpected
        }
        Verdict::WrongCertificates(_) => RunEnding::WrongCertificates,
        // Thresholds of a saturated generator judge the wrong side.
        Verdict::Saturated(_) => RunEnding::Saturated,
        Verdict::ThresholdsFailed { .. } | Verdict::Stopped { .. } => RunEnding::ThresholdsFailed,
        Verdict::MachineFull { .. } | Verdict::RowsLost { .. } | Verdict::Complete => RunEnding::Done,
    });
    endings.max().unwrap_or(RunEnding::Done)
}
