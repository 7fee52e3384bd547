use std::sync::LazyLock;
use std::time::Duration;

use crate::domain::{Fate, Phase};
use crate::measure::encoding::MOST_VALUES;
use crate::measure::{Aside, Attempt};

/// A bounded HDR histogram of nanoseconds that counts what it could not hold instead of panicking. Its counts hold values to
/// three digits; the smallest and the largest are kept as they were. It takes its 200 KB with the first value, and is what
/// records and computes; what only lies there is a [`crate::measure::CompactHistogram`].
#[derive(Debug, Clone)]
pub struct Histogram {
    inner: Option<Box<hdrhistogram::Histogram<u64>>>,
    saturated: u64,
    /// Smallest value; above every other as long as there is none.
    min: u64,
    /// Largest value, 0 as long as there is none.
    max: u64,
}

/// What one histogram says, in nanoseconds: `min` and `max` as they were, the others to three digits and never beyond these.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Recorded {
    /// Values recorded.
    pub count: u64,
    /// Smallest value.
    pub min: u64,
    /// Arithmetic mean.
    pub mean: f64,
    /// Percentiles 50, 90, 95, 99 and 99.9.
    pub p50: u64,
    /// See `p50`.
    pub p90: u64,
    /// See `p50`.
    pub p95: u64,
    /// See `p50`.
    pub p99: u64,
    /// See `p50`.
    pub p999: u64,
    /// Largest value.
    pub max: u64,
}

impl Histogram {
    /// Smallest distinguishable value: one microsecond.
    pub const LOWEST: u64 = 1_000;
    /// Largest value that percentiles tell: one hour. Longer ones are counted at this value and in [`Self::saturated`].
    pub const HIGHEST: u64 = 3_600_000_000_000;
    /// Longest time that is told of as a largest value: 31 years, which is as much as a stored time may say.
    const LONGEST: u64 = MOST_VALUES * 1_000;

    /// An empty histogram with three significant digits.
    pub const fn new() -> Self {
        Self { inner: None, saturated: 0, min: u64::MAX, max: 0 }
    }

    /// Records nanoseconds.
    pub fn record(&mut self, nanos: u64) {
        self.saturated += u64::from(nanos > Self::HIGHEST);
        let nanos = nanos.min(Self::LONGEST);
        self.min = self.min.min(nanos);
        self.max = self.max.max(nanos);
        self.inner.get_or_insert_with(|| Box::new(bounded())).saturating_record(nanos.min(Self::HIGHEST));
    }

    /// Adds all of `other`.
    pub fn merge(&mut self, other: &Self) {
        match (&mut self.inner, &other.inner) {
            (Some(sum), Some(other)) => sum.add(&**other).expect("all histograms have the same bounds"),
            (sum @ None, other) => sum.clone_from(other),
            (Some(_), None) => {}
        }
        self.saturated += other.saturated;
        self.min = self.min.min(other.min);
        self.max = self.max.max(other.max);
    }

    /// Forgets all values, keeps the memory.
    pub fn clear(&mut self) {
        if let Some(inner) = &mut self.inner {
            inner.reset();
        }
        (self.saturated, self.min, self.max) = (0, u64::MAX, 0);
    }

    /// Values recorded.
    pub fn count(&self) -> u64 {
        self.inner.as_ref().map_or(0, |inner| inner.len())
    }

    /// Values above [`Self::HIGHEST`].
    pub const fn saturated(&self) -> u64 {
        self.saturated
    }

    /// The value at a quantile between 0 and 1, `None` when nothing was recorded: the smallest at 0, the largest at 1.
    pub fn quantile(&self, quantile: f64) -> Option<Duration> {
        (self.count() > 0).then(|| Duration::from_nanos(self.nanos_at(quantile)))
    }

    /// A quantile in nanoseconds, of a histogram that is not empty.
    fn nanos_at(&self, quantile: f64) -> u64 {
        if quantile <= 0.0 {
            self.min
        } else if quantile >= 1.0 {
            self.max
        } else {
            // A step of the histogram may reach beyond the values that are in it.
            self.as_hdr().value_at_quantile(quantile).min(self.max).max(self.min)
        }
    }

    /// The usual statistics, `None` when nothing was recorded.
    pub fn summary(&self) -> Option<Recorded> {
        (self.count() > 0).then(|| Recorded {
            count: self.count(),
            min: self.min,
            mean: self.as_hdr().mean().min(self.max as f64).max(self.min as f64),
            p50: self.nanos_at(0.50),
            p90: self.nanos_at(0.90),
            p95: self.nanos_at(0.95),
            p99: self.nanos_at(0.99),
            p999: self.nanos_at(0.999),
            max: self.max,
        })
    }

    /// What is stored beside its counts.
    pub fn aside(&self) -> Aside {
        let end = |nanos| (self.count() > 0).then_some(nanos);
        Aside { above_range: self.saturated, min: end(self.min), max: end(self.max) }
    }

    /// The HDR histogram itself, for serialisation.
    pub fn as_hdr(&self) -> &hdrhistogram::Histogram<u64> {
        static EMPTY: LazyLock<hdrhistogram::Histogram<u64>> = LazyLock::new(bounded);
        self.inner.as_deref().unwrap_or(&EMPTY)
    }

