use std::time::Duration;

use crate::model::Waits;

/// How patient a registration is. Source: Microsoft Learn, "Best practices for large-scale IoT device deployments";
/// defaults of the official SDKs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Policy {
    /// How long a second of the service really takes; shorter than a second in compressed time. Unit of retry-after.
    pub second: Duration,
    /// Whether a retry-after is obeyed, in polls and after refusals. If not, every wait is `default_wait`.
    pub honours_retry_after: bool,
    /// Whether the retry-after of the 202 that answers the registration is obeyed too (azure-iot-device for Python does not:
    /// its first poll comes after 2 s whatever DPS says).
    pub honours_first_retry_after: bool,
    /// Seconds above which a retry-after is not believed: `default_wait` instead (azure-iot-sdk-c: 300).
    /// [`u32::MAX`]: none.
    pub longest_retry_after: u32,
    /// Wait between an answer and the next request when the service names none, or the device does not care. Real time.
    pub default_wait: Duration,
    /// Upper end of the random addition to `default_wait`. Real time.
    pub jitter: Duration,
    /// Whether `jitter` is added to a retry-after too. The SDKs do not.
    pub jitter_on_retry_after: bool,
    /// How often 429 and 5xx are waited out and repeated before the attempt fails. [`u16::MAX`]: without end.
    pub max_repeats: u16,
    /// How often the operation's status is asked before the attempt fails. [`u16::MAX`]: without end.
    pub max_polls: u16,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            second: Duration::from_secs(1),
            honours_retry_after: true,
            honours_first_retry_after: true,
            longest_retry_after: u32::MAX,
            default_wait: Duration::from_secs(2),
            jitter: Duration::from_secs(5),
            jitter_on_retry_after: false,
            max_repeats: 10,
            max_polls: 100,
        }
    }
}

impl Policy {
    pub(super) const fn waits(&self) -> Waits {
        Waits {
            second: self.second,
            honours_retry_after: self.honours_retry_after,
            longest_retry_after: self.longest_retry_after,
            default_wait: self.default_wait,
            jitter: self.jitter,
            jitter_on_retry_after: self.jitter_on_retry_after,
        }
    }
}
