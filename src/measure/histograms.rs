use std::time::Duration;

use crate::domain::Phase;
use crate::measure::{Attempt, Outcome};

/// A bounded HDR histogram of nanoseconds that counts what it could not hold instead of panicking.
#[derive(Debug, Clone)]
pub struct Histogram {
    inner: hdrhistogram::Histogram<u64>,
    saturated: u64,
}

/// What one histogram says, in nanoseconds.
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
    /// Largest value that is kept exactly: one hour. Longer ones are counted at this value and in [`Self::saturated`].
    pub const HIGHEST: u64 = 3_600_000_000_000;

    /// An empty histogram with three significant digits.
    pub fn new() -> Self {
        let inner = hdrhistogram::Histogram::new_with_bounds(Self::LOWEST, Self::HIGHEST, 3)
            .expect("constant bounds are valid");
        Self { inner, saturated: 0 }
    }

    /// Records nanoseconds.
    pub fn record(&mut self, nanos: u64) {
        self.saturated += u64::from(nanos > Self::HIGHEST);
        self.inner.saturating_record(nanos);
    }

    /// Adds all of `other`.
    pub fn merge(&mut self, other: &Self) {
        self.inner.add(&other.inner).expect("all histograms have the same bounds");
        self.saturated += other.saturated;
    }

    /// Forgets all values, keeps the memory.
    pub fn clear(&mut self) {
        self.inner.reset();
        self.saturated = 0;
    }

    /// Values recorded.
    pub fn count(&self) -> u64 {
        self.inner.len()
    }

    /// Values above [`Self::HIGHEST`].
    pub const fn saturated(&self) -> u64 {
        self.saturated
    }

    /// The value at a quantile between 0 and 1, `None` when nothing was recorded.
    pub fn quantile(&self, quantile: f64) -> Option<Duration> {
        (self.count() > 0).then(|| Duration::from_nanos(self.inner.value_at_quantile(quantile)))
    }

    /// The usual statistics, `None` when nothing was recorded.
    pub fn summary(&self) -> Option<Recorded> {
        let h = &self.inner;
        (!h.is_empty()).then(|| Recorded {
            count: h.len(),
            min: h.min(),
            mean: h.mean(),
            p50: h.value_at_quantile(0.50),
            p90: h.value_at_quantile(0.90),
            p95: h.value_at_quantile(0.95),
            p99: h.value_at_quantile(0.99),
            p999: h.value_at_quantile(0.999),
            max: h.max(),
        })
    }

    /// The HDR histogram itself, for serialisation.
    pub const fn as_hdr(&self) -> &hdrhistogram::Histogram<u64> {
        &self.inner
    }

    /// From a stored HDR histogram with the bounds of [`Self::new`].
    pub const fn from_hdr(inner: hdrhistogram::Histogram<u64>) -> Self {
        Self::from_parts(inner, 0)
    }

    pub(super) const fn from_parts(inner: hdrhistogram::Histogram<u64>, saturated: u64) -> Self {
        Self { inner, saturated }
    }
}

impl Default for Histogram {
    fn default() -> Self {
        Self::new()
    }
}

/// One histogram per phase, for successes and for failures apart. Memory is taken when a phase first occurs.
#[derive(Debug, Clone, Default)]
pub struct PhaseHistograms {
    succeeded: [Option<Box<Histogram>>; Phase::COUNT],
    failed: [Option<Box<Histogram>>; Phase::COUNT],
}

impl PhaseHistograms {
    /// Nothing recorded.
    pub fn new() -> Self {
        Self::default()
    }

    /// Records every phase that the attempt had.
    pub fn record(&mut self, attempt: &Attempt) {
        let set = match attempt.outcome {
            Outcome::Success => &mut self.succeeded,
            Outcome::Failed(_) => &mut self.failed,
        };
        for (phase, nanos) in attempt.phases.present() {
            set[phase.index()].get_or_insert_default().record(nanos);
        }
    }

    /// Records one time of a phase that came apart from an attempt as a whole, as a success.
    pub fn record_one(&mut self, phase: Phase, nanos: u64) {
        self.succeeded[phase.index()].get_or_insert_default().record(nanos);
    }

    /// Puts the histogram of a phase, of the successes or the failures, in the place of what was there.
    pub fn set(&mut self, phase: Phase, succeeded: bool, histogram: Histogram) {
        let set = if succeeded { &mut self.succeeded } else { &mut self.failed };
        set[phase.index()] = Some(Box::new(histogram));
    }

    /// Adds all of `other`.
    pub fn merge(&mut self, other: &Self) {
        for (mine, theirs) in
            self.succeeded.iter_mut().chain(&mut self.failed).zip(other.succeeded.iter().chain(&other.failed))
        {
            if let Some(theirs) = theirs {
                mine.get_or_insert_default().merge(theirs);
            }
        }
    }

    /// The histogram of a phase of the successes, when one had it.
    pub fn succeeded(&self, phase: Phase) -> Option<&Histogram> {
        self.succeeded[phase.index()].as_deref()
    }

    /// The histogram of a phase of the failures, when one had it.
    pub fn failed(&self, phase: Phase) -> Option<&Histogram> {
        self.failed[phase.index()].as_deref()
    }
}
