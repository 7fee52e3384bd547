use crate::measure::{Interval, RunRecord, StageRecord};
use crate::report::console::line;
use crate::report::{columns, sparkline, units};

/// Widest drawing.
const COLUMNS: usize = 60;

/// What was offered to the service against what came of it, for stages in which devices tried again: a storm that feeds
/// itself shows as attempts that stay high while successes do not.
pub(super) fn over_time(text: &mut String, record: &RunRecord) {
    for stage in record.stages.iter().filter(|stage| stage.totals.attempts > stage.totals.started) {
        let offered = per_second(stage, |interval| interval.counts.attempts);
        let goodput = per_second(stage, |interval| interval.succeeded_attempts);
        let highest = offered.iter().chain(&goodput).copied().fold(0.0, f64::max);
        let name = if record.stages.len() > 1 { format!("{}: ", stage.name) } else { String::new() };
        line(text, &format!(" {name}offered against goodput over time, on one scale"));
        for (what, values) in [("attempts/s", offered), ("successes/s", goodput)] {
            let peak = values.iter().copied().fold(0.0, f64::max);
            let drawing = sparkline(&values, highest);
            line(text, &format!(" {what:<12}{drawing} at most {}", units::rate_of(peak)));
        }
        line(text, "");
    }
}

/// Rates over the time of the stage, in at most [`COLUMNS`] values.
fn per_second(stage: &StageRecord, count: impl Fn(&Interval) -> u64) -> Vec<f64> {
    // The last interval may be of any length; a rate of a few milliseconds would say nothing.
    let of_interval = |interval: &Interval| {
        let seconds = interval.length.as_secs_f64().max(0.5);
        count(interval) as f64 / seconds
    };
    columns(&stage.intervals.iter().map(of_interval).collect::<Vec<_>>(), COLUMNS)
}
