use std::io::{self, Write};

use crate::measure::{RunRecord, ThresholdResult};
use crate::report::Exporter;
use crate::report::csv::{seconds, table, text};
use crate::report::observed::Observed;

/// `thresholds.csv`: one row per threshold, in the order of the scenario.
pub(in crate::report) struct ThresholdsCsv;

const COLUMNS: [&str; 6] = ["threshold", "observed", "unit", "met", "stopped_at_s", "observed_above"];

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
    let Observed { number: known, above, unit } = Observed::of(*observed);
    let number = |of: Option<f64>| of.map(|number| number.to_string()).unwrap_or_default();
    [
        text(threshold).into_owned(),
        number(known),
        unit.unwrap_or_default().to_owned(),
        met.to_string(),
        stopped_at.map(seconds).unwrap_or_default(),
        number(above),
    ]
}
