use std::time::Duration;

use crate::model::Draws;

/// How long a device waits before it asks again. The defaults are those of the official SDKs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Waits {
    /// How long a second of the service really takes; shorter than a second in compressed time. Unit of retry-after.
    pub second: Duration,
    /// Whether a retry-after is obeyed. If not, every wait is `default_wait`.
    pub honours_retry_after: bool,
    /// Seconds above which a retry-after is not believed: `default_wait` instead (azure-iot-sdk-c: 300). [`u32::MAX`]: none.
    pub longest_retry_after: u32,
    /// The wait where the service names none, or the device does not care.
    pub default_wait: Duration,
    /// Upper end of the random addition to `default_wait`.
    pub jitter: Duration,
    /// Whether `jitter` is added to a retry-after too. The SDKs do not.
    pub jitter_on_retry_after: bool,
}

impl Default for Waits {
    fn default() -> Self {
        Self {
            second: Duration::from_secs(1),
            honours_retry_after: true,
            longest_retry_after: u32::MAX,
            default_wait: Duration::from_secs(2),
            jitter: Duration::from_secs(5),
            jitter_on_retry_after: false,
        }
    }
}

impl Waits {
    /// The wait after an answer that named `retry_after` seconds, or none.
    pub fn after(&self, retry_after: Option<u32>, draws: &mut Draws) -> Duration {
        let believed = |seconds: &u32| self.honours_retry_after && *seconds <= self.longest_retry_after;
        match retry_after.filter(believed) {
            Some(seconds) if self.jitter_on_retry_after => self.real(seconds).saturating_add(self.random(draws)),
            Some(seconds) => self.real(seconds),
            None => self.default_wait.saturating_add(self.random(draws)),
        }
    }

    /// The wait before a refused request goes out again: never none at all, so that no device spins.
    pub fn after_refusal(&self, retry_after: Option<u32>, draws: &mut Draws) -> Duration {
        match self.after(retry_after, draws) {
            Duration::ZERO => Duration::from_millis(1),
            wait => wait,
        }
    }

    /// How long those seconds of the service really take.
    pub const fn real(&self, seconds: u32) -> Duration {
        self.second.saturating_mul(seconds)
    }

    fn random(&self, draws: &mut Draws) -> Duration {
        self.jitter.mul_f64(draws.draw())
    }
}

/// Whether something may be done once more that was `done` so often; `most` of [`u16::MAX`] is without end.
pub const fn once_more(done: u16, most: u16) -> bool {
    most == u16::MAX || done < most
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_end_is_more_than_any_number() {
        assert!(once_more(0, 1) && !once_more(1, 1) && !once_more(0, 0));
        assert!(
            once_more(u16::MAX - 1, u16::MAX) && once_more(u16::MAX, u16::MAX) && !once_more(u16::MAX, u16::MAX - 1)
        );
    }
}
