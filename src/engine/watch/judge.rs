//! Thresholds held against a record that is already there: what shards came to together.

use crate::domain::Metric;
use crate::domain::Threshold;
use crate::engine::record::times::Times;
use crate::engine::watch::thresholds::{self, Numbers};
use crate::measure::{RunRecord, RunStatus, ThresholdResult};

/// What a run had to meet held against its record, and in words why some of it cannot be.
pub fn judge_again(record: &RunRecord) -> (Vec<ThresholdResult>, Vec<String>) {
    let (mut results, mut not_judged) = (Vec::new(), Vec::new());
    for threshold in &record.conditions {
        match numbers(record, threshold) {
            Ok(numbers) => results.push(thresholds::judge(threshold, &numbers, None)),
            Err(reason) => not_judged.push(format!("threshold {} was not judged: {reason}", threshold.text)),
        }
    }
    (results, not_judged)
}

/// What a threshold is about.
fn numbers(record: &RunRecord, threshold: &Threshold) -> Result<Numbers, String> {
    let mut numbers = Numbers::default();
    let times = Times::of(threshold.metric);
    let concerned = || threshold.stages.iter().filter_map(|stage| record.stages.get(*stage));
    for stage in concerned() {
        // A record does not say of which stage it lacks the end.
        numbers.add_stage(&stage.totals, stage.span(), record.status == RunStatus::Complete);
        for times in &times {
            if matches!(times, Times::Phase(..)) {
                numbers.add_times(*times, &times.at_rest(&stage.phases, &record.health.lateness));
            }
        }
        if let Metric::Phase { phase, .. } = threshold.metric {
            numbers.add_began(stage.began(phase));
        }
    }
    if times.contains(&Times::Lateness) {
        if concerned().count() < record.stages.len() {
            return Err("a record knows how late attempts of all stages were, not those of one".to_owned());
        }
        numbers.add_times(Times::Lateness, &record.health.lateness.decode());
    }
    Ok(numbers)
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use super::*;
    use crate::domain::{Known, Quantity, TimeScale};
    use crate::engine::plan::Plan;
    use crate::engine::record::merge::Merged;
    use crate::measure::{CompactHistogram, CpuUse, Fleet, GeneratorHealth, Histogram, Machine};
    use crate::scenario::Scenario;

    /// Two stages that came to an end, of ten devices each: in the first all succeeded, in the second two were dropped. Three
    /// attempts were late.
    fn record(conditions: &[&str]) -> RunRecord {
        let text = "schema = 1\nname = 'x'\nfleet.devices = 10\n\
                    [[stage]]\nname = 'first'\nkind = 'provision'\narrival = 'at-once'\n\
                    [[stage]]\nname = 'second'\nkind = 'reconnect'\narrival = 'at-once'\n";
        let sets = [("thresholds".to_owned(), format!("{conditions:?}"))];
        let scenario = Scenario::parse("x.toml", text, &sets).unwrap();
        let plan = Plan::new(&scenario, 1);
        let mut stages = [0, 1].map(|index| Merged::not_started(&plan, index, Duration::ZERO).stage);
        for (stage, succeeded) in stages.iter_mut().zip([10, 8]) {
            (stage.totals.succeeded, stage.totals.not_started, stage.totals.dropped) = (succeeded, 0, 10 - succeeded);
        }
        let mut lateness = Histogram::new();
        (0..3).for_each(|_| lateness.record(1_000_000));
        RunRecord {
            scenario: "x".to_owned(),
            question: None,
            version: String::new(),
            command: Vec::new(),
            target: String::new(),
            seed: 1,
            started_at: SystemTime::UNIX_EPOCH,
            prepare: Duration::ZERO,
            elapsed: Duration::from_secs(5),
            status: RunStatus::Complete,
            time_scale: TimeScale::REAL,
            conditions: scenario.thresholds,
            thresholds: Vec::new(),
            settings: Vec::new(),
            machine: Machine::default(),
            generator: CpuUse::default(),
            emulator: None,
            health: GeneratorHealth { lateness: CompactHistogram::new(&lateness), ..GeneratorHealth::default() },
            stages: stages.into(),
            certificates: None,
            fleet: Fleet::default(),
            errors: Vec::new(),
            notes: Vec::new(),
            resources: Vec::new(),
            shard: None,
            rows_lost: None,
        }
    }

    fn observed(record: &RunRecord) -> Vec<Option<Quantity>> {
        let (results, not_judged) = judge_again(record);
        assert_eq!(not_judged, Vec::<String>::new());
        results.iter().map(|result| result.observed.and_then(Known::exact)).collect()
    }

    #[test]
    fn the_numbers_are_those_of_the_record_and_of_the_stages_that_a_threshold_names() {
        let record = record(&[
            "first.success_rate > 90%",
            "second.success_rate > 90%",
            "all.dropped < 3",
            "second.failed == 0",
            "all.lateness.count == 3",
            "all.total.count == 0",
        ]);
        let share = |share| Some(Quantity::Share(share));
        let number = |number| Some(Quantity::Number(number));
        assert_eq!(observed(&record), [share(1.0), share(0.8), number(2.0), number(0.0), number(3.0), number(0.0)]);
        let met: Vec<bool> = judge_again(&record).0.iter().map(|result| result.met).collect();
        assert_eq!(met, [true, false, true, true, true, true]);
    }

    #[test]
    fn what_a_run_that_did_not_come_to_its_end_has_not_counted_is_not_known() {
        let record = RunRecord { status: RunStatus::Interrupted, ..record(&["all.failed == 0", "all.dropped == 2"]) };
        assert_eq!(observed(&record), [None, Some(Quantity::Number(2.0))]);
    }

    #[test]
    fn what_a_record_cannot_tell_is_said_and_not_judged() {
        let of_one_stage = record(&["first.lateness.p99 < 1s", "all.lateness.p99 < 1s"]);
        let (judged, not_judged) = judge_again(&of_one_stage);
        assert_eq!(judged.iter().map(|result| result.text.as_str()).collect::<Vec<_>>(), ["all.lateness.p99 < 1s"]);
        assert!(not_judged[0].starts_with("threshold first.lateness.p99 < 1s was not judged: a record knows how late"));
        assert_eq!(not_judged.len(), 1);
    }
}
