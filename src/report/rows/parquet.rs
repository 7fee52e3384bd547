use std::io::{self, Write};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use parquet::basic::Compression;
use parquet::data_type::{ByteArray, ByteArrayType, DataType, DoubleType, Int32Type, Int64Type};
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::{SerializedFileWriter, SerializedRowGroupWriter};
use parquet::schema::parser::parse_message_type;

use crate::domain::Phase;
use crate::measure::{Attempt, Outcome};
use crate::report::csv::duration_micros;
use crate::report::rows::RowNames;
use crate::report::rows::csv::RETRY_AFTER;

/// Columns before those of the phases, as in `devices.csv`.
const BEFORE: &str = "
    required binary stage (STRING);
    required int32 device (INTEGER(32,false));
    required binary registration_id (STRING);
    required int32 attempt (INTEGER(32,false));
    required double due_s;
    required int64 started_at (TIMESTAMP(MICROS,true));
    required double started_s;
    required double ended_s;
    required binary outcome (STRING);
    optional binary class (STRING);
    optional int32 code (INTEGER(32,false));
    required int32 polls (INTEGER(32,false));
    required int32 throttled (INTEGER(32,false));
";

/// Rows of a row group: it is kept in memory until it is whole, some 10 MB.
const GROUP: usize = 32_768;

/// Writes `devices.parquet` row group by row group. A file is only one once it is finished.
pub struct ParquetRows<W: Write + Send> {
    writer: SerializedFileWriter<W>,
    names: RowNames,
    waiting: Vec<Attempt>,
}

impl<W: Write + Send> ParquetRows<W> {
    /// Begins a file.
    ///
    /// # Errors
    /// Those of `to`, as of every method.
    pub fn new(to: W, names: RowNames) -> io::Result<Self> {
        let phases: String = Phase::ALL.iter().map(|phase| format!("optional int64 {phase}_us;\n")).collect();
        let schema = parse_message_type(&format!("message devices {{{BEFORE}{phases}optional int64 {RETRY_AFTER};}}"))?;
        let properties = WriterProperties::builder()
            .set_compression(Compression::SNAPPY)
            .set_created_by(concat!("fleetstorm ", env!("CARGO_PKG_VERSION")).to_owned())
            .build();
        let writer = SerializedFileWriter::new(to, Arc::new(schema), Arc::new(properties))?;
        Ok(Self { writer, names, waiting: Vec::with_capacity(GROUP) })
    }

    /// One row.
    pub fn write(&mut self, attempt: &Attempt) -> io::Result<()> {
        self.waiting.push(*attempt);
        if self.waiting.len() >= GROUP { self.write_group() } else { Ok(()) }
    }

    /// The end; gives back where it was written.
    pub fn finish(mut self) -> io::Result<W> {
        if !self.waiting.is_empty() {
            self.write_group()?;
        }
        Ok(self.writer.into_inner()?)
    }

    fn write_group(&mut self) -> io::Result<()> {
        let rows = &self.waiting;
        let names = &self.names;
        let mut columns = Columns(self.writer.next_row_group()?);
        let start = names.started_at.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        columns.required::<ByteArrayType>(rows.iter().map(|row| text(names.stage(row.stage))))?;
        columns.required::<Int32Type>(rows.iter().map(|row| unsigned(row.device)))?;
        columns.required::<ByteArrayType>(
            rows.iter()
                .map(|row| names.registration_id(row.device).map_or_else(ByteArray::new, |id| text(id.as_str()))),
        )?;
        columns.required::<Int32Type>(rows.iter().map(|row| row.number.into()))?;
        columns.required::<DoubleType>(rows.iter().map(|row| seconds(row.due)))?;
        columns.required::<Int64Type>(rows.iter().map(|row| micros(start + row.started)))?;
        columns.required::<DoubleType>(rows.iter().map(|row| seconds(row.started)))?;
        columns.required::<DoubleType>(rows.iter().map(|row| seconds(row.ended)))?;
        columns.required::<ByteArrayType>(rows.iter().map(|row| {
            text(match row.outcome {
                Outcome::Success => "succeeded",
                Outcome::Failed(_) => "failed",
            })
        }))?;
        columns.optional::<ByteArrayType>(rows.iter().map(|row| match row.outcome {
            Outcome::Success => None,
            Outcome::Failed(class) => Some(text(class.name())),
        }))?;
        columns.optional::<Int32Type>(rows.iter().map(|row| (row.code > 0).then(|| unsigned(row.code))))?;
        columns.required::<Int32Type>(rows.iter().map(|row| row.facts.polls.into()))?;
        columns.required::<Int32Type>(rows.iter().map(|row| row.facts.throttled.into()))?;
        for phase in Phase::ALL {
            columns.optional::<Int64Type>(rows.iter().map(|row| row.facts.phases.get(phase).map(micros)))?;
        }
        columns.optional::<Int64Type>(
            rows.iter().map(|row| row.facts.retry_after_max.map(|time| micros(time.length()))),
        )?;
        columns.0.close()?;
        self.waiting.clear();
        Ok(())
    }
}

/// The columns of a row group, in the order of the schema.
struct Columns<'a, W: Write + Send>(SerializedRowGroupWriter<'a, W>);

impl<W: Write + Send> Columns<'_, W> {
    fn required<T: DataType>(&mut self, values: impl Iterator<Item = T::T>) -> io::Result<()> {
        self.next::<T>(&values.collect::<Vec<_>>(), None)
    }

    fn optional<T: DataType>(&mut self, values: impl Iterator<Item = Option<T::T>>) -> io::Result<()> {
        let (mut there, mut present) = (Vec::new(), Vec::new());
        for value in values {
            there.push(i16::from(value.is_some()));
            present.extend(value);
        }
        self.next::<T>(&present, Some(&there))
    }

    fn next<T: DataType>(&mut self, values: &[T::T], there: Option<&[i16]>) -> io::Result<()> {
        let column = self.0.next_column()?;
        let mut column = column.ok_or_else(|| ParquetError::General("more columns than the schema has".to_owned()))?;
        column.typed::<T>().write_batch(values, there, None)?;
        Ok(column.close()?)
    }
}

fn text(text: &str) -> ByteArray {
    ByteArray::from(text)
}

/// Parquet keeps an unsigned number in the bits of a signed one.
const fn unsigned(number: u32) -> i32 {
    number.cast_signed()
}

fn micros(time: Duration) -> i64 {
    i64::try_from(duration_micros(time)).unwrap_or(i64::MAX)
}

/// To the microsecond, as in `devices.csv`.
fn seconds(time: Duration) -> f64 {
    duration_micros(time) as f64 / 1e6
}
