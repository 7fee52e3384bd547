//! Carries out the stages of a run: each begins when its time has come, hands every worker its part, and is merged into one
//! record.

use std::cell::RefCell;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Semaphore, mpsc, watch};
use tokio::time::{MissedTickBehavior, interval, sleep_until};
use tokio_util::sync::CancellationToken;

use crate::device::Settings;
use crate::domain::injected_panic;
use crate::engine::clock::RunClock;
use crate::engine::error::EngineError;
use crate::engine::keys::KeyWorks;
use crate::engine::plan::Plan;
use crate::engine::plan::due::Due;
use crate::engine::plan::schedule::StageTimes;
use crate::engine::record::copies::{self, Copies};
use crate::engine::record::merge::{self, Merged};
use crate::engine::record::recorder::{Errors, Recorder};
use crate::engine::record::stage_share::StageShare;
use crate::engine::run::crew::{Crew, Execution};
use crate::engine::run::pacer::Pacer;
use crate::engine::run::prepare::{Part, Prepared, Ready};
use crate::engine::run::snapshot::{Kept, SoFar};
use crate::engine::watch::live::{self, Display, Live};
use crate::engine::watch::progress::Progress;
use crate::engine::watch::progress::RunPart;
use crate::engine::watch::thresholds::{self, Numbers, Times};
use crate::engine::worker::gauge::Gauge;
use crate::engine::worker::stage_loop::{Feed, StageOrder};
use crate::measure::{Begin, Observed};
use crate::scenario::{Scenario, Workload};

/// What all stages of a run share.
pub(crate) struct Conductor {
    pub(crate) scenario: Arc<Scenario>,
    pub(crate) plan: Arc<Plan>,
    pub(crate) classes: Vec<Settings>,
    pub(crate) crew: Crew,
    pub(crate) works: Arc<KeyWorks>,
    pub(crate) execution: Execution,
    pub(crate) connected: Arc<Gauge>,
    pub(crate) progress: Option<watch::Sender<Progress>>,
    /// Whether what stages recorded so far is wanted.
    pub(crate) keeps: bool,
    pub(crate) so_far: Arc<SoFar>,
    /// Whether snapshots tell how times are distributed.
    pub(crate) distributions: bool,
    /// Ends the run early.
    pub(crate) halt: CancellationToken,
    /// After `halt`: cuts attempts in flight at once.
    pub(crate) cut: CancellationToken,
    /// When stages begin and ended, on the clock of the run.
    pub(crate) times: watch::Sender<Vec<StageTimes>>,
    pub(crate) displays: RefCell<Vec<Display>>,
    /// What of the generator itself broke.
    pub(crate) defect: RefCell<Option<EngineError>>,
}

impl Conductor {
    /// One stage from its beginning to its end. When the generator breaks meanwhile, what it recorded until then.
    pub(crate) async fn stage(&self, index: usize, prepared: Option<Prepared>, clock: RunClock) -> Merged {
        match self.try_stage(index, prepared, clock).await {
            Ok(merged) => merged,
            Err(error) => {
                self.breaks(error);
                let now = clock.now();
                self.ended(index, now);
                let (merged, errors) = self.so_far.cut_off(index, now);
                self.so_far.ended(index, self.keeps.then(|| merged.clone()), &errors);
                merged
            }
        }
    }

    /// The generator itself is broken: the run ends, and what was measured stays.
    pub(crate) fn breaks(&self, defect: EngineError) {
        self.defect.borrow_mut().get_or_insert(defect);
        self.halt.cancel();
    }

    /// When it is to begin decides when its devices are due, whatever it is that keeps this machine from beginning then.
    async fn try_stage(
        &self,
        index: usize,
        prepared: Option<Prepared>,
        clock: RunClock,
    ) -> Result<Merged, EngineError> {
        let stage = &self.scenario.stages[index];
        let begins = tokio::select! {
            biased;
            () = self.halt.cancelled() => None,
            at = self.begins(index) => Some(at),
        };
        let not_started = || {
            let now = clock.now();
            self.ended(index, now);
            let devices = u64::from(self.plan.stages[index].devices);
            let merged = Merged::not_started(&self.plan, index, now);
            let mut display = Display::new(Vec::new(), index, devices, now, None);
            display.end(&merged, now);
            self.displays.borrow_mut().push(display);
            merged
        };
        let Some(begins) = begins else { return Ok(not_started()) };
        self.times.send_modify(|times| times[index].begins = Some(begins));
        self.works.begins(index, begins);
        // What can be, is done before.
        let ready = prepared.map(|prepared| match prepared {
            Prepared::Ready(ready) => ready,
            Prepared::Ordered(ordered) => self.line_up(index, ordered),
        });
        tokio::select! {
            biased;
            () = self.halt.cancelled() => return Ok(not_started()),
            () = sleep_until(clock.instant(begins)) => {}
        }
        let ready = match (ready, stage.renewal_timing()) {
            (Some(ready), _) => ready,
            (None, Some(_)) => self.renewals(index, clock, begins).await?,
            (None, None) => return Ok(not_started()),
        };
        self.works.runs(index);
        let merged = self.run(index, ready, clock, begins).await?;
        self.ended(index, clock.now());
        Ok(merged)
    }

