use std::io::{self, Write};

use crate::domain::{Count, Level};
use crate::measure::{Histogram, Interval, RunRecord};
use crate::report::Exporter;
use crate::report::csv::layout::{Layout, Part};
use crate::report::csv::{moment, quantile_us, seconds, table, text, us};

/// `intervals.csv`: one row per stage and second.
pub(in crate::report) struct IntervalsCsv;

struct Row<'a> {
    record: &'a RunRecord,
    stage: &'a str,
    interval: &'a Interval,
    total: Histogram,
}

const LAYOUT: Layout<fn(&Row<'_>) -> String> = Layout {
    level: Level::Second,
    parts: &[
        Part::Own(&[
            ("stage", |row| text(row.stage).into_owned()),
            ("started_at", |row| moment(row.record.started_at, row.interval.start)),
            ("start_s", |row| seconds(row.interval.start)),
            ("length_us", |row| us(row.interval.length)),
            ("due", |row| row.interval.due.to_string()),
        ]),
        Part::Counts(&[Count::Started, Count::Succeeded, Count::Failed]),
        Part::Classes(Count::Failed),
        Part::Counts(&[Count::Dropped, Count::Expired, Count::Attempts, Count::FailedAttempts, Count::Throttled]),
        Part::Counts(&[Count::Disconnects, Count::Telemetry]),
        Part::Own(&[
            ("succeeded_attempts", |row| row.interval.succeeded_attempts.to_string()),
            ("in_flight", |row| row.interval.in_flight.to_string()),
            ("p50_us", |row| quantile_us(&row.total, 0.50)),
            ("p99_us", |row| quantile_us(&row.total, 0.99)),
            ("p90_us", |row| quantile_us(&row.total, 0.90)),
        ]),
        Part::Counts(&[Count::RetryAfterMax]),
        Part::Classes(Count::FailedAttempts),
        Part::Own(&[("min_us", |row| quantile_us(&row.total, 0.0)), ("max_us", |row| quantile_us(&row.total, 1.0))]),
        Part::Counts(&[Count::GaveUp]),
    ],
};

impl Exporter for IntervalsCsv {
    fn file_name(&self) -> &'static str {
        "intervals.csv"
    }

    fn write(&self, record: &RunRecord, to: &mut dyn Write) -> io::Result<()> {
        let rows = record.stages.iter().flat_map(|stage| {
            let row = |interval| Row { record, stage: &stage.name, interval, total: interval.total.decode() };
            stage.intervals.iter().map(row)
        });
        table(to, LAYOUT.names(), rows.map(|row| LAYOUT.row(&row.interval.counts, |own| own(&row))))
    }
}
