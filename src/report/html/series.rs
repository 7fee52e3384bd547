use std::borrow::Cow;
use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use serde::{Serialize, Serializer};

use crate::domain::{Counts, Level, Phase, StageKind, Value};
use crate::measure::{Certificates, ExpiryBin, Histogram, Interval, StageRecord};
use crate::report::counted::Column;
use crate::report::html::plots;
use crate::report::units;

/// Name and values of every column that plots of a stage show.
pub(super) type Columns = BTreeMap<Cow<'static, str>, Vec<Number>>;

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

/// The columns over time: rates per second, latencies in milliseconds. A column that no plot shows, or in which nothing happened,
/// need not be carried.
pub(super) fn over_time(stage: &StageRecord, stages: usize) -> Columns {
    let intervals = lived(stage);
    let per_point = per_point(intervals.len(), stages);
    let mut columns = points(intervals, per_point);
    if stage.kind == StageKind::Renew {
        columns.extend(so_far(intervals, per_point));
    }
    let happened = |values: &[Number]| values.iter().any(|value| value.0.is_some_and(|v| v != 0.0));
    columns.retain(|name, values| name == "start_s" || (plots::show(name) && happened(values)));
    columns
}

/// All columns over time, with one point for so many intervals.
pub(super) fn points(intervals: &[Interval], per_point: usize) -> Columns {
    let points: Vec<_> = intervals.chunks(per_point).map(Point::of).collect();
    let mut columns = Columns::new();
    let mut put = |name: Cow<'static, str>, value: &dyn Fn(&Point<'_>) -> Option<f64>| {
        columns.insert(name, points.iter().map(|point| Number(value(point).map(units::rounded))).collect());
    };
    put("start_s".into(), &|point| Some(point.intervals.first()?.start.as_secs_f64()));
    for column in Column::at(Level::Second) {
        put(column.name(), &|point| match column.get(&point.counts)? {
            Value::Number(number) => Some(point.rate(number)),
            Value::ByClass(failures) => Some(point.rate(failures.total())),
            Value::Longest(longest) => longest.map(|time| time.as_secs_f64()),
        });
    }
    let sum = |point: &Point<'_>, of: fn(&Interval) -> u64| Some(point.rate(point.intervals.iter().map(of).sum()));
    put("due".into(), &|point| sum(point, |interval| interval.due));
    put("succeeded_attempts".into(), &|point| sum(point, |interval| interval.succeeded_attempts));
    put("in_flight".into(), &|point| point.intervals.last().map(|interval| interval.in_flight as f64));
    for (place, name) in ["p50", "p90", "p99"].into_iter().enumerate() {
        put(name.into(), &|point| point.latencies[place].map(millis));
    }
    columns
}

/// What intervals beside each other come to.
struct Point<'a> {
    intervals: &'a [Interval],
    counts: Counts,
    /// p50, p90 and p99 of `total` of the successes.
    latencies: [Option<Duration>; 3],
    seconds: f64,
}

impl<'a> Point<'a> {
    fn of(intervals: &'a [Interval]) -> Self {
        let (mut counts, mut total) = (Counts::default(), Histogram::new());
        for interval in intervals {
            counts.add(&interval.counts);
            if !interval.total.is_empty() {
                total.merge(&interval.total.decode());
            }
        }
        let length: Duration = intervals.iter().map(|interval| interval.length).sum();
        let latencies = [0.50, 0.90, 0.99].map(|quantile| total.quantile(quantile));
        // The last point may be of any length; a rate of a few milliseconds would say nothing.
        Self { intervals, counts, latencies, seconds: length.as_secs_f64().max(0.5) }
    }

    fn rate(&self, count: u64) -> f64 {
        count as f64 / self.seconds
    }
}

/// Devices of a stage from its start until the end of each point.
fn so_far(intervals: &[Interval], per_point: usize) -> Columns {
    type Of = fn(&Interval) -> u64;
    const COUNTS: [(&str, Of); 3] = [
        ("due_so_far", |i| i.due),
        ("succeeded_so_far", |i| i.counts.succeeded),
        ("expired_so_far", |i| i.counts.expired),
    ];
    let column = |(name, count): (&'static str, Of)| {
        let mut sum = 0;
        let values = intervals.chunks(per_point).map(|points| {
            sum += points.iter().map(count).sum::<u64>();
            Number(Some(sum as f64))
        });
        (name.into(), values.collect())
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
        columns.entry("expires_from_s".into()).or_default().push(Number(Some(seconds)));
        columns.entry("certificates".into()).or_default().push(Number(Some(certificates as f64)));
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
        columns.entry("inverse".into()).or_default().push(Number(Some(units::rounded(inverse))));
        for (name, histogram) in histograms {
            let backed = histogram.filter(|h| inverse <= h.count() as f64);
            let value = backed.and_then(|h| h.quantile(1.0 - 1.0 / inverse)).map(millis);
            columns.entry((*name).into()).or_default().push(Number(value.map(units::rounded)));
        }
    }
    columns
}

const STEPS_PER_DECADE: f64 = 24.0;

pub(super) fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}
