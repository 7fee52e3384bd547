//! Carries out the stages of a run: each begins when its time has come, has its keys made, hands every worker its part,
//! and is merged into one record.

use std::cell::RefCell;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::sync::{Semaphore, mpsc, watch};
use tokio::time::{MissedTickBehavior, interval, sleep_until, timeout};
use tokio_util::sync::CancellationToken;

use crate::device::Settings;
use crate::engine::clock::RunClock;
use crate::engine::crew::{Crew, Execution, by_worker};
use crate::engine::gauge::Gauge;
use crate::engine::keys::{KeySupply, KeyWorks};
use crate::engine::live::{self, Display, Live};
use crate::engine::merge::{self, Merged};
use crate::engine::pacer::{DueList, Pacer};
use crate::engine::plan::begins_with_run;
use crate::engine::recorder::Errors;
use crate::engine::setup::{StageSetup, members};
use crate::engine::skips::Skips;
use crate::engine::snapshot::{Copies, Keeper, Kept};
use crate::engine::stage_loop::{Feed, StageOrder};
use crate::engine::thresholds::{self, Numbers};
use crate::engine::worker::Certified;
use crate::engine::{EngineError, Plan, Progress, RunPart};
use crate::measure::{Observed, ThresholdResult};
use crate::scenario::{Arrival, KeySource, RenewalTiming, Scenario, Stage, Start, Workload};

/// What all stages of a run share.
pub(super) struct Conductor {
    pub(super) scenario: Arc<Scenario>,
    pub(super) plan: Arc<Plan>,
    pub(super) classes: Vec<Settings>,
    pub(super) crew: Crew,
    pub(super) works: Arc<KeyWorks>,
    pub(super) execution: Execution,
    pub(super) connected: Arc<Gauge>,
    pub(super) progress: Option<watch::Sender<Progress>>,
    /// What stages recorded so far, when it is wanted.
    pub(super) keeps: bool,
    pub(super) kept: RefCell<Vec<Kept>>,
    /// Whether snapshots tell how times are distributed.
    pub(super) distributions: bool,
    /// Ends the run early.
    pub(super) halt: CancellationToken,
    /// After `halt`: cuts attempts in flight at once.
    pub(super) cut: CancellationToken,
    pub(super) moments: Vec<Moments>,
    pub(super) displays: RefCell<Vec<Display>>,
    pub(super) errors: RefCell<Errors>,
    pub(super) notes: RefCell<Vec<String>>,
    /// The threshold that ended the run.
    pub(super) broken: RefCell<Option<ThresholdResult>>,
}

/// When a stage began and ended, on the clock of the run.
pub(super) struct Moments {
    began: watch::Sender<Option<Duration>>,
    ended: watch::Sender<Option<Duration>>,
}

impl Moments {
    pub(super) fn new() -> Self {
        Self { began: watch::Sender::new(None), ended: watch::Sender::new(None) }
    }
}

async fn known(moment: &watch::Sender<Option<Duration>>) -> Duration {
    match moment.subscribe().wait_for(Option::is_some).await {
        Ok(moment) => moment.unwrap_or_default(),
        // The sender is borrowed here, so it is there.
        Err(_) => std::future::pending().await,
    }
}

/// A stage whose first keys are ordered.
pub(super) struct Prepared {
    setup: Arc<StageSetup>,
    /// Devices that will become due, by worker, in order; all of them in a stage whose arrivals are known beforehand.
    due: Vec<Vec<u32>>,
    /// Devices that will not, by worker.
    unlisted: Vec<Skips>,
    supplies: Vec<Option<KeySupply>>,
    list: Option<DueList>,
    listed: u32,
}

impl Conductor {
    /// Stages that begin with the run: their keys are made before it.
    pub(super) fn first_stages(&self) -> Vec<usize> {
        let first = begins_with_run(&self.scenario).into_iter().enumerate();
        first.filter(|(_, begins)| *begins).map(|(index, _)| index).collect()
    }

    /// Orders the keys of a stage that begins with the run, and waits until enough are there, the time for it is over, or
    /// the run is stopped.
    pub(super) async fn prepare_first(&self, index: usize) -> Prepared {
        let prepared = self.prepare(index, Arc::new(StageSetup::new(index, &self.scenario, &self.classes)), None);
        self.enough_keys(&prepared, true).await;
        prepared
    }

