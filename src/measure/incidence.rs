use std::time::Duration;

use crate::domain::{Fate, Known, Phase};
use crate::measure::{CompactPhases, Histogram};

/// The share of those who began that are through, over the time since each of them began: the cumulative incidence of
/// getting through (Aalen and Johansen 1978). Failing is a competing event: whoever failed never gets through and keeps their
/// share. Whoever was not seen to end is censored: known to be not through until then, and like the others at work from then
/// on. When nobody is censored this is the plain share; when nobody failed it is one minus the estimate of Kaplan and
/// Meier.
///
/// Times are as exact as histograms are (three digits); among equal ones, those through and failed come before those
/// censored.
#[derive(Debug, Clone, PartialEq)]
pub struct Incidence {
    /// Times in nanoseconds at which somebody got through, in order, each with the share that is through then.
    steps: Vec<(u64, f64)>,
    /// How many began, how many of them were seen to end in each way, and the longest that was seen of anybody (nanoseconds).
    began: u64,
    ended: [u64; Fate::COUNT],
    seen: u64,
    /// The shortest time of somebody through, as it was.
    shortest: u64,
    /// The longest.
    longest: u64,
    /// Mean of those through and of what was seen of the others, which is no more than the mean of all.
    mean: f64,
}

/// Shares that differ by less are the same: a share is a sum of many.
const SAME: f64 = 1e-9;

impl Incidence {
    /// Of a time that belongs to devices, out of the histograms of how it ended. `began`: how many began; those of whom there
    /// is no time (as in records of before censored ones were kept) are taken for never through, so that nothing is flattered.
    /// `None`: nobody began.
    pub fn new(by_fate: [&Histogram; Fate::COUNT], began: u64) -> Option<Self> {
        let ended = by_fate.map(Histogram::count);
        let began = began.max(ended.iter().sum());
        if began == 0 {
            return None;
        }
        let [through, _, _] = by_fate;
        let seen = by_fate.iter().filter_map(|times| times.aside().max).max().unwrap_or_default();
        let (shortest, longest) = (through.aside().min.unwrap_or_default(), through.aside().max.unwrap_or_default());
        let mut incidence = Self { steps: Vec::new(), began, ended, seen, shortest, longest, mean: 0.0 };
        incidence.walk(by_fate);
        Some(incidence)
    }

    /// Of a stage's record.
    pub fn of(phases: &CompactPhases, phase: Phase, began: u64) -> Option<Self> {
        let [through, failed, censored] = Fate::ALL.map(|fate| phases.get(phase, fate).unwrap_or_default());
        Self::new([&through, &failed, &censored], began)
    }

    /// From one time at which something happened to the next.
    fn walk(&mut self, by_fate: [&Histogram; Fate::COUNT]) {
        let mut cells = by_fate.map(|times| times.as_hdr().iter_recorded().peekable());
        let (mut at_work, mut neither, mut through) = (self.began as f64, 1.0, 0.0);
        let mut sum = 0.0;
        while let Some(time) = cells.iter_mut().filter_map(|cells| Some(cells.peek()?.value_iterated_to())).min() {
            let [came, failed, left] = cells.each_mut().map(|cells| {
                cells.next_if(|cell| cell.value_iterated_to() == time).map_or(0.0, |cell| cell.count_at_value() as f64)
            });
            if came > 0.0 {
                let step = neither * came / at_work;
                through += step;
                sum += step * time as f64;
                self.steps.push((time.clamp(self.shortest, self.longest), through));
            }
            neither *= 1.0 - (came + failed) / at_work;
            at_work -= came + failed + left;
        }
        self.mean = sum + (1.0 - through).max(0.0) * self.seen as f64;
    }

    /// How many began.
    pub const fn began(&self) -> u64 {
        self.began
    }

    /// How many of them were seen to end so.
    pub const fn ended(&self, fate: Fate) -> u64 {
        self.ended[fate as usize]
    }

    /// The share that is through in the end, as far as it was seen.
    pub fn share(&self) -> f64 {
        self.steps.last().map_or(0.0, |(_, share)| *share)
    }

    /// Times at which somebody got through, in order, each with the share that is through then.
    pub fn steps(&self) -> impl Iterator<Item = (Duration, f64)> {
        self.steps.iter().map(|(nanos, share)| (Duration::from_nanos(*nanos), *share))
    }

    /// The longest time that was seen of anybody. What goes on after it is not known.
    pub const fn seen(&self) -> Duration {
        Duration::from_nanos(self.seen)
    }

    /// The time after which a share of all who began is through, between 0 and 1.
    pub fn quantile(&self, quantile: f64) -> Known<Duration> {
        let reached = self.steps.iter().find(|(_, share)| *share > 0.0 && *share + SAME >= quantile);
        match reached {
            // Longer times are counted as if they were that.
            Some((nanos, _)) if *nanos >= Histogram::HIGHEST && self.longest > Histogram::HIGHEST => {
                Known::Above(Duration::from_nanos(Histogram::HIGHEST))
            }
            Some((nanos, _)) => Known::Is(Duration::from_nanos(*nanos)),
            None => Known::Above(self.seen()),
        }
    }

    /// The shortest time.
    pub const fn min(&self) -> Known<Duration> {
        if self.ended[Fate::Succeeded as usize] > 0 {
            Known::Is(Duration::from_nanos(self.shortest))
        } else {
            Known::Above(self.seen())
        }
    }

    /// The longest time: known once all who began are through.
    pub const fn max(&self) -> Known<Duration> {
        if self.all_through() { Known::Is(Duration::from_nanos(self.longest)) } else { Known::Above(self.seen()) }
    }

    /// The arithmetic mean: known once all who began are through.
    pub const fn mean(&self) -> Known<Duration> {
        let mean = Duration::from_nanos(self.mean as u64);
        if self.all_through() { Known::Is(mean) } else { Known::Above(mean) }
    }

    const fn all_through(&self) -> bool {
        self.ended[Fate::Succeeded as usize] == self.began
    }
}

#[cfg(test)]
mod tests;
