//! Many devices: plan, keys made ahead of need, pacing, admission, retries, held connections, recording, a watch on the
//! generator itself. Does not know the wire nor the formats of reports.
//!
//! One run: *prepare* (keys of all stages are made, in the order in which devices are due, until as many are there as may be
//! ahead of need) → *measure* (stages begin, devices become due and start) →
//! *drain* (the last attempts finish, within bounds). Each worker is one thread with its own runtime; it owns its share of
//! the fleet (every n-th device, with credential and connection) for the whole run and works through stages as the
//! conductor tells it, beside each other where they overlap. Workers share nothing that waits.
//!
//! Folders form layers: `ARCHITECTURE.md` has the table of them, and a test enforces it.

mod clock;
mod error;
mod keys;
mod plan;
mod record;
mod run;
#[cfg(test)]
mod scene;
mod watch;
mod worker;

pub use error::EngineError;
pub use plan::arrivals::Offsets;
pub use plan::schedule::{Schedule, StageTimes};
pub use plan::{IdleShard, Needs, Plan, PlannedStage, quota_check};
pub use record::recorder::Recorder;
pub use record::rows::{Received, RowBatch, RowSink, RowSource, rows};
pub use run::crew::Execution;
pub use run::keeper::Snapshots;
pub use run::outcome::EngineOutcome;
pub use run::{Begun, RunInput, run};
pub use watch::judge::judge_again;
pub use watch::progress::{Distributions, Progress, RunPart, StageProgress};
pub(crate) use watch::usage::high_water;