    /// One stage from its beginning to its end.
    pub(super) async fn stage(
        &self,
        index: usize,
        prepared: Option<Prepared>,
        clock: RunClock,
    ) -> Result<Merged, EngineError> {
        let stage = &self.scenario.stages[index];
        let begins = tokio::select! {
            biased;
            () = self.halt.cancelled() => None,
            at = self.begins(stage) => Some(at),
        };
        let not_started = || {
            let now = clock.now();
            self.moments[index].began.send_replace(Some(now));
            self.moments[index].ended.send_replace(Some(now));
            let planned = &self.plan.stages[index];
            let merged = Merged::not_started(&self.plan, index, now);
            let mut display = Display::new(Vec::new(), index, u64::from(planned.devices), now, None);
            display.end(&merged, now);
            self.displays.borrow_mut().push(display);
            merged
        };
        let Some(begins) = begins else { return Ok(not_started()) };
        let from_expiry = from_expiry(stage);
        // Renewals follow from certificates as they are when the stage begins.
        let prepared = match (prepared, from_expiry) {
            (Some(prepared), _) => Some(prepared),
            (None, Some(_)) => None,
            (None, None) => {
                let setup = Arc::new(StageSetup::new(index, &self.scenario, &self.classes));
                let prepared = self.prepare(index, setup, None);
                self.enough_keys(&prepared, false).await;
                Some(prepared)
            }
        };
        tokio::select! {
            biased;
            () = self.halt.cancelled() => return Ok(not_started()),
            () = sleep_until(clock.instant(begins)) => {}
        }
        let start = clock.now();
        self.moments[index].began.send_replace(Some(start));
        let prepared = match (prepared, from_expiry) {
            (Some(prepared), _) => prepared,
            (None, Some(timing)) => self.renewals(index, timing).await?,
            (None, None) => return Ok(not_started()),
        };
        let merged = self.run(index, prepared, clock, start).await?;
        self.moments[index].ended.send_replace(Some(clock.now()));
        Ok(merged)
    }

    /// When a stage is to begin, once that is known.
    async fn begins(&self, stage: &Stage) -> Duration {
        let (after, delay) = match &stage.start {
            Start::At(delay) => (Duration::ZERO, delay),
            Start::After { stages, delay } => {
                let mut last = Duration::ZERO;
                for stage in stages {
                    last = last.max(known(&self.moments[*stage].ended).await);
                }
                (last, delay)
            }
            Start::With { stage, delay } => (known(&self.moments[*stage].began).await, delay),
        };
        after + self.scenario.time_scale.to_real(*delay)
    }

    /// Who is due when, and the first of their keys ordered. `renewals`: due times by device, in order.
    fn prepare(&self, index: usize, setup: Arc<StageSetup>, renewals: Option<Vec<(Duration, u32)>>) -> Prepared {
        let split = self.crew.split();
        let stage = &setup.stage;
        let order: Vec<u32> = match &renewals {
            Some(renewals) => renewals.iter().map(|(_, device)| *device).collect(),
            None => members(&self.scenario, self.plan.shard, index).collect(),
        };
        let due = by_worker(order.iter().copied(), split);
        let mut supplies: Vec<Option<KeySupply>> = due
            .iter()
            .map(|devices| {
                let supply = || KeySupply::new(Arc::clone(&self.works), Arc::clone(&setup), devices.clone());
                stage.kind.makes_keys().then(supply)
            })
            .collect();
        // In the order in which devices are due, whichever worker they belong to.
        let wanted = self.keys_wanted(stage, order.len());
        for device in order.iter().take(wanted).take_while(|_| !self.halt.is_cancelled()) {
            if let Some(Some(supply)) = supplies.get_mut(split.worker_of(*device)) {
                supply.order_one();
            }
        }
        let listed = u32::try_from(order.len()).unwrap_or(u32::MAX);
        let list: Option<DueList> = match renewals {
            Some(renewals) => Some(Box::new(renewals.into_iter())),
            None => {
                let scale = self.scenario.time_scale;
                self.plan
                    .due_offsets(index)
                    .map(|due| -> DueList { Box::new(due.map(move |at| scale.to_real(at)).zip(order)) })
            }
        };
        let unlisted = due.iter().map(|_| Skips::default()).collect();
        Prepared { setup, due, unlisted, supplies, list, listed }
    }

