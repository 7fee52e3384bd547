use std::io;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::domain::{Fate, Known, Phase};
use crate::measure::{self, Begin, CompactPhases, Histogram, Recorded, StageRecord};
use crate::report::json::counts::Totals;
use crate::report::json::encoding::{aside, encoded, histogram};
use crate::report::json::generator::MachineUse;
use crate::report::json::interval::{Interval, Percentiles};
use crate::report::json::values::{Count, Kind, Micros, Outcome, PhaseName, Reason, in_one_line};

/// One stage.
#[derive(Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(super) struct Stage {
    name: String,
    kind: Kind,
    /// Workload and arrivals in words.
    workload: String,
    /// Absent when it never began, and in records of before it was measured.
    begin_due_us: Option<Micros>,
    begin_late_us: Option<Micros>,
    start_us: Micros,
    elapsed_us: Micros,
    totals: Totals,
    /// Why devices were skipped.
    #[serde(default)]
    skips: Vec<Skip>,
    pub(super) phases: Vec<PhaseTimes>,
    /// Times that belong to devices, over all of them who began; made of the distributions in `phases`.
    #[serde(skip_deserializing)]
    device_times: Vec<DeviceTimes>,
    pub(super) intervals: Vec<Interval>,
    /// How full the machine was meanwhile. Absent when that is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    machine: Option<MachineUse>,
}

/// Devices that were skipped for one reason.
#[derive(Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
struct Skip {
    reason: Reason,
    /// The stage that was to provision them; absent when there is none.
    provisioned_in: Option<String>,
    devices: Count,
}

/// How long one phase took.
#[derive(Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(super) struct PhaseTimes {
    phase: PhaseName,
    outcome: Outcome,
    count: u64,
    min_us: Micros,
    #[serde(skip_deserializing)]
    mean_us: Micros,
    #[serde(skip_deserializing)]
    p50_us: Micros,
    #[serde(skip_deserializing)]
    p90_us: Micros,
    #[serde(skip_deserializing)]
    p95_us: Micros,
    #[serde(skip_deserializing)]
    p99_us: Micros,
    #[serde(skip_deserializing)]
    p999_us: Micros,
    max_us: Micros,
    /// Values above the range of the histogram (one hour), counted at its end.
    above_range: u64,
    /// The whole distribution in nanoseconds: HdrHistogram V2, deflated, base64. Histograms of several runs can be added.
    histogram: String,
}

/// A time that belongs to devices, over all of them who began: the cumulative incidence of getting through. A percentile
/// that is absent is not known: it is above `seen_us`.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
struct DeviceTimes {
    phase: PhaseName,
    began: u64,
    /// Those that got through.
    succeeded: u64,
    /// Those that never will.
    failed: u64,
    /// Those that were not seen to end: they were cut off, or still at it when the stage ended.
    censored: u64,
    /// The share that is through in the end.
    through: f64,
    p50_us: Option<Micros>,
    p90_us: Option<Micros>,
    p95_us: Option<Micros>,
    p99_us: Option<Micros>,
    p999_us: Option<Micros>,
    max_us: Option<Micros>,
    /// The longest time that was seen of anybody.
    seen_us: Micros,
}

impl DeviceTimes {
    fn of(stage: &StageRecord, phase: Phase) -> Option<Self> {
        let times = stage.of_all(phase)?;
        let us = |time: Known<Duration>| time.exact().map(Micros);
        Some(Self {
            phase: PhaseName(phase),
            began: times.began(),
            succeeded: times.ended(Fate::Succeeded),
            failed: times.ended(Fate::Failed),
            censored: times.ended(Fate::Censored),
            through: times.share(),
            p50_us: us(times.quantile(0.50)),
            p90_us: us(times.quantile(0.90)),
            p95_us: us(times.quantile(0.95)),
            p99_us: us(times.quantile(0.99)),
            p999_us: us(times.quantile(0.999)),
            max_us: us(times.max()),
            seen_us: Micros(times.seen()),
        })
    }
}

/// The distributions of a stage that occurred, in the order of an attempt.
fn occurred(stage: &StageRecord) -> impl Iterator<Item = (Phase, Fate, Histogram)> + use<'_> {
    let ends = |phase| Fate::ALL.map(|fate| (phase, fate));
    let occurred = |(phase, fate)| Some((phase, fate, stage.phases.get(phase, fate)?));
    Phase::ALL.into_iter().flat_map(ends).filter_map(occurred)
}

