//! Whether a condition can be judged while its stages go on: what is missed then must be missed for good, or be a rate or a
//! percentile, of which the run has seen a part.

use crate::domain::{ComparisonOperator, Metric, Quantity, Statistic, Threshold};
use crate::scenario::threshold::parse::Refusal;

/// How what is compared goes on while the run does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Course {
    Grows,
    Falls,
    /// Both: a rate, a percentile.
    Varies,
    /// It is not known before the end.
    Unknown,
}

const fn course(metric: Metric) -> Course {
    match metric {
        Metric::Phase { statistic, .. } | Metric::Lateness(statistic) => match statistic {
            Statistic::Count | Statistic::Max => Course::Grows,
            Statistic::Min => Course::Falls,
            Statistic::Mean | Statistic::Quantile(_) => Course::Varies,
        },
        Metric::Count(count) if count.is_of_the_plan() => Course::Unknown,
        Metric::Count(_) | Metric::OfClass(..) => Course::Grows,
        Metric::Ratio(_) => Course::Varies,
    }
}

const AT_THE_END: &str = "leave abort_on_fail out, so that it is judged at the end";

/// Refuses what could end a run that would have met it.
pub(in crate::scenario) fn check(threshold: &Threshold) -> Result<(), Refusal> {
    let Threshold { metric, comparison, bound, .. } = threshold;
    let for_good = match course(*metric) {
        Course::Varies => return Ok(()),
        Course::Unknown => return Err(Refusal::new("it is not known before the end", AT_THE_END)),
        Course::Grows => {
            matches!(comparison, ComparisonOperator::Less | ComparisonOperator::AtMost)
                || (*comparison == ComparisonOperator::Equal && *bound == Quantity::Number(0.0))
        }
        Course::Falls => matches!(comparison, ComparisonOperator::More | ComparisonOperator::AtLeast),
    };
    if for_good {
        return Ok(());
    }
    let (reason, bounded) = match course(*metric) {
        Course::Falls => ("it only falls, so that a run may miss it at first and meet it later", "from below"),
        _ => ("it only grows, so that a run may miss it at first and meet it later", "from above"),
    };
    let help = format!("{AT_THE_END}; or bound it {bounded}; or take a rate, such as success_rate or throughput");
    Err(Refusal::new(reason, help))
}
