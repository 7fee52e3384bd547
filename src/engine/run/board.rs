//! What is known of a run and its stages while it goes on: when they begin and ended, what their workers told last, what the
//! reader must know, what broke. Whoever conducts the run writes it; those who wait for stages, who watch, thresholds that end
//! the run, and the keeper on its own thread read it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;

use crate::domain::Threshold;
use crate::engine::error::EngineError;
use crate::engine::plan::Plan;
use crate::engine::plan::schedule::StageTimes;
use crate::engine::record::merge::{self, Merged};
use crate::engine::record::recorder::{Errors, Recorder};
use crate::engine::record::stage_share::StageShare;
use crate::engine::watch::display::{self, Display};
use crate::engine::watch::progress::StageProgress;
use crate::engine::watch::thresholds::{self, Numbers};
use crate::measure::{Begin, ThresholdResult};

pub(crate) struct Board {
    plan: Arc<Plan>,
    /// Whether somebody wants to know what stages came to before the end of the run.
    keeps: bool,
    /// By stage, on the clock of the run.
    times: watch::Sender<Vec<StageTimes>>,
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    /// In the order in which they began.
    stages: Vec<OnBoard>,
    /// Failures of those that are over.
    errors: Errors,
    notes: Vec<String>,
    /// The threshold that ended the run.
    broken: Option<ThresholdResult>,
    /// What of the generator itself broke.
    defect: Option<EngineError>,
}

/// A stage that began, or never will.
pub(crate) struct OnBoard {
    pub(crate) display: Display,
    /// When it was due to begin and how late it was; `None` when it never began.
    pub(crate) begin: Option<Begin>,
    /// First due time, on the clock of the run.
    pub(crate) from: Duration,
    /// All of it, once it is over.
    pub(crate) over: Option<Merged>,
}

/// How far a stage came.
enum StageState {
    NotBegun,
    GoesOn { records: Vec<Arc<Recorder>>, begin: Option<Begin>, from: Duration },
    Over(Box<Merged>),
}

