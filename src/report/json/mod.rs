//! `run.json`: everything of the record. Durations are integer microseconds (`_us`), moments RFC 3339 in UTC (`_at`).
//!
//! Every part of the document is one type, which is written and read. What is written for readers alone, as it follows from the
//! rest, is marked `skip_deserializing`. docs/run.schema.json is made from these types (`schema`). Within a schema keys are only added: those that are optional or have a default are absent
//! in records of before they existed, and read as what their time knew.

mod certificates;
mod condition;
mod counts;
mod encoding;
mod fleet;
mod generator;
mod interval;
mod resource;
mod run;
#[cfg(test)]
mod schema;
mod stage;
mod stored;
mod threshold;
mod time_scale;
mod values;

use std::io::{self, Write};

pub(super) use stored::{PARTIAL_JSON, RUN_JSON, UNWRITTEN_JSON};
pub use stored::{ReadError, holds_results, read};

use crate::measure::RunRecord;
use crate::report::Exporter;
use interval::Percentiles;
use run::Run;

/// `run.json`.
pub(super) struct RunJson;

impl Exporter for RunJson {
    fn file_name(&self) -> &'static str {
        RUN_JSON
    }

    fn write(&self, record: &RunRecord, to: &mut dyn Write) -> io::Result<()> {
        serde_json::to_writer_pretty(&mut *to, &Run::of(record, Percentiles::Told)?)?;
        to.write_all(b"\n")
    }
}

/// The content of `run.json` in one line.
pub(super) fn line(record: &RunRecord) -> io::Result<String> {
    let mut text = serde_json::to_string(&Run::of(record, Percentiles::Told)?)?;
    text.push('\n');
    Ok(text)
}

/// `partial.json`: the record of a run that goes on, in one file.
pub(super) struct PartialJson;

impl Exporter for PartialJson {
    fn file_name(&self) -> &'static str {
        PARTIAL_JSON
    }

    fn write(&self, record: &RunRecord, to: &mut dyn Write) -> io::Result<()> {
        serde_json::to_writer(&mut *to, &Run::of(record, Percentiles::Left)?)?;
        to.write_all(b"\n")
    }
}
