use crate::domain::FailureClass;
use crate::measure::{Interval, Totals};

/// What became of devices and what they did, in a stage or in one second of it: the columns that `summary.csv` and
/// `intervals.csv` have in common.
pub(super) struct Outcomes {
    started: u64,
    succeeded: u64,
    failed: [u64; FailureClass::ALL.len()],
    dropped: u64,
    expired: u64,
    attempts: u64,
    failed_attempts: u64,
    throttled: u64,
    disconnects: u64,
    telemetry: u64,
}

impl Outcomes {
    /// The columns, in the order of [`Self::values`].
    pub(super) const COLUMNS: [&str; 20] = [
        "started",
        "succeeded",
        "failed",
        "failed_network",
        "failed_tls",
        "failed_throttled",
        "failed_rejected",
        "failed_protocol",
        "failed_verification",
        "failed_timeout",
        "failed_generator",
        "failed_configuration",
        "failed_cut",
        "dropped",
        "expired",
        "attempts",
        "failed_attempts",
        "throttled",
        "disconnects",
        "telemetry",
    ];

    pub(super) fn values(&self) -> [u64; Self::COLUMNS.len()] {
        let Self { started, succeeded, failed, dropped, expired, attempts, failed_attempts, .. } = *self;
        let Self { throttled, disconnects, telemetry, .. } = *self;
        let class = |class: FailureClass| failed[class.index()];
        [
            started,
            succeeded,
            failed.iter().sum(),
            class(FailureClass::Network),
            class(FailureClass::Tls),
            class(FailureClass::Throttled),
            class(FailureClass::Rejected),
            class(FailureClass::Protocol),
            class(FailureClass::Verification),
            class(FailureClass::Timeout),
            class(FailureClass::Generator),
            class(FailureClass::Configuration),
            class(FailureClass::Cut),
            dropped,
            expired,
            attempts,
            failed_attempts,
            throttled,
            disconnects,
            telemetry,
        ]
    }
}

impl From<&Totals> for Outcomes {
    fn from(totals: &Totals) -> Self {
        let Totals {
            planned: _,
            started,
            succeeded,
            failed,
            dropped,
            not_started: _,
            skipped: _,
            expired,
            gave_up: _,
            attempts,
            failed_attempts: _,
            throttled,
            retry_after_max: _,
            polls: _,
            disconnects,
            telemetry,
        } = *totals;
        let failed_attempts = totals.failed_attempts_total();
        Self {
            started,
            succeeded,
            failed,
            dropped,
            expired,
            attempts,
            failed_attempts,
            throttled,
            disconnects,
            telemetry,
        }
    }
}

impl From<&Interval> for Outcomes {
    fn from(interval: &Interval) -> Self {
        let Interval {
            start: _,
            length: _,
            due: _,
            started,
            attempts,
            failed_attempts,
            failed_attempts_by_class: _,
            succeeded_attempts: _,
            succeeded,
            failed,
            throttled,
            retry_after_max: _,
            dropped,
            expired,
            gave_up: _,
            disconnects,
            telemetry,
            in_flight: _,
            total: _,
        } = *interval;
        Self {
            started,
            succeeded,
            failed,
            dropped,
            expired,
            attempts,
            failed_attempts,
            throttled,
            disconnects,
            telemetry,
        }
    }
}