impl Board {
    pub(crate) fn new(plan: Arc<Plan>, keeps: bool) -> Self {
        let times = watch::Sender::new(vec![StageTimes::default(); plan.stages.len()]);
        Self { plan, keeps, times, known: Mutex::default() }
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// When a stage is to begin, once that is known.
    pub(crate) async fn begin(&self, index: usize) -> Duration {
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

    /// A stage begins at that time.
    pub(crate) fn begins(&self, index: usize, at: Duration) {
        self.times.send_modify(|times| times[index].begins = Some(at));
    }

    /// A stage began, or never will.
    pub(crate) fn began(&self, stage: OnBoard) {
        self.known().stages.push(stage);
    }

    /// A stage is over and came to that, with these failures.
    pub(crate) fn over(&self, index: usize, merged: &Merged, errors: &Errors, now: Duration) {
        let kept = self.keeps.then(|| merged.clone());
        {
            let mut known = self.known();
            known.errors.merge(errors);
            if let Some(stage) = known.stage(index) {
                stage.display.end(merged, now);
                stage.over = kept;
            }
        }
        self.times.send_modify(|times| {
            times[index].begins.get_or_insert(now);
            times[index].ended = Some(now);
        });
    }

    /// Stages that go on and those that are over, for those who look.
    pub(crate) fn progress(&self, now: Duration) -> (Vec<StageProgress>, Vec<StageProgress>) {
        display::shown(self.known().stages.iter_mut().map(|stage| stage.display.snapshot(now)).collect())
    }

    /// The first threshold that may end the run and is not met by what its stages have shown.
    pub(crate) fn missed(&self, thresholds: &[Threshold], now: Duration) -> Option<ThresholdResult> {
        let known = self.known();
        thresholds.iter().find_map(|threshold| {
            let after = threshold.abort_after?;
            let displays = known.stages.iter().map(|stage| &stage.display);
            let concerned: Vec<_> = displays.filter(|display| threshold.stages.contains(&display.stage)).collect();
            let began = concerned.iter().map(|display| display.start).min()?;
            if now < began + after {
                return None;
            }
            let mut numbers = Numbers::default();
            concerned.iter().for_each(|display| display.add_to(threshold.metric, now, &mut numbers));
            if concerned.len() < threshold.stages.len() {
                numbers.lacks_stage();
            }
            let result = thresholds::judge(threshold, &numbers, Some(now));
            // As long as there is nothing to look at, or what there is tells nothing yet, nothing is wrong yet.
            let holds = threshold.comparison.is_known_to_hold(result.observed?, threshold.bound);
            (holds == Some(false)).then_some(result)
        })
    }

    /// Something that the reader must know.
    pub(crate) fn note(&self, note: String) {
        self.known().notes.push(note);
    }

    pub(crate) fn notes(&self) -> Vec<String> {
        self.known().notes.clone()
    }

    /// A threshold ends the run; the first that does stays.
    pub(crate) fn breaks(&self, result: ThresholdResult) {
        self.known().broken.get_or_insert(result);
    }

    pub(crate) fn broken(&self) -> Option<ThresholdResult> {
        self.known().broken.clone()
    }

    /// The generator itself broke; the first defect is the one that is told.
    pub(crate) fn defect(&self, defect: EngineError) {
        self.known().defect.get_or_insert(defect);
    }

    pub(crate) fn take_defect(&self) -> Option<EngineError> {
        self.known().defect.take()
    }

    /// Failures of the stages that are over.
    pub(crate) fn errors(&self) -> Errors {
        self.known().errors.clone()
    }

    /// What a worker last published of a stage that goes on.
    pub(crate) fn last_of(&self, index: usize, worker: usize) -> Option<Recorder> {
        let mut known = self.known();
        let published = known.stage(index)?.display.workers.get(worker)?.copy()?;
        Some(published.copy())
    }

    /// A stage as if it had been cut off when its workers last published a copy, and its failures.
    pub(crate) fn cut_off(&self, index: usize, now: Duration) -> (Merged, Errors) {
        let seen = self.known().seen(index);
        let mut errors = Errors::default();
        (self.merged(index, seen, now, &mut errors), errors)
    }

    /// Every stage, those that go on as if they were cut off, and all failures.
    pub(crate) fn stages(&self, now: Duration) -> (Vec<Merged>, Errors) {
        // What is over, and what is not, at one moment: no failure is in neither or in both.
        let (seen, mut errors) = {
            let mut known = self.known();
            let seen: Vec<_> = (0..self.plan.stages.len()).map(|index| known.seen(index)).collect();
            (seen, known.errors.clone())
        };
        let seen = seen.into_iter().enumerate();
        let merged = seen.map(|(index, seen)| self.merged(index, seen, now, &mut errors)).collect();
        (merged, errors)
    }

    fn merged(&self, index: usize, seen: StageState, now: Duration, errors: &mut Errors) -> Merged {
        let (records, begin, from) = match seen {
            StageState::NotBegun => return Merged::not_started(&self.plan, index, now),
            StageState::Over(merged) => return *merged,
            StageState::GoesOn { records, begin, from } => (records, begin, from),
        };
        let share = |record: Arc<Recorder>| StageShare { recorder: record.copy(), ..StageShare::default() };
        let mut merged = merge::stage(&self.plan, index, records.into_iter().map(share).collect(), from, errors);
        merged.stage.begin = begin;
        // Workers that have published none yet have started nobody.
        let devices = u64::from(self.plan.stages[index].devices);
        let totals = &mut merged.stage.totals;
        totals.not_started += devices.saturating_sub(totals.planned);
        totals.planned = totals.planned.max(devices);
        merged
    }
}

impl Known {
    fn stage(&mut self, index: usize) -> Option<&mut OnBoard> {
        self.stages.iter_mut().find(|stage| stage.display.stage == index)
    }

    fn seen(&mut self, index: usize) -> StageState {
        match self.stage(index) {
            None => StageState::NotBegun,
            Some(OnBoard { over: Some(merged), .. }) => StageState::Over(Box::new(merged.clone())),
            Some(stage) => StageState::GoesOn { records: stage.display.copies(), begin: stage.begin, from: stage.from },
        }
    }
}

#[cfg(test)]
mod tests;
