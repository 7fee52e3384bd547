use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use serde::{Serialize, Serializer};

use crate::domain::{FailureClass, Phase};
use crate::measure::{Certificates, ExpiryBin, Histogram, Interval, StageRecord};
use crate::report::units;

/// Name and values of every column that plots of a stage show.
pub(super) type Columns = BTreeMap<&'static str, Vec<Number>>;

/// A value of a column; `None` where there is none, such as the latency of a second without successes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Number(pub(super) Option<f64>);

impl Serialize for Number {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            // As integers most values are half as long. Lossless up to 2^53.
            Some(value) if value.fract() == 0.0 && value.abs() < 9e15 => serializer.serialize_i64(value as i64),
            value => value.serialize(serializer),
        }
    }
}

/// How many points over time a page may have, so that it stays small however long a run was.
pub(super) struct Points {
    /// Of all stages together.
    pub(super) in_all: usize,
    /// Fewest and most of one stage. More than a screen has columns would only slow the page down.
    pub(super) of_a_stage: (usize, usize),
}

impl Points {
    /// Intervals that become one point, in a run with so many stages.
    pub(super) fn intervals_of_one(&self, intervals: usize, stages: usize) -> usize {
        let (fewest, most) = self.of_a_stage;
        intervals.div_ceil((self.in_all / stages.max(1)).clamp(fewest, most)).max(1)
    }
}

const POINTS: Points = Points { in_all: 6_000, of_a_stage: (50, 1_000) };

/// Intervals of the report of a run with so many stages that become one point.
pub(super) fn per_point(intervals: usize, stages: usize) -> usize {
    POINTS.intervals_of_one(intervals, stages)
}

/// The intervals of a stage from its first due time on.
pub(super) fn lived(stage: &StageRecord) -> &[Interval] {
    let before = stage.intervals.iter().take_while(|i| i.start + i.length <= stage.start).count();
    match stage.intervals.get(before..) {
        Some(rest) if !rest.is_empty() => rest,
        _ => &stage.intervals,
    }
}

type Count = fn(&Interval) -> u64;

/// What is shown per second.
const RATES: [(&str, Count); 11] = [
    ("due", |i| i.due),
    ("started", |i| i.started),
    ("succeeded", |i| i.succeeded),
    ("attempts", |i| i.attempts),
    ("succeeded_attempts", |i| i.succeeded_attempts),
    ("failed_attempts", |i| i.failed_attempts),
    ("throttled", |i| i.throttled),
    ("dropped", |i| i.dropped),
    ("expired", |i| i.expired),
    ("disconnects", |i| i.disconnects),
    ("telemetry", |i| i.telemetry),
];

/// The column of devices that failed for good with this class, as `intervals.csv` names it: `throttled` by itself is the
/// count of answers 429.
pub(super) const fn failed_column(class: FailureClass) -> &'static str {
    match class {
        FailureClass::Network => "failed_network",
        FailureClass::Tls => "failed_tls",
        FailureClass::Throttled => "failed_throttled",
        FailureClass::Rejected => "failed_rejected",
        FailureClass::Protocol => "failed_protocol",
        FailureClass::Verification => "failed_verification",
        FailureClass::Timeout => "failed_timeout",
        FailureClass::Generator => "failed_generator",
        FailureClass::Configuration => "failed_configuration",
        FailureClass::Cut => "failed_cut",
    }
}

/// The column of attempts that failed with this class, as `intervals.csv` names it.
pub(super) const fn failed_attempts_column(class: FailureClass) -> &'static str {
    match class {
        FailureClass::Network => "failed_attempts_network",
        FailureClass::Tls => "failed_attempts_tls",
        FailureClass::Throttled => "failed_attempts_throttled",
        FailureClass::Rejected => "failed_attempts_rejected",
        FailureClass::Protocol => "failed_attempts_protocol",
        FailureClass::Verification => "failed_attempts_verification",
        FailureClass::Timeout => "failed_attempts_timeout",
        FailureClass::Generator => "failed_attempts_generator",
        FailureClass::Configuration => "failed_attempts_configuration",
        FailureClass::Cut => "failed_attempts_cut",
    }
}

/// The columns over time: rates per second, latencies in milliseconds. A column in which nothing happened is not plotted and
/// need not be carried.
pub(super) fn over_time(stage: &StageRecord, stages: usize) -> Columns {
    let intervals = lived(stage);
    let per_point = per_point(intervals.len(), stages);
    let mut columns = points(intervals, per_point);
    if stage.kind == RENEW {
        columns.extend(so_far(intervals, per_point));
    }
    columns.retain(|name, values| *name == "start_s" || values.iter().any(|value| value.0.is_some_and(|v| v != 0.0)));
    columns
}

