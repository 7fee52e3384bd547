use std::io::{self, Write};

use crate::measure::RunRecord;
use crate::report::Exporter;
use crate::report::csv::{table, text};

/// `skips.csv`: one row per stage and reason for which devices had nothing to do.
pub(in crate::report) struct SkipsCsv;

const COLUMNS: [&str; 4] = ["stage", "reason", "provisioned_in", "devices"];

impl Exporter for SkipsCsv {
    fn file_name(&self) -> &'static str {
        "skips.csv"
    }

    fn write(&self, record: &RunRecord, to: &mut dyn Write) -> io::Result<()> {
        let rows = record.stages.iter().flat_map(|stage| {
            stage.skips.iter().map(|skip| {
                let provisioned_in = text(skip.provisioned_in.as_deref().unwrap_or_default()).into_owned();
                let stage = text(&stage.name).into_owned();
                [stage, skip.reason.name().to_owned(), provisioned_in, skip.devices.to_string()]
            })
        });
        table(to, COLUMNS, rows)
    }
}
