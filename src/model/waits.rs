use crate::domain::FleetTime;
use crate::model::Draws;

/// How long a device waits before it asks again: lengths of its life, as is a retry-after that the service names. The defaults are those
/// of the official SDKs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Waits {
    /// Whether a retry-after is obeyed. If not, every wait is `default_wait`.
    pub honours_retry_after: bool,
    /// The longest retry-after that is believed: above it, `default_wait` instead (azure-iot-sdk-c: 300 s).
    pub longest_retry_after: FleetTime,
    /// The wait where the service names none, or the device does not care.
    pub default_wait: FleetTime,
    /// Upper end of the random addition to `default_wait`.
    pub jitter: FleetTime,
    /// Whether `jitter` is added to a retry-after too. The SDKs do not.
    pub jitter_on_retry_after: bool,
}

impl Default for Waits {
    fn default() -> Self {
        Self {
            honours_retry_after: true,
            longest_retry_after: FleetTime::MAX,
            default_wait: FleetTime::from_secs(2),
            jitter: FleetTime::from_secs(5),
            jitter_on_retry_after: false,
        }
    }
}

impl Waits {
    /// The wait after an answer that named `retry_after` seconds, or none.
    pub fn after(&self, retry_after: Option<u32>, draws: &mut Draws) -> FleetTime {
        let named = retry_after.map(|seconds| FleetTime::from_secs(seconds.into()));
        match named.filter(|named| self.honours_retry_after && *named <= self.longest_retry_after) {
            Some(named) if self.jitter_on_retry_after => named + self.random(draws),
            Some(named) => named,
            None => self.default_wait + self.random(draws),
        }
    }

    fn random(&self, draws: &mut Draws) -> FleetTime {
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