/// All columns over time, with one point for so many intervals.
pub(super) fn points(intervals: &[Interval], per_point: usize) -> Columns {
    let mut columns = Columns::new();
    let mut total = Histogram::new();
    for points in intervals.chunks(per_point) {
        let length: Duration = points.iter().map(|interval| interval.length).sum();
        // The last point may be of any length; a rate of a few milliseconds would say nothing.
        let seconds = length.as_secs_f64().max(0.5);
        let mut push = |name, value: Option<f64>| {
            columns.entry(name).or_default().push(Number(value.map(units::rounded)));
        };
        let rate = |count: Count| points.iter().map(count).sum::<u64>() as f64 / seconds;
        push("start_s", points.first().map(|interval| interval.start.as_secs_f64()));
        for (name, count) in RATES {
            push(name, Some(rate(count)));
        }
        for class in FailureClass::ALL {
            let failed = points.iter().map(|i| i.failed[class.index()]).sum::<u64>();
            push(failed_column(class), Some(failed as f64 / seconds));
            let attempts = points.iter().filter_map(|i| i.failed_attempts_by_class).map(|counts| counts[class.index()]);
            push(failed_attempts_column(class), Some(attempts.sum::<u64>() as f64 / seconds));
        }
        let retry_after = points.iter().filter_map(|interval| interval.retry_after_max).max();
        push("retry_after_max", retry_after.map(|time| time.as_secs_f64()));
        push("in_flight", points.last().map(|interval| interval.in_flight as f64));
        if total.count() > 0 {
            total.clear();
        }
        for interval in points.iter().filter(|interval| !interval.total.is_empty()) {
            total.merge(&interval.total.decode());
        }
        for (name, quantile) in [("p50", 0.50), ("p90", 0.90), ("p99", 0.99)] {
            push(name, total.quantile(quantile).map(millis));
        }
    }
    columns
}

/// The kind of stages in which certificates are renewed, as the record names it.
const RENEW: &str = "renew";

/// Devices of a stage from its start until the end of each point.
fn so_far(intervals: &[Interval], per_point: usize) -> Columns {
    const COUNTS: [(&str, Count); 3] =
        [("due_so_far", |i| i.due), ("succeeded_so_far", |i| i.succeeded), ("expired_so_far", |i| i.expired)];
    let column = |(name, count): (&'static str, Count)| {
        let mut sum = 0;
        let values = intervals.chunks(per_point).map(|points| {
            sum += points.iter().map(count).sum::<u64>();
            Number(Some(sum as f64))
        });
        (name, values.collect())
    };
    COUNTS.into_iter().map(column).collect()
}

/// Certificates by expiry: `expires_from_s` is since 1970 on the fleet's clock. It begins and ends with a span in which none
/// expires, so that the drawing stands on the axis.
pub(super) fn expiry(certificates: Option<&Certificates>) -> Columns {
    let mut columns = Columns::new();
    let Some(certificates) = certificates.filter(|certificates| certificates.certificates() > 0) else {
        return columns;
    };
    let mut push = |from: SystemTime, certificates: u64| {
        let seconds = from.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs_f64();
        columns.entry("expires_from_s").or_default().push(Number(Some(seconds)));
        columns.entry("certificates").or_default().push(Number(Some(certificates as f64)));
    };
    let mut bins = certificates.bins().peekable();
    if let Some(before) = bins.peek().and_then(|first| first.from.checked_sub(certificates.width())) {
        push(before, 0);
    }
    let mut end = SystemTime::UNIX_EPOCH;
    for ExpiryBin { from, to, certificates } in bins {
        push(from, certificates);
        end = to;
    }
    push(end, 0);
    columns
}

/// The percentile curve of a stage: `total` and `total_raw`.
pub(super) fn percentiles(stage: &StageRecord) -> Columns {
    let [total, raw] = [Phase::Total, Phase::TotalRaw].map(|phase| stage.phases.succeeded(phase));
    curves(&[("total", total.as_ref()), ("total_raw", raw.as_ref())])
}

/// Percentile curves: `inverse` is 1/(1-q), against which each histogram is drawn, up to one in all of its values: beyond
/// there is only the largest.
pub(super) fn curves(histograms: &[(&'static str, Option<&Histogram>)]) -> Columns {
    let counts: Vec<f64> =
        histograms.iter().filter_map(|(_, h)| Some(h.as_ref()?.count() as f64)).filter(|count| *count > 0.0).collect();
    let most = counts.iter().copied().fold(0.0, f64::max);
    let mut columns = Columns::new();
    if most == 0.0 {
        return columns;
    }
    let steps = (0..).map(|step| 10_f64.powf(f64::from(step) / STEPS_PER_DECADE)).take_while(|inverse| *inverse < most);
    let mut grid: Vec<f64> = steps.chain(counts).collect();
    grid.sort_by(f64::total_cmp);
    grid.dedup();
    for inverse in grid {
        columns.entry("inverse").or_default().push(Number(Some(units::rounded(inverse))));
        for (name, histogram) in histograms {
            let backed = histogram.filter(|h| inverse <= h.count() as f64);
            let value = backed.and_then(|h| h.quantile(1.0 - 1.0 / inverse)).map(millis);
            columns.entry(name).or_default().push(Number(value.map(units::rounded)));
        }
    }
    columns
}

const STEPS_PER_DECADE: f64 = 24.0;

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}
