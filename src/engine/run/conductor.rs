//! Carries out the stages of a run: each begins when its time has come, hands every worker its part, and is merged into one
//! record.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use futures_util::future::join_all;
use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval, sleep_until};
use tokio_util::sync::CancellationToken;

use crate::device::Settings;
use crate::domain::injected_panic;
use crate::engine::clock::RunClock;
use crate::engine::error::EngineError;
use crate::engine::keys::KeyWorks;
use crate::engine::plan::Plan;
use crate::engine::plan::due::Due;
use crate::engine::record::merge::{self, Merged};
use crate::engine::record::publication::{self, Publication};
use crate::engine::record::recorder::{Errors, Recorder};
use crate::engine::record::stage_share::StageShare;
use crate::engine::run::board::{Board, OnBoard};
use crate::engine::run::crew::{Crew, Execution};
use crate::engine::run::orders::StageOrders;
use crate::engine::run::pacer::Pacer;
use crate::engine::run::prepare::{PreparedStage, Ready};
use crate::engine::watch::display::Display;
use crate::engine::watch::progress::{Progress, RunPart};
use crate::engine::worker::gauge::Gauges;
use crate::measure::Begin;
use crate::scenario::{Scenario, Stage, Workload};

/// What all stages of a run share.
pub(crate) struct Conductor {
    pub(crate) scenario: Arc<Scenario>,
    pub(crate) plan: Arc<Plan>,
    pub(crate) classes: Vec<Settings>,
    pub(crate) crew: Crew,
    pub(crate) works: Arc<KeyWorks>,
    pub(crate) execution: Execution,
    pub(crate) gauges: Arc<Gauges>,
    pub(crate) progress: Option<watch::Sender<Progress>>,
    /// Whether snapshots tell how times are distributed.
    pub(crate) distributions: bool,
    /// Whether what stages recorded so far is wanted.
    pub(crate) keeps: bool,
    pub(crate) board: Arc<Board>,
    /// Ends the run early.
    pub(crate) halt: CancellationToken,
    /// After `halt`: cuts attempts in flight at once.
    pub(crate) cut: CancellationToken,
}

impl Conductor {
    /// All stages from the beginning of the measured part to its end.
    pub(crate) async fn stages(&self, prepared: Vec<Option<PreparedStage>>, clock: RunClock) -> Vec<Merged> {
        let stages = prepared.into_iter().enumerate().map(|(index, prepared)| self.stage(index, prepared, clock));
        tokio::select! {
            biased;
            merged = join_all(stages) => merged,
            () = self.watch(clock) => Vec::new(),
        }
    }

    /// One stage from its beginning to its end. When the generator breaks meanwhile, what it recorded until then.
    async fn stage(&self, index: usize, prepared: Option<PreparedStage>, clock: RunClock) -> Merged {
        let ended = self.try_stage(index, prepared, clock).await;
        let now = clock.now();
        let (merged, errors) = match ended {
            Ok(ended) => ended,
            Err(error) => {
                self.breaks(error);
                self.board.cut_off(index, now)
            }
        };
        self.board.over(index, &merged, &errors, now);
        merged
    }

    /// The generator itself is broken: the run ends, and what was measured stays.
    pub(crate) fn breaks(&self, defect: EngineError) {
        self.board.defect(defect);
        self.halt.cancel();
    }

    /// The wall clock of the run.
    pub(crate) fn wall_clock(&self) -> SystemTime {
        self.classes.first().map_or(SystemTime::UNIX_EPOCH, |class| class.clock.now())
    }

    /// When it is to begin decides when its devices are due, whatever it is that keeps this machine from beginning then.
    async fn try_stage(
        &self,
        index: usize,
        prepared: Option<PreparedStage>,
        clock: RunClock,
    ) -> Result<(Merged, Errors), EngineError> {
        let begins = tokio::select! {
            biased;
            () = self.halt.cancelled() => return Ok(self.not_started(index, clock)),
            at = self.board.begin(index) => at,
        };
        self.board.begins(index, begins);
        self.works.begins(index, begins);
        // What can be, is done before.
        let ready = prepared.map(|prepared| match prepared {
            PreparedStage::Ready(ready) => ready,
            PreparedStage::Ordered(ordered) => self.line_up(index, ordered),
        });
        tokio::select! {
            biased;
            () = self.halt.cancelled() => return Ok(self.not_started(index, clock)),
            () = sleep_until(clock.instant(begins)) => {}
        }
        let ready = match ready {
            Some(ready) => ready,
            None => self.renewals(index, clock, begins).await?,
        };
        self.works.runs(index);
        self.run(index, ready, clock, begins).await
    }

    /// A stage that never begins, as the run was stopped before.
    fn not_started(&self, index: usize, clock: RunClock) -> (Merged, Errors) {
        let now = clock.now();
        let devices = u64::from(self.plan.stages[index].devices);
        let display = Display::new(Vec::new(), index, devices, now);
        self.board.began(OnBoard { display, begin: None, from: now, over: None });
        (Merged::not_started(&self.plan, index, now), Errors::default())
    }

