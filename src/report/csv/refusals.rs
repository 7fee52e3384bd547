use std::time::Duration;

use crate::domain::FailureClass;
use crate::report::csv::us;

/// How attempts were refused, in a stage or in one second of it: columns at the end of `summary.csv` and `intervals.csv`.
pub(super) struct Refusals {
    /// Fleet time.
    pub(super) retry_after_max: Option<Duration>,
    /// Unknown in records of before it was counted.
    pub(super) failed_attempts: Option<[u64; FailureClass::ALL.len()]>,
}

impl Refusals {
    /// The columns, in the order of [`Self::values`].
    pub(super) const COLUMNS: [&str; 1 + FailureClass::ALL.len()] = [
        "retry_after_max_us",
        "failed_attempts_network",
        "failed_attempts_tls",
        "failed_attempts_throttled",
        "failed_attempts_rejected",
        "failed_attempts_protocol",
        "failed_attempts_verification",
        "failed_attempts_timeout",
        "failed_attempts_generator",
        "failed_attempts_configuration",
        "failed_attempts_cut",
    ];

    /// Empty where there is nothing to say.
    pub(super) fn values(&self) -> impl Iterator<Item = String> + use<> {
        let Self { retry_after_max, failed_attempts } = *self;
        let by_class = FailureClass::ALL
            .map(|class| failed_attempts.map(|failed| failed[class.index()].to_string()).unwrap_or_default());
        std::iter::once(retry_after_max.map(us).unwrap_or_default()).chain(by_class)
    }
}
