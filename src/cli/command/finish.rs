use console::Term;

use crate::cli::command::compare::Documents;
use crate::cli::terminal::StdoutError;
use crate::cli::{CommandError, Exit, Terminal};
use crate::measure::RunRecord;
use crate::report::console::{Look, WIDTH, closing, summary};
use crate::report::{FolderError, HTML_REPORT, ResultsFolder, Verdict, WriteError, run_json, run_json_line, verdicts};

/// Writes and prints a record, and where its report is. What cannot be written never costs what is printed.
pub(super) fn finish(
    record: &RunRecord,
    folder: &ResultsFolder,
    terminal: &Terminal,
    documents: Documents,
) -> Result<Exit, CommandError> {
    let unwritten = folder.write(record);
    let printed = show(record, terminal, documents);
    let place = place(folder, &unwritten);
    let exit = exit_unless(unwritten.is_empty(), record);
    for error in unwritten {
        terminal.error(&CommandError::new(Exit::Unexpected, error));
    }
    terminal.note(place);
    printed?;
    Ok(exit)
}

/// Prints a record whose folder takes nothing, and why it does not.
pub(super) fn finish_unwritten(
    record: &RunRecord,
    why: FolderError,
    terminal: &Terminal,
    documents: Documents,
) -> Result<Exit, CommandError> {
    let printed = show(record, terminal, documents);
    terminal.error(&why.into());
    printed?;
    Ok(exit_unless(false, record))
}

fn show(record: &RunRecord, terminal: &Terminal, documents: Documents) -> Result<(), CommandError> {
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

fn exit_unless(written: bool, record: &RunRecord) -> Exit {
    match exit_of(record) {
        Exit::Done if !written => Exit::Unexpected,
        exit => exit,
    }
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

/// The exit code of a run that was measured: what invalidates most goes first.
fn exit_of(record: &RunRecord) -> Exit {
    let verdicts = verdicts(record);
    let has = |wanted: fn(&Verdict) -> bool| verdicts.iter().any(wanted);
    if has(|v| matches!(v, Verdict::Interrupted | Verdict::Lost { .. })) {
        Exit::Interrupted
    } else if has(|v| matches!(v, Verdict::Aborted | Verdict::Unaccounted { .. })) {
        Exit::Unexpected
    } else if has(|v| matches!(v, Verdict::WrongCertificates(_))) {
        Exit::ThresholdsFailed
    } else if has(|v| matches!(v, Verdict::Saturated(_))) {
        Exit::Saturated
    } else if has(|v| matches!(v, Verdict::ThresholdsFailed { .. } | Verdict::Stopped { .. })) {
        Exit::ThresholdsFailed
    } else {
        Exit::Done
    }
}
