use std::time::Duration;

use crate::domain::{FailureClass, Phase};

/// The time of each phase of one attempt. A phase that the attempt did not have is absent, not zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PhaseTimes([u64; Phase::COUNT]);

impl PhaseTimes {
    const ABSENT: u64 = u64::MAX;

    /// No phase at all.
    pub const fn new() -> Self {
        Self([Self::ABSENT; Phase::COUNT])
    }

    /// Sets the time of a phase.
    pub fn set(&mut self, phase: Phase, time: Duration) {
        let nanos = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        self.0[phase.index()] = nanos.min(Self::ABSENT - 1);
    }

    /// Adds to the time of a phase that may come in several parts.
    pub fn add(&mut self, phase: Phase, time: Duration) {
        let before = self.get(phase).unwrap_or_default();
        self.set(phase, before.saturating_add(time));
    }

    /// The time of a phase, when the attempt had it.
    pub fn get(&self, phase: Phase) -> Option<Duration> {
        match self.0[phase.index()] {
            Self::ABSENT => None,
            nanos => Some(Duration::from_nanos(nanos)),
        }
    }

    /// The phases that the attempt had, with their nanoseconds.
    pub fn present(&self) -> impl Iterator<Item = (Phase, u64)> + '_ {
        Phase::ALL.into_iter().zip(self.0).filter(|(_, nanos)| *nanos != Self::ABSENT)
    }
}

impl Default for PhaseTimes {
    fn default() -> Self {
        Self::new()
    }
}

/// How an attempt ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// All of it worked, the certificate was the right one.
    Success,
    /// It failed.
    Failed(FailureClass),
}

/// One try of one device, as numbers only.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Attempt {
    /// Index of the device in the fleet.
    pub device: u32,
    /// Index of the stage in the scenario.
    pub stage: u16,
    /// 1 for the first try of this device in this stage.
    pub number: u16,
    /// When it was due, from the start of the measured part.
    pub due: Duration,
    /// When it started, on the same clock.
    pub started: Duration,
    /// When it ended, on the same clock.
    pub ended: Duration,
    /// Time per phase, `queued`, `total` and `total_raw` included.
    pub phases: PhaseTimes,
    /// How it ended.
    pub outcome: Outcome,
    /// The code of the service when it failed, 0 when there is none; see [`crate::domain::Failure::code`].
    pub code: u32,
    /// Status polls sent.
    pub polls: u16,
    /// Answers 429 received.
    pub throttled: u16,
    /// The longest retry-after that a refusal named to it: a 429, an outage or another error; the wait that follows an accepted
    /// request is none. Fleet time, as the service says it. Absent when none was named.
    pub retry_after_max: Option<Duration>,
}

#[cfg(test)]
impl Attempt {
    /// The first one of a device, due and started when everything began, about which a test says no more than this.
    pub(crate) fn that(outcome: Outcome, phases: PhaseTimes) -> Self {
        Self {
            device: 0,
            stage: 0,
            number: 1,
            due: Duration::ZERO,
            started: Duration::ZERO,
            ended: Duration::ZERO,
            phases,
            outcome,
            code: 0,
            polls: 0,
            throttled: 0,
            retry_after_max: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_of_a_phase_are_added_and_what_was_not_there_is_absent() {
        let mut times = PhaseTimes::new();
        assert_eq!((times.get(Phase::Total), times.present().count()), (None, 0));
        times.add(Phase::Backoff, Duration::from_nanos(3));
        times.add(Phase::Backoff, Duration::from_nanos(4));
        times.set(Phase::Total, Duration::MAX);
        assert_eq!(times.get(Phase::Backoff), Some(Duration::from_nanos(7)));
        assert_eq!(times.get(Phase::Total), Some(Duration::from_nanos(u64::MAX - 1)), "the longest is not absent");
        times.set(Phase::Total, Duration::ZERO);
        assert_eq!(times.present().collect::<Vec<_>>(), [(Phase::Backoff, 7), (Phase::Total, 0)]);
    }
}
