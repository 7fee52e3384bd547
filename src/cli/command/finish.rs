use crate::cli::{CommandError, Exit, Terminal};
use crate::measure::RunRecord;
use crate::report::console::{Look, summary};
use crate::report::{ResultsFolder, Verdict, run_json, verdicts};

/// Writes and prints a record. What cannot be written never costs what is printed.
pub(super) fn finish(record: &RunRecord, folder: &ResultsFolder, terminal: &Terminal) -> Result<Exit, CommandError> {
    let unwritten = folder.write(record);
    if terminal.json {
        terminal.note(summary(record, Look { color: terminal.color_stderr }));
        terminal.print(&run_json(record).map_err(miette::Report::msg)?)?;
    } else {
        terminal.print(&summary(record, Look { color: terminal.color_stdout }))?;
    }
    terminal.note(format!("results in {}", folder.path().display()));
    let written = unwritten.is_empty();
    for error in unwritten {
        terminal.error(&CommandError::new(Exit::Unexpected, error));
    }
    let exit = exit_of(record);
    Ok(if exit == Exit::Done && !written { Exit::Unexpected } else { exit })
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
