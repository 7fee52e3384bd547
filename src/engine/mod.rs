//! Many devices: plan, keys made ahead of need, pacing, admission, retries, held connections, recording, a watch on the
//! generator itself. Does not know the wire nor the formats of reports.
//!
//! One run: *prepare* (keys of all stages are made, in the order in which devices are due, until as many are there as may be
//! ahead of need) → *measure* (stages begin, devices become due and start) →
//! *drain* (the last attempts finish, within bounds). Each worker is one thread with its own runtime; it owns its share of
//! the fleet (every n-th device, with credential and connection) for the whole run and works through stages as the
//! conductor tells it, beside each other where they overlap. Workers share nothing that waits.

mod arrivals;
mod breaches;
mod clock;
mod conductor;
mod crew;
mod early;
mod entry;
mod error;
mod fleet;
mod gauge;
mod health;
mod holder;
mod judge;
mod key_queue;
mod keys;
mod live;
mod merge;
mod operate;
mod outcome;
mod pacer;
mod plan;
mod prepare;
mod progress;
pub mod quota_check;
mod recorder;
mod retry;
mod rows;
mod run;
#[cfg(test)]
mod scene;
mod serials;
mod setup;
mod share;
mod skips;
mod snapshot;
mod stage_loop;
mod station;
mod thresholds;
mod usage;
mod waiting;
mod work;
mod worker;

pub use arrivals::Offsets;
pub use crew::Execution;
pub use error::EngineError;
pub use judge::judge_again;
pub use outcome::EngineOutcome;
pub use plan::{IdleShard, Needs, Plan, PlannedStage, begins_with_run};
pub use progress::{Distributions, Progress, RunPart, StageProgress};
pub use recorder::Recorder;
pub use rows::{Received, RowBatch, RowSink, RowSource, rows};
pub use run::{Begun, RunInput, run};
pub use snapshot::Snapshots;
