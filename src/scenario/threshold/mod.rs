mod bound;
mod early;
mod parse;
mod read;

use std::time::Duration;

use crate::domain::{FailureClass, Phase};
pub(super) use read::read_all;

use crate::scenario::StageKind;
use crate::scenario::stage::Head;

/// A condition that a run must meet, such as `provision.total.p99 < 2s`.
#[derive(Debug, Clone, PartialEq)]
pub struct Threshold {
    /// As written.
    pub text: String,
    /// Indices of the stages that it is about; their numbers are taken together.
    pub stages: Vec<usize>,
    /// What is compared.
    pub metric: Metric,
    /// How.
    pub comparison: Comparison,
    /// With what: nanoseconds for times, events per second for rates, a fraction of one for shares, else a count.
    pub bound: f64,
    /// Whether the run ends as soon as it is not met, and how long after the start of the first of its stages that is looked
    /// at (real time). `None`: judged at the end only.
    pub abort_after: Option<Duration>,
}

/// What a threshold compares.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Metric {
    /// A statistic of the times of a phase.
    Phase {
        /// The phase.
        phase: Phase,
        /// Of the attempts that succeeded, or of those that failed.
        succeeded: bool,
        /// Which one.
        statistic: Statistic,
    },
    /// How late attempts started.
    Lateness(Statistic),
    /// A count.
    Count(Counted),
    /// Failed and dropped devices as a share of those that came.
    ErrorRate,
    /// Devices that succeeded as a share of those that came.
    SuccessRate,
    /// Devices that succeeded per second of real time.
    Throughput,
    /// Attempts per device that succeeded.
    AttemptsPerSuccess,
}

/// A number that says something about a distribution.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Statistic {
    /// How many values there are.
    Count,
    /// Smallest.
    Min,
    /// Arithmetic mean.
    Mean,
    /// Largest.
    Max,
    /// A quantile from 0 to 1.
    Quantile(f64),
}

/// What can be counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Counted {
    /// Devices planned.
    Planned,
    /// Devices started.
    Started,
    /// Devices that succeeded.
    Succeeded,
    /// Devices that failed for good.
    Failed,
    /// Devices that failed for good, of one class.
    FailedAs(FailureClass),
    /// Devices that could not start in time.
    Dropped,
    /// Devices that were not started because the run was stopped.
    NotStarted,
    /// Devices that had nothing to do.
    Skipped,
    /// Devices whose certificate expired before it was replaced.
    Expired,
    /// Devices that failed because they were allowed no further attempt.
    GaveUp,
    /// Attempts, further ones included.
    Attempts,
    /// Attempts that failed.
    FailedAttempts,
    /// Answers 429.
    Throttled,
    /// Status polls.
    Polls,
    /// Held connections that were lost.
    Disconnects,
}

/// How a threshold compares.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Comparison {
    /// `<`
    Less,
    /// `<=`
    AtMost,
    /// `>`
    More,
    /// `>=`
    AtLeast,
    /// `==`
    Equal,
    /// `!=`
    NotEqual,
}

impl Comparison {
    /// Whether `observed` compares so with `bound`.
    #[expect(clippy::float_cmp, reason = "counts are compared exactly, as asked for")]
    pub fn holds(self, observed: f64, bound: f64) -> bool {
        match self {
            Self::Less => observed < bound,
            Self::AtMost => observed <= bound,
            Self::More => observed > bound,
            Self::AtLeast => observed >= bound,
            Self::Equal => observed == bound,
            Self::NotEqual => observed != bound,
        }
    }
}

impl Threshold {
    /// Reads the condition of a threshold that a run of stages with these names and kinds had to meet. It is judged at the end
    /// only.
    ///
    /// # Errors
    /// Why it is none, in words.
    pub fn read(text: &str, stages: &[(&str, StageKind)]) -> Result<Self, String> {
        let heads: Vec<Head> = stages.iter().map(|(name, kind)| Head::named(name, *kind)).collect();
        let parse::Condition { stages, metric, comparison, bound } =
            parse::parse(text, &heads).map_err(|refusal| refusal.reason)?;
        Ok(Self { text: text.trim().to_owned(), stages, metric, comparison, bound, abort_after: None })
    }
}

#[cfg(test)]
mod tests;
