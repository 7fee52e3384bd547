//! What totals count. A device has a task in each of its stages, so that totals of a run of one stage count devices, and those
//! of several stages tasks.

use crate::measure::RunRecord;
use crate::report::units;

/// What the totals of a record count, for one of them.
pub(super) const fn noun(record: &RunRecord) -> &'static str {
    if record.stages.len() > 1 { "task" } else { "device" }
}

/// What many of them are called.
pub(super) const fn nouns(record: &RunRecord) -> &'static str {
    if record.stages.len() > 1 { "tasks" } else { "devices" }
}

/// `5,991 of 6,000 tasks of 3,000 devices`; `2,999 of 3,000 devices` of one stage.
pub(super) fn part(record: &RunRecord, count: u64, of: u64) -> String {
    let (count, of, nouns) = (units::count(count), units::count(of), nouns(record));
    match record.devices().filter(|_| record.stages.len() > 1) {
        None => format!("{count} of {of} {nouns}"),
        Some(1) => format!("{count} of {of} {nouns} of 1 device"),
        Some(devices) => format!("{count} of {of} {nouns} of {} devices", units::count(devices)),
    }
}
