use serde::{Deserialize, Serialize};

use crate::measure::{self, Aside, CompactHistogram};
use crate::report::json::counts::Counts;
use crate::report::json::encoding::{aside, compact, encoded_compact, quantile};
use crate::report::json::values::{Count, Micros};

/// One second of a stage.
#[derive(Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(super) struct Interval {
    start_us: Micros,
    length_us: Micros,
    due: Count,
    #[serde(flatten)]
    counts: Counts<true>,
    succeeded_attempts: Option<Count>,
    in_flight: Count,
    #[serde(skip_deserializing)]
    p50_us: Option<Micros>,
    #[serde(skip_deserializing)]
    p90_us: Option<Micros>,
    #[serde(skip_deserializing)]
    p99_us: Option<Micros>,
    min_us: Option<Micros>,
    max_us: Option<Micros>,
    /// Values above the range of the histogram (one hour), counted at its end.
    #[serde(default)]
    above_range: u64,
    /// The distribution of `total` in nanoseconds: HdrHistogram V2, base64, empty when there is none. Not deflated: most are short.
    /// Records of before it was there have it in `latency.hlog`.
    histogram: Option<String>,
}

/// Whether the percentiles of every second are told beside their distribution.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Percentiles {
    /// For readers.
    Told,
    /// Quick to write once a second.
    Left,
}

impl Interval {
    pub(super) fn of(interval: &measure::Interval, percentiles: Percentiles) -> Self {
        let measure::Interval { start, length, counts, due, succeeded_attempts, in_flight, total } = interval;
        let [p50_us, p90_us, p99_us] = match percentiles {
            Percentiles::Told => {
                let total = total.decode();
                [0.50, 0.90, 0.99].map(|q| quantile(&total, q))
            }
            Percentiles::Left => [None; 3],
        };
        let Aside { above_range, min, max } = total.aside();
        Self {
            start_us: Micros(*start),
            length_us: Micros(*length),
            due: Count(*due),
            counts: Counts(*counts),
            succeeded_attempts: Some(Count(*succeeded_attempts)),
            in_flight: Count(*in_flight),
            p50_us,
            p90_us,
            p99_us,
            min_us: min.map(Micros::of_nanos),
            max_us: max.map(Micros::of_nanos),
            above_range,
            histogram: Some(encoded_compact(total)),
        }
    }

    /// Whether it says how its times are distributed, or `latency.hlog` does.
    pub(super) const fn has_distribution(&self) -> bool {
        self.histogram.is_some()
    }

    pub(super) fn into_interval(self) -> Result<measure::Interval, String> {
        let start = self.start_us.0;
        // Without a distribution of its own it only remembers what its distribution in the log does not say.
        let aside = aside(self.above_range, self.min_us, self.max_us);
        let total = match self.histogram {
            Some(encoded) => compact(&encoded, aside)
                .map_err(|reason| format!("interval at {:.3} s: {reason}", start.as_secs_f64()))?,
            None => CompactHistogram::announced(aside),
        };
        let Counts(counts) = self.counts;
        Ok(measure::Interval {
            start,
            length: self.length_us.0,
            due: self.due.0,
            counts,
            succeeded_attempts: self.succeeded_attempts.map_or(counts.succeeded, |count| count.0),
            in_flight: self.in_flight.0,
            total,
        })
    }
}
