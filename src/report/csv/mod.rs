//! The CSV files. Their columns are documented in docs/results.md and held by snapshot tests: dashboards depend on them.
//! Durations are integer microseconds (`_us`), moments are RFC 3339 in UTC (`_at`) and seconds since the start of the
//! measured part (`_s`). Whatever is not a number or a word of our own is guarded against being taken for a formula.

mod certificates;
mod errors;
mod intervals;
mod layout;
mod phases;
mod resources;
mod skips;
mod summary;
mod text;
mod thresholds;

use std::io::{self, Write};
use std::time::{Duration, SystemTime};

pub(super) use certificates::CertificatesCsv;
pub(super) use errors::ErrorsCsv;
pub(super) use intervals::IntervalsCsv;
pub(super) use phases::PhasesCsv;
pub(super) use resources::ResourcesCsv;
pub(super) use skips::SkipsCsv;
pub(super) use summary::SummaryCsv;
pub(super) use text::text;
pub(super) use thresholds::ThresholdsCsv;

use crate::domain::Known;
use crate::measure::Histogram;
use crate::report::units;

/// Writes a header and rows of as many fields; a row of another length is an error.
fn table(
    to: &mut dyn Write,
    columns: impl IntoIterator<Item = impl AsRef<[u8]>>,
    rows: impl Iterator<Item: IntoIterator<Item = String>>,
) -> io::Result<()> {
    let mut writer = csv::Writer::from_writer(to);
    writer.write_record(columns)?;
    for row in rows {
        writer.write_record(row)?;
    }
    writer.flush()
}

/// Nanoseconds as integer microseconds, rounded.
pub(super) const fn micros(nanos: u64) -> u64 {
    nanos.saturating_add(500) / 1_000
}

/// A duration as integer microseconds, rounded.
pub(super) fn duration_micros(time: Duration) -> u64 {
    micros(u64::try_from(time.as_nanos()).unwrap_or(u64::MAX))
}

/// Attempts per device that succeeded; empty when none did.
fn per_success(attempts: u64, succeeded: u64) -> String {
    units::ratio(attempts, succeeded).map(|ratio| format!("{ratio:.3}")).unwrap_or_default()
}

fn us(time: Duration) -> String {
    duration_micros(time).to_string()
}

/// A quantile in microseconds; empty when nothing was recorded, as a zero would lie.
fn quantile_us(histogram: &Histogram, quantile: f64) -> String {
    histogram.quantile(quantile).map(us).unwrap_or_default()
}

/// A time in microseconds; empty when it is not known.
fn known_us(time: Known<Duration>) -> String {
    time.exact().map(us).unwrap_or_default()
}

/// An offset from the start of the measured part as a moment.
pub(super) fn moment(start: SystemTime, offset: Duration) -> String {
    start.checked_add(offset).map(units::rfc3339).unwrap_or_default()
}

/// An offset from the start of the measured part in seconds.
fn seconds(offset: Duration) -> String {
    format!("{:.3}", offset.as_secs_f64())
}
