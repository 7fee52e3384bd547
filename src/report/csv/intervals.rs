use std::io::{self, Write};

use crate::domain::FailureClass;
use crate::measure::{Interval, RunRecord};
use crate::report::Exporter;
use crate::report::csv::{moment, quantile_us, seconds, table, us};

/// `intervals.csv`: one row per stage and second.
pub(in crate::report) struct IntervalsCsv;

const COLUMNS: [&str; 22] = [
    "stage",
    "started_at",
    "start_s",
    "length_us",
    "due",
    "started",
    "succeeded",
    "failed",
    "failed_network",
    "failed_tls",
    "failed_throttled",
    "failed_rejected",
    "failed_protocol",
    "failed_verification",
    "failed_timeout",
    "failed_generator",
    "failed_cut",
    "throttled",
    "dropped",
    "in_flight",
    "p50_us",
    "p99_us",
];

impl Exporter for IntervalsCsv {
    fn file_name(&self) -> &'static str {
        "intervals.csv"
    }

    fn write(&self, record: &RunRecord, to: &mut dyn Write) -> io::Result<()> {
        let rows = record
            .stages
            .iter()
            .flat_map(|stage| stage.intervals.iter().map(|interval| row(record, &stage.name, interval)));
        table(to, COLUMNS, rows)
    }
}

fn row(record: &RunRecord, stage: &str, interval: &Interval) -> [String; COLUMNS.len()] {
    let total = interval.total.decode();
    let failed = |class: FailureClass| interval.failed[class.index()].to_string();
    [
        stage.to_owned(),
        moment(record.started_at, interval.start),
        seconds(interval.start),
        us(interval.length),
        interval.due.to_string(),
        interval.started.to_string(),
        interval.succeeded.to_string(),
        interval.failed.iter().sum::<u64>().to_string(),
        failed(FailureClass::Network),
        failed(FailureClass::Tls),
        failed(FailureClass::Throttled),
        failed(FailureClass::Rejected),
        failed(FailureClass::Protocol),
        failed(FailureClass::Verification),
        failed(FailureClass::Timeout),
        failed(FailureClass::Generator),
        failed(FailureClass::Cut),
        interval.throttled.to_string(),
        interval.dropped.to_string(),
        interval.in_flight.to_string(),
        quantile_us(&total, 0.50),
        quantile_us(&total, 0.99),
    ]
}
