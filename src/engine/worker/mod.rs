//! Devices at work: a worker owns its share of the fleet for the whole run.

pub(super) mod context;
pub(super) mod fleet;
pub(super) mod gauge;
pub(super) mod holder;
pub(super) mod operate;
pub(super) mod retry;
pub(super) mod stage_loop;
pub(super) mod task;
pub(super) mod work;

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::sync::mpsc::UnboundedReceiver;
use tokio::sync::oneshot;

use crate::device::Connector;
use crate::engine::clock::RunClock;
use crate::engine::plan::schedule::Certified;
use crate::engine::plan::share::WorkerShare;
use crate::engine::record::breaches::Breaches;
use crate::engine::record::early::Early;
use crate::engine::record::recorder::Recorder;
use crate::engine::record::rows::RowBatch;
use crate::engine::record::skips::Skips;
use crate::engine::record::stage_share::StageShare;
use crate::engine::worker::context::{RunContext, WorkerContext};
use crate::engine::worker::stage_loop::{StageLoop, StageOrder};
use crate::engine::worker::task::StageJob;
use crate::measure::Certificates;

/// A worker on its way to its thread. It owns its devices for the whole run and carries out stages as it is told, beside
/// each other when they overlap.
pub(crate) struct Worker<C> {
    pub(crate) run: Arc<RunContext<C>>,
    pub(crate) share: WorkerShare,
    /// Most connections at once.
    pub(crate) slots: usize,
}

/// What a worker is told.
pub(crate) enum WorkerCommand {
    /// Say which of these devices have a certificate, and why the others have none.
    Certificates { members: Vec<u32>, reply: oneshot::Sender<(Vec<Certified>, Skips)> },
    /// Say when the certificates of your devices expire.
    Expiries { now: SystemTime, reply: oneshot::Sender<Certificates> },
    /// Carry out a stage.
    Stage { order: Box<StageOrder>, reply: oneshot::Sender<StageShare> },
}

/// What a worker says at the end of the run.
#[derive(Debug, Default)]
pub(crate) struct WorkerEnd {
    /// Kept connections that were lost while no stage used them.
    pub(crate) lost_between_stages: u64,
    /// Kept connections that the hub lost by doing what it must not.
    pub(crate) breaches: Breaches,
    /// Certificates that were not valid yet when they came.
    pub(crate) early: Early,
    /// CPU time of the worker's thread; zero when it had none of its own.
    pub(crate) cpu: Duration,
}

impl<C: Connector + 'static> Worker<C> {
    /// Does what it is told until nobody tells it anything any more. Must be inside a [`tokio::task::LocalSet`].
    pub(crate) async fn run(self, clock: RunClock, mut commands: UnboundedReceiver<WorkerCommand>) -> WorkerEnd {
        let worker = Rc::new(WorkerContext::new(self, clock));
        while let Some(command) = commands.recv().await {
            match command {
                WorkerCommand::Certificates { members, reply } => {
                    // Not taken only when the run is given up.
                    let _ = reply.send(certificates(&worker, members));
                }
                WorkerCommand::Expiries { now, reply } => {
                    let _ = reply.send(worker.fleet.expiries(now));
                }
                WorkerCommand::Stage { order, reply } => {
                    let stage = stage(&worker, *order);
                    tokio::task::spawn_local(async move {
                        let _ = reply.send(stage.run().await);
                    });
                }
            }
        }
        WorkerEnd {
            lost_between_stages: worker.lost_between_stages.get(),
            breaches: worker.breaches.take(),
            early: worker.early.get(),
            cpu: Duration::ZERO,
        }
    }
}

fn certificates<C: Connector>(worker: &WorkerContext<C>, members: Vec<u32>) -> (Vec<Certified>, Skips) {
    let (mut certified, mut skips) = (Vec::new(), Skips::default());
    for device in members {
        let found = worker.fleet.with(device, |state| {
            let leaf = &state.credential.as_ref()?.leaf;
            Some(Certified { device, not_before: leaf.not_before, not_after: leaf.not_after })
        });
        match found {
            Some(found) => certified.push(found),
            None => skips.count(worker.lack_of(device)),
        }
    }
    (certified, skips)
}

fn stage<C: Connector>(worker: &Rc<WorkerContext<C>>, order: StageOrder) -> StageLoop<C> {
    let recorder = RefCell::new(Recorder::with(worker.run.rows.clone().map(RowBatch::new)));
    let (setup, until) = (Arc::clone(&order.setup), order.until);
    StageLoop {
        job: Rc::new(StageJob { worker: Rc::clone(worker), setup, recorder, whereabouts: Rc::default(), until }),
        order,
    }
}
