//! Thresholds held against a record that is already there: what shards came to together.

use crate::engine::thresholds::{self, Numbers, Times};
use crate::measure::{RunRecord, RunStatus, ThresholdResult};
use crate::scenario::{StageKind, Threshold};

/// Thresholds of a record, judged again, and in words why others cannot be. Their conditions are those of its settings.
pub fn judge_again(record: &RunRecord) -> (Vec<ThresholdResult>, Vec<String>) {
    let kind = |name: &str| StageKind::ALL.into_iter().find(|kind| kind.name() == name);
    let stages: Option<Vec<(&str, StageKind)>> =
        record.stages.iter().map(|stage| Some((stage.name.as_str(), kind(&stage.kind)?))).collect();
    let (mut results, mut not_judged) = (Vec::new(), Vec::new());
    for text in conditions(record) {
        let threshold = match &stages {
            Some(stages) => Threshold::read(text, stages),
            None => Err("a stage is of a kind that is not known to this version".to_owned()),
        };
        let result = threshold.and_then(|threshold| {
            let numbers = numbers(record, &threshold)?;
            Ok(thresholds::judge(&threshold, &numbers, None))
        });
        match result {
            Ok(result) => results.push(result),
            Err(reason) => not_judged.push(format!("threshold {text} was not judged: {reason}")),
        }
    }
    (results, not_judged)
}

/// The conditions among the settings, in the order of the scenario.
fn conditions(record: &RunRecord) -> impl Iterator<Item = &str> {
    let is_condition = |key: &str| {
        key.strip_prefix("thresholds.").is_some()
            || key.strip_prefix("threshold.").is_some_and(|rest| rest.ends_with(".check"))
    };
    record.settings.iter().filter(move |setting| is_condition(&setting.key)).map(|setting| setting.value.as_str())
}

/// What a threshold is about.
fn numbers(record: &RunRecord, threshold: &Threshold) -> Result<Numbers, String> {
    let mut numbers = Numbers::default();
    let times = Times::of(threshold.metric);
    let concerned = || threshold.stages.iter().filter_map(|stage| record.stages.get(*stage));
    for stage in concerned() {
        // A record does not say of which stage it lacks the end.
        numbers.add_stage(&stage.totals, stage.span(), record.status == RunStatus::Complete);
        if let Some(times @ Times::Phase { .. }) = times {
            numbers.add_times(&times.at_rest(&stage.phases, &record.health.lateness));
        }
    }
    if times == Some(Times::Lateness) {
        if concerned().count() < record.stages.len() {
            return Err("a record knows how late attempts of all stages were, not those of one".to_owned());
        }
        numbers.add_times(&record.health.lateness.decode());
    }
    Ok(numbers)
}
