//! `run.json`: everything of the record. Durations are integer microseconds (`_us`), moments RFC 3339 in UTC (`_at`).

mod shape;
mod stage;

use std::io::{self, Write};

use crate::measure::RunRecord;
use crate::report::Exporter;

/// `run.json`.
pub(super) struct RunJson;

impl Exporter for RunJson {
    fn file_name(&self) -> &'static str {
        "run.json"
    }

    fn write(&self, record: &RunRecord, to: &mut dyn Write) -> io::Result<()> {
        serde_json::to_writer_pretty(&mut *to, &shape::Run::of(record)?)?;
        to.write_all(b"\n")
    }
}
