use std::sync::Arc;
use std::time::Duration;

use crate::domain::{Known, Phase, named};
use crate::measure::{Counts, PhaseBuckets};

/// What a live display shows, about five times a second.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Progress {
    /// Part of the run.
    pub part: RunPart,
    /// Since the start of the measured part; of the prepare part, or of waiting, while that lasts.
    pub elapsed: Duration,
    /// While waiting: time until the measured part begins.
    pub begins_in: Duration,
    /// Keys made ahead of need, while preparing.
    pub keys_ready: u64,
    /// Keys wanted before the measured part begins.
    pub keys_wanted: u64,
    /// Stages that go on, in the order in which they began; when there is none, the one that ended last.
    pub stages: Vec<StageProgress>,
    /// Stages that are over and not in `stages`, with what they came to, in the order in which they began.
    pub over: Vec<StageProgress>,
    /// Connections with the hub that are held.
    pub connected: u64,
}

/// One stage that goes on, or has ended just now.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct StageProgress {
    /// Index of the stage.
    pub stage: usize,
    /// When it began, since the start of the measured part.
    pub began: Duration,
    /// When it ended, on the same clock.
    pub ended: Option<Duration>,
    /// How long devices stay connected in it: until then it goes on, whatever became of them. Only in a stage of
    /// `operate`.
    pub lasts: Option<Duration>,
    /// Whether all its devices were due.
    pub all_due: bool,
    /// Attempts going on.
    pub in_flight: u64,
    /// Phases that they are in, with how many of them; those between two phases are in none.
    pub in_phases: Vec<(Phase, u64)>,
    /// Devices of a stage of `operate` that are connected now.
    pub connected: u64,
    /// Attempts that succeeded per second, over about the last second.
    pub rate: f64,
    /// Median of `total` of all devices that began, those at work censored.
    pub p50: Option<Known<Duration>>,
    /// 99th percentile of the same.
    pub p99: Option<Known<Duration>>,
    /// 99th percentile of how long after their due time attempts started: the generator's own part.
    pub lateness_p99: Option<Duration>,
    /// Every count. While the stage goes on, `not_started` is not known, and `skipped` in part.
    pub totals: Counts,
    /// Whether the generator was the bottleneck so far, by what can be told before the end: devices dropped, started too late,
    /// or failed within the generator.
    pub saturated: bool,
    /// What is told when [`crate::engine::RunInput::distributions`] asks for it.
    pub distributions: Option<Arc<Distributions>>,
}

impl StageProgress {
    /// Attempts that ended and succeeded.
    pub fn goodput(&self) -> u64 {
        let ended = self.totals.attempts.saturating_sub(self.in_flight);
        ended.saturating_sub(self.totals.failed_attempts.total())
    }
}

/// How the times of a stage are distributed so far, as of the last second.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Distributions {
    /// Median of start minus due time of the attempts started.
    pub lateness_p50: Option<Duration>,
    /// 99th percentile of the same.
    pub lateness_p99: Option<Duration>,
    /// Times of every phase that occurred.
    pub phases: PhaseBuckets,
}

named! {
    /// Part of a run.
    #[derive(Default)]
    pub enum RunPart {
        /// Making keys ahead of need. Not measured.
        #[default]
        Prepare = "prepare",
        /// All is prepared, and the moment at which the measured part is to begin has not come.
        Wait = "wait",
        /// Devices become due.
        Measure = "measure",
        /// All devices were due, the last attempts finish.
        Drain = "drain",
    }
}
