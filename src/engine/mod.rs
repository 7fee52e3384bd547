//! Many devices: plan, keys made ahead of need, pacing, admission, recording, a watch on the generator itself. Does not
//! know the wire nor the formats of reports.
//!
//! One run: `prepare` (keys are made until enough are there) → `measure` (devices become due and start) → `drain` (the
//! last attempts finish, within bounds). Each worker is one thread with its own runtime, its own share of the fleet
//! (every n-th device) and its own recorder; they share nothing that waits.

mod attempt;
mod clock;
mod error;
mod execution;
mod health;
mod keys;
mod live;
mod merge;
mod pacer;
mod plan;
mod progress;
pub mod quota_check;
mod recorder;
mod run;
mod serials;
mod share;
mod stage;
mod usage;
mod worker;

pub use error::EngineError;
pub use execution::Execution;
pub use plan::{Needs, Plan, PlannedStage};
pub use progress::{Progress, RunPart};
pub use recorder::Recorder;
pub use run::{EngineOutcome, RunInput, run};
