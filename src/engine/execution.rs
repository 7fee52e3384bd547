//! Where workers run: on threads of their own, or on the caller's.

use std::cell::RefCell;
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use tokio::runtime::Builder;
use tokio::sync::mpsc::UnboundedSender;
use tokio::sync::oneshot;
use tokio::task::LocalSet;
use tokio_util::sync::CancellationToken;

use crate::device::{Connector, Settings};
use crate::engine::attempt::Shared;
use crate::engine::clock::RunClock;
use crate::engine::keys::KeySupply;
use crate::engine::live::SharedLive;
use crate::engine::pacer::{Due, Pacer};
use crate::engine::recorder::Recorder;
use crate::engine::serials::Serials;
use crate::engine::worker::{Feed, Worker, WorkerRecord};
use crate::engine::{EngineError, usage};
use crate::scenario::Limits;

/// Where the devices of a run live.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Execution {
    /// On worker threads with a runtime each, keys made by a pool of threads: for measuring.
    #[default]
    Threads,
    /// All on the caller's current-thread runtime, keys made when they are needed: for virtual time, where nothing may
    /// happen beside the paused clock.
    Inline,
}

impl Execution {
    pub(super) fn workers(self, limits: &Limits) -> u32 {
        match self {
            Self::Inline => 1,
            Self::Threads => limits.workers.unwrap_or_else(|| u32::try_from(cores()).unwrap_or(u32::MAX)),
        }
    }
}

/// Cores that the process may use.
pub(super) fn cores() -> usize {
    thread::available_parallelism().map_or(1, usize::from)
}

pub(super) type FeedSender = UnboundedSender<Due>;

/// Everything that a worker needs, on its way to its thread.
pub(super) struct WorkerInput<C> {
    pub(super) stage: u16,
    pub(super) settings: Arc<Settings>,
    pub(super) connector: Arc<C>,
    pub(super) serials: Arc<Serials>,
    pub(super) feed: Feed,
    pub(super) keys: KeySupply,
    pub(super) devices: u64,
    pub(super) slots: usize,
    pub(super) max_lateness: Option<Duration>,
    pub(super) drain: Duration,
    pub(super) grace: Duration,
    pub(super) halt: CancellationToken,
    pub(super) cut: CancellationToken,
    pub(super) live: Option<SharedLive>,
}

impl<C: Connector + 'static> WorkerInput<C> {
    fn worker(self, clock: RunClock) -> Worker<C> {
        let shared = Shared {
            settings: self.settings,
            connector: self.connector,
            serials: self.serials,
            clock,
            stage: self.stage,
            recorder: RefCell::new(Recorder::new()),
        };
        Worker {
            shared: Rc::new(shared),
            feed: self.feed,
            keys: self.keys,
            devices: self.devices,
            slots: self.slots,
            max_lateness: self.max_lateness,
            drain: self.drain,
            grace: self.grace,
            halt: self.halt,
            cut: self.cut,
            live: self.live,
        }
    }
}

/// The workers of a stage, ready to begin.
pub(super) enum Crew<C> {
    Inline(Vec<WorkerInput<C>>),
    Threads(Vec<WorkerThread>),
}

pub(super) struct WorkerThread {
    begin: oneshot::Sender<RunClock>,
    end: oneshot::Receiver<WorkerRecord>,
}

impl<C: Connector + Send + Sync + 'static> Crew<C> {
    /// Starts threads, where there are any, and waits until each has its runtime.
    pub(super) async fn new(execution: Execution, inputs: Vec<WorkerInput<C>>) -> Result<Self, EngineError> {
        if execution == Execution::Inline {
            return Ok(Self::Inline(inputs));
        }
        let workers = inputs.len();
        let mut threads = Vec::with_capacity(workers);
        for (input, worker) in inputs.into_iter().zip(1..) {
            let (ready, is_ready) = oneshot::channel();
            let (begin, has_begun) = oneshot::channel();
            let (ended, end) = oneshot::channel();
            let failed = |source| EngineError::Worker { worker, workers, source };
            thread::Builder::new()
                .name(format!("worker-{worker}"))
                .spawn(move || work(input, ready, has_begun, ended))
                .map_err(failed)?;
            is_ready.await.map_err(|_| EngineError::WorkerLost(worker))?.map_err(failed)?;
            threads.push(WorkerThread { begin, end });
        }
        Ok(Self::Threads(threads))
    }

    /// Lets all begin at once and waits for all.
    pub(super) async fn run(
        self,
        pacer: Option<Pacer>,
        clock: RunClock,
        start: Duration,
    ) -> Result<Vec<WorkerRecord>, EngineError> {
        match self {
            Self::Inline(inputs) => Ok(LocalSet::new().run_until(inline(inputs, pacer, clock, start)).await),
            Self::Threads(threads) => on_threads(threads, pacer, clock, start).await,
        }
    }
}

/// One after the other: there is only one worker.
async fn inline<C: Connector + 'static>(
    inputs: Vec<WorkerInput<C>>,
    pacer: Option<Pacer>,
    clock: RunClock,
    start: Duration,
) -> Vec<WorkerRecord> {
    let pacer = pacer.map(|pacer| tokio::task::spawn_local(pacer.run(clock, start)));
    let mut records = Vec::new();
    for input in inputs {
        records.push(input.worker(clock).run().await);
    }
    if let Some(pacer) = pacer {
        pacer.abort();
    }
    records
}

async fn on_threads(
    threads: Vec<WorkerThread>,
    pacer: Option<Pacer>,
    clock: RunClock,
    start: Duration,
) -> Result<Vec<WorkerRecord>, EngineError> {
    let mut ends = Vec::with_capacity(threads.len());
    for thread in threads {
        // A worker that is gone shows by its missing record.
        let _ = thread.begin.send(clock);
        ends.push(thread.end);
    }
    let pacer = pacer.map(|pacer| pacer.spawn(clock, start)).transpose().map_err(EngineError::Pacer)?;
    let mut records = Vec::with_capacity(ends.len());
    for (end, worker) in ends.into_iter().zip(1..) {
        records.push(end.await.map_err(|_| EngineError::WorkerLost(worker))?);
    }
    drop(pacer);
    Ok(records)
}

/// What the thread of a worker does.
fn work<C: Connector + 'static>(
    input: WorkerInput<C>,
    ready: oneshot::Sender<io::Result<()>>,
    begin: oneshot::Receiver<RunClock>,
    ended: oneshot::Sender<WorkerRecord>,
) {
    let runtime = match Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            // Nobody listens when the run was given up meanwhile; that holds for the other channels too.
            let _ = ready.send(Err(error));
            return;
        }
    };
    let _ = ready.send(Ok(()));
    let Ok(clock) = begin.blocking_recv() else { return };
    let before = usage::of_this_thread();
    let mut record = LocalSet::new().block_on(&runtime, async { input.worker(clock).run().await });
    record.cpu = usage::of_this_thread().saturating_sub(before);
    let _ = ended.send(record);
}
