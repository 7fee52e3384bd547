use std::time::Duration;

/// How patient a registration is. Source: Microsoft Learn, "Best practices for large-scale IoT device deployments";
/// defaults of the official SDKs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Policy {
    /// Wait between an answer and the next request when the service names none.
    pub default_wait: Duration,
    /// Upper end of the random addition to `default_wait`.
    pub jitter: Duration,
    /// How often 429 and 5xx are waited out and repeated before the attempt fails.
    pub max_repeats: u16,
    /// How often the operation's status is asked before the attempt fails.
    pub max_polls: u16,
}

impl Default for Policy {
    fn default() -> Self {
        Self { default_wait: Duration::from_secs(2), jitter: Duration::from_secs(5), max_repeats: 10, max_polls: 100 }
    }
}
