use std::io::{self, Write};

use crate::domain::Phase;
use crate::measure::{RunRecord, StageRecord};
use crate::report::csv::outcomes::Outcomes;
use crate::report::csv::refusals::Refusals;
use crate::report::csv::{moment, per_success, quantile_us, seconds, table, text, us};
use crate::report::{Exporter, Verdict, units, verdicts};

/// `summary.csv`: one row per stage.
pub(in crate::report) struct SummaryCsv;

const BEFORE: [&str; 9] =
    ["stage", "kind", "workload", "verdict", "time_scale", "started_at", "start_s", "elapsed_us", "planned"];
const AFTER: [&str; 13] = [
    "not_started",
    "skipped",
    "polls",
    "succeeded_per_s",
    "attempts_per_success",
    "total_p50_us",
    "total_p90_us",
    "total_p99_us",
    "total_max_us",
    "total_raw_p50_us",
    "total_raw_p90_us",
    "total_raw_p99_us",
    "total_raw_max_us",
];
const LAST: [&str; 2] = ["gave_up", "begin_late_us"];

impl Exporter for SummaryCsv {
    fn file_name(&self) -> &'static str {
        "summary.csv"
    }

    fn write(&self, record: &RunRecord, to: &mut dyn Write) -> io::Result<()> {
        let verdict = verdicts(record).iter().map(Verdict::name).collect::<Vec<_>>().join("+");
        let columns = BEFORE.into_iter().chain(Outcomes::COLUMNS).chain(AFTER).chain(Refusals::COLUMNS).chain(LAST);
        table(to, columns, record.stages.iter().map(|stage| row(record, stage, &verdict)))
    }
}

fn row(record: &RunRecord, stage: &StageRecord, verdict: &str) -> impl Iterator<Item = String> {
    let totals = &stage.totals;
    let quantile = |phase, q| stage.phases.succeeded(phase).map(|h| quantile_us(&h, q)).unwrap_or_default();
    let before: [String; BEFORE.len()] = [
        text(&stage.name).into_owned(),
        text(&stage.kind).into_owned(),
        text(&stage.workload).into_owned(),
        verdict.to_owned(),
        record.time_scale.to_string(),
        moment(record.started_at, stage.start),
        seconds(stage.start),
        us(stage.elapsed),
        totals.planned.to_string(),
    ];
    let after: [String; AFTER.len()] = [
        totals.not_started.to_string(),
        totals.skipped.to_string(),
        totals.polls.to_string(),
        format!("{:.3}", units::per_second(totals.succeeded, stage.elapsed)),
        per_success(totals.attempts, totals.succeeded),
        quantile(Phase::Total, 0.50),
        quantile(Phase::Total, 0.90),
        quantile(Phase::Total, 0.99),
        quantile(Phase::Total, 1.0),
        quantile(Phase::TotalRaw, 0.50),
        quantile(Phase::TotalRaw, 0.90),
        quantile(Phase::TotalRaw, 0.99),
        quantile(Phase::TotalRaw, 1.0),
    ];
    let outcomes = Outcomes::from(totals).values().into_iter().map(|count| count.to_string());
    let refusals = Refusals { retry_after_max: totals.retry_after_max, failed_attempts: Some(totals.failed_attempts) };
    let begin_late = stage.begin.map(|begin| us(begin.late)).unwrap_or_default();
    let last: [String; LAST.len()] = [totals.gave_up.to_string(), begin_late];
    before.into_iter().chain(outcomes).chain(after).chain(refusals.values()).chain(last)
}