    /// When a stage is to begin, once that is known.
    async fn begins(&self, index: usize) -> Duration {
        let begin = |times: &Vec<StageTimes>| self.plan.schedule.begin(index, times);
        let known = match self.times.subscribe().wait_for(|times| begin(times).is_some()).await {
            Ok(times) => begin(&times),
            // The sender is here.
            Err(_) => None,
        };
        match known {
            Some(begins) => begins,
            None => std::future::pending().await,
        }
    }

    /// A stage is over, whether it began or not.
    fn ended(&self, index: usize, now: Duration) {
        self.times.send_modify(|times| {
            times[index].begins.get_or_insert(now);
            times[index].ended = Some(now);
        });
    }

    /// A stage whose clock starts at that time of the run's.
    async fn run(&self, index: usize, ready: Ready, clock: RunClock, start: Duration) -> Result<Merged, EngineError> {
        let Ready { setup, parts, list } = ready;
        let stage = &setup.stage;
        let planned = &self.plan.stages[index];
        let until = self.plan.schedule.until(index, start);
        let turns = match stage.workload {
            Workload::Closed { concurrency } => {
                Some(Arc::new(Semaphore::new(self.plan.shard.of(concurrency) as usize)))
            }
            Workload::Open { .. } => None,
        };
        let watched: Vec<_> = self.scenario.thresholds.iter().filter(|t| t.abort_after.is_some()).collect();
        let is_watched = self.progress.is_some() || self.keeps || !watched.is_empty();
        let (mut feeds, mut orders, mut lives, mut kept) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        let mut sizes = Vec::new();
        for Part { members, unlisted, keys } in parts {
            let (feed, max_lateness) = match stage.workload {
                Workload::Open { max_lateness, .. } => {
                    let (sender, receiver) = mpsc::unbounded_channel();
                    feeds.push(sender);
                    (Feed::Paced(receiver), Some(max_lateness))
                }
                Workload::Closed { .. } => (Feed::Pulled(members.clone().into_iter()), None),
            };
            let times = watched.iter().filter_map(|threshold| Times::of(threshold.metric));
            let live = is_watched.then(|| Live::shared(times, self.distributions));
            lives.extend(live.clone());
            let copies = self.keeps.then(Copies::default);
            kept.push((copies.clone().unwrap_or_default(), None));
            sizes.push(members.len() as u64);
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
        let begin = Begin { due: start, late: clock.now().saturating_sub(start) };
        let began_late = begin.late > self.scenario.limits.harmless_lateness;
        let display = Display::new(lives, index, u64::from(planned.devices), start, harmless);
        let display = display.until(until).late(began_late);
        self.displays.borrow_mut().push(display);
        let mut list = list.map(Iterator::peekable);
        let first_due = list.as_mut().and_then(|list| list.peek()).map_or(Duration::ZERO, |(at, _)| *at);
        let kept = Kept { stage: index, begin, from: start + first_due, workers: kept, over: None };
        self.so_far.began(kept);
        let split = self.crew.split();
        let pacer = list
            .map(|list| list.map(move |(offset, device)| Due { device, at: start + offset }))
            .map(|due| Pacer::new(Box::new(due), feeds, split).start(self.execution, clock));
        let pacer = pacer.transpose().map_err(EngineError::Pacer)?;
        let shares = self.crew.stage(orders, |worker| self.breaks(EngineError::WorkerLost(worker))).await;
        // Of a worker that broke, what it had put aside.
        let lost = |(worker, members)| {
            let untouched = || Recorder::default().cut_off(start, members);
            let recorder = self.so_far.last_of(index, worker).unwrap_or_else(untouched);
            StageShare { recorder, ..StageShare::default() }
        };
        let shares = shares.into_iter().zip(sizes.into_iter().enumerate());
        let shares: Vec<_> = shares.map(|(share, of)| share.unwrap_or_else(|| lost(of))).collect();
        if pacer.is_some_and(|pacer| !pacer.end()) {
            self.breaks(EngineError::PacerLost);
        }
        let stalled = shares.iter().any(|share| share.stalled);
        if stalled {
            self.so_far.note(format!(
                "{}: no device got through for {} (`timeout` and `limits.drain` together): those at work were cut, the \
                 others not started",
                stage.name,
                humantime::format_duration(stage.timeout + self.scenario.limits.drain),
            ));
        }
        let mut errors = Errors::default();
        let mut merged = merge::stage(&self.plan, index, shares, start + first_due, &mut errors);
        merged.stage.begin = Some(begin);
        merged.whole = !self.halt.is_cancelled() && !stalled;
        self.so_far.ended(index, self.keeps.then(|| merged.clone()), &errors);
        if let Some(display) = self.displays.borrow_mut().iter_mut().find(|display| display.stage == index) {
            display.end(&merged, clock.now());
        }
        Ok(merged)
    }

    /// Shows progress, and ends the run when a threshold that may do so is not met. Never ends.
    pub(crate) async fn watch(&self, clock: RunClock) {
        if self.progress.is_none() && self.scenario.thresholds.iter().all(|threshold| threshold.abort_after.is_none()) {
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
            if now >= copies::EVERY {
                injected_panic("conductor");
            }
            self.check_thresholds(now);
        }
    }

    /// What goes on now.
    pub(crate) fn snapshot(&self, now: Duration) -> Progress {
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
                self.so_far.breaks(result);
                self.halt.cancel();
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::FailureClass;
    use crate::engine::scene;
    use crate::measure::Counts;

    const S: fn(u64) -> Duration = Duration::from_secs;

    /// Whether a threshold ends a run of two stages, of which so many are over, with devices that only their ends cut.
    async fn ends(check: &str, over: usize, now: Duration) -> bool {
        let lines = format!(
            "arrival = 'at-once'\n[[stage]]\nname = 'then'\nkind = 'reconnect'\narrival = 'at-once'\n\
             [[threshold]]\ncheck = '{check}'\nabort_on_fail = true\nabort_after = '2s'\n"
        );
        let conductor = scene::conductor(scene::scenario(3, &lines), (None, 1), None).await;
        for index in 0..over {
            let mut merged = Merged::not_started(&conductor.plan, index, S(1));
            merged.stage.totals = Counts { planned: 3, started: 3, attempts: 3, ..Counts::default() };
            (merged.stage.totals.failed[FailureClass::Cut], merged.whole) = (3, true);
            let mut display = Display::new(Vec::new(), index, 3, S(1 + index as u64), None);
            display.end(&merged, S(2));
            conductor.displays.borrow_mut().push(display);
        }
        conductor.check_thresholds(now);
        let broken = conductor.so_far.broken();
        assert_eq!(broken.as_ref().map(|result| result.stopped_at), conductor.halt.is_cancelled().then_some(Some(now)));
        conductor.halt.is_cancelled()
    }

    #[tokio::test]
    async fn a_run_is_ended_by_what_its_stages_have_shown_and_not_by_what_one_to_come_might() {
        let check = "all.error_rate < 10%";
        assert!(!ends(check, 0, S(9)).await, "no stage has begun");
        assert!(!ends(check, 1, S(9)).await, "nobody came to an end by himself, and the second stage is to come");
        assert!(ends(check, 2, S(9)).await);
        assert!(ends("s.error_rate < 10%", 1, S(9)).await, "the second stage is none of its");
        assert!(!ends("all.success_rate < 1%", 2, S(9)).await, "it is met");
        // Not before it is to be looked at, counted from when the first of its stages began.
        assert!(!ends(check, 2, S(3) - Duration::from_nanos(1)).await && ends(check, 2, S(3)).await);
    }

    #[tokio::test]
    async fn the_first_defect_is_the_one_that_is_told_and_ends_the_run() {
        let conductor = scene::conductor(scene::scenario(3, "arrival = 'at-once'"), (None, 1), None).await;
        assert!(!conductor.halt.is_cancelled());
        conductor.breaks(EngineError::WorkerLost(3));
        conductor.breaks(EngineError::PacerLost);
        assert!(conductor.halt.is_cancelled());
        assert!(matches!(conductor.defect.take(), Some(EngineError::WorkerLost(3))));
    }
}
