//! What the last minute brought, second by second.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use crate::engine::{Progress, RunPart, StageProgress};

/// Seconds that are remembered.
const SECONDS: usize = 60;
/// Rates are those of about the last second, as in [`StageProgress::rate`].
const RECENT: Duration = Duration::from_millis(1_100);

/// One history per stage.
#[derive(Debug, Default)]
pub struct Histories {
    stages: BTreeMap<usize, History>,
}

impl Histories {
    /// Takes in what a snapshot of the measured part tells.
    pub fn add(&mut self, progress: &Progress) {
        if !matches!(progress.part, RunPart::Prepare | RunPart::Wait) {
            for stage in &progress.stages {
                self.stages.entry(stage.stage).or_default().add(progress.elapsed, stage);
            }
        }
    }

    /// That of a stage, once it was seen.
    pub fn of(&self, stage: usize) -> Option<&History> {
        self.stages.get(&stage)
    }
}

/// The last minute of a stage.
#[derive(Debug, Default)]
pub struct History {
    /// Attempts started at the last times, for the rate that is offered.
    offered: VecDeque<(Duration, u64)>,
    /// Attempts that succeeded in each whole second, the newest last.
    goodput: VecDeque<u64>,
    /// The second that goes on, and the attempts that had succeeded when it began.
    second: Option<(u64, u64)>,
}

impl History {
    fn add(&mut self, now: Duration, stage: &StageProgress) {
        self.offered.push_back((now, stage.totals.attempts));
        while self.offered.front().is_some_and(|(at, _)| *at + RECENT < now) {
            self.offered.pop_front();
        }
        let good = stage.goodput();
        let (second, before) = *self.second.get_or_insert((now.as_secs(), 0));
        let passed = now.as_secs().saturating_sub(second);
        if passed == 0 {
            return;
        }
        // After a pause of the display nobody knows in which of its seconds they succeeded.
        let share = good.saturating_sub(before) / passed;
        for _ in 0..passed.min(SECONDS as u64) {
            self.goodput.push_back(share);
        }
        while self.goodput.len() > SECONDS {
            self.goodput.pop_front();
        }
        self.second = Some((now.as_secs(), good));
    }

    /// Attempts started per second, over about the last one.
    pub fn offered_rate(&self) -> f64 {
        let (Some((from, before)), Some((to, now))) = (self.offered.front(), self.offered.back()) else { return 0.0 };
        let seconds = to.saturating_sub(*from).as_secs_f64();
        if seconds > 0.0 { now.saturating_sub(*before) as f64 / seconds } else { 0.0 }
    }

    /// The last whole seconds, at most `width`, as bars of eight heights, with the most of them that one second brought.
    pub fn sparkline(&self, width: usize) -> Option<(String, u64)> {
        let shown = self.goodput.iter().skip(self.goodput.len().saturating_sub(width));
        let most = shown.clone().copied().max().filter(|most| *most > 0)?;
        let bars = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
        let bar = |value: u64| {
            let height = (value * 7).div_ceil(most) as usize;
            // Nothing at all looks different from little.
            if value == 0 { '·' } else { bars.get(height).copied().unwrap_or('█') }
        };
        Some((shown.map(|value| bar(*value)).collect(), most))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Counts;

    fn attempts(attempts: u64) -> StageProgress {
        StageProgress { totals: Counts { attempts, ..Counts::default() }, ..StageProgress::default() }
    }

    fn filled(goodput: &[u64]) -> History {
        let mut history = History::default();
        let mut started = 0;
        history.add(Duration::ZERO, &StageProgress::default());
        for (second, good) in goodput.iter().enumerate() {
            started += good;
            history.add(Duration::from_secs(second as u64 + 1), &attempts(started));
        }
        history
    }

    #[test]
    fn every_second_is_a_bar_and_the_highest_fills_the_line() {
        let (bars, most) = filled(&[0, 1, 50, 100, 25]).sparkline(60).expect("something succeeded");
        assert_eq!((bars.as_str(), most), ("·▂▅█▃", 100));
        assert_eq!(filled(&[0, 1, 50, 100, 25]).sparkline(2).expect("something succeeded").0, "█▃");
        assert_eq!(filled(&[0, 0]).sparkline(60), None);
    }

    #[test]
    fn a_minute_is_remembered_and_a_pause_is_spread() {
        let mut history = filled(&vec![10; 100]);
        assert_eq!(history.goodput.len(), 60);
        history.add(Duration::from_secs(104), &attempts(1_000 + 80));
        assert_eq!(history.goodput.iter().rev().take(5).copied().collect::<Vec<_>>(), [20, 20, 20, 20, 10]);
    }

    #[test]
    fn what_is_offered_counts_attempts_of_the_last_second() {
        let mut history = History::default();
        for (millis, started) in [(0, 0), (500, 100), (1_000, 300), (1_500, 600)] {
            history.add(Duration::from_millis(millis), &attempts(started));
        }
        assert!((history.offered_rate() - 500.0).abs() < 1e-9);
    }
}