    /// From a stored HDR histogram with the bounds of [`Self::new`]. An end that is not known is that of its outermost step.
    pub(super) fn from_parts(inner: hdrhistogram::Histogram<u64>, aside: Aside) -> Self {
        let Aside { above_range: saturated, min, max } = aside;
        let (min, max) = if inner.is_empty() {
            (u64::MAX, 0)
        } else {
            (min.unwrap_or_else(|| inner.min()), max.unwrap_or_else(|| inner.max()))
        };
        Self { inner: Some(Box::new(inner)), saturated, min, max }
    }
}

fn bounded() -> hdrhistogram::Histogram<u64> {
    hdrhistogram::Histogram::new_with_bounds(Histogram::LOWEST, Histogram::HIGHEST, 3)
        .expect("constant bounds are valid")
}

impl Default for Histogram {
    fn default() -> Self {
        Self::new()
    }
}

/// One histogram per phase and fate, as long as something is recorded. Memory is taken when a phase first occurs.
#[derive(Debug, Clone, Default)]
pub struct PhaseHistograms {
    pub(super) by_fate: [[Histogram; Phase::COUNT]; Fate::COUNT],
}

impl PhaseHistograms {
    /// Nothing recorded.
    pub fn new() -> Self {
        Self::default()
    }

    /// Records every phase of a device that had this attempt alone.
    pub fn record(&mut self, attempt: &Attempt) {
        self.record_attempt(attempt);
        let fate = attempt.outcome.fate_of_device();
        for (phase, nanos) in attempt.facts.phases.present().filter(|(phase, _)| phase.is_of_device()) {
            self.record_one(phase, fate, nanos);
        }
    }

    /// Records every phase that the attempt had, but for times that belong to its device, and those of which every single one is recorded
    /// apart.
    pub fn record_attempt(&mut self, attempt: &Attempt) {
        let fate = attempt.outcome.fate();
        let apart = |phase: Phase| phase.is_of_device() || phase.is_of_steps();
        for (phase, nanos) in attempt.facts.phases.present().filter(|(phase, _)| !apart(*phase)) {
            self.record_one(phase, fate, nanos);
        }
    }

    /// Records one time of a phase, in nanoseconds.
    pub fn record_one(&mut self, phase: Phase, fate: Fate, nanos: u64) {
        self.by_fate[fate as usize][phase.index()].record(nanos);
    }

    /// Adds all of `other`.
    pub fn merge(&mut self, other: &Self) {
        for (mine, theirs) in self.by_fate.as_flattened_mut().iter_mut().zip(other.by_fate.as_flattened()) {
            mine.merge(theirs);
        }
    }

    /// The histogram of a phase with this fate, when there is one.
    pub fn get(&self, phase: Phase, fate: Fate) -> Option<&Histogram> {
        Some(&self.by_fate[fate as usize][phase.index()]).filter(|histogram| histogram.count() > 0)
    }

    /// Times of a phase, with whatever fate.
    pub fn count(&self, phase: Phase) -> u64 {
        self.by_fate.iter().map(|set| set[phase.index()].count()).sum()
    }

    /// The histogram of a phase of the successes, when one had it.
    pub fn succeeded(&self, phase: Phase) -> Option<&Histogram> {
        self.get(phase, Fate::Succeeded)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(values: &[u64]) -> Histogram {
        let mut histogram = Histogram::new();
        values.iter().for_each(|nanos| histogram.record(*nanos));
        histogram
    }

    #[test]
    fn an_hour_is_within_the_range_and_more_is_counted_above_it() {
        assert_eq!(of(&[Histogram::HIGHEST]).saturated(), 0);
        assert_eq!(of(&[Histogram::HIGHEST, Histogram::HIGHEST + 1, u64::MAX]).saturated(), 2);
    }

    #[test]
    fn percentiles_tell_an_hour_for_all_that_is_longer() {
        let (minute, hour) = (60_000_000_000, Histogram::HIGHEST);
        for nanos in [hour + 1, hour + hour / 100, 2 * hour, u64::MAX] {
            let told = of(&[minute, nanos, 100 * hour]).quantile(0.5).map(|time| time.as_secs_f64().round());
            assert_eq!(told, Some(3_601.0), "{nanos}: within three digits");
        }
    }

    #[test]
    fn no_time_is_told_that_is_longer_than_a_file_may_say() {
        let years = 1_000_000_000_000_000_000;
        let max = |nanos| of(&[nanos]).summary().map(|summary| summary.max);
        assert_eq!(
            [max(years - 1), max(years), max(years + 1), max(u64::MAX)],
            [years - 1, years, years, years].map(Some)
        );
    }

    #[test]
    fn histograms_are_the_same_when_counts_and_ends_are() {
        assert_eq!(of(&[5_000_000, 9_000_000]), of(&[9_000_000, 5_000_000]));
        assert_ne!(of(&[5_000_000, 7_000_000, 9_000_000]), of(&[5_000_000, 8_000_000, 9_000_000]), "other counts");
        assert_ne!(of(&[5_000_000, 9_000_000]), of(&[5_000_000, 9_000_001]), "another end in the same step");
    }
}