    /// A stage that begins at that time of the run's clock.
    async fn run(
        &self,
        index: usize,
        ready: Ready,
        clock: RunClock,
        start: Duration,
    ) -> Result<(Merged, Errors), EngineError> {
        let Ready { setup, parts, list } = ready;
        let begin = Begin { due: start, late: clock.now().saturating_sub(start) };
        let mut list = list.map(Iterator::peekable);
        let first_due = list.as_mut().and_then(|list| list.peek()).map_or(Duration::ZERO, |(at, _)| *at);
        let from = start + first_due;
        let StageOrders { orders, feeds, publications, sizes } = self.orders(&setup, parts, start);
        let display = self.display(&setup.stage, index, begin, publications);
        self.board.began(OnBoard { display, begin: Some(begin), from, over: None });
        let pacer = list
            .map(|list| list.map(move |(offset, device)| Due { device, at: start + offset }))
            .map(|due| Pacer::new(Box::new(due), feeds, self.crew.split()).start(self.execution, clock));
        let pacer = pacer.transpose().map_err(EngineError::Pacer)?;
        let shares = self.crew.stage(orders, |worker| self.breaks(EngineError::WorkerLost(worker))).await;
        if pacer.is_some_and(|pacer| !pacer.end()) {
            self.breaks(EngineError::PacerLost);
        }
        // Of a worker that broke, what it had put aside.
        let lost = |worker, members| {
            let untouched = || Recorder::default().cut_off(start, members);
            let recorder = self.board.last_of(index, worker).unwrap_or_else(untouched);
            StageShare { recorder, ..StageShare::default() }
        };
        let shares = shares.into_iter().zip(sizes).enumerate();
        let shares = shares.map(|(worker, (share, members))| share.unwrap_or_else(|| lost(worker, members)));
        let shares: Vec<_> = shares.collect();
        let stalled = shares.iter().any(|share| share.stalled);
        if stalled {
            self.board.note(self.stalled(&setup.stage));
        }
        let mut errors = Errors::default();
        let mut merged = merge::stage(&self.plan, index, shares, from, &mut errors);
        merged.stage.begin = Some(begin);
        merged.whole = !self.halt.is_cancelled() && !stalled;
        Ok((merged, errors))
    }

    fn display(&self, stage: &Stage, index: usize, begin: Begin, workers: Vec<Publication>) -> Display {
        let open = matches!(stage.workload, Workload::Open { .. });
        let harmless = self.scenario.limits.harmless_lateness;
        let planned = u64::from(self.plan.stages[index].devices);
        Display::new(workers, index, planned, begin.due)
            .harmless(harmless, open)
            .until(self.plan.schedule.until(index, begin.due))
            .late(begin.late > harmless)
    }

    fn stalled(&self, stage: &Stage) -> String {
        format!(
            "{}: no device got through for {} (`timeout` and `limits.drain` together): those at work were cut, the others not \
             started",
            stage.name,
            humantime::format_duration(stage.timeout + self.scenario.limits.drain),
        )
    }

    /// Shows progress, and ends the run when a threshold that may do so is not met. Never ends.
    async fn watch(&self, clock: RunClock) {
        if self.progress.is_none() && self.scenario.thresholds.iter().all(|threshold| threshold.abort_after.is_none()) {
            return std::future::pending().await;
        }
        let mut every = interval(publication::VIEW_EVERY);
        every.set_missed_tick_behavior(MissedTickBehavior::Skip);
        loop {
            every.tick().await;
            let now = clock.now();
            self.show(now);
            if now >= publication::COPY_EVERY {
                injected_panic("conductor");
            }
            self.check_thresholds(now);
        }
    }

    /// Shows what goes on now, when somebody watches.
    pub(crate) fn show(&self, now: Duration) {
        let Some(progress) = &self.progress else { return };
        let (stages, over) = self.board.progress(now);
        let part = if stages.iter().all(|stage| stage.all_due) { RunPart::Drain } else { RunPart::Measure };
        let connected = self.gauges.connected.now();
        progress.send_replace(Progress { part, elapsed: now, stages, over, connected, ..Progress::default() });
    }

    fn check_thresholds(&self, now: Duration) {
        if self.halt.is_cancelled() {
            return;
        }
        if let Some(result) = self.board.missed(&self.scenario.thresholds, now) {
            self.board.breaks(result);
            self.halt.cancel();
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
            let mut display = Display::new(Vec::new(), index, 3, S(1 + index as u64));
            display.end(&merged, S(2));
            let from = Duration::ZERO;
            conductor.board.began(OnBoard { display, begin: None, from, over: None });
        }
        conductor.check_thresholds(now);
        let broken = conductor.board.broken();
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
        assert!(matches!(conductor.board.take_defect(), Some(EngineError::WorkerLost(3))));
    }
}
