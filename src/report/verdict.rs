use std::time::Duration;

use crate::domain::FailureClass;
use crate::measure::{MachineUse, RunRecord, RunStatus, StageRecord};
use crate::report::units;

/// What a reader must know before any number. Derived from the record, never stored in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// So many certificates are not those that devices asked for. Fails the run.
    WrongCertificates(u64),
    /// The generator was the bottleneck, for these reasons: the numbers do not describe the target.
    Saturated(Vec<String>),
    /// This machine was full: what was measured of some stages is its own, and not the target's.
    MachineFull {
        /// Whether the embedded emulator shared it.
        shared: bool,
        /// For how much of each stage, and by what it shows.
        stages: Vec<String>,
    },
    /// So many thresholds were not met.
    ThresholdsFailed {
        /// Thresholds that were not met.
        failed: u64,
        /// All of them.
        all: u64,
    },
    /// Stopped by a threshold before all was done.
    Stopped {
        /// The threshold.
        threshold: String,
        /// When, from the start of the measured part.
        at: Duration,
    },
    /// Stopped by the user before all was done.
    Interrupted,
    /// Stopped because the target went away.
    Aborted,
    /// Killed before all was done: the record is the last snapshot.
    Lost {
        /// Until when it goes, from the start of the measured part.
        until: Duration,
    },
    /// fleetstorm itself broke before all was done.
    Broken {
        /// Until when it goes, from the start of the measured part.
        until: Duration,
    },
    /// The run ended, but its record could not be written: this one is the last snapshot.
    Unwritten {
        /// Until when it goes, from the start of the measured part.
        until: Duration,
    },
    /// The outcomes do not add up to what was planned: a defect of fleetstorm, the numbers are not to be trusted.
    Unaccounted {
        /// Tasks planned: devices of every stage.
        planned: u64,
        /// Tasks with an outcome.
        accounted: u64,
    },
    /// So many attempts are missing in `devices.csv` or `devices.parquet`. Every other number is whole.
    RowsLost {
        /// Attempts without a row.
        lost: u64,
        /// All of them.
        all: u64,
    },
    /// All planned work was done, failed or dropped.
    Complete,
}

impl Verdict {
    /// The name in `run.json` and `summary.csv`.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::WrongCertificates(_) => "wrong_certificates",
            Self::Saturated(_) => "saturated",
            Self::MachineFull { .. } => "machine_full",
            Self::ThresholdsFailed { .. } => "thresholds_failed",
            Self::Stopped { .. } => "stopped",
            Self::Interrupted => "interrupted",
            Self::Aborted => "aborted",
            Self::Lost { .. } => "lost",
            Self::Broken { .. } => "broken",
            Self::Unwritten { .. } => "unwritten",
            Self::Unaccounted { .. } => "unaccounted",
            Self::RowsLost { .. } => "rows_lost",
            Self::Complete => "complete",
        }
    }

    /// What it means for the reader.
    pub fn sentence(&self) -> String {
        match self {
            Self::WrongCertificates(count) => {
                let are = if *count == 1 { "certificate is not the one" } else { "certificates are not those" };
                format!("{} {are} asked for", units::count(*count))
            }
            Self::Saturated(reasons) => {
                format!("the generator was the bottleneck, do not judge the target by this run: {}", reasons.join("; "))
            }
            Self::MachineFull { shared, stages } => format!("{}: {}", machine_full(*shared), stages.join("; ")),
            Self::ThresholdsFailed { failed, all } => {
                let are = if *all == 1 { "threshold is" } else { "thresholds are" };
                format!("{} of {} {are} not met", units::count(*failed), units::count(*all))
            }
            Self::Stopped { threshold, at } => {
                format!("stopped after {} by the threshold {threshold}: the results are partial", units::duration(*at))
            }
            Self::Interrupted => "stopped before all was done: the results are partial".to_owned(),
            Self::Aborted => "the target went away: the results are partial".to_owned(),
            Self::Lost { until } => {
                format!("the run was killed: results up to {} are there, they are partial", units::duration(*until))
            }
            Self::Broken { until } => format!(
                "fleetstorm itself broke, which is a defect, please report it: results up to {} are there, they are partial",
                units::duration(*until)
            ),
            Self::Unwritten { until } => format!(
                "the run ended, but its record could not be written: results up to {} are there, they are partial",
                units::duration(*until)
            ),
            Self::Unaccounted { planned, accounted } => format!(
                "of {} planned, {} are accounted for: a defect of fleetstorm, please report it",
                units::count(*planned),
                units::count(*accounted)
            ),
            Self::RowsLost { lost, all } => format!(
                "{} of {} attempts have no row in the file of --devices; everything else is whole",
                units::count(*lost),
                units::count(*all)
            ),
            Self::Complete => "all planned work was done".to_owned(),
        }
    }
}

