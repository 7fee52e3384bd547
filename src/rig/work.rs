//! The engine at work, and all that may happen meanwhile.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::SystemTime;

use futures_util::FutureExt as _;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use crate::device::{Connector, Settings};
use crate::engine::{self, Begun, EngineError, EngineOutcome, Execution, Plan, Progress, RowSink, RunInput, Snapshots};
use crate::rig::defect::Defect;
use crate::rig::halt::Halt;
use crate::rig::observers::{Observation, Onlooker};
use crate::rig::run_error::RunError;
use crate::rig::target::{Embedded, Way};
use crate::scenario::Scenario;

/// What the engine is to do, whichever way devices take.
pub(super) struct EngineWork {
    pub(super) what: (Scenario, Plan, Vec<Settings>),
    pub(super) start_at: Option<SystemTime>,
    pub(super) begun: Begun,
    pub(super) open_files: u64,
    pub(super) progress: Option<watch::Sender<Progress>>,
    pub(super) distributions: bool,
    pub(super) snapshots: Option<Snapshots>,
    pub(super) rows: Option<RowSink>,
    pub(super) halt: Halt,
    /// The target is.
    pub(super) gone: CancellationToken,
}

/// Everything that may happen while the engine runs.
pub(super) struct EngineEvents {
    pub(super) newest: watch::Receiver<Progress>,
    /// What the user must know at once.
    pub(super) told: mpsc::Receiver<String>,
    pub(super) stop: CancellationToken,
    pub(super) gone: CancellationToken,
    pub(super) onlooker: Option<Onlooker>,
    /// What the reader of the results must know.
    pub(super) notes: Vec<String>,
}

impl Way {
    /// Does the work. Gives what came of it, and what the reader of the results must know.
    pub(super) async fn carry_out(
        &mut self,
        work: EngineWork,
        mut watch: EngineEvents,
    ) -> (Result<EngineOutcome, RunError>, Vec<String>) {
        let outcome = match self {
            Self::Sockets { connector, embedded, .. } => {
                let work = work.by(connector, Execution::Threads);
                AssertUnwindSafe(watch.until_done(work, embedded.as_deref_mut())).catch_unwind().await
            }
            Self::Memory(memory) => {
                let execution = if memory.is_virtual() { Execution::Inline } else { Execution::Threads };
                let work = work.by(&memory.connector, execution);
                AssertUnwindSafe(watch.until_done(work, None)).catch_unwind().await
            }
        };
        let outcome = match outcome {
            Ok(outcome) => outcome.map_err(RunError::from),
            Err(panic) => Err(Defect::of("the run", &*panic).into()),
        };
        (outcome, watch.notes)
    }
}

impl EngineWork {
    async fn by<C>(self, connector: &Arc<C>, execution: Execution) -> Result<EngineOutcome, EngineError>
    where
        C: Connector + Send + Sync + 'static,
    {
        let Self { what, start_at, begun, open_files, progress, distributions, snapshots, rows, halt, gone } = self;
        let (scenario, plan, classes) = what;
        engine::run(RunInput {
            open_files,
            execution,
            start_at,
            begun: Some(begun),
            progress,
            distributions,
            snapshots,
            rows,
            stop: halt.stop,
            cut: halt.cut,
            target_gone: gone,
            ..RunInput::new(scenario, plan, classes, Arc::clone(connector))
        })
        .await
    }
}

impl EngineEvents {
    async fn until_done(
        &mut self,
        work: impl Future<Output = Result<EngineOutcome, EngineError>>,
        mut embedded: Option<&mut Embedded>,
    ) -> Result<EngineOutcome, EngineError> {
        // Its end takes a display away.
        let mut onlooker = self.onlooker.take();
        let mut show = |seen: Observation<'_>| onlooker.iter_mut().for_each(|onlooker| onlooker(seen));
        let mut stopping = false;
        tokio::pin!(work);
        loop {
            tokio::select! {
                outcome = &mut work => return outcome,
                Ok(()) = self.newest.changed() => show(Observation::Progress(&self.newest.borrow_and_update())),
                Some(words) = self.told.recv() => show(Observation::Note(&words)),
                how = ended(&mut embedded) => {
                    let words = embedded.take().map(|emulator| emulator.last_words()).unwrap_or_default();
                    show(Observation::Words(&format!("the embedded emulator ended in the middle of the run ({how}){words}")));
                    self.notes.push(format!("the embedded emulator ended in the middle of the run ({how})"));
                    self.gone.cancel();
                }
                () = self.stop.cancelled(), if !stopping => {
                    stopping = true;
                    show(Observation::Words("stopping: no device is started any more, those in flight get a moment"));
                }
            }
        }
    }
}

/// Never, when there is no embedded emulator.
async fn ended(embedded: &mut Option<&mut Embedded>) -> String {
    match embedded {
        Some(embedded) => embedded.ended().await,
        None => std::future::pending().await,
    }
}
