use std::time::Duration;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::domain::{Failure, FailureClass};

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

/// Time limits of a conversation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// For each answer, from its request.
    pub answer: Duration,
    /// For the whole conversation, as a point on the caller's clock.
    pub deadline: Duration,
}

impl Limits {
    /// Until when an answer to a request sent at `since` is waited for.
    pub fn answer_until(&self, since: Duration) -> Duration {
        since.saturating_add(self.answer).min(self.deadline)
    }

    /// The failure when `what` did not come until `now`.
    pub fn failure(&self, what: &str, since: Duration, now: Duration) -> Failure {
        let message = if now >= self.deadline && now < since.saturating_add(self.answer) {
            format!("the attempt's time was up while waiting for the {what}")
        } else {
            format!("no {what} within {} s", self.answer.as_secs_f64())
        };
        Failure::new(FailureClass::Timeout, message)
    }
}

/// Draw number `index` of a device, from 0 (included) to 1 (not included).
pub(super) fn draw(seed: u64, index: u64) -> f64 {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    rng.set_stream(index);
    rng.random()
}
