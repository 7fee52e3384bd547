//! What a run was asked to meet, held against what it measured.

use std::time::Duration;

use crate::domain::{Count, FailureClass, Fate, Known, Metric, Quantity, Ratio, Statistic, Threshold, Whose};
use crate::engine::record::times::Times;
use crate::measure::{Counts, Histogram, Incidence, ThresholdResult};

/// The numbers that one threshold is about, of all of its stages together.
#[derive(Debug, Clone, Default)]
pub(crate) struct Numbers {
    totals: Counts,
    /// The times that it asks for, when it asks for times, by how they ended.
    times: [Histogram; Fate::COUNT],
    /// How many began, where more did than have times.
    began: u64,
    /// From when until when each of its stages went on.
    spans: Vec<(Duration, Duration)>,
    /// Whether a stage has not ended by itself: it was stopped, never began, or goes on. What was not counted may be what
    /// did not come any more.
    partial: bool,
}

impl Numbers {
    /// Adds a stage, or nothing of one that has not begun. `whole`: it ran to its end.
    pub(crate) fn add_stage(&mut self, totals: &Counts, span: (Duration, Duration), whole: bool) {
        self.totals.add(totals);
        self.spans.push(span);
        self.partial |= !whole;
    }

    /// Adds times that it asks for.
    pub(crate) fn add_times(&mut self, which: Times, times: &Histogram) {
        self.times[which.fate() as usize].merge(times);
    }

    /// Adds devices that began what it asks for.
    pub(crate) const fn add_began(&mut self, began: u64) {
        self.began += began;
    }

    /// A stage is not there yet.
    pub(crate) const fn lacks_stage(&mut self) {
        self.partial = true;
    }

    /// The times that a metric is about which is about one end.
    fn recorded(&self, metric: Metric) -> &Histogram {
        let fate = match metric {
            Metric::Phase { whose: Whose::Of(fate), .. } => fate,
            _ => Fate::Succeeded,
        };
        &self.times[fate as usize]
    }

    /// How long stages went on, in which others went on too counted once.
    fn elapsed(&self) -> Duration {
        let mut spans = self.spans.clone();
        spans.sort_unstable();
        let (mut sum, mut until) = (Duration::ZERO, Duration::ZERO);
        for (from, to) in spans {
            sum += to.saturating_sub(from.max(until));
            until = until.max(to);
        }
        sum
    }

    /// Devices that came to an end by themselves.
    fn devices_seen(&self) -> u64 {
        self.totals.succeeded + self.totals.failed.total() - self.totals.failed[FailureClass::Cut]
    }

    /// Whether a count of nothing tells that there was nothing: what a stage that did not run to its end has not counted, the
    /// rest of it might have.
    fn is_whole(&self, count: Count) -> bool {
        // The plan alone says these.
        !self.partial || count.is_of_the_plan()
    }
}

/// Looks at a threshold's numbers. What nothing was observed for is not met.
pub(crate) fn judge(threshold: &Threshold, numbers: &Numbers, stopped_at: Option<Duration>) -> ThresholdResult {
    let observed = observe(threshold.metric, numbers);
    let met =
        observed.and_then(|observed| threshold.comparison.is_known_to_hold(observed, threshold.bound)) == Some(true);
    ThresholdResult { text: threshold.text.clone(), observed, met, stopped_at }
}

fn observe(metric: Metric, numbers: &Numbers) -> Option<Known<Quantity>> {
    let Numbers { totals, times, partial, .. } = numbers;
    // Those that are through: the same as those that came, once the stage is over.
    let came = totals.succeeded + totals.failed.total() + totals.dropped;
    let only_cut = *partial && numbers.devices_seen() + totals.dropped == 0;
    let share = |part: u64| if came == 0 || only_cut { None } else { Some(Quantity::Share(ratio(part, came))) };
    let observed = match metric {
        Metric::Phase { statistic: Statistic::Count, .. } | Metric::Lateness(Statistic::Count) => {
            number(numbers.recorded(metric).count(), !partial)
        }
        Metric::Phase { whose: Whose::All, statistic, .. } => {
            return statistic_of_all(&Incidence::new(times.each_ref(), numbers.began)?, statistic);
        }
        Metric::Phase { statistic, .. } | Metric::Lateness(statistic) => {
            statistic_of(numbers.recorded(metric), statistic)
        }
        Metric::Count(count) => number(totals.number(count)?, numbers.is_whole(count)),
        Metric::OfClass(count, class) => number(totals.of_class(count, class)?, numbers.is_whole(count)),
        Metric::Ratio(Ratio::ErrorRate) => share(totals.failed.total() + totals.dropped),
        Metric::Ratio(Ratio::SuccessRate) => share(totals.succeeded),
        Metric::Ratio(Ratio::Throughput) => match numbers.elapsed().as_secs_f64() {
            seconds if seconds > 0.0 && (!partial || totals.started > 0) => {
                Some(Quantity::PerSecond(totals.succeeded as f64 / seconds))
            }
            _ => None,
        },
        Metric::Ratio(Ratio::AttemptsPerSuccess) => match totals.succeeded {
            0 => None,
            succeeded => Some(Quantity::Number(ratio(totals.attempts, succeeded))),
        },
    };
    observed.map(Known::Is)
}

