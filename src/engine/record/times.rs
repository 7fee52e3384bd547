use std::time::Duration;

use crate::domain::{Fate, Metric, Phase, Whose};
use crate::engine::record::recorder::{Recorder, nanos};
use crate::measure::{CompactHistogram, CompactPhases, Histogram};

/// Times that somebody wants to know of a stage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Times {
    /// Those of a phase that ended so.
    Phase(Phase, Fate),
    /// How late attempts started.
    Lateness,
}

impl Times {
    /// How long devices took, however they ended.
    pub(crate) const TOTAL: [Self; Fate::COUNT] = Self::by_fate(Phase::Total);

    /// A phase, however it ended.
    pub(crate) const fn by_fate(phase: Phase) -> [Self; Fate::COUNT] {
        let [succeeded, failed, censored] = Fate::ALL;
        [Self::Phase(phase, succeeded), Self::Phase(phase, failed), Self::Phase(phase, censored)]
    }

    /// Those that a metric is about; none: it is about counts.
    pub(crate) fn of(metric: Metric) -> Vec<Self> {
        match metric {
            Metric::Phase { phase, whose: Whose::All, .. } => Self::by_fate(phase).to_vec(),
            Metric::Phase { phase, whose: Whose::Of(fate), .. } => vec![Self::Phase(phase, fate)],
            Metric::Lateness(_) => vec![Self::Lateness],
            _ => Vec::new(),
        }
    }

    /// How they ended. Lateness ends with the start of an attempt.
    pub(crate) const fn fate(self) -> Fate {
        match self {
            Self::Phase(_, fate) => fate,
            Self::Lateness => Fate::Succeeded,
        }
    }

    /// Puts those of a stage that goes on in the place of what was there. Of devices that are at it at that time, the time so
    /// far is censored.
    pub(crate) fn copy_to(self, histogram: &mut Histogram, recorder: &Recorder, now: Duration) {
        let recorded = match self {
            Self::Phase(phase, fate) => recorder.phases.get(phase, fate),
            Self::Lateness => Some(&recorder.lateness),
        };
        match recorded {
            Some(recorded) => histogram.clone_from(recorded),
            None => histogram.clear(),
        }
        if let Self::Phase(phase, Fate::Censored) = self {
            for (_, time) in recorder.at_work.seen(now).filter(|(going_on, _)| *going_on == phase) {
                histogram.record(nanos(time));
            }
        }
    }

    /// Those of a stage that is over.
    pub(crate) fn at_rest(self, phases: &CompactPhases, lateness: &CompactHistogram) -> Histogram {
        match self {
            Self::Phase(phase, fate) => phases.get(phase, fate).unwrap_or_default(),
            Self::Lateness => lateness.decode(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::domain::{Count, FailureClass, Ratio, Statistic};
    use crate::measure::{Attempt, Outcome, PhaseHistograms, PhaseTimes};

    #[test]
    fn times_are_those_of_the_phase_and_outcome_that_a_metric_is_about() {
        let statistic = Statistic::Max;
        let phase = |fate| Metric::Phase { phase: Phase::Register, whose: Whose::Of(fate), statistic };
        let (mut phases, mut lateness) = (PhaseHistograms::new(), Histogram::new());
        // One success, two failures, three that were late: told apart by how many they are.
        for outcome in [Outcome::Success, Outcome::Failed(FailureClass::Tls), Outcome::Failed(FailureClass::Tls)] {
            let mut times = PhaseTimes::new();
            times.set(Phase::Register, Duration::from_millis(5));
            phases.record(&Attempt::that(outcome, times));
        }
        (0..3).for_each(|_| lateness.record(7));
        let mut recorder = Recorder::new();
        (recorder.phases, recorder.lateness) = (phases, lateness);
        let all = |metric: Metric, recorder: &Recorder, now| {
            let counts = Times::of(metric).into_iter().map(|times| {
                let mut copy = Histogram::new();
                copy.record(99);
                times.copy_to(&mut copy, recorder, Duration::from_secs(now));
                let at_rest = times.at_rest(&(&recorder.phases).into(), &(&recorder.lateness).into());
                (copy.count(), at_rest.count())
            });
            counts.collect::<Vec<_>>()
        };
        for (metric, count) in [(phase(Fate::Succeeded), 1), (phase(Fate::Failed), 2), (Metric::Lateness(statistic), 3)]
        {
            assert_eq!(all(metric, &recorder, 0), [(count, count)], "{metric:?}");
        }
        let absent = Metric::Phase { phase: Phase::HubTls, whose: Whose::Of(Fate::Succeeded), statistic };
        assert_eq!(all(absent, &recorder, 0), [(0, 0)]);
        for metric in [Metric::Ratio(Ratio::ErrorRate), Metric::Ratio(Ratio::Throughput), Metric::Count(Count::Planned)]
        {
            assert_eq!(Times::of(metric), [], "{metric:?}");
        }
        // A time of devices is about all of them; those at work have no end yet.
        recorder.started(5, Duration::ZERO, Duration::ZERO);
        recorder.phases.record_one(Phase::Total, Fate::Failed, 7);
        let total = Metric::Phase { phase: Phase::Total, whose: Whose::All, statistic };
        assert_eq!(all(total, &recorder, 9), [(0, 0), (1, 1), (1, 0)]);
    }
}
