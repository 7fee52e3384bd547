//! One row per attempt, written while the run goes on: `devices.csv` or `devices.parquet`. Columns are documented in
//! docs/results.md and held by a snapshot test, as those of the other files.

mod csv;
mod parquet;

use std::io::{self, Write};
use std::time::SystemTime;

use crate::domain::{RegistrationId, named};
use crate::measure::Attempt;
use crate::report::rows::csv::CsvRows;
use crate::report::rows::parquet::ParquetRows;
use crate::scenario::{IdPattern, Scenario};

/// What rows are told with that attempts do not know themselves.
#[derive(Debug, Clone)]
pub struct RowNames {
    stages: Vec<String>,
    ids: IdPattern,
    /// Start of the measured part.
    started_at: SystemTime,
}

impl RowNames {
    /// Of a run of `scenario` whose measured part started then.
    pub fn new(scenario: &Scenario, started_at: SystemTime) -> Self {
        let stages = scenario.stages.iter().map(|stage| stage.name.clone()).collect();
        Self { stages, ids: scenario.fleet.registration_id.clone(), started_at }
    }

    fn stage(&self, index: u16) -> &str {
        self.stages.get(usize::from(index)).map_or("", String::as_str)
    }

    /// `None` never occurs: a scenario is checked to have an id for every device.
    fn registration_id(&self, device: u32) -> Option<RegistrationId> {
        self.ids.registration_id(device).ok()
    }
}

named! {
    /// What rows are written as.
    #[derive(Default)]
    pub enum RowFormat {
        /// Text, which everything reads.
        #[default]
        Csv = "csv",
        /// Columns with types, compressed: less than half the size.
        Parquet = "parquet",
    }
}

impl RowFormat {
    /// Name of the file inside the results folder.
    pub const fn file_name(self) -> &'static str {
        match self {
            Self::Csv => "devices.csv",
            Self::Parquet => "devices.parquet",
        }
    }
}

/// Writes rows in either format.
pub enum RowWriter<W: Write + Send> {
    /// To `devices.csv`.
    Csv(Box<CsvRows<W>>),
    /// To `devices.parquet`.
    Parquet(Box<ParquetRows<W>>),
}

impl<W: Write + Send> RowWriter<W> {
    /// Begins a file.
    ///
    /// # Errors
    /// Those of `to`, as of every method.
    pub fn new(format: RowFormat, to: W, names: RowNames) -> io::Result<Self> {
        Ok(match format {
            RowFormat::Csv => Self::Csv(Box::new(CsvRows::new(to, names)?)),
            RowFormat::Parquet => Self::Parquet(Box::new(ParquetRows::new(to, names)?)),
        })
    }

    /// One row.
    pub fn write(&mut self, attempt: &Attempt) -> io::Result<()> {
        match self {
            Self::Csv(rows) => rows.write(attempt),
            Self::Parquet(rows) => rows.write(attempt),
        }
    }

    /// Hands on what can be read before the end.
    pub fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Csv(rows) => rows.flush(),
            Self::Parquet(_) => Ok(()),
        }
    }

    /// The end; gives back where it was written.
    pub fn finish(self) -> io::Result<W> {
        match self {
            Self::Csv(rows) => rows.finish(),
            Self::Parquet(rows) => rows.finish(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::domain::{AttemptFacts, FailureClass, FleetTime, Phase};
    use crate::measure::{Outcome, PhaseTimes};

    fn names() -> RowNames {
        let text = "schema = 1\nname = 'test'\nfleet = { devices = 9, registration_id = 'd-{index:03}' }\n\
                    [[stage]]\nname = 'storm'\nkind = 'provision'\narrival = 'at-once'\n";
        let scenario = Scenario::parse("test.toml", text, &[]).unwrap();
        RowNames::new(&scenario, SystemTime::UNIX_EPOCH + Duration::from_secs(1_740_821_400))
    }

    fn attempts() -> [Attempt; 2] {
        let mut phases = PhaseTimes::new();
        phases.set(Phase::Queued, Duration::from_nanos(1_499));
        phases.set(Phase::TotalRaw, Duration::from_millis(250));
        let refused = Attempt {
            device: 7,
            stage: 0,
            number: 1,
            due: Duration::from_millis(1_500),
            started: Duration::from_nanos(1_500_001_499),
            ended: Duration::from_nanos(1_750_001_499),
            outcome: Outcome::Failed(FailureClass::Throttled),
            code: 429_001,
            facts: AttemptFacts {
                phases,
                polls: 3,
                throttled: 2,
                retry_after_max: Some(FleetTime::from_secs(30)),
                ..AttemptFacts::default()
            },
        };
        phases.set(Phase::Total, Duration::from_secs(3_700));
        [
            refused,
            Attempt {
                number: 2,
                outcome: Outcome::Success,
                code: 0,
                facts: AttemptFacts { phases, ..refused.facts },
                ..refused
            },
        ]
    }

    #[test]
    fn devices_csv() {
        let mut rows = RowWriter::new(RowFormat::Csv, Vec::new(), names()).unwrap();
        attempts().iter().for_each(|attempt| rows.write(attempt).unwrap());
        insta::assert_snapshot!("devices.csv", String::from_utf8(rows.finish().unwrap()).unwrap());
    }

    /// Judged as a file by another reader in `tests/pandas`.
    #[test]
    fn devices_parquet_has_the_columns_of_the_csv() {
        use ::parquet::file::reader::{FileReader as _, SerializedFileReader};

        let mut rows = RowWriter::new(RowFormat::Parquet, Vec::new(), names()).unwrap();
        attempts().iter().for_each(|attempt| rows.write(attempt).unwrap());
        let file = bytes::Bytes::from(rows.finish().unwrap());
        let reader = SerializedFileReader::new(file).unwrap();
        let schema = reader.metadata().file_metadata().schema_descr_ptr();
        let columns: Vec<_> = schema.columns().iter().map(|column| column.name().to_owned()).collect();
        let csv = CsvRows::new(Vec::new(), names()).and_then(CsvRows::finish).unwrap();
        assert_eq!(columns.join(","), String::from_utf8(csv).unwrap().trim_end());
        let text: Vec<_> = reader.get_row_iter(None).unwrap().map(|row| row.unwrap().to_string()).collect();
        insta::assert_snapshot!("devices.parquet", text.join("\n"));
    }
}
