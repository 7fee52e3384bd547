use crate::domain::{Metric, Phase};
use crate::measure::{CompactHistogram, CompactPhases, Histogram, PhaseHistograms};

/// The times that a metric is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Times {
    /// Those of a phase, of successes or failures.
    Phase { phase: Phase, succeeded: bool },
    /// How late attempts started.
    Lateness,
}

impl Times {
    /// How long devices took that succeeded.
    pub(crate) const TOTAL: Self = Self::Phase { phase: Phase::Total, succeeded: true };

    /// `None`: the metric is about counts.
    pub(crate) const fn of(metric: Metric) -> Option<Self> {
        match metric {
            Metric::Phase { phase, succeeded, .. } => Some(Self::Phase { phase, succeeded }),
            Metric::Lateness(_) => Some(Self::Lateness),
            _ => None,
        }
    }

    /// Those of a stage that goes on.
    pub(crate) fn recorded<'a>(self, phases: &'a PhaseHistograms, lateness: &'a Histogram) -> Option<&'a Histogram> {
        match self {
            Self::Phase { phase, succeeded: true } => phases.succeeded(phase),
            Self::Phase { phase, succeeded: false } => phases.failed(phase),
            Self::Lateness => Some(lateness),
        }
    }

    /// Those of a stage that is over.
    pub(crate) fn at_rest(self, phases: &CompactPhases, lateness: &CompactHistogram) -> Histogram {
        match self {
            Self::Phase { phase, succeeded: true } => phases.succeeded(phase).unwrap_or_default(),
            Self::Phase { phase, succeeded: false } => phases.failed(phase).unwrap_or_default(),
            Self::Lateness => lateness.decode(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::domain::{Count, FailureClass, Ratio, Statistic};
    use crate::measure::{Attempt, Outcome, PhaseTimes};

    #[test]
    fn times_are_those_of_the_phase_and_outcome_that_a_metric_is_about() {
        let statistic = Statistic::Max;
        let phase = |succeeded| Metric::Phase { phase: Phase::Register, succeeded, statistic };
        let (mut phases, mut lateness) = (PhaseHistograms::new(), Histogram::new());
        // One success, two failures, three that were late: told apart by how many they are.
        for outcome in [Outcome::Success, Outcome::Failed(FailureClass::Tls), Outcome::Failed(FailureClass::Tls)] {
            let mut times = PhaseTimes::new();
            times.set(Phase::Register, Duration::from_millis(5));
            phases.record(&Attempt::that(outcome, times));
        }
        (0..3).for_each(|_| lateness.record(7));
        for (metric, count) in [(phase(true), 1), (phase(false), 2), (Metric::Lateness(statistic), 3)] {
            let times = Times::of(metric).expect("it is about times");
            assert_eq!(times.recorded(&phases, &lateness).map(Histogram::count), Some(count), "{metric:?}");
            let at_rest = times.at_rest(&(&phases).into(), &(&lateness).into());
            assert_eq!(at_rest.count(), count, "{metric:?}");
        }
        let absent = Times::Phase { phase: Phase::HubTls, succeeded: true };
        assert!(absent.recorded(&phases, &lateness).is_none());
        assert_eq!(absent.at_rest(&(&phases).into(), &(&lateness).into()).count(), 0);
        for metric in [Metric::Ratio(Ratio::ErrorRate), Metric::Ratio(Ratio::Throughput), Metric::Count(Count::Planned)]
        {
            assert_eq!(Times::of(metric), None, "{metric:?}");
        }
    }
}
