//! Many devices: plan, key pool, pacing, admission, recording, watch on the generator itself. Does not know the wire nor
//! the formats of reports.

mod plan;
mod progress;

use std::time::{Duration, SystemTime};

pub use plan::{Needs, Plan, PlannedStage};
pub use progress::{Progress, RunPart};

use crate::measure::{CpuUse, ErrorRow, GeneratorHealth, RunStatus, StageRecord};

/// What the engine found out: the part of a [`crate::measure::RunRecord`] that it knows.
#[derive(Debug, Clone)]
pub struct EngineOutcome {
    /// Start of the measured part.
    pub started_at: SystemTime,
    /// Length of the prepare part: making the first keys.
    pub prepare: Duration,
    /// Length of the measured part and the drain after it.
    pub elapsed: Duration,
    /// How it ended.
    pub status: RunStatus,
    /// CPU of this process from the start of prepare to the end, and its peak memory.
    pub generator: CpuUse,
    /// Whether the generator was the bottleneck.
    pub health: GeneratorHealth,
    /// One entry per stage, in order.
    pub stages: Vec<StageRecord>,
    /// Distinct failures of all stages, most frequent first.
    pub errors: Vec<ErrorRow>,
    /// Things that the reader must know.
    pub notes: Vec<String>,
}
