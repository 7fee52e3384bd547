use std::io::{self, Write};

use crate::domain::{Phase, Whose};
use crate::measure::RunRecord;
use crate::report::Exporter;
use crate::report::csv::{known_us, table, text, us};
use crate::report::times::{Statistics, times};

/// `phases.csv`: one row per stage, phase and outcome that occurred, and one over all devices of times that belong to them.
pub(in crate::report) struct PhasesCsv;

const COLUMNS: [&str; 14] = [
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
    "unknown_above_us",
];

impl Exporter for PhasesCsv {
    fn file_name(&self) -> &'static str {
        "phases.csv"
    }

    fn write(&self, record: &RunRecord, to: &mut dyn Write) -> io::Result<()> {
        let rows = record.stages.iter().flat_map(|stage| {
            times(stage).map(|(phase, whose, statistics)| row(&stage.name, phase, whose, &statistics))
        });
        table(to, COLUMNS, rows)
    }
}

fn row(stage: &str, phase: Phase, whose: Whose, statistics: &Statistics) -> [String; COLUMNS.len()] {
    let [min, mean, p50, p90, p95, p99, p999, max] = statistics.all().map(known_us);
    let identity = [text(stage).into_owned(), phase.name().to_owned(), whose.name().to_owned()];
    let [stage, phase, whose] = identity;
    let above_range = statistics.above_range.to_string();
    let unknown_above = statistics.max.above().map(us).unwrap_or_default();
    [
        stage,
        phase,
        whose,
        statistics.count.to_string(),
        min,
        mean,
        p50,
        p90,
        p95,
        p99,
        p999,
        max,
        above_range,
        unknown_above,
    ]
}
