use std::time::Duration;

use crate::domain::Phase;

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

    /// Sets the time of a phase of which the longest is kept, when it is longer.
    pub fn raise(&mut self, phase: Phase, time: Duration) {
        let before = self.get(phase).unwrap_or_default();
        self.set(phase, before.max(time));
    }

    /// Sets the phases that `later` has to what they are there.
    pub fn take_over(&mut self, later: &Self) {
        for (own, later) in self.0.iter_mut().zip(later.0).filter(|(_, later)| *later != Self::ABSENT) {
            *own = later;
        }
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
