use std::io::{self, Write};

use hdrhistogram::serialization::V2DeflateSerializer;
use hdrhistogram::serialization::interval_log::{IntervalLogWriterBuilder, IntervalLogWriterError, Tag};

use crate::measure::RunRecord;
use crate::report::Exporter;

/// `latency.hlog`: `total` of the successes of every second in nanoseconds, as an HdrHistogram V2 interval log (format
/// 1.3), one tag per stage. Times are seconds since the start of the measured part.
pub(super) struct LatencyLog;

impl Exporter for LatencyLog {
    fn file_name(&self) -> &'static str {
        "latency.hlog"
    }

    fn write(&self, record: &RunRecord, mut to: &mut dyn Write) -> io::Result<()> {
        let mut serializer = V2DeflateSerializer::new();
        let mut log = IntervalLogWriterBuilder::new()
            .add_comment(&format!("[fleetstorm {}, scenario {}]", record.version, record.scenario))
            .add_comment("[Histogram log format version 1.3]")
            .with_start_time(record.started_at)
            .with_base_time(record.started_at)
            .with_max_value_divisor(NANOS_PER_MILLI)
            .begin_log_with(&mut to, &mut serializer)?;
        for stage in &record.stages {
            let tag = tag(&stage.name);
            for interval in &stage.intervals {
                log.write_histogram(interval.total.decode().as_hdr(), interval.start, interval.length, Tag::new(&tag))
                    .map_err(|e| match e {
                        IntervalLogWriterError::IoError(e) => e,
                        IntervalLogWriterError::SerializeError(e) => io::Error::other(e),
                    })?;
            }
        }
        Ok(())
    }
}

const NANOS_PER_MILLI: f64 = 1e6;

/// A tag may hold neither a comma nor white space.
pub(super) fn tag(stage: &str) -> String {
    stage.chars().map(|c| if c == ',' || c.is_whitespace() || c.is_control() { '_' } else { c }).collect()
}