    /// The renewals of a stage, due where each device's own certificate puts them.
    async fn renewals(&self, index: usize, timing: RenewalTiming) -> Result<Prepared, EngineError> {
        let setup = Arc::new(StageSetup::new(index, &self.scenario, &self.classes));
        let all = by_worker(members(&self.scenario, self.plan.shard, index), self.crew.split());
        let (certified, unlisted) = self.crew.certificates(all).await?;
        let (scenario, seed) = (&self.scenario, self.plan.seed);
        let now = self.classes.first().map_or(SystemTime::UNIX_EPOCH, |class| class.clock.now());
        let round = u32::try_from(index).unwrap_or(u32::MAX);
        let mut due: Vec<(Duration, u32)> = certified
            .into_iter()
            .map(|Certified { device, not_before, not_after }| {
                let at = timing.due(&scenario.policy, (not_before, not_after), seed, device, round);
                // What should have been done before is due now.
                let from_now = at.duration_since(now).unwrap_or_default();
                (scenario.time_scale.to_real(from_now), device)
            })
            .collect();
        due.sort_unstable();
        Ok(Prepared { unlisted, ..self.prepare(index, setup, Some(due)) })
    }

    fn keys_wanted(&self, stage: &Stage, devices: usize) -> usize {
        if !stage.kind.makes_keys() {
            0
        } else if self.all_keys_before(stage) {
            devices
        } else {
            devices.min(self.scenario.limits.keys_ahead as usize)
        }
    }

    fn all_keys_before(&self, stage: &Stage) -> bool {
        let pre_generated = |class: &usize| {
            self.scenario.fleet.classes.get(*class).is_some_and(|class| class.keys == KeySource::PreGenerated)
        };
        stage.classes.iter().any(pre_generated)
    }

    /// Waits until enough keys are there. `shown`: nothing else goes on that progress could be shown of.
    async fn enough_keys(&self, prepared: &Prepared, shown: bool) {
        let stage = &prepared.setup.stage;
        let wanted = self.keys_wanted(stage, prepared.listed as usize) as u64;
        let made = &prepared.setup.made;
        if wanted == 0 {
            return;
        }
        let started = tokio::time::Instant::now();
        let show = async {
            let mut every = interval(live::EVERY);
            loop {
                every.tick().await;
                if shown && let Some(progress) = &self.progress {
                    progress.send_replace(Progress {
                        part: RunPart::Prepare,
                        elapsed: started.elapsed(),
                        keys_ready: made.count(),
                        keys_wanted: wanted,
                        ..Progress::default()
                    });
                }
            }
        };
        let limit = if self.all_keys_before(stage) { Duration::MAX } else { self.scenario.limits.prepare };
        let too_few = tokio::select! {
            biased;
            () = self.halt.cancelled() => false,
            done = timeout(limit, made.wait_for(wanted)) => done.is_err(),
            () = show => false,
        };
        if too_few {
            self.notes.borrow_mut().push(format!(
                "{}: {} of {wanted} keys were made within limits.prepare = {}; the others are made while devices come, \
                 and cost CPU there",
                stage.name,
                made.count(),
                humantime::format_duration(limit),
            ));
        }
    }

