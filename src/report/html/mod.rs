//! `report.html`: the results for a person, in one file that needs nothing else. Its plots are drawn by uPlot from data that
//! the page carries as JSON; the bars of the phases are drawn here, as they need no scale that one can zoom.

mod bars;
mod comparison;
mod data;
mod escape;
mod frame;
mod page;
mod plots;
mod resources;
mod series;
mod tables;
#[cfg(test)]
mod tests;
mod through;

use std::io::{self, Write};

pub use comparison::{Side, comparison_page};

use crate::measure::RunRecord;
use crate::report::Exporter;

/// Name of the page within a results folder.
pub const REPORT: &str = "report.html";

/// `report.html`.
pub(super) struct HtmlReport;

impl Exporter for HtmlReport {
    fn file_name(&self) -> &'static str {
        REPORT
    }

    fn write(&self, record: &RunRecord, to: &mut dyn Write) -> io::Result<()> {
        to.write_all(page::page(record)?.as_bytes())
    }
}
