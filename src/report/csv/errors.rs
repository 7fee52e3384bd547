use std::io::{self, Write};

use crate::measure::{ErrorRow, RunRecord};
use crate::report::Exporter;
use crate::report::csv::{moment, seconds, table, text};

/// `errors.csv`: one row per distinct failure, most frequent first.
pub(in crate::report) struct ErrorsCsv;

const COLUMNS: [&str; 8] = ["class", "code", "message", "count", "first_at", "first_s", "last_at", "last_s"];

impl Exporter for ErrorsCsv {
    fn file_name(&self) -> &'static str {
        "errors.csv"
    }

    fn write(&self, record: &RunRecord, to: &mut dyn Write) -> io::Result<()> {
        table(to, COLUMNS, record.errors.iter().map(|error| row(record, error)))
    }
}

fn row(record: &RunRecord, error: &ErrorRow) -> [String; COLUMNS.len()] {
    let ErrorRow { class, code, message, count, first, last } = error;
    [
        class.name().to_owned(),
        if *code == 0 { String::new() } else { code.to_string() },
        text(message).into_owned(),
        count.to_string(),
        moment(record.started_at, *first),
        seconds(*first),
        moment(record.started_at, *last),
        seconds(*last),
    ]
}