impl Stage {
    pub(super) fn of(stage: &StageRecord, percentiles: Percentiles) -> io::Result<Self> {
        let StageRecord { name, kind, workload, totals, begin, start, elapsed, skips, phases: _, intervals, machine } =
            stage;
        Ok(Self {
            name: name.clone(),
            kind: Kind(*kind),
            workload: workload.clone(),
            begin_due_us: begin.map(|begin| Micros(begin.due)),
            begin_late_us: begin.map(|begin| Micros(begin.late)),
            start_us: Micros(*start),
            elapsed_us: Micros(*elapsed),
            totals: Totals::of(totals),
            skips: skips.iter().map(Skip::of).collect(),
            phases: occurred(stage)
                .filter_map(|(phase, fate, histogram)| PhaseTimes::of(phase, fate, &histogram).transpose())
                .collect::<io::Result<_>>()?,
            device_times: Phase::ALL.into_iter().filter_map(|phase| DeviceTimes::of(stage, phase)).collect(),
            intervals: intervals.iter().map(|interval| Interval::of(interval, percentiles)).collect(),
            machine: machine.as_ref().map(MachineUse::of),
        })
    }

    pub(super) fn into_record(self) -> Result<StageRecord, String> {
        let name = in_one_line(self.name);
        let wrong = |reason: String| format!("stage {name}: {reason}");
        let mut phases = CompactPhases::default();
        self.phases.into_iter().try_for_each(|times| times.add_to(&mut phases)).map_err(wrong)?;
        let intervals =
            self.intervals.into_iter().map(Interval::into_interval).collect::<Result<_, _>>().map_err(wrong)?;
        let totals = self.totals.counts.0;
        let skips: Vec<_> = self.skips.into_iter().map(Skip::into_skip).collect();
        let told = skips.iter().fold(0, |sum: u64, skip| sum.saturating_add(skip.devices));
        if told > totals.skipped {
            return Err(wrong(format!("{} were skipped, but there are reasons for {told}", totals.skipped)));
        }
        let begin = self.begin_due_us.zip(self.begin_late_us);
        Ok(StageRecord {
            name,
            kind: self.kind.0,
            workload: self.workload,
            totals,
            begin: begin.map(|(due, late)| Begin { due: due.0, late: late.0 }),
            start: self.start_us.0,
            elapsed: self.elapsed_us.0,
            skips,
            phases,
            intervals,
            machine: self.machine.map(MachineUse::into_machine_use),
        })
    }
}

impl Skip {
    fn of(skip: &measure::Skip) -> Self {
        let measure::Skip { reason, provisioned_in, devices } = skip;
        Self { reason: Reason(*reason), provisioned_in: provisioned_in.clone(), devices: Count(*devices) }
    }

    fn into_skip(self) -> measure::Skip {
        let Self { reason, provisioned_in, devices } = self;
        measure::Skip { reason: reason.0, provisioned_in, devices: devices.0 }
    }
}

impl PhaseTimes {
    fn of(phase: Phase, fate: Fate, histogram: &Histogram) -> io::Result<Option<Self>> {
        let Some(Recorded { count, min, mean, p50, p90, p95, p99, p999, max }) = histogram.summary() else {
            return Ok(None);
        };
        Ok(Some(Self {
            phase: PhaseName(phase),
            outcome: Outcome(fate),
            count,
            min_us: Micros::of_nanos(min),
            mean_us: Micros::of_nanos(mean.round() as u64),
            p50_us: Micros::of_nanos(p50),
            p90_us: Micros::of_nanos(p90),
            p95_us: Micros::of_nanos(p95),
            p99_us: Micros::of_nanos(p99),
            p999_us: Micros::of_nanos(p999),
            max_us: Micros::of_nanos(max),
            above_range: histogram.saturated(),
            histogram: encoded(histogram)?,
        }))
    }

    fn add_to(self, phases: &mut CompactPhases) -> Result<(), String> {
        let Self { phase: PhaseName(phase), outcome, count, min_us, max_us, above_range, .. } = self;
        let wrong = |reason: String| format!("phase {phase}: {reason}");
        let histogram = histogram(&self.histogram, aside(above_range, Some(min_us), Some(max_us))).map_err(wrong)?;
        if histogram.count() != count {
            return Err(wrong(format!("count is {count}, but the histogram holds {}", histogram.count())));
        }
        phases.set(phase, outcome.0, &histogram);
        Ok(())
    }
}