    async fn run(
        &self,
        index: usize,
        prepared: Prepared,
        clock: RunClock,
        start: Duration,
    ) -> Result<Merged, EngineError> {
        let Prepared { setup, due, unlisted, supplies, list, .. } = prepared;
        let stage = &setup.stage;
        let scale = self.scenario.time_scale;
        let planned = &self.plan.stages[index];
        let until = setup.duration().map(|duration| start + scale.to_real(duration));
        let turns = match stage.workload {
            Workload::Closed { concurrency } => {
                Some(Arc::new(Semaphore::new(self.plan.shard.of(concurrency) as usize)))
            }
            Workload::Open { .. } => None,
        };
        let watched: Vec<_> = self.scenario.thresholds.iter().filter(|t| t.abort_after.is_some()).collect();
        let is_watched = self.progress.is_some() || self.keeps || !watched.is_empty();
        let all = by_worker(members(&self.scenario, self.plan.shard, index), self.crew.split());
        let (mut feeds, mut orders, mut lives, mut kept) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        for (((due, unlisted), members), keys) in due.into_iter().zip(unlisted).zip(all).zip(supplies) {
            let (feed, max_lateness) = match stage.workload {
                Workload::Open { max_lateness, .. } => {
                    let (sender, receiver) = mpsc::unbounded_channel();
                    feeds.push(sender);
                    (Feed::Paced(receiver), Some(max_lateness))
                }
                Workload::Closed { .. } => (Feed::Pulled(due.into_iter()), None),
            };
            let metrics = watched.iter().map(|threshold| threshold.metric);
            let live = is_watched.then(|| Live::shared(metrics, self.distributions));
            lives.extend(live.clone());
            let copies = self.keeps.then(Copies::default);
            kept.extend(copies.clone().map(|copies| (copies, None)));
            orders.push(StageOrder {
                setup: Arc::clone(&setup),
                feed,
                keys,
                members,
                unlisted,
                turns: turns.clone(),
                max_lateness,
                drain: self.scenario.limits.drain,
                patience: stage.timeout + self.scenario.limits.drain,
                grace: self.scenario.limits.grace,
                halt: self.halt.clone(),
                cut: self.cut.clone(),
                live,
                copies,
                until,
            });
        }
        let open = matches!(stage.workload, Workload::Open { .. });
        let harmless = open.then_some(self.scenario.limits.harmless_lateness);
        let display = Display::new(lives, index, u64::from(planned.devices), start, harmless).until(until);
        self.displays.borrow_mut().push(display);
        let mut list = list.map(Iterator::peekable);
        let first_due = list.as_mut().and_then(|list| list.peek()).map_or(Duration::ZERO, |(at, _)| *at);
        self.kept.borrow_mut().push(Kept { stage: index, from: start + first_due, workers: kept, whole: false });
        let split = self.crew.split();
        let pacer = list
            .map(|list| Pacer::new(Box::new(list), feeds, split))
            .map(|pacer| pacer.start(self.execution, clock, start));
        let pacer = pacer.transpose().map_err(EngineError::Pacer)?;
        let shares = self.crew.stage(orders).await?;
        drop(pacer);
        let stalled = shares.iter().any(|share| share.stalled);
        if stalled {
            self.notes.borrow_mut().push(format!(
                "{}: no device got through for {} (`timeout` and `limits.drain` together): those at work were cut, the \
                 others not started",
                stage.name,
                humantime::format_duration(stage.timeout + self.scenario.limits.drain),
            ));
        }
        let mut merged = merge::stage(&self.plan, index, shares, start + first_due, &mut self.errors.borrow_mut());
        merged.whole = !self.halt.is_cancelled() && !stalled;
        if let Some(kept) = self.kept.borrow_mut().iter_mut().find(|kept| kept.stage == index) {
            kept.whole = merged.whole;
        }
        if let Some(display) = self.displays.borrow_mut().iter_mut().find(|display| display.stage == index) {
            display.end(&merged, clock.now());
        }
        Ok(merged)
    }

    /// Shows progress, keeps what was measured, and ends the run when a threshold that may do so is not met. Never ends.
    pub(super) async fn watch(&self, clock: RunClock, mut keeper: Option<Keeper<'_>>) {
        if self.progress.is_none()
            && keeper.is_none()
            && self.scenario.thresholds.iter().all(|threshold| threshold.abort_after.is_none())
        {
            return std::future::pending().await;
        }
        let mut every = interval(live::EVERY);
        every.set_missed_tick_behavior(MissedTickBehavior::Skip);
        loop {
            every.tick().await;
            let now = clock.now();
            if let Some(progress) = &self.progress {
                progress.send_replace(self.snapshot(now));
            }
            if let Some(keeper) = &mut keeper {
                keeper.keep(self, now);
            }
            self.check_thresholds(now);
        }
    }

    /// What goes on now.
    pub(super) fn snapshot(&self, now: Duration) -> Progress {
        let all = self.displays.borrow_mut().iter_mut().map(|display| display.snapshot(now)).collect();
        let (stages, over) = live::shown(all);
        let part = if stages.iter().all(|stage| stage.all_due) { RunPart::Drain } else { RunPart::Measure };
        let connected = self.connected.now();
        Progress { part, elapsed: now, stages, over, connected, ..Progress::default() }
    }

    fn check_thresholds(&self, now: Duration) {
        if self.halt.is_cancelled() {
            return;
        }
        for threshold in &self.scenario.thresholds {
            let Some(after) = threshold.abort_after else { continue };
            let displays = self.displays.borrow();
            let concerned: Vec<_> =
                displays.iter().filter(|display| threshold.stages.contains(&display.stage)).collect();
            let Some(began) = concerned.iter().map(|display| display.start).min() else { continue };
            if now < began + after {
                continue;
            }
            let mut numbers = Numbers::default();
            concerned.iter().for_each(|display| display.add_to(threshold.metric, now, &mut numbers));
            if concerned.len() < threshold.stages.len() {
                numbers.lacks_stage();
            }
            let result = thresholds::judge(threshold, &numbers, Some(now));
            // As long as there is nothing to look at, nothing is wrong yet.
            if !result.met && result.observed != Observed::Nothing {
                self.broken.borrow_mut().get_or_insert(result);
                self.halt.cancel();
                return;
            }
        }
    }
}

fn from_expiry(stage: &Stage) -> Option<RenewalTiming> {
    match &stage.workload {
        Workload::Open { arrival: Arrival::FromExpiry(timing), .. } => Some(*timing),
        _ => None,
    }
}
