use crate::domain::{FleetTime, Lateness, Phase, PhaseTimes};

/// What an attempt has found out so far, or one conversation of it: from the wire to the record, it stays this one value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct AttemptFacts {
    /// Time per phase.
    pub phases: PhaseTimes,
    /// Status polls sent.
    pub polls: u16,
    /// Answers 429 received.
    pub throttled: u16,
    /// The longest retry-after that a refusal named: a 429, an outage or another error; the wait that follows an accepted request is
    /// none. Absent when none was named.
    pub retry_after_max: Option<FleetTime>,
    /// How long the refusal that ended it asks to stay away.
    pub retry_after: Option<FleetTime>,
}

impl AttemptFacts {
    /// Together with what came after it, in phases of its own.
    #[must_use]
    pub fn and(mut self, later: &Self) -> Self {
        let Self { phases, polls, throttled, retry_after_max, retry_after } = later;
        let late = self.phases.get(Phase::Late);
        self.phases.take_over(phases);
        if let Some(late) = late {
            self.phases.raise(Phase::Late, late);
        }
        self.polls = self.polls.saturating_add(*polls);
        self.throttled = self.throttled.saturating_add(*throttled);
        self.retry_after_max = self.retry_after_max.max(*retry_after_max);
        self.retry_after = *retry_after;
        self
    }

    /// Something was done at a time of its own.
    pub fn did(&mut self, lateness: Lateness) {
        self.phases.raise(Phase::Late, lateness.by);
    }

    /// A refusal: `status` as in HTTP, and the seconds that it names, in time of the service.
    pub fn refused(&mut self, status: u16, retry_after: Option<u32>) {
        self.throttled = self.throttled.saturating_add(u16::from(status == 429));
        self.retry_after_max =
            self.retry_after_max.max(retry_after.map(|seconds| FleetTime::from_secs(seconds.into())));
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::domain::DueStep;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn what_came_after_adds_its_counts_and_has_the_last_word() {
        let mut first =
            AttemptFacts { polls: 2, retry_after: Some(FleetTime::from_secs(1)), ..AttemptFacts::default() };
        first.phases.set(Phase::Tcp, SECOND);
        first.refused(429, Some(7));
        first.refused(503, Some(9));
        first.refused(429, None);
        let mut second = AttemptFacts { polls: u16::MAX, ..AttemptFacts::default() };
        second.phases.set(Phase::Register, 2 * SECOND);
        second.refused(429, Some(8));
        let both = first.and(&second);
        assert_eq!((both.polls, both.throttled), (u16::MAX, 3));
        assert_eq!((both.retry_after_max, both.retry_after), (Some(FleetTime::from_secs(9)), None));
        let late = |seconds: u32| Lateness { step: DueStep::Poll, by: seconds * SECOND };
        let mut late_first = first;
        [2, 3, 1].into_iter().for_each(|seconds| late_first.did(late(seconds)));
        second.did(late(2));
        let longest = |facts: AttemptFacts| facts.phases.get(Phase::Late);
        assert_eq!([late_first.and(&second), first.and(&second)].map(longest), [Some(3 * SECOND), Some(2 * SECOND)]);
        let phases: Vec<_> = both.phases.present().map(|(phase, _)| phase).collect();
        assert_eq!(phases, [Phase::Tcp, Phase::Register]);
    }
}
