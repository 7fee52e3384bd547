use std::io::{self, Write};

use crate::domain::{FailureClass, Phase};
use crate::measure::{Histogram, RunRecord, StageRecord};
use crate::report::csv::{moment, quantile_us, seconds, table, us};
use crate::report::{Exporter, Verdict, units, verdicts};

/// `summary.csv`: one row per stage.
pub(in crate::report) struct SummaryCsv;

const COLUMNS: [&str; 33] = [
    "stage",
    "kind",
    "workload",
    "verdict",
    "started_at",
    "start_s",
    "elapsed_us",
    "planned",
    "started",
    "succeeded",
    "failed",
    "failed_network",
    "failed_tls",
    "failed_throttled",
    "failed_rejected",
    "failed_protocol",
    "failed_verification",
    "failed_timeout",
    "failed_generator",
    "failed_cut",
    "dropped",
    "not_started",
    "throttled",
    "polls",
    "succeeded_per_s",
    "total_p50_us",
    "total_p90_us",
    "total_p99_us",
    "total_max_us",
    "total_raw_p50_us",
    "total_raw_p90_us",
    "total_raw_p99_us",
    "total_raw_max_us",
];

impl Exporter for SummaryCsv {
    fn file_name(&self) -> &'static str {
        "summary.csv"
    }

    fn write(&self, record: &RunRecord, to: &mut dyn Write) -> io::Result<()> {
        let verdict = verdicts(record).iter().map(Verdict::name).collect::<Vec<_>>().join("+");
        table(to, COLUMNS, record.stages.iter().map(|stage| row(record, stage, &verdict)))
    }
}

fn row(record: &RunRecord, stage: &StageRecord, verdict: &str) -> [String; COLUMNS.len()] {
    let totals = &stage.totals;
    let failed = |class: FailureClass| totals.failed[class.index()].to_string();
    let quantile = |phase, q| {
        let histogram: Option<&Histogram> = stage.phases.succeeded(phase);
        histogram.map(|h| quantile_us(h, q)).unwrap_or_default()
    };
    [
        stage.name.clone(),
        stage.kind.clone(),
        stage.workload.clone(),
        verdict.to_owned(),
        moment(record.started_at, stage.start),
        seconds(stage.start),
        us(stage.elapsed),
        totals.planned.to_string(),
        totals.started.to_string(),
        totals.succeeded.to_string(),
        totals.failed_total().to_string(),
        failed(FailureClass::Network),
        failed(FailureClass::Tls),
        failed(FailureClass::Throttled),
        failed(FailureClass::Rejected),
        failed(FailureClass::Protocol),
        failed(FailureClass::Verification),
        failed(FailureClass::Timeout),
        failed(FailureClass::Generator),
        failed(FailureClass::Cut),
        totals.dropped.to_string(),
        totals.not_started.to_string(),
        totals.throttled.to_string(),
        totals.polls.to_string(),
        format!("{:.3}", units::per_second(totals.succeeded, stage.elapsed)),
        quantile(Phase::Total, 0.50),
        quantile(Phase::Total, 0.90),
        quantile(Phase::Total, 0.99),
        quantile(Phase::Total, 1.0),
        quantile(Phase::TotalRaw, 0.50),
        quantile(Phase::TotalRaw, 0.90),
        quantile(Phase::TotalRaw, 0.99),
        quantile(Phase::TotalRaw, 1.0),
    ]
}
