use std::io;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hdrhistogram::serialization::{Serializer as _, V2DeflateSerializer};
use serde::Serialize;

use crate::domain::Phase;
use crate::measure::{Aside, Histogram, Interval, Recorded, Skip, StageRecord};
use crate::report::csv::{duration_micros, micros, occurred};
use crate::report::json::shape::{ByClass, Counts, mean_micros, quantile};

/// One stage.
#[derive(Serialize)]
pub(super) struct Stage<'a> {
    name: &'a str,
    kind: &'a str,
    workload: &'a str,
    /// Absent when it never began, and in records of before it was measured.
    begin_due_us: Option<u64>,
    begin_late_us: Option<u64>,
    start_us: u64,
    elapsed_us: u64,
    totals: Counts,
    /// Why devices were skipped.
    skips: Vec<SkipRow<'a>>,
    phases: Vec<PhaseRow>,
    intervals: Vec<IntervalRow>,
}

#[derive(Serialize)]
struct SkipRow<'a> {
    reason: &'static str,
    /// The stage that was to provision them; absent when there is none.
    provisioned_in: Option<&'a str>,
    devices: u64,
}

#[derive(Serialize)]
struct PhaseRow {
    phase: &'static str,
    outcome: &'static str,
    count: u64,
    min_us: u64,
    mean_us: u64,
    p50_us: u64,
    p90_us: u64,
    p95_us: u64,
    p99_us: u64,
    p999_us: u64,
    max_us: u64,
    /// Values above the range of the histogram (one hour), counted at its end.
    above_range: u64,
    /// The whole distribution in nanoseconds: HdrHistogram V2, deflated, base64. Histograms of several runs can be added.
    histogram: String,
}

/// One second.
#[derive(Serialize)]
struct IntervalRow {
    start_us: u64,
    length_us: u64,
    due: u64,
    started: u64,
    succeeded: u64,
    failed_by_class: ByClass,
    attempts: u64,
    failed_attempts: u64,
    /// Absent in records of before it was counted.
    #[serde(skip_serializing_if = "Option::is_none")]
    failed_attempts_by_class: Option<ByClass>,
    succeeded_attempts: u64,
    throttled: u64,
    /// Fleet time; absent when no refusal named one.
    retry_after_max_us: Option<u64>,
    dropped: u64,
    expired: u64,
    gave_up: u64,
    disconnects: u64,
    telemetry: u64,
    in_flight: u64,
    p50_us: Option<u64>,
    p90_us: Option<u64>,
    p99_us: Option<u64>,
    min_us: Option<u64>,
    max_us: Option<u64>,
    /// Values above the range of the histogram (one hour), counted at its end.
    above_range: u64,
    /// The distribution of `total` in nanoseconds: HdrHistogram V2, base64, empty when there is none. Not deflated: most are short.
    histogram: String,
}

/// Whether the percentiles of every second are told beside their distribution.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Percentiles {
    /// For readers.
    Told,
    /// Quick to write once a second.
    Left,
}

impl<'a> Stage<'a> {
    pub(super) fn of(stage: &'a StageRecord, percentiles: Percentiles) -> io::Result<Self> {
        let StageRecord { name, kind, workload, totals, begin, start, elapsed, skips, phases: _, intervals } = stage;
        Ok(Self {
            name,
            kind,
            workload,
            begin_due_us: begin.map(|begin| duration_micros(begin.due)),
            begin_late_us: begin.map(|begin| duration_micros(begin.late)),
            start_us: duration_micros(*start),
            elapsed_us: duration_micros(*elapsed),
            totals: Counts::of(totals),
            skips: skips.iter().map(SkipRow::of).collect(),
            phases: occurred(stage)
                .filter_map(|(phase, outcome, histogram)| PhaseRow::of(phase, outcome, &histogram).transpose())
                .collect::<io::Result<_>>()?,
            intervals: intervals.iter().map(|interval| IntervalRow::of(interval, percentiles)).collect(),
        })
    }
}

impl<'a> SkipRow<'a> {
    fn of(skip: &'a Skip) -> Self {
        let Skip { reason, provisioned_in, devices } = skip;
        Self { reason: reason.name(), provisioned_in: provisioned_in.as_deref(), devices: *devices }
    }
}

impl PhaseRow {
    fn of(phase: Phase, outcome: &'static str, histogram: &Histogram) -> io::Result<Option<Self>> {
        let Some(Recorded { count, min, mean, p50, p90, p95, p99, p999, max }) = histogram.summary() else {
            return Ok(None);
        };
        Ok(Some(Self {
            phase: phase.name(),
            outcome,
            count,
            min_us: micros(min),
            mean_us: mean_micros(mean),
            p50_us: micros(p50),
            p90_us: micros(p90),
            p95_us: micros(p95),
            p99_us: micros(p99),
            p999_us: micros(p999),
            max_us: micros(max),
            above_range: histogram.saturated(),
            histogram: encoded(histogram)?,
        }))
    }
}

impl IntervalRow {
    fn of(interval: &Interval, percentiles: Percentiles) -> Self {
        let Interval {
            start,
            length,
            due,
            started,
            attempts,
            failed_attempts,
            failed_attempts_by_class,
            succeeded_attempts,
            succeeded,
            failed,
            throttled,
            retry_after_max,
            dropped,
            expired,
            gave_up,
            disconnects,
            telemetry,
            in_flight,
            total,
        } = interval;
        let [p50_us, p90_us, p99_us] = match percentiles {
            Percentiles::Told => {
                let total = total.decode();
                [0.50, 0.90, 0.99].map(|q| quantile(&total, q))
            }
            Percentiles::Left => [None; 3],
        };
        let Aside { above_range, min, max } = total.aside();
        Self {
            start_us: duration_micros(*start),
            length_us: duration_micros(*length),
            due: *due,
            started: *started,
            succeeded: *succeeded,
            failed_by_class: ByClass(*failed),
            attempts: *attempts,
            failed_attempts: *failed_attempts,
            failed_attempts_by_class: failed_attempts_by_class.map(ByClass),
            succeeded_attempts: *succeeded_attempts,
            throttled: *throttled,
            retry_after_max_us: retry_after_max.map(duration_micros),
            dropped: *dropped,
            expired: *expired,
            gave_up: *gave_up,
            disconnects: *disconnects,
            telemetry: *telemetry,
            in_flight: *in_flight,
            p50_us,
            p90_us,
            p99_us,
            min_us: min.map(micros),
            max_us: max.map(micros),
            above_range,
            histogram: STANDARD.encode(total.as_v2()),
        }
    }
}

/// A histogram as HdrHistogram tools exchange it: V2, deflated, base64.
pub(super) fn encoded(histogram: &Histogram) -> io::Result<String> {
    let mut bytes = Vec::new();
    V2DeflateSerializer::new().serialize(histogram.as_hdr(), &mut bytes).map_err(io::Error::other)?;
    Ok(STANDARD.encode(bytes))
}
