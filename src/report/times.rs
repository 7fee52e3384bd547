//! The times of a stage as tables tell them: those of attempts by how they ended, and those that belong to devices over all
//! who began, too.

use std::time::Duration;

use crate::domain::{Fate, Known, Phase, Whose};
use crate::measure::{Histogram, Incidence, Recorded, StageRecord};

/// What is told of the times of a phase.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Statistics {
    /// Of how many.
    pub(super) count: u64,
    pub(super) min: Known<Duration>,
    pub(super) mean: Known<Duration>,
    pub(super) p50: Known<Duration>,
    pub(super) p90: Known<Duration>,
    pub(super) p95: Known<Duration>,
    pub(super) p99: Known<Duration>,
    pub(super) p999: Known<Duration>,
    pub(super) max: Known<Duration>,
    /// Times above the range of the histogram (one hour), counted at its end.
    pub(super) above_range: u64,
}

impl Statistics {
    /// `None`: there are none.
    pub(super) fn of(times: &Histogram) -> Option<Self> {
        let Recorded { count, min, mean, p50, p90, p95, p99, p999, max } = times.summary()?;
        let is = |nanos| Known::Is(Duration::from_nanos(nanos));
        Some(Self {
            count,
            min: is(min),
            mean: is(mean.round() as u64),
            p50: is(p50),
            p90: is(p90),
            p95: is(p95),
            p99: is(p99),
            p999: is(p999),
            max: is(max),
            above_range: times.saturated(),
        })
    }

    /// Of all who began.
    pub(super) fn of_all(times: &Incidence, above_range: u64) -> Self {
        Self {
            count: times.began(),
            min: times.min(),
            mean: times.mean(),
            p50: times.quantile(0.50),
            p90: times.quantile(0.90),
            p95: times.quantile(0.95),
            p99: times.quantile(0.99),
            p999: times.quantile(0.999),
            max: times.max(),
            above_range,
        }
    }

    /// Every statistic of a time, in the order of files.
    pub(super) const fn all(&self) -> [Known<Duration>; 8] {
        [self.min, self.mean, self.p50, self.p90, self.p95, self.p99, self.p999, self.max]
    }
}

/// The times of a stage, phase by phase in the order of an attempt; of one that belongs to devices first those of all.
pub(super) fn times(stage: &StageRecord) -> impl Iterator<Item = (Phase, Whose, Statistics)> + use<'_> {
    Phase::ALL.into_iter().flat_map(move |phase| {
        let ended = Fate::ALL.map(|fate| stage.phases.get(phase, fate));
        let above_range = || ended.iter().flatten().map(Histogram::saturated).sum();
        let all = stage.of_all(phase).map(|times| (phase, Whose::All, Statistics::of_all(&times, above_range())));
        let by_fate = ended
            .iter()
            .zip(Fate::ALL)
            .filter_map(|(times, fate)| Some((phase, Whose::Of(fate), Statistics::of(times.as_ref()?)?)));
        all.into_iter().chain(by_fate).collect::<Vec<_>>()
    })
}
