use std::io::{self, Write};

use crate::measure::{Interval, RunRecord};
use crate::report::Exporter;
use crate::report::csv::outcomes::Outcomes;
use crate::report::csv::refusals::Refusals;
use crate::report::csv::{moment, quantile_us, seconds, table, text, us};

/// `intervals.csv`: one row per stage and second.
pub(in crate::report) struct IntervalsCsv;

const BEFORE: [&str; 5] = ["stage", "started_at", "start_s", "length_us", "due"];
const AFTER: [&str; 5] = ["succeeded_attempts", "in_flight", "p50_us", "p99_us", "p90_us"];
const LAST: [&str; 3] = ["min_us", "max_us", "gave_up"];

impl Exporter for IntervalsCsv {
    fn file_name(&self) -> &'static str {
        "intervals.csv"
    }

    fn write(&self, record: &RunRecord, to: &mut dyn Write) -> io::Result<()> {
        let rows = record
            .stages
            .iter()
            .flat_map(|stage| stage.intervals.iter().map(|interval| row(record, &stage.name, interval)));
        let columns = BEFORE.into_iter().chain(Outcomes::COLUMNS).chain(AFTER).chain(Refusals::COLUMNS).chain(LAST);
        table(to, columns, rows)
    }
}

fn row(record: &RunRecord, stage: &str, interval: &Interval) -> impl Iterator<Item = String> {
    let total = interval.total.decode();
    let before: [String; BEFORE.len()] = [
        text(stage).into_owned(),
        moment(record.started_at, interval.start),
        seconds(interval.start),
        us(interval.length),
        interval.due.to_string(),
    ];
    let after: [String; AFTER.len()] = [
        interval.succeeded_attempts.to_string(),
        interval.in_flight.to_string(),
        quantile_us(&total, 0.50),
        quantile_us(&total, 0.99),
        quantile_us(&total, 0.90),
    ];
    let outcomes = Outcomes::from(interval).values().into_iter().map(|count| count.to_string());
    let refusals =
        Refusals { retry_after_max: interval.retry_after_max, failed_attempts: interval.failed_attempts_by_class };
    let last: [String; LAST.len()] = [quantile_us(&total, 0.0), quantile_us(&total, 1.0), interval.gave_up.to_string()];
    before.into_iter().chain(outcomes).chain(after).chain(refusals.values()).chain(last)
}
