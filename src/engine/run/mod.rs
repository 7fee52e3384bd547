//! Who begins stages, looks after the workers, and says what came of it.

pub(super) mod board;
mod conduct;
pub(super) mod conductor;
pub(super) mod crew;
pub(super) mod keeper;
mod notes;
mod orders;
pub(super) mod outcome;
mod pacer;
mod prepare;
mod waiting;

use std::sync::Arc;
use std::time::SystemTime;

use tokio::sync::watch;
use tokio::task::LocalSet;
use tokio_util::sync::CancellationToken;

use crate::device::{Connector, Settings};
use crate::engine::error::EngineError;
use crate::engine::plan::Plan;
use crate::engine::record::rows::RowSink;
use crate::engine::run::crew::Execution;
use crate::engine::run::keeper::Snapshots;
use crate::engine::run::outcome::EngineOutcome;
use crate::engine::watch::progress::Progress;
use crate::scenario::Scenario;

/// What is to be done when the measured part begins.
pub type Begun = Box<dyn FnOnce(SystemTime) + Send>;

/// What a run needs.
pub struct RunInput<C> {
    /// What to do.
    pub scenario: Scenario,
    /// The plan made of it.
    pub plan: Plan,
    /// What all devices of a class share, by class. The stages' own settings (time limit, hub, telemetry) are laid over it.
    pub classes: Vec<Settings>,
    /// How devices connect.
    pub connector: Arc<C>,
    /// The limit on open files in force; the soft limit should have been raised before.
    pub open_files: u64,
    /// Where the devices live.
    pub execution: Execution,
    /// When the measured part is to begin, by the wall clock, so that several generators begin together. It begins at once when
    /// that has passed, which is noted.
    pub start_at: Option<SystemTime>,
    /// Called once, at the moment at which the measured part begins, with the wall clock's time then: from here on the fleet's
    /// time may pass faster than real time.
    pub begun: Option<Begun>,
    /// Snapshots about five times a second, when somebody watches.
    pub progress: Option<watch::Sender<Progress>>,
    /// Whether snapshots tell how the times of every phase are distributed, once a second.
    pub distributions: bool,
    /// Takes everything measured so far about twice a second, when somebody keeps it for the case that the run is killed or
    /// breaks.
    pub snapshots: Option<Snapshots>,
    /// Where every attempt goes when it ended, when somebody wants them one by one.
    pub rows: Option<RowSink>,
    /// The user wants to stop: nothing more is started, attempts in flight get a short grace, what was measured stays.
    pub stop: CancellationToken,
    /// After `stop`: attempts in flight do not even get the grace.
    pub cut: CancellationToken,
    /// The target is gone for good: the same, but the run counts as aborted.
    pub target_gone: CancellationToken,
}

impl<C> RunInput<C> {
    /// With what is usual: devices on threads, 1,024 open files, nobody who watches, nobody who stops it.
    pub fn new(scenario: Scenario, plan: Plan, classes: Vec<Settings>, connector: Arc<C>) -> Self {
        Self {
            scenario,
            plan,
            classes,
            connector,
            open_files: 1_024,
            execution: Execution::Threads,
            start_at: None,
            begun: None,
            progress: None,
            distributions: false,
            snapshots: None,
            rows: None,
            stop: CancellationToken::new(),
            cut: CancellationToken::new(),
            target_gone: CancellationToken::new(),
        }
    }
}

/// Carries out a scenario: every stage is prepared, measured and drained. Whatever happens to single devices is in the
/// outcome.
///
/// With [`Execution::Inline`] the caller must be on a current-thread runtime.
///
/// # Errors
/// When the generator itself cannot start or breaks.
pub async fn run<C>(input: RunInput<C>) -> Result<EngineOutcome, EngineError>
where
    C: Connector + Send + Sync + 'static,
{
    LocalSet::new().run_until(conduct::conduct(input)).await
}
