//! What tests of single pieces stand in: one worker and its devices, on the caller's runtime, whose clock may be paused.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

use tokio::sync::mpsc::UnboundedReceiver;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::device::{MemoryConnector, MemoryPeer, Settings};
use crate::domain::Shard;
use crate::engine::clock::RunClock;
use crate::engine::keys::KeyWorks;
use crate::engine::plan::Plan;
use crate::engine::plan::setup::StageSetup;
use crate::engine::plan::share::Split;
use crate::engine::record::recorder::Recorder;
use crate::engine::record::serials::Serials;
use crate::engine::run::board::Board;
use crate::engine::run::conductor::Conductor;
use crate::engine::run::crew::{Crew, Execution};
use crate::engine::watch::progress::Progress;
use crate::engine::worker::Worker;
use crate::engine::worker::context::{RunContext, WorkerContext};
use crate::engine::worker::task::StageJob;
use crate::scenario::Scenario;

/// The whole fleet as the part of one worker.
pub(super) const ALONE: Split = Split { shard: Shard::WHOLE, workers: 1 };

/// A scenario of that many devices; `lines` are those of its only stage `s`, which provisions, and whatever follows.
pub(super) fn scenario(devices: u32, lines: &str) -> Scenario {
    let text = format!(
        "schema = 1\nname = 'x'\nfleet.devices = {devices}\nfleet.registration_id = 'd-{{index}}'\n\
         [[stage]]\nname = 's'\nkind = 'provision'\n{lines}\n"
    );
    Scenario::parse("x.toml", &text, &[]).unwrap_or_else(|problems| {
        panic!("{}\n{text}", problems.iter().map(|problem| format!("{problem}\n")).collect::<String>())
    })
}

/// The settings of every class of devices.
pub(super) fn classes(scenario: &Scenario) -> Vec<Settings> {
    vec![Settings::of_nobody(); scenario.fleet.classes.len()]
}

/// A worker that has all devices, with so many slots, and the service's ends of its connections: nobody answers as long as
/// they are there, and no connection can be made once they are dropped. Its clock starts now.
pub(super) fn worker(
    scenario: &Scenario,
    slots: usize,
) -> (Rc<WorkerContext<MemoryConnector>>, UnboundedReceiver<MemoryPeer>) {
    let (connector, peers) = MemoryConnector::new();
    let share = ALONE.shares().next().expect("there is one");
    let plan = Arc::new(Plan::new(scenario, 7));
    let run = RunContext {
        scenario: Arc::new(scenario.clone()),
        seed: 7,
        connector: Arc::new(connector),
        serials: Serials::new(),
        works: Arc::new(KeyWorks::new(None, plan, 100)),
        gauges: Arc::default(),
        rows: None,
    };
    let worker = Worker { run: Arc::new(run), share, slots };
    (Rc::new(WorkerContext::new(worker, RunClock::start())), peers)
}

/// What the devices of a worker share in a stage.
pub(super) fn job(worker: &Rc<WorkerContext<MemoryConnector>>, stage: usize) -> Rc<StageJob<MemoryConnector>> {
    let setup = StageSetup::new(stage, &worker.run.scenario, &classes(&worker.run.scenario));
    Rc::new(StageJob {
        worker: Rc::clone(worker),
        setup: Arc::new(setup),
        recorder: RefCell::new(Recorder::new()),
        whereabouts: Rc::default(),
        until: None,
    })
}

/// A pool of one thread that makes no key as long as what comes with it is there.
pub(super) fn gated_pool() -> (rayon::ThreadPool, std::sync::mpsc::Sender<()>) {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build().expect("a thread");
    let (gate, opens) = std::sync::mpsc::channel();
    // An error is that it is gone.
    pool.spawn(move || {
        let _ = opens.recv();
    });
    (pool, gate)
}

/// A run that has no worker yet. Its keys are made by that pool, at most so many ahead of need.
pub(super) async fn conductor(
    scenario: Scenario,
    (pool, ahead): (Option<rayon::ThreadPool>, u32),
    progress: Option<watch::Sender<Progress>>,
) -> Conductor {
    let plan = Arc::new(Plan::new(&scenario, 7));
    let nobody: Vec<Worker<MemoryConnector>> = Vec::new();
    Conductor {
        crew: Crew::start(Execution::Inline, nobody, ALONE).await.expect("there is nobody to start"),
        classes: classes(&scenario),
        works: Arc::new(KeyWorks::new(pool, Arc::clone(&plan), ahead)),
        execution: Execution::Inline,
        gauges: Arc::default(),
        progress,
        distributions: false,
        keeps: false,
        board: Arc::new(Board::new(Arc::clone(&plan), false)),
        halt: CancellationToken::new(),
        cut: CancellationToken::new(),
        plan,
        scenario: Arc::new(scenario),
    }
}
