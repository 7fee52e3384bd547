use std::io::{self, Write};
use std::time::Duration;

use crate::domain::{Count, Known, Level, Phase};
use crate::measure::{Incidence, RunRecord, StageRecord};
use crate::report::csv::layout::{Layout, Part};
use crate::report::csv::{known_us, moment, per_success, quantile_us, seconds, table, text, us};
use crate::report::{Exporter, Verdict, units, verdicts};

/// `summary.csv`: one row per stage.
pub(in crate::report) struct SummaryCsv;

struct Row<'a> {
    record: &'a RunRecord,
    stage: &'a StageRecord,
    verdict: &'a str,
}

const LAYOUT: Layout<fn(&Row<'_>) -> String> = Layout {
    level: Level::Stage,
    parts: &[
        Part::Own(&[
            ("stage", |row| text(&row.stage.name).into_owned()),
            ("kind", |row| row.stage.kind.name().to_owned()),
            ("workload", |row| text(&row.stage.workload).into_owned()),
            ("verdict", |row| row.verdict.to_owned()),
            ("time_scale", |row| row.record.time_scale.to_string()),
            ("started_at", |row| moment(row.record.started_at, row.stage.start)),
            ("start_s", |row| seconds(row.stage.start)),
            ("elapsed_us", |row| us(row.stage.elapsed)),
        ]),
        Part::Counts(&[Count::Planned, Count::Started, Count::Succeeded, Count::Failed]),
        Part::Classes(Count::Failed),
        Part::Counts(&[Count::Dropped, Count::Expired, Count::Attempts, Count::FailedAttempts, Count::Throttled]),
        Part::Counts(&[Count::Disconnects, Count::Telemetry, Count::NotStarted, Count::Skipped, Count::Polls]),
        Part::Own(&[
            ("succeeded_per_s", |row| {
                format!("{:.3}", units::per_second(row.stage.totals.succeeded, row.stage.elapsed))
            }),
            ("attempts_per_success", |row| per_success(row.stage.totals.attempts, row.stage.totals.succeeded)),
            ("total_p50_us", |row| row.total(|total| total.quantile(0.50))),
            ("total_p90_us", |row| row.total(|total| total.quantile(0.90))),
            ("total_p99_us", |row| row.total(|total| total.quantile(0.99))),
            ("total_max_us", |row| row.total(|total| total.max())),
            ("total_raw_p50_us", |row| row.quantile(Phase::TotalRaw, 0.50)),
            ("total_raw_p90_us", |row| row.quantile(Phase::TotalRaw, 0.90)),
            ("total_raw_p99_us", |row| row.quantile(Phase::TotalRaw, 0.99)),
            ("total_raw_max_us", |row| row.quantile(Phase::TotalRaw, 1.0)),
        ]),
        Part::Counts(&[Count::RetryAfterMax]),
        Part::Classes(Count::FailedAttempts),
        Part::Counts(&[Count::GaveUp]),
        Part::Own(&[
            ("begin_late_us", |row| row.stage.begin.map(|begin| us(begin.late)).unwrap_or_default()),
            ("total_unknown_above_us", |row| {
                let above = row.stage.of_all(Phase::Total).and_then(|total| total.max().above());
                above.map(us).unwrap_or_default()
            }),
        ]),
    ],
};

impl Exporter for SummaryCsv {
    fn file_name(&self) -> &'static str {
        "summary.csv"
    }

    fn write(&self, record: &RunRecord, to: &mut dyn Write) -> io::Result<()> {
        let verdict = verdicts(record).iter().map(Verdict::name).collect::<Vec<_>>().join("+");
        let rows = record.stages.iter().map(|stage| Row { record, stage, verdict: &verdict });
        table(to, LAYOUT.names(), rows.map(|row| LAYOUT.row(&row.stage.totals, |own| own(&row))))
    }
}

impl Row<'_> {
    /// Of all devices that began; empty when it is not known.
    fn total(&self, statistic: fn(&Incidence) -> Known<Duration>) -> String {
        self.stage.of_all(Phase::Total).map(|total| known_us(statistic(&total))).unwrap_or_default()
    }

    /// Of those that succeeded.
    fn quantile(&self, phase: Phase, quantile: f64) -> String {
        self.stage.phases.succeeded(phase).map(|times| quantile_us(&times, quantile)).unwrap_or_default()
    }
}
