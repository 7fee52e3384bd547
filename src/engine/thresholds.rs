//! What a run was asked to meet, held against what it measured.

use std::time::Duration;

use crate::measure::{Histogram, Observed, ThresholdResult, Totals};
use crate::scenario::{Counted, Metric, Statistic, Threshold};

/// The numbers that one threshold is about, of all of its stages together.
#[derive(Debug, Clone, Default)]
pub(super) struct Numbers {
    pub(super) totals: Totals,
    /// Real time that the stages took, the longest when they overlap.
    pub(super) elapsed: Duration,
    /// The times that it asks for, when it asks for times.
    pub(super) times: Histogram,
}

/// Looks at a threshold's numbers.
pub(super) fn judge(threshold: &Threshold, numbers: &Numbers, stopped_at: Option<Duration>) -> ThresholdResult {
    let observed = observe(threshold.metric, numbers);
    let value = match observed {
        Observed::Time(time) => Some(time.as_nanos() as f64),
        Observed::Share(number) | Observed::PerSecond(number) | Observed::Number(number) => Some(number),
        Observed::Nothing => None,
    };
    let met = value.is_some_and(|value| threshold.comparison.holds(value, threshold.bound));
    ThresholdResult { text: threshold.text.clone(), observed, met, stopped_at }
}

fn observe(metric: Metric, numbers: &Numbers) -> Observed {
    let Numbers { totals, elapsed, times } = numbers;
    // Those that are through: the same as those that came, once the stage is over.
    let came = totals.succeeded + totals.failed_total() + totals.dropped;
    let share = |part: u64, of: u64| if of == 0 { Observed::Nothing } else { Observed::Share(part as f64 / of as f64) };
    match metric {
        Metric::Phase { statistic, .. } | Metric::Lateness(statistic) => statistic_of(times, statistic),
        Metric::Count(counted) => Observed::Number(count(totals, counted) as f64),
        Metric::ErrorRate => share(totals.failed_total() + totals.dropped, came),
        Metric::SuccessRate => share(totals.succeeded, came),
        Metric::Throughput => match elapsed.as_secs_f64() {
            seconds if seconds > 0.0 => Observed::PerSecond(totals.succeeded as f64 / seconds),
            _ => Observed::Nothing,
        },
        Metric::AttemptsPerSuccess => match totals.succeeded {
            0 => Observed::Nothing,
            succeeded => Observed::Number(totals.attempts as f64 / succeeded as f64),
        },
    }
}

fn statistic_of(times: &Histogram, statistic: Statistic) -> Observed {
    let time = |nanos: f64| Observed::Time(Duration::from_nanos(nanos as u64));
    match (statistic, times.summary()) {
        (Statistic::Count, _) => Observed::Number(times.count() as f64),
        (_, None) => Observed::Nothing,
        (Statistic::Min, Some(recorded)) => time(recorded.min as f64),
        (Statistic::Mean, Some(recorded)) => time(recorded.mean),
        (Statistic::Max, Some(recorded)) => time(recorded.max as f64),
        (Statistic::Quantile(quantile), Some(_)) => times.quantile(quantile).map_or(Observed::Nothing, Observed::Time),
    }
}

fn count(totals: &Totals, counted: Counted) -> u64 {
    match counted {
        Counted::Planned => totals.planned,
        Counted::Started => totals.started,
        Counted::Succeeded => totals.succeeded,
        Counted::Failed => totals.failed_total(),
        Counted::FailedAs(class) => totals.failed[class.index()],
        Counted::Dropped => totals.dropped,
        Counted::NotStarted => totals.not_started,
        Counted::Skipped => totals.skipped,
        Counted::Expired => totals.expired,
        Counted::Attempts => totals.attempts,
        Counted::FailedAttempts => totals.failed_attempts_total(),
        Counted::Throttled => totals.throttled,
        Counted::Polls => totals.polls,
        Counted::Disconnects => totals.disconnects,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Phase;
    use crate::scenario::Comparison;

    fn threshold(metric: Metric, comparison: Comparison, bound: f64) -> Threshold {
        Threshold { text: "t".to_owned(), stages: vec![0], metric, comparison, bound, abort_after: None }
    }

    fn numbers() -> Numbers {
        let mut times = Histogram::new();
        (1..=100).for_each(|n| times.record(n * 10_000_000));
        let mut totals = Totals { planned: 120, started: 100, succeeded: 95, ..Totals::default() };
        (totals.dropped, totals.skipped, totals.attempts) = (5, 20, 190);
        Numbers { totals, elapsed: Duration::from_secs(10), times }
    }

    #[test]
    fn times_shares_rates_and_counts_are_compared() {
        let p99 = Metric::Phase { phase: Phase::Total, succeeded: true, statistic: Statistic::Quantile(0.99) };
        for (metric, comparison, bound, met) in [
            (p99, Comparison::Less, 1e9, true),
            (p99, Comparison::Less, 0.9e9, false),
            (Metric::ErrorRate, Comparison::AtMost, 0.05, true),
            (Metric::SuccessRate, Comparison::AtLeast, 0.951, false),
            (Metric::Throughput, Comparison::More, 9.4, true),
            (Metric::AttemptsPerSuccess, Comparison::Less, 2.0, false),
            (Metric::Count(Counted::Expired), Comparison::Equal, 0.0, true),
            (Metric::Count(Counted::Skipped), Comparison::NotEqual, 20.0, false),
        ] {
            let result = judge(&threshold(metric, comparison, bound), &numbers(), None);
            assert_eq!(result.met, met, "{metric:?}: {:?}", result.observed);
        }
    }

    #[test]
    fn what_was_not_observed_is_not_met() {
        let nothing = Numbers::default();
        let p99 = Metric::Lateness(Statistic::Quantile(0.99));
        for metric in [p99, Metric::ErrorRate, Metric::Throughput, Metric::AttemptsPerSuccess] {
            for comparison in [Comparison::Less, Comparison::NotEqual, Comparison::AtLeast] {
                let result = judge(&threshold(metric, comparison, 0.0), &nothing, None);
                assert_eq!((result.observed, result.met), (Observed::Nothing, false));
            }
        }
    }
}
