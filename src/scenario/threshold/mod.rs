mod bound;
pub(super) mod early;
pub(super) mod parse;

use std::time::Duration;

use crate::domain::{Count, FailureClass, Phase, Quantity};

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
    /// With what, in the unit of the metric.
    pub bound: Quantity,
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
    /// A count, of all classes of failures together.
    Count(Count),
    /// The part of a count by class that is of one class of failures.
    OfClass(Count, FailureClass),
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
    /// Whether `observed` compares so with `bound`; never when their units differ.
    pub fn holds(self, observed: Quantity, bound: Quantity) -> bool {
        let Some(order) = observed.partial_cmp(&bound) else { return false };
        match self {
            Self::Less => order.is_lt(),
            Self::AtMost => order.is_le(),
            Self::More => order.is_gt(),
            Self::AtLeast => order.is_ge(),
            Self::Equal => order.is_eq(),
            Self::NotEqual => order.is_ne(),
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
