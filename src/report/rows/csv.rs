use std::fmt::Write as _;
use std::io::{self, Write};
use std::time::Duration;

use crate::domain::{AttemptFacts, Phase};
use crate::measure::{Attempt, Outcome};
use crate::report::csv::{duration_micros, micros, moment, text};
use crate::report::rows::RowNames;

/// Columns before those of the phases.
const BEFORE: [&str; 13] = [
    "stage",
    "device",
    "registration_id",
    "attempt",
    "due_s",
    "started_at",
    "started_s",
    "ended_s",
    "outcome",
    "class",
    "code",
    "polls",
    "throttled",
];

/// The column after those of the phases.
pub(super) const RETRY_AFTER: &str = "retry_after_us";

/// Writes `devices.csv` row by row.
#[derive(Debug)]
pub struct CsvRows<W: Write> {
    writer: ::csv::Writer<W>,
    names: RowNames,
    field: String,
}

impl<W: Write> CsvRows<W> {
    /// Begins with the header.
    ///
    /// # Errors
    /// Those of `to`, as of every method.
    pub fn new(to: W, names: RowNames) -> io::Result<Self> {
        let mut writer = ::csv::Writer::from_writer(to);
        for column in BEFORE {
            writer.write_field(column)?;
        }
        let mut field = String::new();
        for phase in Phase::ALL {
            field.clear();
            let _ = write!(field, "{phase}_us");
            writer.write_field(&field)?;
        }
        writer.write_field(RETRY_AFTER)?;
        writer.write_record(None::<&[u8]>)?;
        Ok(Self { writer, names, field })
    }

    /// One row.
    pub fn write(&mut self, attempt: &Attempt) -> io::Result<()> {
        let Attempt { device, stage, number, due, started, ended, outcome, code, facts } = attempt;
        let AttemptFacts { phases, polls, throttled, retry_after_max, .. } = facts;
        let (outcome, class) = match outcome {
            Outcome::Success => ("succeeded", ""),
            Outcome::Failed(class) => ("failed", class.name()),
        };
        self.writer.write_field(text(self.names.stage(*stage)).as_bytes())?;
        self.number(*device)?;
        let id = self.names.registration_id(*device);
        self.writer.write_field(text(id.as_ref().map_or("", |id| id.as_str())).as_bytes())?;
        self.number(*number)?;
        self.seconds(*due)?;
        self.writer.write_field(moment(self.names.started_at, *started))?;
        self.seconds(*started)?;
        self.seconds(*ended)?;
        self.writer.write_field(outcome)?;
        self.writer.write_field(class)?;
        match code {
            0 => self.writer.write_field("")?,
            code => self.number(*code)?,
        }
        self.number(*polls)?;
        self.number(*throttled)?;
        for phase in Phase::ALL {
            match phases.get(phase) {
                Some(time) => self.number(duration_micros(time))?,
                None => self.writer.write_field("")?,
            }
        }
        match retry_after_max {
            Some(time) => self.number(duration_micros(time.length()))?,
            None => self.writer.write_field("")?,
        }
        Ok(self.writer.write_record(None::<&[u8]>)?)
    }

    /// Hands everything on, so that what is there is whole rows.
    pub fn flush(&mut self) -> io::Result<()> {
        self.writer.flush()
    }

    /// The end; gives back where it was written.
    pub fn finish(self) -> io::Result<W> {
        self.writer.into_inner().map_err(|error| io::Error::new(error.error().kind(), error.error().to_string()))
    }

    fn number(&mut self, number: impl std::fmt::Display) -> io::Result<()> {
        self.field.clear();
        // A text takes everything.
        let _ = write!(self.field, "{number}");
        Ok(self.writer.write_field(&self.field)?)
    }

    /// Since the start of the measured part, to the microsecond.
    fn seconds(&mut self, time: Duration) -> io::Result<()> {
        self.field.clear();
        let micros = micros(u64::try_from(time.as_nanos()).unwrap_or(u64::MAX));
        let _ = write!(self.field, "{}.{:06}", micros / 1_000_000, micros % 1_000_000);
        Ok(self.writer.write_field(&self.field)?)
    }
}
