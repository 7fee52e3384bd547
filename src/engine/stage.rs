//! One stage: make keys, hand each worker its share, run it, watch it.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};
use tokio_util::sync::CancellationToken;

use crate::device::{Connector, Settings};
use crate::engine::clock::RunClock;
use crate::engine::execution::{Crew, Execution, FeedSender, WorkerInput};
use crate::engine::keys::{KeySupply, KeyWorks};
use crate::engine::live::{self, Display, SharedLive};
use crate::engine::pacer::Pacer;
use crate::engine::serials::Serials;
use crate::engine::share::Share;
use crate::engine::worker::{Feed, WorkerRecord};
use crate::engine::{EngineError, Plan, Progress, RunPart};
use crate::scenario::{Limits, Stage, Workload};

/// What all stages of a run share.
pub(super) struct StageRunner<C> {
    pub(super) plan: Arc<Plan>,
    pub(super) limits: Limits,
    pub(super) connector: Arc<C>,
    pub(super) keys: Arc<KeyWorks>,
    pub(super) serials: Arc<Serials>,
    pub(super) execution: Execution,
    pub(super) progress: Option<watch::Sender<Progress>>,
    /// Ends the run early.
    pub(super) halt: CancellationToken,
    /// After `halt`: cuts attempts in flight at once.
    pub(super) cut: CancellationToken,
}

/// A stage whose keys are made.
pub(super) struct PreparedStage {
    index: usize,
    settings: Arc<Settings>,
    supplies: Vec<KeySupply>,
    slots: u32,
    /// What the user should know about it.
    pub(super) note: Option<String>,
}

/// A stage whose workers wait for the start.
pub(super) struct ReadyStage<'a, C> {
    runner: &'a StageRunner<C>,
    crew: Crew<C>,
    pacer: Option<Pacer>,
    display: Display,
}

impl<C: Connector + Send + Sync + 'static> StageRunner<C> {
    /// Makes keys until enough are there, the time for it is over, or the run is stopped.
    pub(super) async fn prepare(&self, index: usize, stage: &Stage, settings: &Settings, slots: u32) -> PreparedStage {
        let settings = Arc::new(for_stage(settings, stage));
        let devices = self.plan.devices;
        let workers = self.execution.workers(&self.limits).min(slots).min(devices);
        let mut supplies: Vec<KeySupply> = (0..workers)
            .map(|index| Share { index, workers }.devices(devices))
            .map(|devices| KeySupply::new(Arc::clone(&self.keys), Arc::clone(&settings), devices))
            .collect();
        let before = self.keys.made();
        let wanted = self.limits.keys_ahead.min(devices);
        // In the order in which devices are due, whichever worker they belong to.
        for device in (0..wanted).take_while(|_| !self.halt.is_cancelled()) {
            if let Some(supply) = supplies.get_mut(Share::worker_of(device, workers)) {
                supply.order_one();
            }
        }
        let started = Instant::now();
        let show = async {
            let mut every = interval(live::EVERY);
            loop {
                every.tick().await;
                self.show(|| Progress {
                    part: RunPart::Prepare,
                    stage: index,
                    elapsed: started.elapsed(),
                    planned: u64::from(devices),
                    keys_ready: self.keys.made() - before,
                    keys_wanted: u64::from(wanted),
                    ..Progress::default()
                });
            }
        };
        let enough = timeout(self.limits.prepare, self.keys.wait_for(before + u64::from(wanted)));
        let too_few = tokio::select! {
            biased;
            () = self.halt.cancelled() => false,
            done = enough => done.is_err(),
            () = show => false,
        };
        let note = too_few.then(|| {
            format!(
                "{}: {} of {wanted} keys were made within limits.prepare = {}; the others are made while devices come, \
                 and cost CPU there",
                stage.name,
                self.keys.made() - before,
                humantime::format_duration(self.limits.prepare),
            )
        });
        PreparedStage { index, settings, supplies, slots, note }
    }

    /// Starts what the stage runs on, so that nobody's start-up is measured.
    pub(super) async fn ready(&self, stage: &Stage, prepared: PreparedStage) -> Result<ReadyStage<'_, C>, EngineError> {
        let index = prepared.index;
        let (inputs, feeds) = self.inputs(stage, prepared);
        let display = Display {
            workers: inputs.iter().filter_map(|i| i.live.clone()).collect(),
            stage: index,
            planned: u64::from(self.plan.devices),
            recent: VecDeque::new(),
        };
        let pacer = self.plan.due_offsets(index).map(|due| Pacer::new(due, feeds));
        Ok(ReadyStage { runner: self, crew: Crew::new(self.execution, inputs).await?, pacer, display })
    }

    /// What each worker gets, and where the pacer reaches it.
    fn inputs(&self, stage: &Stage, prepared: PreparedStage) -> (Vec<WorkerInput<C>>, Vec<FeedSender>) {
        let PreparedStage { index, settings, supplies, slots, .. } = prepared;
        let workers = u32::try_from(supplies.len()).unwrap_or(u32::MAX);
        let mut feeds = Vec::new();
        let mut inputs = Vec::new();
        for (index_of_worker, keys) in (0..).zip(supplies) {
            let share = Share { index: index_of_worker, workers };
            let devices = share.devices(self.plan.devices);
            let count = devices.len() as u64;
            let (feed, max_lateness) = match stage.workload {
                Workload::Open { max_lateness, .. } => {
                    let (sender, receiver) = mpsc::unbounded_channel();
                    feeds.push(sender);
                    (Feed::Paced(receiver), Some(max_lateness))
                }
                Workload::Closed { .. } => (Feed::Pulled(devices), None),
            };
            inputs.push(WorkerInput {
                stage: u16::try_from(index).unwrap_or(u16::MAX),
                settings: Arc::clone(&settings),
                connector: Arc::clone(&self.connector),
                serials: Arc::clone(&self.serials),
                feed,
                keys,
                devices: count,
                slots: share.of(slots) as usize,
                max_lateness,
                drain: self.limits.drain,
                grace: self.limits.grace,
                halt: self.halt.clone(),
                cut: self.cut.clone(),
                live: self.progress.as_ref().map(|_| SharedLive::default()),
            });
        }
        (inputs, feeds)
    }

    fn show(&self, snapshot: impl FnOnce() -> Progress) {
        if let Some(progress) = &self.progress {
            progress.send_replace(snapshot());
        }
    }
}

impl<C: Connector + Send + Sync + 'static> ReadyStage<'_, C> {
    /// Runs the stage to its end, showing progress. `start` is now, on the clock of the run.
    pub(super) async fn run(self, clock: RunClock, start: Duration) -> Result<Vec<WorkerRecord>, EngineError> {
        let Self { runner, crew, pacer, mut display } = self;
        let work = crew.run(pacer, clock, start);
        tokio::pin!(work);
        let mut every = interval(live::EVERY);
        every.set_missed_tick_behavior(MissedTickBehavior::Skip);
        loop {
            tokio::select! {
                biased;
                done = &mut work => {
                    runner.show(|| display.snapshot(clock.now()));
                    return done;
                }
                _ = every.tick(), if runner.progress.is_some() => runner.show(|| display.snapshot(clock.now())),
            }
        }
    }
}

/// The settings of devices with what the stage says about them.
fn for_stage(settings: &Settings, stage: &Stage) -> Settings {
    let mut settings = settings.clone();
    settings.timeouts.attempt = stage.timeout;
    if !stage.hub_connect {
        settings.hub = None;
    }
    if !stage.telemetry
        && let Some(hub) = &mut settings.hub
    {
        hub.telemetry = None;
    }
    settings
}
