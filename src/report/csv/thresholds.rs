use std::io::{self, Write};

use crate::measure::{RunRecord, ThresholdResult};
use crate::report::Exporter;
use crate::report::csv::{seconds, table, text};
use crate::report::observed::Value;

/// `thresholds.csv`: one row per threshold, in the order of the scenario.
pub(in crate::report) struct ThresholdsCsv;

const COLUMNS: [&str; 5] = ["threshold", "observed", "unit", "met", "stopped_at_s"];

impl Exporter for ThresholdsCsv {
    fn file_name(&self) -> &'static str {
        "thresholds.csv"
    }

    fn write(&self, record: &RunRecord, to: &mut dyn Write) -> io::Result<()> {
        table(to, COLUMNS, record.thresholds.iter().map(row))
    }
}

fn row(result: &ThresholdResult) -> [String; COLUMNS.len()] {
    let ThresholdResult { text: threshold, observed, met, stopped_at } = result;
    let value = observed.map(Value::of);
    [
        text(threshold).into_owned(),
        value.map(|value| value.number.to_string()).unwrap_or_default(),
        value.map(|value| value.unit.to_owned()).unwrap_or_default(),
        met.to_string(),
        stopped_at.map(seconds).unwrap_or_default(),
    ]
}
