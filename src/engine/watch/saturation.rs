//! Whether the numbers of a stage say more about this machine than about the service. Decided here alone, while the stage goes
//! on and when it is over.

use std::time::Duration;

use crate::domain::{DueStep, FailureClass};
use crate::measure::Counts;

/// What decides it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Evidence<'a> {
    pub(crate) totals: &'a Counts,
    /// The lateness that matters to nobody.
    pub(crate) least: Duration,
    /// Whether devices come when they are due. Otherwise none can start late; what they do then is due all the same.
    pub(crate) open: bool,
    /// How late one in a hundred started; `None` when that is not known.
    pub(crate) lateness: Option<Duration>,
    /// How late one in a hundred of everything else was that was due, each in its place.
    pub(crate) late_steps: [Option<Duration>; DueStep::COUNT],
    /// What half of the devices took at most that got through, and half of those that came back after a loss.
    pub(crate) median: Option<Duration>,
    pub(crate) recover: Option<Duration>,
    /// The stage itself began so late that it is not harmless.
    pub(crate) began_late: bool,
}

/// Why.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reason {
    /// Devices were due and could not start in time.
    Dropped,
    /// One in a hundred started so late, where so much would have been harmless.
    Late { lateness: Duration, allowed: Duration },
    /// One in a hundred of these was so late, where so much would have been harmless.
    LateSteps { step: DueStep, lateness: Duration, allowed: Duration },
    /// The stage itself began late.
    BeganLate,
    /// Devices failed within the generator.
    Failed,
}

impl Evidence<'_> {
    /// Every reason that there is.
    pub(crate) fn reasons(&self) -> impl Iterator<Item = Reason> + use<> {
        let dropped = self.open && self.totals.dropped > 0;
        let failed = self.totals.failed[FailureClass::Generator] > 0;
        let late = |lateness: Option<Duration>| {
            let (lateness, allowed) = (lateness?, self.allowed()?);
            (lateness > allowed).then_some((lateness, allowed))
        };
        let starts = late(self.lateness.filter(|_| self.open));
        let starts = starts.map(|(lateness, allowed)| Reason::Late { lateness, allowed });
        let steps = DueStep::ALL.map(|step| {
            let (lateness, allowed) = late(self.late_steps[step.index()])?;
            Some(Reason::LateSteps { step, lateness, allowed })
        });
        let others = [self.began_late.then_some(Reason::BeganLate), failed.then_some(Reason::Failed)];
        [dropped.then_some(Reason::Dropped), starts].into_iter().chain(steps).chain(others).flatten()
    }

    /// Lateness counts as latency, so it spoils the numbers when it is a considerable part of them.
    fn allowed(&self) -> Option<Duration> {
        // Of a stage whose devices come back after a loss, how long that takes is what it is about.
        let median = self.median?.max(self.recover.unwrap_or_default());
        Some(harmless(median, self.least))
    }
}

/// The lateness of one in a hundred that does not spoil a median of that time; `least` matters to nobody.
fn harmless(median: Duration, least: Duration) -> Duration {
    (median / 10).max(least)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lateness_is_harmless_up_to_a_tenth_of_the_median_or_the_limit() {
        let (ms, least) = (Duration::from_millis, Duration::from_millis(50));
        assert_eq!([harmless(ms(400), least), harmless(ms(501), least)], [least, Duration::from_micros(50_100)]);
    }

    #[test]
    fn of_a_stage_whose_devices_have_no_due_times_only_what_they_do_then_can_be_late() {
        let mut totals = Counts { dropped: 1, ..Counts::default() };
        totals.failed[FailureClass::Generator] = 1;
        let second = Duration::from_secs(1);
        let (lateness, allowed) = (second, Duration::from_millis(200));
        let polls = Reason::LateSteps { step: DueStep::Poll, lateness, allowed };
        let evidence = Evidence {
            totals: &totals,
            least: Duration::ZERO,
            open: false,
            lateness: Some(second),
            late_steps: [Some(second), Some(allowed), None],
            median: Some(second),
            recover: Some(2 * second),
            began_late: true,
        };
        assert_eq!(evidence.reasons().collect::<Vec<_>>(), [polls, Reason::BeganLate, Reason::Failed]);
        let open = Evidence { open: true, ..evidence };
        let reasons = [Reason::Dropped, Reason::Late { lateness, allowed }, polls, Reason::BeganLate, Reason::Failed];
        assert_eq!(open.reasons().collect::<Vec<_>>(), reasons);
        let unknown = Evidence { median: None, ..open };
        let late = |reason| matches!(reason, Reason::Late { .. } | Reason::LateSteps { .. });
        assert!(!unknown.reasons().any(late));
    }
}
