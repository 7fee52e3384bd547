use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hdrhistogram::Histogram;
use hdrhistogram::serialization::Deserializer;
use hdrhistogram::serialization::interval_log::{IntervalLogIterator, LogEntry};

use crate::domain::BYTE_ORDER_MARK;
use crate::emulator::config::{self, HistogramUnit};
use crate::model::Latency;

/// A histogram that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum HistogramError {
    /// It cannot be read.
    #[error("cannot read {}: {source}", file.display())]
    Read {
        /// The file.
        file: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// It is not what it should be.
    #[error("{} is no HdrHistogram interval log: {problem}", file.display())]
    Malformed {
        /// The file.
        file: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// Nothing was measured.
    #[error("{} has no values with the tag that `tag` names", file.display())]
    Empty {
        /// The file.
        file: PathBuf,
    },
}

/// Those that the settings describe.
pub(super) fn latency(config: &config::LatencySettings) -> Result<Latency, HistogramError> {
    Ok(match config {
        config::LatencySettings::Fixed { ms } => Latency::fixed(*ms),
        config::LatencySettings::Uniform { min_ms, max_ms } => Latency::uniform(*min_ms, *max_ms),
        config::LatencySettings::LogNormal { median_ms, sigma } => Latency::log_normal(*median_ms, *sigma),
        config::LatencySettings::Histogram { file, tag, unit } => measured(file, tag.as_deref(), *unit)?,
    })
}

/// Reads all histograms of a log that have the tag.
fn measured(file: &Path, tag: Option<&str>, unit: HistogramUnit) -> Result<Latency, HistogramError> {
    let malformed = |problem: String| HistogramError::Malformed { file: file.to_owned(), problem };
    let bytes = fs::read(file).map_err(|source| HistogramError::Read { file: file.to_owned(), source })?;
    let mut sum = Histogram::<u64>::new(3).map_err(|error| malformed(error.to_string()))?;
    let mut deserializer = Deserializer::new();
    let log = bytes.strip_prefix(BYTE_ORDER_MARK.as_bytes()).unwrap_or(&bytes);
    for entry in IntervalLogIterator::new(log) {
        let entry = entry.map_err(|error| malformed(format!("{error:?}")))?;
        let LogEntry::Interval(interval) = entry else { continue };
        if tag.is_some_and(|tag| interval.tag().is_none_or(|found| found.as_str() != tag)) {
            continue;
        }
        let encoded = STANDARD.decode(interval.encoded_histogram()).map_err(|error| malformed(error.to_string()))?;
        let histogram: Histogram<u64> =
            deserializer.deserialize(&mut encoded.as_slice()).map_err(|error| malformed(error.to_string()))?;
        sum.add(histogram).map_err(|error| malformed(error.to_string()))?;
    }
    if sum.is_empty() {
        return Err(HistogramError::Empty { file: file.to_owned() });
    }
    Ok(Latency::measured(sum.iter_recorded().map(|step| {
        let value = step.value_iterated_to();
        let latency = match unit {
            HistogramUnit::Ns => Duration::from_nanos(value),
            HistogramUnit::Us => Duration::from_micros(value),
            HistogramUnit::Ms => Duration::from_millis(value),
        };
        (latency, step.count_since_last_iteration())
    })))
}

#[cfg(test)]
mod tests {
    use hdrhistogram::serialization::V2DeflateSerializer;
    use hdrhistogram::serialization::interval_log::{IntervalLogWriterBuilder, Tag};

    use super::*;
    use crate::domain::rng;

    /// Milliseconds in ascending order.
    fn draws(settings: &config::LatencySettings) -> Vec<f64> {
        let latency = latency(settings).unwrap();
        let mut rng = rng(1, "test", 0);
        let mut draws: Vec<f64> = (0..4000).map(|_| latency.draw(&mut rng).as_secs_f64() * 1000.0).collect();
        draws.sort_by(f64::total_cmp);
        draws
    }

    #[test]
    fn settings_are_the_distribution_that_they_name() {
        assert!(draws(&config::LatencySettings::Fixed { ms: 2.5 }).iter().all(|ms| *ms == 2.5));
        let uniform = draws(&config::LatencySettings::Uniform { min_ms: 10.0, max_ms: 20.0 });
        assert!(uniform[0] >= 10.0 && uniform[3999] <= 20.0 && (14.5..15.5).contains(&uniform[2000]));
        let log_normal = draws(&config::LatencySettings::LogNormal { median_ms: 100.0, sigma: 0.5 });
        assert!((95.0..105.0).contains(&log_normal[2000]), "{}", log_normal[2000]);
        assert!(latency(&config::LatencySettings::default()).unwrap().is_none());
    }

    fn log(values: &[(&str, u64, u64)]) -> tempfile::NamedTempFile {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        let mut serializer = V2DeflateSerializer::new();
        let mut log = IntervalLogWriterBuilder::new().begin_log_with(file.as_file_mut(), &mut serializer).unwrap();
        for (tag, value, count) in values {
            let mut histogram = Histogram::<u64>::new(3).unwrap();
            histogram.record_n(*value, *count).unwrap();
            log.write_histogram(&histogram, Duration::ZERO, Duration::from_secs(1), Tag::new(tag)).unwrap();
        }
        file
    }

    #[test]
    fn measured_latencies_come_back_as_often_as_they_were_measured() {
        let file = log(&[("a", 1000, 3), ("a", 2000, 1), ("b", 9000, 100)]);
        let of = |tag: Option<&str>, unit| config::LatencySettings::Histogram {
            file: file.path().to_owned(),
            tag: tag.map(str::to_owned),
            unit,
        };
        let drawn = draws(&of(Some("a"), HistogramUnit::Us));
        let short = drawn.iter().filter(|ms| (0.9..1.1).contains(*ms)).count();
        assert!((2850..3150).contains(&short) && (1.9..2.1).contains(&drawn[3999]), "{short}");
        assert!((8.9..9.1).contains(&draws(&of(None, HistogramUnit::Us))[3000]));
        assert!(matches!(latency(&of(Some("c"), HistogramUnit::Ns)), Err(HistogramError::Empty { .. })));
    }

    #[test]
    fn files_that_are_no_logs_are_named() {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), "0.1,0.2,0.3,not base64\n").unwrap();
        let error = measured(file.path(), None, HistogramUnit::Ns).unwrap_err();
        assert!(matches!(error, HistogramError::Malformed { .. }), "{error}");
        assert!(matches!(
            measured(Path::new("/absent.hlog"), None, HistogramUnit::Ns),
            Err(HistogramError::Read { .. })
        ));
    }
}
