use std::time::Duration;

use crate::domain::Phase;

/// Time that a registration spent, per phase; `None` for a phase that it did not have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RegistrationTimes {
    /// CONNECT sent until CONNACK read.
    pub connack: Option<Duration>,
    /// SUBSCRIBE sent until SUBACK read.
    pub suback: Option<Duration>,
    /// Registrations sent until their answers.
    pub register: Option<Duration>,
    /// Obeying retry-after.
    pub poll_wait: Option<Duration>,
    /// Status requests sent until their answers.
    pub assign: Option<Duration>,
}

impl RegistrationTimes {
    /// The phases that there were.
    pub fn present(&self) -> impl Iterator<Item = (Phase, Duration)> {
        [
            (Phase::Connack, self.connack),
            (Phase::Suback, self.suback),
            (Phase::Register, self.register),
            (Phase::PollWait, self.poll_wait),
            (Phase::Assign, self.assign),
        ]
        .into_iter()
        .filter_map(|(phase, time)| time.map(|time| (phase, time)))
    }
}
