//! What a run must meet, as values. How a text says it is the grammar of scenarios.

use std::time::Duration;

use crate::domain::{Count, FailureClass, Known, Phase, Quantity, Whose, named};

/// A condition that a run must meet, such as `provision.total.p99 < 2s`.
#[derive(Debug, Clone, PartialEq)]
pub struct Threshold {
    /// As written.
    pub text: String,
    /// Indices of the stages that it is about, in rising order; their numbers are taken together.
    pub stages: Vec<usize>,
    /// What is compared.
    pub metric: Metric,
    /// How.
    pub comparison: ComparisonOperator,
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
        /// Whose times.
        whose: Whose,
        /// Which one.
        statistic: Statistic,
    },
    /// How late attempts started.
    Lateness(Statistic),
    /// A count, of all classes of failures together.
    Count(Count),
    /// The part of a count by class that is of one class of failures.
    OfClass(Count, FailureClass),
    /// A ratio of counts, or of a count and the time that it took.
    Ratio(Ratio),
}

impl Metric {
    /// The statistic, of what is a distribution.
    pub const fn statistic(self) -> Option<Statistic> {
        match self {
            Self::Phase { statistic, .. } | Self::Lateness(statistic) => Some(statistic),
            Self::Count(_) | Self::OfClass(..) | Self::Ratio(_) => None,
        }
    }
}

named! {
    /// What follows from several counts.
    pub enum Ratio {
        /// Failed and dropped devices as a share of those that came.
        ErrorRate = "error_rate",
        /// Devices that succeeded as a share of those that came.
        SuccessRate = "success_rate",
        /// Devices that succeeded per second of real time.
        Throughput = "throughput",
        /// Attempts per device that succeeded.
        AttemptsPerSuccess = "attempts_per_success",
    }
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
    /// A quantile between 0 and 1.
    Quantile(f64),
}

named! {
    /// How a threshold compares. None begins with the sign of one before it, so that a text is read in this order.
    pub enum ComparisonOperator {
        /// At most the bound.
        AtMost = "<=",
        /// At least the bound.
        AtLeast = ">=",
        /// The bound.
        Equal = "==",
        /// Another value than the bound.
        NotEqual = "!=",
        /// Below the bound.
        Less = "<",
        /// Above the bound.
        More = ">",
    }
}

impl ComparisonOperator {
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

    /// As [`Self::holds`], as far as it is known: `None` when what was observed may lie on either side of the bound.
    pub fn is_known_to_hold(self, observed: Known<Quantity>, bound: Quantity) -> Option<bool> {
        match observed {
            Known::Is(observed) => Some(self.holds(observed, bound)),
            // Above it, and so above all that it reaches.
            Known::Above(least) => {
                (least >= bound).then_some(matches!(self, Self::More | Self::AtLeast | Self::NotEqual))
            }
        }
    }
}
