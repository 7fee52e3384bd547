mod bound;
pub(super) mod early;
pub(super) mod parse;
mod stored;
#[cfg(test)]
mod tests;

use std::time::Duration;

pub use stored::{check_threshold, thresholds_of_settings};

/// A run that a threshold may end is looked at before so much of its stages has passed.
pub(in crate::scenario) const LATEST_ABORT: Duration = Duration::from_secs(3_600);
