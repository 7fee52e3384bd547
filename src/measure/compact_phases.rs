use crate::domain::{Fate, Phase};
use crate::measure::{CompactHistogram, Histogram, PhaseHistograms};

/// [`PhaseHistograms`] at rest: what a stage that is over keeps, some kilobytes instead of megabytes.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CompactPhases {
    by_fate: [[CompactHistogram; Phase::COUNT]; Fate::COUNT],
}

impl CompactPhases {
    /// The histogram of a phase with this fate, when there is one.
    pub fn get(&self, phase: Phase, fate: Fate) -> Option<Histogram> {
        decoded(&self.by_fate[fate as usize][phase.index()])
    }

    /// The histogram of a phase of the successes, when one had it.
    pub fn succeeded(&self, phase: Phase) -> Option<Histogram> {
        self.get(phase, Fate::Succeeded)
    }

    /// Puts the histogram of a phase that ended so in the place of what was there.
    pub fn set(&mut self, phase: Phase, fate: Fate, histogram: &Histogram) {
        self.by_fate[fate as usize][phase.index()] = CompactHistogram::new(histogram);
    }

    /// All of them, to compute with.
    pub fn decode(&self) -> PhaseHistograms {
        let decode = |phases: &[CompactHistogram; Phase::COUNT]| phases.each_ref().map(CompactHistogram::decode);
        PhaseHistograms { by_fate: self.by_fate.each_ref().map(decode) }
    }

    /// Adds all of `other`.
    pub fn merge(&mut self, other: &Self) {
        let theirs = other.by_fate.as_flattened();
        self.by_fate.as_flattened_mut().iter_mut().zip(theirs).for_each(|(mine, theirs)| mine.merge(theirs));
    }

    /// See [`crate::measure::RunRecord::at_rest`].
    pub(super) fn round(&mut self) {
        self.by_fate.as_flattened_mut().iter_mut().for_each(CompactHistogram::round);
    }
}

impl From<&PhaseHistograms> for CompactPhases {
    fn from(phases: &PhaseHistograms) -> Self {
        let compact = |phases: &[Histogram; Phase::COUNT]| phases.each_ref().map(CompactHistogram::new);
        Self { by_fate: phases.by_fate.each_ref().map(compact) }
    }
}

fn decoded(histogram: &CompactHistogram) -> Option<Histogram> {
    (!histogram.is_empty()).then(|| histogram.decode())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;
    use crate::domain::FailureClass;
    use crate::measure::{Attempt, Outcome, PhaseTimes};

    fn recorded(attempts: &[(u64, bool)]) -> PhaseHistograms {
        let mut phases = PhaseHistograms::new();
        for (nanos, succeeded) in attempts {
            let mut times = PhaseTimes::new();
            times.set(Phase::Tls, Duration::from_nanos(*nanos));
            times.set(Phase::Total, Duration::from_nanos(nanos.saturating_mul(3)));
            phases.record(&Attempt::that(
                if *succeeded { Outcome::Success } else { Outcome::Failed(FailureClass::Timeout) },
                times,
            ));
        }
        phases
    }

    fn attempts() -> impl Strategy<Value = Vec<(u64, bool)>> {
        prop::collection::vec((0..2 * Histogram::HIGHEST, any::<bool>()), 0..40)
    }

    proptest! {
        #[test]
        fn at_rest_nothing_is_lost_and_merged_at_rest_it_is_the_same(a in attempts(), b in attempts()) {
            let (one, other, all) = (recorded(&a), recorded(&b), recorded(&[a, b].concat()));
            let mut sum = CompactPhases::from(&one);
            sum.merge(&CompactPhases::from(&other));
            prop_assert_eq!(&sum, &CompactPhases::from(&all));
            let decoded = sum.decode();
            for phase in Phase::ALL {
                for fate in Fate::ALL {
                    prop_assert_eq!(sum.get(phase, fate), all.get(phase, fate).cloned());
                    prop_assert_eq!(decoded.get(phase, fate), all.get(phase, fate));
                }
            }
        }
    }

    #[test]
    fn in_a_file_the_ends_of_every_phase_are_microseconds() {
        let mut phases = CompactPhases::from(&recorded(&[(5_000_499, true), (7_000_501, true), (9_000_500, false)]));
        phases.round();
        let ends = |histogram: Option<Histogram>| histogram.map(|h| (h.aside().min.unwrap(), h.aside().max.unwrap()));
        assert_eq!(ends(phases.succeeded(Phase::Tls)), Some((5_000_000, 7_001_000)));
        assert_eq!(ends(phases.get(Phase::Tls, Fate::Failed)), Some((9_001_000, 9_001_000)));
        assert_eq!(ends(phases.get(Phase::Total, Fate::Failed)), Some((27_002_000, 27_002_000)));
    }

    #[test]
    fn a_stage_at_rest_is_a_thousandth_of_one_that_records() {
        let phases = CompactPhases::from(&recorded(&[(5_000_000, true), (7_000_000, false)]));
        let bytes: usize = phases.by_fate.as_flattened().iter().map(|histogram| histogram.as_v2().len()).sum();
        assert!(bytes + size_of::<CompactPhases>() < 8_000, "{bytes}");
    }
}