/// Every verdict on a run, the worst first; never empty.
pub fn verdicts(record: &RunRecord) -> Vec<Verdict> {
    let totals = record.totals();
    let mut verdicts = Vec::new();
    let wrong = totals.failed[FailureClass::Verification];
    if wrong > 0 {
        verdicts.push(Verdict::WrongCertificates(wrong));
    }
    let accounted = totals.accounted();
    if accounted != totals.planned {
        verdicts.push(Verdict::Unaccounted { planned: totals.planned, accounted });
    }
    if !record.health.saturated.is_empty() {
        verdicts.push(Verdict::Saturated(record.health.saturated.clone()));
    }
    let full: Vec<_> = record.stages.iter().filter_map(fullness).collect();
    if !full.is_empty() {
        verdicts.push(Verdict::MachineFull { shared: record.emulator.is_some(), stages: full });
    }
    let unmet = record.thresholds.iter().filter(|threshold| !threshold.met).count() as u64;
    if unmet > 0 {
        verdicts.push(Verdict::ThresholdsFailed { failed: unmet, all: record.thresholds.len() as u64 });
    }
    if let Some(lost) = record.rows_lost.filter(|lost| *lost > 0) {
        verdicts.push(Verdict::RowsLost { lost, all: totals.attempts });
    }
    verdicts.push(match record.status {
        RunStatus::Complete => Verdict::Complete,
        RunStatus::Interrupted => Verdict::Interrupted,
        RunStatus::Aborted => Verdict::Aborted,
        RunStatus::ThresholdFailed => stopped(record),
        RunStatus::Lost => Verdict::Lost { until: record.elapsed },
        RunStatus::Broken => Verdict::Broken { until: record.elapsed },
        RunStatus::Unwritten => Verdict::Unwritten { until: record.elapsed },
    });
    verdicts
}

/// What a full machine means for the reader.
pub(super) fn machine_full(shared: bool) -> String {
    let also = if shared { ", and the embedded emulator runs on it too: its answers came late as well" } else { "" };
    format!(
        "this machine was full: times of phases (but for the waits poll_wait and backoff), rates, attempts per success and retries \
         are its own in these stages, not the service's{also}"
    )
}

/// How full the machine was during a stage, when that must be known.
fn fullness(stage: &StageRecord) -> Option<String> {
    let MachineUse { full, core_time, cpu, waited, .. } = stage.machine.as_ref()?;
    let share = stage.machine.as_ref()?.bound()?;
    let of_full = |time: &Duration| time.as_secs_f64() / full.as_secs_f64().max(f64::MIN_POSITIVE);
    let waited = waited.as_ref().filter(|_| !cpu.is_zero()).map(|waited| {
        let times = waited.as_secs_f64() / cpu.as_secs_f64();
        format!(", and for each second that threads ran they waited {times:.1} s for a core")
    });
    Some(format!(
        "{}: full for {:.0} % of it; then {} of {} cores were in use by this run{}",
        stage.name,
        share * 100.0,
        units::cores(of_full(cpu)),
        units::cores(of_full(core_time)),
        waited.unwrap_or_default()
    ))
}

fn stopped(record: &RunRecord) -> Verdict {
    let first = record.thresholds.iter().filter_map(|t| Some((t.stopped_at?, &t.text))).min();
    let (at, threshold) = first.map_or((record.elapsed, String::new()), |(at, text)| (at, text.clone()));
    Verdict::Stopped { threshold, at }
}
