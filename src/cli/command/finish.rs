use console::Term;

use crate::cli::command::compare::Documents;
use crate::cli::{CommandError, Exit, Terminal};
use crate::measure::RunRecord;
use crate::report::console::{Look, WIDTH, summary};
use crate::report::{ResultsFolder, Verdict, run_json, run_json_line, verdicts};

/// Writes and prints a record. What cannot be written never costs what is printed.
pub(super) fn finish(
    record: &RunRecord,
    folder: &ResultsFolder,
    terminal: &Terminal,
    documents: Documents,
) -> Result<Exit, CommandError> {
    let unwritten = folder.write(record);
    if terminal.json {
        let look = Look::new(terminal.color_stderr);
        terminal.note(summary(record, look.within(columns(&Term::stderr()))));
        let json = match documents {
            Documents::Whole => run_json(record),
            Documents::Lines => run_json_line(record),
        };
        terminal.print(&json.map_err(miette::Report::msg)?)?;
    } else {
        let look = Look::new(terminal.color_stdout);
        terminal.print(&summary(record, look.within(columns(&Term::stdout()))))?;
    }
    terminal.note(format!("results in {}", folder.path().display()));
    let written = unwritten.is_empty();
    for error in unwritten {
        terminal.error(&CommandError::new(Exit::Unexpected, error));
    }
    let exit = exit_of(record);
    Ok(if exit == Exit::Done && !written { Exit::Unexpected } else { exit })
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
