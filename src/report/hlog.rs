use std::io::{self, Write};

use hdrhistogram::serialization::V2DeflateSerializer;
use hdrhistogram::serialization::interval_log::{IntervalLogWriterBuilder, IntervalLogWriterError, Tag};

use crate::domain::{Fate, Phase};
use crate::measure::{RunRecord, StageRecord};
use crate::report::Exporter;

/// `latency.hlog`: `total` of the successes of every second in nanoseconds, as an HdrHistogram V2 interval log (format
/// 1.3), one tag per stage. Times are seconds since the start of the measured part. Comments say how
/// many began whose times are not in it: whoever takes its times for those of all is told.
pub(super) struct LatencyLog;

impl Exporter for LatencyLog {
    fn file_name(&self) -> &'static str {
        "latency.hlog"
    }

    fn write(&self, record: &RunRecord, mut to: &mut dyn Write) -> io::Result<()> {
        let mut serializer = V2DeflateSerializer::new();
        let mut builder = IntervalLogWriterBuilder::new();
        builder
            .add_comment(&format!("[fleetstorm {}, scenario {}]", record.version, record.scenario))
            .add_comment("[Histogram log format version 1.3]");
        for comment in record.stages.iter().filter_map(not_in_it) {
            builder.add_comment(&comment);
        }
        let mut log = builder
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

/// Devices of a stage that began, but have no time in the log.
fn not_in_it(stage: &StageRecord) -> Option<String> {
    let total = stage.of_all(Phase::Total)?;
    let missing = total.began() - total.ended(Fate::Succeeded);
    (missing > 0).then(|| {
        format!(
            "[{}: {missing} of {} devices that began are not through, and not in this log]",
            tag(&stage.name),
            total.began()
        )
    })
}

const NANOS_PER_MILLI: f64 = 1e6;

/// A tag may hold neither a comma nor white space.
pub(super) fn tag(stage: &str) -> String {
    stage.chars().map(|c| if c == ',' || c.is_whitespace() || c.is_control() { '_' } else { c }).collect()
}
