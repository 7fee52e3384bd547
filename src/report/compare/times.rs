use std::time::Duration;

use crate::domain::{Fate, Known, Phase};
use crate::measure::{Histogram, Incidence, StageRecord};
use crate::report::compare::statistics::Block;

/// The times of a phase in one or several runs of a stage together.
pub(super) enum Times {
    /// Of the attempts that succeeded.
    OfAttempts(Histogram),
    /// A time that belongs to devices, over all who began.
    OfAll(Incidence),
}

impl Times {
    /// `None`: there are none.
    pub(super) fn of(stages: &[&StageRecord], phase: Phase) -> Option<Self> {
        let sum = |fate: Fate| {
            let mut sum = Histogram::new();
            stages.iter().filter_map(|stage| stage.phases.get(phase, fate)).for_each(|times| sum.merge(&times));
            sum
        };
        if phase.is_of_device() {
            let [through, failed, censored] = Fate::ALL.map(sum);
            let began = stages.iter().map(|stage| stage.began(phase)).sum();
            return Incidence::new([&through, &failed, &censored], began).map(Self::OfAll);
        }
        Some(sum(Fate::Succeeded)).filter(|times| times.count() > 0).map(Self::OfAttempts)
    }

    /// Of how many.
    pub(super) fn count(&self) -> u64 {
        match self {
            Self::OfAttempts(times) => times.count(),
            Self::OfAll(times) => times.began(),
        }
    }

    /// Nanoseconds at a quantile.
    pub(super) fn at(&self, quantile: f64) -> Known<f64> {
        let time = match self {
            Self::OfAttempts(times) => Known::Is(times.quantile(quantile).unwrap_or_default()),
            Self::OfAll(times) => times.quantile(quantile),
        };
        time.map(|time| time.as_nanos() as f64)
    }

    /// Those that took longer; whoever was not seen to get through took longer than anything.
    pub(super) fn beyond(&self, bound: Duration) -> Block {
        match self {
            Self::OfAttempts(times) => beyond(times, bound),
            Self::OfAll(times) => {
                let through = times.steps().take_while(|(time, _)| *time <= bound).last().map_or(0.0, |step| step.1);
                let count = times.began() as f64;
                Block { count, above: (1.0 - through).max(0.0) * count }
            }
        }
    }
}

/// Times of a histogram that are longer.
pub(super) fn beyond(times: &Histogram, bound: Duration) -> Block {
    let (hdr, bound) = (times.as_hdr(), u64::try_from(bound.as_nanos()).unwrap_or(u64::MAX));
    Block { count: hdr.len() as f64, above: hdr.len().saturating_sub(hdr.count_between(0, bound)) as f64 }
}
