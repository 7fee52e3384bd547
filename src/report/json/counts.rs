use serde::{Deserialize, Serialize};

use crate::measure::Totals;
use crate::report::json::values::{ByClass, Count, Micros};
use crate::report::units::{self, rounded};

/// Counts of the devices of a stage, or of tasks, as those of several stages are; `planned = succeeded + failed + dropped + not_started + skipped`.
#[derive(Serialize, Deserialize, Default)]
pub(super) struct Counts {
    planned: Count,
    started: Count,
    succeeded: Count,
    #[serde(skip_deserializing)]
    failed: u64,
    failed_by_class: ByClass,
    dropped: Count,
    not_started: Count,
    #[serde(default)]
    skipped: Count,
    #[serde(default)]
    expired: Count,
    #[serde(default)]
    gave_up: Count,
    attempts: Option<Count>,
    #[serde(skip_deserializing)]
    failed_attempts: u64,
    failed_attempts_by_class: Option<ByClass>,
    /// Absent when nothing succeeded.
    #[serde(skip_deserializing)]
    attempts_per_success: Option<f64>,
    throttled: Count,
    /// Fleet time; absent when no refusal named one.
    retry_after_max_us: Option<Micros>,
    polls: Count,
    #[serde(default)]
    disconnects: Count,
    #[serde(default)]
    telemetry: Count,
}

impl Counts {
    pub(super) fn of(totals: &Totals) -> Self {
        let Totals {
            planned,
            started,
            succeeded,
            failed,
            dropped,
            not_started,
            skipped,
            expired,
            gave_up,
            attempts,
            failed_attempts,
            throttled,
            retry_after_max,
            polls,
            disconnects,
            telemetry,
        } = *totals;
        Self {
            planned: Count(planned),
            started: Count(started),
            succeeded: Count(succeeded),
            failed: totals.failed_total(),
            failed_by_class: ByClass(failed),
            dropped: Count(dropped),
            not_started: Count(not_started),
            skipped: Count(skipped),
            expired: Count(expired),
            gave_up: Count(gave_up),
            attempts: Some(Count(attempts)),
            failed_attempts: totals.failed_attempts_total(),
            failed_attempts_by_class: Some(ByClass(failed_attempts)),
            attempts_per_success: units::ratio(attempts, succeeded).map(rounded),
            throttled: Count(throttled),
            retry_after_max_us: retry_after_max.map(Micros),
            polls: Count(polls),
            disconnects: Count(disconnects),
            telemetry: Count(telemetry),
        }
    }

    /// As long as every device had one attempt, attempts were not counted apart.
    pub(super) fn into_totals(self) -> Totals {
        Totals {
            planned: self.planned.0,
            started: self.started.0,
            succeeded: self.succeeded.0,
            failed: self.failed_by_class.0,
            dropped: self.dropped.0,
            not_started: self.not_started.0,
            skipped: self.skipped.0,
            expired: self.expired.0,
            gave_up: self.gave_up.0,
            attempts: self.attempts.unwrap_or(self.started).0,
            failed_attempts: self.failed_attempts_by_class.unwrap_or(self.failed_by_class).0,
            throttled: self.throttled.0,
            retry_after_max: self.retry_after_max_us.map(|time| time.0),
            polls: self.polls.0,
            disconnects: self.disconnects.0,
            telemetry: self.telemetry.0,
        }
    }
}
