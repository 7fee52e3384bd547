//! A finished record for people and machines. Every format is a pure function of [`RunRecord`]: nothing here knows the
//! engine, live state or the terminal.

pub mod compare;
pub mod console;
mod counted;
mod csv;
mod folder;
mod hlog;
mod html;
mod json;
mod observed;
pub mod rows;
mod skips;
mod sparkline;
mod tasks;
mod times;
mod tone;
pub mod units;
mod verdict;

use std::io::{self, Write};

pub use folder::{FolderError, ResultsFolder, WriteError, write_whole};
pub use html::{REPORT as HTML_REPORT, Side, comparison_page};
pub use json::{ReadError, holds_results, read};
pub use sparkline::{columns, sparkline};
pub use tone::Tone;
pub use verdict::{Verdict, verdicts};

use crate::measure::RunRecord;

/// One format of the results, written to one file.
pub trait Exporter {
    /// Name of the file inside the results folder.
    fn file_name(&self) -> &'static str;

    /// Writes the record. Errors are those of `to`.
    fn write(&self, record: &RunRecord, to: &mut dyn Write) -> io::Result<()>;
}

/// Every format that a run writes; the record itself (`run.json`) comes first, so that it survives a full disk best.
pub const EXPORTERS: [&dyn Exporter; 11] = [
    &json::RunJson,
    &csv::SummaryCsv,
    &csv::PhasesCsv,
    &csv::IntervalsCsv,
    &csv::ErrorsCsv,
    &csv::SkipsCsv,
    &csv::ThresholdsCsv,
    &csv::ResourcesCsv,
    &csv::CertificatesCsv,
    &hlog::LatencyLog,
    &html::HtmlReport,
];

/// `run.json` as text, for `--json`.
pub fn run_json(record: &RunRecord) -> io::Result<String> {
    let mut text = Vec::new();
    json::RunJson.write(record, &mut text)?;
    String::from_utf8(text).map_err(io::Error::other)
}

/// The content of `run.json` in one line, for documents that follow each other.
pub fn run_json_line(record: &RunRecord) -> io::Result<String> {
    json::line(record)
}

/// The version of `run.json` and of the CSV columns. Readers refuse a newer one.
pub const SCHEMA: u32 = 1;

#[cfg(test)]
mod fixture;
#[cfg(test)]
mod tests;
