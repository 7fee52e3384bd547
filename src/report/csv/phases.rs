use std::io::{self, Write};

use crate::domain::Phase;
use crate::measure::{Histogram, Recorded, RunRecord, StageRecord};
use crate::report::Exporter;
use crate::report::csv::{micros, table, text};

/// `phases.csv`: one row per stage, phase and outcome that occurred.
pub(in crate::report) struct PhasesCsv;

const COLUMNS: [&str; 13] = [
    "stage",
    "phase",
    "outcome",
    "count",
    "min_us",
    "mean_us",
    "p50_us",
    "p90_us",
    "p95_us",
    "p99_us",
    "p999_us",
    "max_us",
    "above_range",
];

impl Exporter for PhasesCsv {
    fn file_name(&self) -> &'static str {
        "phases.csv"
    }

    fn write(&self, record: &RunRecord, to: &mut dyn Write) -> io::Result<()> {
        let rows = record.stages.iter().flat_map(|stage| {
            occurred(stage)
                .filter_map(|(phase, succeeded, histogram)| row(&stage.name, phase, outcome(succeeded), &histogram))
        });
        table(to, COLUMNS, rows)
    }
}

/// The phases of a stage that occurred, in the order of an attempt, with whether the attempts succeeded: successes before failures.
pub(in crate::report) fn occurred(stage: &StageRecord) -> impl Iterator<Item = (Phase, bool, Histogram)> + use<'_> {
    Phase::ALL.into_iter().flat_map(|phase| {
        let succeeded = stage.phases.succeeded(phase).map(|h| (phase, true, h));
        let failed = stage.phases.failed(phase).map(|h| (phase, false, h));
        succeeded.into_iter().chain(failed)
    })
}

/// What the attempts of a row came to.
pub(in crate::report) const fn outcome(succeeded: bool) -> &'static str {
    if succeeded { "succeeded" } else { "failed" }
}

fn row(stage: &str, phase: Phase, outcome: &str, histogram: &Histogram) -> Option<[String; COLUMNS.len()]> {
    let Recorded { count, min, mean, p50, p90, p95, p99, p999, max } = histogram.summary()?;
    let us = |nanos| micros(nanos).to_string();
    Some([
        text(stage).into_owned(),
        phase.name().to_owned(),
        outcome.to_owned(),
        count.to_string(),
        us(min),
        us(mean.round() as u64),
        us(p50),
        us(p90),
        us(p95),
        us(p99),
        us(p999),
        us(max),
        histogram.saturated().to_string(),
    ])
}
