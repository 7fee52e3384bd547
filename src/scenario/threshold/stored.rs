//! What is known of thresholds without their scenario: from the record of a run.

use std::collections::BTreeMap;

use crate::domain::{Adding, Fate, Metric, Setting, StageKind, Statistic, Threshold, Whose};
use crate::scenario::stage::Head;
use crate::scenario::threshold::{LATEST_ABORT, bound, parse};
use crate::settings::time;

/// The thresholds that are among the settings of a run of stages with these names and kinds, in their order, and in words why
/// others cannot be read.
pub fn thresholds_of_settings(settings: &[Setting], stages: &[(&str, StageKind)]) -> (Vec<Threshold>, Vec<String>) {
    let heads: Vec<Head> = stages.iter().map(|(name, kind)| Head::named(name, *kind)).collect();
    let values: BTreeMap<_, _> =
        settings.iter().map(|Setting { key, value, .. }| (key.as_str(), value.as_str())).collect();
    let (mut thresholds, mut not_read) = (Vec::new(), Vec::new());
    for Setting { key, value: text, .. } in settings {
        let table = key.strip_prefix("threshold.").and_then(|_| key.strip_suffix(".check"));
        if table.is_none() && !key.starts_with("thresholds.") {
            continue;
        }
        let of_table = |name: &str| values.get(format!("{}.{name}", table?).as_str()).copied();
        let aborts = of_table("abort_on_fail") == Some("true");
        let abort_after = of_table("abort_after").filter(|_| aborts).and_then(time::parse_duration);
        let abort_after = abort_after.filter(|after| *after <= LATEST_ABORT);
        match parse::parse(text, &heads) {
            Ok(threshold) => thresholds.push(Threshold { abort_after, ..threshold }),
            Err(refusal) => not_read.push(format!("threshold {text} cannot be judged again: {}", refusal.reason)),
        }
    }
    (thresholds, not_read)
}

/// Refuses what no scenario of so many stages asks for.
///
/// # Errors
/// Why none does, in words.
pub fn check_threshold(threshold: &Threshold, stages: usize) -> Result<(), String> {
    let Threshold { stages: chosen, metric, comparison, bound, .. } = threshold;
    if chosen.is_empty() || !chosen.is_sorted_by(|one, next| one < next) || chosen.iter().any(|stage| *stage >= stages)
    {
        return Err(format!("the stages {chosen:?} are not some of {stages}, in order"));
    }
    if let Some(Statistic::Quantile(quantile)) = metric.statistic()
        && !(quantile > 0.0 && quantile < 1.0)
    {
        return Err(format!("{quantile} is no quantile"));
    }
    if let Metric::Phase { phase, whose, .. } = metric
        && *whose != parse::whose_unless_told(*phase)
        && !matches!(whose, Whose::Of(Fate::Succeeded | Fate::Failed))
    {
        return Err(format!("{phase} has no times of {}", whose.name()));
    }
    let is_counted = match metric {
        Metric::Count(count) => count.adding() != Adding::Longest,
        Metric::OfClass(count, _) => count.adding() == Adding::ByClass,
        Metric::Phase { .. } | Metric::Lateness(_) | Metric::Ratio(_) => true,
    };
    if !is_counted {
        return Err("no such number is counted".to_owned());
    }
    bound::check(*metric, *comparison, *bound).map_err(|refusal| refusal.reason)
}
