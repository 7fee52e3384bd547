use std::time::{Duration, SystemTime};

pub use crate::domain::{Counts, Origin, Setting};

use crate::domain::{FailureClass, Known, Phase, Quantity, Shard, StageKind, Threshold, TimeScale};
use crate::measure::{
    Certificates, CompactHistogram, CompactPhases, Fleet, Histogram, Incidence, MachineUse, ResourceSample, Skip,
};

/// Everything that a run found out. Reports are pure functions of it.
#[derive(Debug, Clone)]
pub struct RunRecord {
    /// Name of the scenario.
    pub scenario: String,
    /// The question that the scenario answers, when it states one.
    pub question: Option<String>,
    /// Version of fleetstorm that ran it.
    pub version: String,
    /// The command line that started it. Secrets are never part of it.
    pub command: Vec<String>,
    /// What was put under load, such as `embedded emulator` or a host name.
    pub target: String,
    /// The seed of all random draws.
    pub seed: u64,
    /// Start of the measured part.
    pub started_at: SystemTime,
    /// Length of the prepare phase (first keys, emulator start).
    pub prepare: Duration,
    /// Length of the measured part and the drain after it.
    pub elapsed: Duration,
    /// How it ended.
    pub status: RunStatus,
    /// How fast the fleet's life passed.
    pub time_scale: TimeScale,
    /// What the run had to meet, in the order of the scenario. Of a sum: what all of its parts had to meet, empty when that was
    /// not the same.
    pub conditions: Vec<Threshold>,
    /// What became of that.
    pub thresholds: Vec<ThresholdResult>,
    /// Settings with where each came from.
    pub settings: Vec<Setting>,
    /// What it ran on.
    pub machine: Machine,
    /// CPU and memory of the generator's own process.
    pub generator: CpuUse,
    /// CPU and memory of the embedded emulator, when it ran.
    pub emulator: Option<CpuUse>,
    /// Whether the generator was the bottleneck.
    pub health: GeneratorHealth,
    /// One entry per stage, in order.
    pub stages: Vec<StageRecord>,
    /// When the certificates expire that the devices had at the end. Absent until the end, and in records of before it was
    /// counted.
    pub certificates: Option<Certificates>,
    /// The fleet of which this is about the whole, or a part.
    pub fleet: Fleet,
    /// Distinct failures of all stages, most frequent first.
    pub errors: Vec<ErrorRow>,
    /// Things that the reader must know (file descriptor bound, seeded keys, …).
    pub notes: Vec<String>,
    /// CPU and memory of both sides over the measured part; empty when nobody looked.
    pub resources: Vec<ResourceSample>,
    /// The part of the fleet that this generator ran; `None` is the whole fleet, or what several parts were merged to.
    pub shard: Option<Shard>,
    /// Attempts that are missing in `devices.csv` or `devices.parquet`; `None` when there was to be no such file.
    pub rows_lost: Option<u64>,
}

impl RunRecord {
    /// The counts of all stages together: of tasks, as every device has one in each of its stages.
    pub fn totals(&self) -> Counts {
        let mut totals = Counts::default();
        for stage in &self.stages {
            totals.add(&stage.totals);
        }
        totals
    }
}

crate::domain::named! {
    /// How a run ended.
    pub enum RunStatus {
        /// All planned work was done, failed or dropped.
        Complete = "complete",
        /// Stopped by the user: results are partial.
        Interrupted = "interrupted",
        /// Stopped because the target went away: results are partial.
        Aborted = "aborted",
        /// Stopped by a threshold with `abort_on_fail`: results are partial.
        ThresholdFailed = "threshold-failed",
        /// The run was killed: results go up to the last snapshot that it had written.
        Lost = "lost",
        /// fleetstorm itself broke: results go up to there.
        Broken = "broken",
        /// The run ended, but its record could not be written: results go up to the last snapshot that it had written.
        Unwritten = "unwritten",
    }
}

/// What became of a threshold.
#[derive(Debug, Clone, PartialEq)]
pub struct ThresholdResult {
    /// The threshold as written.
    pub text: String,
    /// What was observed at the end, or when the run was stopped because of it; `None` when there was nothing to look at.
    pub observed: Option<Known<Quantity>>,
    /// Whether that meets it. Never when nothing was observed, or not enough to tell.
    pub met: bool,
    /// When it stopped the run, from the start of the measured part.
    pub stopped_at: Option<Duration>,
}

/// The machine of a run.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Machine {
    /// Processor model.
    pub cpu: String,
    /// Logical cores that the process may use.
    pub cores: usize,
    /// Memory in bytes.
    pub memory: u64,
    /// Operating system and kernel.
    pub os: String,
    /// Open file limit in force (after raising it).
    pub open_files: u64,
    /// How much CPU a cgroup allows, where one limits it, as in containers; the tightest of all that are seen.
    pub cpu_limit: Option<CpuLimit>,
}