/// Of a time that belongs to devices, over all of them who began.
fn statistic_of_all(times: &Incidence, statistic: Statistic) -> Option<Known<Quantity>> {
    let time = match statistic {
        Statistic::Count => return Some(Known::Is(Quantity::Number(times.ended(Fate::Succeeded) as f64))),
        Statistic::Min => times.min(),
        Statistic::Mean => times.mean(),
        Statistic::Max => times.max(),
        Statistic::Quantile(quantile) => times.quantile(quantile),
    };
    Some(time.map(Quantity::Time))
}

fn ratio(part: u64, of: u64) -> f64 {
    part as f64 / of as f64
}

/// A count. `certain`: if it is of nothing, there was nothing.
fn number(count: u64, certain: bool) -> Option<Quantity> {
    if count > 0 || certain { Some(Quantity::Number(count as f64)) } else { None }
}

fn statistic_of(times: &Histogram, statistic: Statistic) -> Option<Quantity> {
    let time = |nanos: f64| Some(Quantity::Time(Duration::from_nanos(nanos as u64)));
    match (statistic, times.summary()) {
        (_, None) => None,
        (Statistic::Count, Some(recorded)) => Some(Quantity::Number(recorded.count as f64)),
        (Statistic::Min, Some(recorded)) => time(recorded.min as f64),
        (Statistic::Mean, Some(recorded)) => time(recorded.mean),
        (Statistic::Max, Some(recorded)) => time(recorded.max as f64),
        (Statistic::Quantile(quantile), Some(_)) => times.quantile(quantile).map(Quantity::Time),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{ComparisonOperator, Phase};

    fn threshold(metric: Metric, comparison: ComparisonOperator, bound: Quantity) -> Threshold {
        Threshold { text: "t".to_owned(), stages: vec![0], metric, comparison, bound, abort_after: None }
    }

    /// What is known to a number.
    fn observe(metric: Metric, numbers: &Numbers) -> Option<Quantity> {
        super::observe(metric, numbers).and_then(Known::exact)
    }

    const TEN_SECONDS: (Duration, Duration) = (Duration::from_secs(5), Duration::from_secs(15));

    fn numbers() -> Numbers {
        let mut numbers = Numbers::default();
        let mut totals = Counts { planned: 120, started: 100, succeeded: 95, ..Counts::default() };
        (totals.dropped, totals.skipped, totals.attempts) = (5, 20, 190);
        numbers.add_stage(&totals, TEN_SECONDS, true);
        (1..=100).for_each(|n| numbers.times[0].record(n * 10_000_000));
        numbers
    }

    #[test]
    fn times_shares_rates_and_counts_are_compared() {
        let time = |millis| Quantity::Time(Duration::from_millis(millis));
        let p99 = Metric::Phase { phase: Phase::Total, whose: Whose::All, statistic: Statistic::Quantile(0.99) };
        for (metric, comparison, bound, met) in [
            (p99, ComparisonOperator::Less, time(1_000), true),
            (p99, ComparisonOperator::Less, time(900), false),
            (Metric::Ratio(Ratio::ErrorRate), ComparisonOperator::AtMost, Quantity::Share(0.05), true),
            (Metric::Ratio(Ratio::SuccessRate), ComparisonOperator::AtLeast, Quantity::Share(0.951), false),
            (Metric::Ratio(Ratio::Throughput), ComparisonOperator::More, Quantity::PerSecond(9.4), true),
            (Metric::Ratio(Ratio::AttemptsPerSuccess), ComparisonOperator::Less, Quantity::Number(2.0), false),
            (Metric::Count(Count::Expired), ComparisonOperator::Equal, Quantity::Number(0.0), true),
            (Metric::Count(Count::Skipped), ComparisonOperator::NotEqual, Quantity::Number(20.0), false),
        ] {
            let result = judge(&threshold(metric, comparison, bound), &numbers(), None);
            assert_eq!(result.met, met, "{metric:?}: {:?}", result.observed);
        }
    }

    #[test]
    fn shares_are_those_of_all_that_came_dropped_ones_among_them() {
        let mut numbers = Numbers::default();
        let mut totals =
            Counts { planned: 120, started: 100, succeeded: 90, dropped: 8, skipped: 12, ..Counts::default() };
        (totals.failed[FailureClass::Tls], totals.attempts) = (2, 180);
        numbers.add_stage(&totals, TEN_SECONDS, true);
        for (metric, observed) in [
            (Metric::Ratio(Ratio::ErrorRate), Some(Quantity::Share(0.1))),
            (Metric::Ratio(Ratio::SuccessRate), Some(Quantity::Share(0.9))),
            (Metric::Ratio(Ratio::Throughput), Some(Quantity::PerSecond(9.0))),
            (Metric::Ratio(Ratio::AttemptsPerSuccess), Some(Quantity::Number(2.0))),
        ] {
            assert_eq!(observe(metric, &numbers), observed, "{metric:?}");
        }
    }

    #[test]
    fn a_bound_itself_is_not_less_than_it() {
        let holds = |comparison| {
            judge(&threshold(Metric::Ratio(Ratio::ErrorRate), comparison, Quantity::Share(0.05)), &numbers(), None).met
        };
        assert!(
            !holds(ComparisonOperator::Less)
                && !holds(ComparisonOperator::More)
                && !holds(ComparisonOperator::NotEqual)
        );
        assert!(
            holds(ComparisonOperator::AtMost) && holds(ComparisonOperator::AtLeast) && holds(ComparisonOperator::Equal)
        );
    }

    /// Every metric whose value may be nothing, but for what the plan alone says.
    fn metrics() -> Vec<Metric> {
        let phase = |statistic| Metric::Phase { phase: Phase::Total, whose: Whose::All, statistic };
        let statistics = [Statistic::Count, Statistic::Min, Statistic::Mean, Statistic::Max, Statistic::Quantile(0.99)];
        let of_class = Metric::OfClass(Count::Failed, FailureClass::Tls);
        // A time is no number, and never observed.
        let counts = Count::ALL.into_iter().filter(|count| !count.is_of_the_plan());
        let rates = [
            Metric::Ratio(Ratio::ErrorRate),
            Metric::Ratio(Ratio::SuccessRate),
            Metric::Ratio(Ratio::Throughput),
            Metric::Ratio(Ratio::AttemptsPerSuccess),
        ];
        let times = statistics.into_iter().flat_map(|of| [phase(of), Metric::Lateness(of)]);
        times.chain(counts.map(Metric::Count)).chain([of_class]).chain(rates).collect()
    }

    fn judged(metric: Metric, numbers: &Numbers) -> Vec<(Option<Quantity>, bool)> {
        let nothing = Quantity::Number(0.0);
        [
            ComparisonOperator::Less,
            ComparisonOperator::NotEqual,
            ComparisonOperator::AtLeast,
            ComparisonOperator::Equal,
            ComparisonOperator::AtMost,
        ]
        .into_iter()
        .map(|comparison| judge(&threshold(metric, comparison, nothing), numbers, None))
        .map(|result| (result.observed.and_then(Known::exact), result.met))
        .collect()
    }

    #[test]
    fn what_was_not_observed_is_not_met() {
        let mut never_began = Numbers::default();
        let planned = Counts { planned: 10, not_started: 10, ..Counts::default() };
        never_began.add_stage(&planned, (Duration::ZERO, Duration::ZERO), false);
        let mut stopped_before_any = Numbers::default();
        let some_had_nothing_to_do = Counts { planned: 10, not_started: 10, ..Counts::default() };
        stopped_before_any.add_stage(&some_had_nothing_to_do, TEN_SECONDS, false);
        let mut not_there = Numbers::default();
        not_there.lacks_stage();
        for numbers in [never_began, stopped_before_any, not_there] {
            for metric in metrics() {
                for judged in judged(metric, &numbers) {
                    assert_eq!(judged, (None, false), "{metric:?} of {numbers:?}");
                }
            }
        }
    }

    #[test]
    fn attempts_that_only_the_end_of_the_run_cut_tell_nothing_of_the_service() {
        let mut totals = Counts { planned: 10, started: 5, attempts: 5, not_started: 5, ..Counts::default() };
        (totals.failed[FailureClass::Cut], totals.failed_attempts[FailureClass::Cut]) = (5, 5);
        let mut numbers = Numbers::default();
        numbers.add_stage(&totals, TEN_SECONDS, false);
        for metric in [
            Metric::Count(Count::Expired),
            Metric::OfClass(Count::Failed, FailureClass::Tls),
            Metric::Count(Count::Throttled),
            Metric::Count(Count::Succeeded),
            Metric::Ratio(Ratio::ErrorRate),
            Metric::Ratio(Ratio::SuccessRate),
        ] {
            assert!(judged(metric, &numbers).iter().all(|it| *it == (None, false)), "{metric:?}");
        }
        // They were there all the same, and hours without a success are slow.
        assert_eq!(observe(Metric::Count(Count::Failed), &numbers), Some(Quantity::Number(5.0)));
        assert_eq!(observe(Metric::Count(Count::Dropped), &numbers), None);
        assert_eq!(observe(Metric::Ratio(Ratio::Throughput), &numbers), Some(Quantity::PerSecond(0.0)));
    }

    #[test]
    fn devices_that_were_dropped_are_seen_however_the_others_ended() {
        for (succeeded, cut) in [(0, 5), (5, 0)] {
            let mut totals = Counts { planned: 20, started: 5, succeeded, dropped: 5, ..Counts::default() };
            (totals.failed[FailureClass::Cut], totals.not_started) = (cut, 10);
            let mut numbers = Numbers::default();
            numbers.add_stage(&totals, TEN_SECONDS, false);
            let share = succeeded as f64 / 10.0;
            assert_eq!(observe(Metric::Ratio(Ratio::SuccessRate), &numbers), Some(Quantity::Share(share)));
            assert_eq!(observe(Metric::Ratio(Ratio::ErrorRate), &numbers), Some(Quantity::Share(1.0 - share)));
        }
    }

    #[test]
    fn a_stage_that_was_stopped_half_way_has_not_shown_that_something_never_happens() {
        let totals = Counts { planned: 10, started: 5, succeeded: 5, attempts: 5, not_started: 5, ..Counts::default() };
        let mut numbers = Numbers::default();
        numbers.add_stage(&totals, TEN_SECONDS, false);
        assert_eq!(observe(Metric::Count(Count::Expired), &numbers), None);
        assert_eq!(observe(Metric::Count(Count::NotStarted), &numbers), Some(Quantity::Number(5.0)));
        assert_eq!(
            observe(Metric::Ratio(Ratio::ErrorRate), &numbers),
            Some(Quantity::Share(0.0)),
            "a rate is that of those who came"
        );
    }

    #[test]
    fn a_stage_that_ran_to_its_end_counts_nothing_where_nothing_was() {
        let mut numbers = Numbers::default();
        numbers.add_stage(&Counts { planned: 10, skipped: 10, ..Counts::default() }, TEN_SECONDS, true);
        let expired = threshold(Metric::Count(Count::Expired), ComparisonOperator::Equal, Quantity::Number(0.0));
        assert!(judge(&expired, &numbers, None).met);
        // One of several did not: of all together it is not known.
        numbers.add_stage(&Counts { planned: 10, not_started: 10, ..Counts::default() }, TEN_SECONDS, false);
        assert_eq!(judge(&expired, &numbers, None).observed, None);
    }

    #[test]
    fn stages_beside_each_other_take_their_time_once_and_those_after_each_other_add_up() {
        let seconds = |from, to| (Duration::from_secs(from), Duration::from_secs(to));
        for (spans, elapsed) in [
            (vec![seconds(0, 10), seconds(5, 12)], 12),
            (vec![seconds(5, 12), seconds(0, 3)], 10),
            (vec![seconds(0, 20), seconds(5, 12), seconds(20, 21)], 21),
        ] {
            let numbers = Numbers { spans, ..Numbers::default() };
            assert_eq!(numbers.elapsed(), Duration::from_secs(elapsed), "{numbers:?}");
        }
    }
}
