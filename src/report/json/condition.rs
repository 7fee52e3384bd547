use serde::{Deserialize, Serialize};

use crate::domain::{self, Threshold};
use crate::report::json::values::{Class, ComparisonSign, CountName, Micros, PhaseName, RatioName, WhoseName};
use crate::report::observed::Value;
use crate::scenario::check_threshold;

/// What the run had to meet: a threshold, part by part.
#[derive(Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(super) struct Condition {
    /// As written.
    threshold: String,
    /// Places in `stages`, from 0, whose numbers are taken together.
    stages: Vec<usize>,
    metric: Metric,
    comparison: ComparisonSign,
    bound: f64,
    /// That of the bound: `us`, `share`, `per_s` or `count`.
    unit: String,
    /// How long after the start of its stages the run could be ended by it; absent when it was judged at the end only.
    abort_after_us: Option<Micros>,
}

/// What is compared.
#[derive(Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
enum Metric {
    /// Times of a phase: of attempts with that fate, or of all devices that began.
    Phase { phase: PhaseName, whose: WhoseName, statistic: Statistic },
    /// How late attempts started.
    Lateness(Statistic),
    /// A count, of all classes of failures together.
    Count(CountName),
    /// The part of a count that is of one class of failures.
    OfClass { count: CountName, class: Class },
    /// What follows from several counts.
    Ratio(RatioName),
}

/// A number that says something about a distribution.
#[derive(Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
enum Statistic {
    Count,
    Min,
    Mean,
    Max,
    /// Between 0 and 1.
    Quantile(f64),
}

impl Condition {
    pub(super) fn of(threshold: &Threshold) -> Self {
        let Threshold { text, stages, metric, comparison, bound, abort_after } = threshold;
        let bound = Value::of(*bound);
        Self {
            threshold: text.clone(),
            stages: stages.clone(),
            metric: Metric::of(*metric),
            comparison: ComparisonSign(*comparison),
            bound: bound.number,
            unit: bound.unit.to_owned(),
            abort_after_us: abort_after.map(Micros),
        }
    }

    /// Of a run of so many stages.
    pub(super) fn into_threshold(self, of: usize) -> Result<Threshold, String> {
        let Self { threshold: text, stages, metric, comparison, bound, unit, abort_after_us } = self;
        let wrong = |reason: &str| format!("condition {text:?}: {reason}");
        let bound = Value::quantity(bound, &unit).ok_or_else(|| wrong(&format!("there is no unit {unit:?}")))?;
        let (metric, comparison) = (metric.into_metric(), comparison.0);
        let abort_after = abort_after_us.map(|after| after.0);
        let threshold = Threshold { text: text.clone(), stages, metric, comparison, bound, abort_after };
        check_threshold(&threshold, of).map_err(|reason| wrong(&reason))?;
        Ok(threshold)
    }
}

impl Metric {
    fn of(metric: domain::Metric) -> Self {
        match metric {
            domain::Metric::Phase { phase, whose, statistic } => {
                let (phase, whose) = (PhaseName(phase), WhoseName(whose));
                Self::Phase { phase, whose, statistic: Statistic::of(statistic) }
            }
            domain::Metric::Lateness(statistic) => Self::Lateness(Statistic::of(statistic)),
            domain::Metric::Count(count) => Self::Count(CountName(count)),
            domain::Metric::OfClass(count, class) => Self::OfClass { count: CountName(count), class: Class(class) },
            domain::Metric::Ratio(ratio) => Self::Ratio(RatioName(ratio)),
        }
    }

    fn into_metric(self) -> domain::Metric {
        match self {
            Self::Phase { phase, whose, statistic } => {
                let (phase, whose) = (phase.0, whose.0);
                domain::Metric::Phase { phase, whose, statistic: statistic.into_statistic() }
            }
            Self::Lateness(statistic) => domain::Metric::Lateness(statistic.into_statistic()),
            Self::Count(count) => domain::Metric::Count(count.0),
            Self::OfClass { count, class } => domain::Metric::OfClass(count.0, class.0),
            Self::Ratio(ratio) => domain::Metric::Ratio(ratio.0),
        }
    }
}

impl Statistic {
    const fn of(statistic: domain::Statistic) -> Self {
        match statistic {
            domain::Statistic::Count => Self::Count,
            domain::Statistic::Min => Self::Min,
            domain::Statistic::Mean => Self::Mean,
            domain::Statistic::Max => Self::Max,
            domain::Statistic::Quantile(quantile) => Self::Quantile(quantile),
        }
    }

    const fn into_statistic(self) -> domain::Statistic {
        match self {
            Self::Count => domain::Statistic::Count,
            Self::Min => domain::Statistic::Min,
            Self::Mean => domain::Statistic::Mean,
            Self::Max => domain::Statistic::Max,
            Self::Quantile(quantile) => domain::Statistic::Quantile(quantile),
        }
    }
}
