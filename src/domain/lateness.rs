use std::time::Duration;

use crate::domain::named;

named! {
    /// Something that a device does within its work at a time of its own. The names are those of several of them, in words.
    pub enum DueStep {
        /// A status poll, after a retry-after or the wait in its place.
        Poll = "polls",
        /// A refused request once more, after a retry-after or the wait in its place.
        Repeat = "repeated requests",
        /// A telemetry message of a device that is connected.
        Message = "telemetry messages",
    }
}

impl DueStep {
    /// Number of kinds.
    pub const COUNT: usize = Self::ALL.len();

    /// Position in [`Self::ALL`].
    pub const fn index(self) -> usize {
        self as usize
    }
}

/// How late something was that a device did at a time of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lateness {
    /// What was due.
    pub step: DueStep,
    /// How much later than due it was done. Timers are good to a millisecond: that much is no lateness.
    pub by: Duration,
}