impl Machine {
    /// Cores that all processes of a run together can keep busy: those there are, or what a cgroup allows of them.
    pub fn cores_to_use(&self) -> f64 {
        let cores = self.cores as f64;
        // `cores` is what is allowed already, in whole cores.
        self.cpu_limit.map(CpuLimit::cores).filter(|limit| *limit < cores + 1.0).unwrap_or(cores)
    }
}

/// CPU time that a cgroup may use in each period.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CpuLimit {
    /// CPU time.
    pub quota: Duration,
    /// The period; never zero.
    pub period: Duration,
}

impl CpuLimit {
    /// As a number of cores.
    pub fn cores(self) -> f64 {
        // In whole microseconds, which is what it is set in: a tenth is a tenth.
        self.quota.as_micros() as f64 / (self.period.as_micros() as f64).max(1.0)
    }
}

/// Resources that one process used, from getrusage(2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct CpuUse {
    /// User time.
    pub user: Duration,
    /// System time.
    pub system: Duration,
    /// Peak resident memory in bytes.
    pub peak_memory: u64,
}

impl CpuUse {
    /// User and system time together.
    pub const fn total(&self) -> Duration {
        self.user.saturating_add(self.system)
    }
}

/// Watch on the generator itself.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct GeneratorHealth {
    /// Start minus due time of every started attempt.
    pub lateness: CompactHistogram,
    /// Reasons why the generator was the bottleneck; empty means it was not.
    pub saturated: Vec<String>,
    /// Most attempts in flight at once.
    pub peak_in_flight: u64,
    /// Most connections with hubs held at once.
    pub peak_connected: u64,
    /// The bound on attempts in flight (file descriptors, `max_in_flight`).
    pub in_flight_limit: u64,
}

impl PartialEq for Histogram {
    fn eq(&self, other: &Self) -> bool {
        self.as_hdr() == other.as_hdr() && self.aside() == other.aside()
    }
}

/// One stage of a run.
#[derive(Debug, Clone)]
pub struct StageRecord {
    /// Name given in the scenario.
    pub name: String,
    /// What each device does in it.
    pub kind: StageKind,
    /// Description of workload and arrival process.
    pub workload: String,
    /// Counts.
    pub totals: Counts,
    /// When it was to begin, and how late it did. Absent when it never began, and in records of before it was measured.
    pub begin: Option<Begin>,
    /// First due time, from the start of the measured part.
    pub start: Duration,
    /// From the first due time until the last attempt ended.
    pub elapsed: Duration,
    /// Why devices were skipped. The counts add up to those skipped, but in records of before it was counted.
    pub skips: Vec<Skip>,
    /// Times per phase.
    pub phases: CompactPhases,
    /// One entry per second, from the start of the measured part.
    pub intervals: Vec<Interval>,
    /// How full this machine was meanwhile. Absent when that is not known, or nobody looked.
    pub machine: Option<MachineUse>,
}

impl StageRecord {
    /// First due time and end of the last attempt, from the start of the measured part.
    pub fn span(&self) -> (Duration, Duration) {
        (self.start, self.start.saturating_add(self.elapsed))
    }

    /// A time that belongs to devices, over all of them who began. `None`: the phase is a part of attempts, or nobody began.
    pub fn of_all(&self, phase: Phase) -> Option<Incidence> {
        phase.is_of_device().then(|| Incidence::of(&self.phases, phase, self.began(phase)))?
    }

    /// How many began what takes such a time, as far as counts tell it: times of those who are in none were not kept.
    pub fn began(&self, phase: Phase) -> u64 {
        match phase {
            Phase::Total => self.totals.started,
            // Elsewhere a lost connection is not always wanted back.
            Phase::Recover if self.kind == StageKind::Operate => self.totals.disconnects,
            _ => 0,
        }
    }
}

/// The begin of a stage, which is due at its time like everything in it: the due times of its devices count from then, however
/// late it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Begin {
    /// From the start of the measured part.
    pub due: Duration,
    /// How much later this machine was ready for it.
    pub late: Duration,
}

/// One second of a stage.
#[derive(Debug, Clone, Default)]
pub struct Interval {
    /// Start, from the start of the measured part.
    pub start: Duration,
    /// Length; the last interval may be shorter than a second.
    pub length: Duration,
    /// What happened in it.
    pub counts: Counts,
    /// Devices that became due.
    pub due: u64,
    /// Attempts that succeeded: goodput, as against those that started.
    pub succeeded_attempts: u64,
    /// Attempts in flight at the end of the interval.
    pub in_flight: u64,
    /// `total` of the devices that succeeded in this interval.
    pub total: CompactHistogram,
}

/// A distinct failure.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ErrorRow {
    /// Class.
    pub class: FailureClass,
    /// Code of the service, 0 when there is none.
    pub code: u32,
    /// Words, without what differs between requests of one cause.
    pub message: String,
    /// How often.
    pub count: u64,
    /// First seen, from the start of the measured part.
    pub first: Duration,
    /// Last seen.
    pub last: Duration,
}
