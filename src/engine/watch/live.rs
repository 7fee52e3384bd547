//! What is known of stages while they go on.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::domain::{FailureClass, Phase};
use crate::engine::record::merge::Merged;
use crate::engine::record::recorder::Recorder;
use crate::engine::watch::health;
use crate::engine::watch::progress::Distributions;
use crate::engine::watch::progress::StageProgress;
use crate::engine::watch::thresholds::{Numbers, Times};
use crate::measure::{CompactHistogram, Counts, Histogram, PhaseBuckets, PhaseHistograms, StageRecord};
use crate::scenario::Metric;

/// How often a snapshot is made.
pub(crate) const EVERY: Duration = Duration::from_millis(200);

/// Every so many of them tells how times are distributed, which costs more.
const DISTRIBUTIONS_EVERY: u32 = 5;

/// Attempts in flight in each phase, in the order of [`Phase::ALL`].
type InPhases = [u64; Phase::COUNT];

/// What a worker tells about a stage a few times a second.
#[derive(Debug, Default)]
pub(crate) struct Live {
    totals: Counts,
    attempts_ended: u64,
    connected: u64,
    in_phases: InPhases,
    all_due: bool,
    total: Histogram,
    lateness: Histogram,
    /// Times that a threshold waits for.
    watched: Vec<(Times, Histogram)>,
    detail: Option<Detail>,
}

/// What is told once a second, when somebody wants it.
#[derive(Debug, Default)]
struct Detail {
    /// How often the worker told about the stage.
    told: u32,
    phases: PhaseBuckets,
    lateness: Histogram,
    /// Median time until a lost connection was there again.
    recover: Option<Duration>,
}

impl Detail {
    fn new(phases: &PhaseHistograms, lateness: &Histogram) -> Self {
        let recover = phases.succeeded(Phase::Recover).and_then(|times| times.quantile(0.5));
        Self { told: 0, phases: PhaseBuckets::of(phases), lateness: lateness.clone(), recover }
    }
}

/// One per worker and stage, shared with those who look.
pub(crate) type SharedLive = Arc<Mutex<Live>>;

impl Live {
    /// Nothing yet; `watched` are times that are wanted, `distributions` whether those of every phase are.
    pub(crate) fn shared(watched: impl IntoIterator<Item = Times>, distributions: bool) -> SharedLive {
        let watched = watched.into_iter().map(|times| (times, Histogram::new())).collect();
        let detail = distributions.then(Detail::default);
        Arc::new(Mutex::new(Self { watched, detail, ..Self::default() }))
    }

    pub(crate) fn publish(shared: &SharedLive, recorder: &Recorder, in_phases: InPhases, all_due: bool) {
        let mut live = shared.lock().unwrap_or_else(PoisonError::into_inner);
        live.totals = recorder.totals;
        live.attempts_ended = recorder.attempts_ended;
        live.connected = recorder.connected;
        live.in_phases = in_phases;
        live.all_due = all_due;
        if let Some(total) = recorder.phases.succeeded(Phase::Total) {
            live.total.clone_from(total);
        }
        live.lateness.clone_from(&recorder.lateness);
        for (times, watched) in &mut live.watched {
            if let Some(found) = times.recorded(&recorder.phases, &recorder.lateness) {
                watched.clone_from(found);
            }
        }
        if let Some(detail) = &mut live.detail {
            let told = detail.told.wrapping_add(1);
            if detail.told.is_multiple_of(DISTRIBUTIONS_EVERY) {
                *detail = Detail::new(&recorder.phases, &recorder.lateness);
            }
            detail.told = told;
        }
    }
}

/// Stages that go on and those that are over, each in the order in which they began. While none goes on, the one that ended
/// last stands for those that do: there is more to see of it than of nothing.
pub(crate) fn shown(mut stages: Vec<StageProgress>) -> (Vec<StageProgress>, Vec<StageProgress>) {
    let ends = stages.iter().enumerate().map(|(place, stage)| stage.ended.map(|ended| (ended, place)));
    let ends: Option<Vec<_>> = ends.collect();
    if let Some((_, last)) = ends.and_then(|ends| ends.into_iter().max()) {
        let last = stages.remove(last);
        return (vec![last], stages);
    }
    stages.into_iter().partition(|stage| stage.ended.is_none())
}

/// A stage that goes on, as those see it who look from outside.
#[derive(Debug)]
pub(crate) struct Display {
    pub(crate) workers: Vec<SharedLive>,
    pub(crate) stage: usize,
    pub(crate) planned: u64,
    /// When it began, on the clock of the run.
    pub(crate) start: Duration,
    /// How long its devices stay connected.
    lasts: Option<Duration>,
    /// What is left of it once it is over.
    pub(crate) over: Option<StageProgress>,
    /// Times that a threshold waits for, once it is over.
    watched: Vec<(Times, CompactHistogram)>,
    /// From when until when it went on, and whether to its end, once it is over.
    ended: Option<((Duration, Duration), bool)>,
    /// Lateness that matters to nobody; `None` when devices do not come when they are due, so that nobody can be late.
    harmless: Option<Duration>,
    /// The stage itself began so late that it is not harmless.
    began_late: bool,
    /// Successful attempts at the last times, for the rate.
    recent: VecDeque<(Duration, u64)>,
}

impl Display {
    pub(crate) const fn new(
        workers: Vec<SharedLive>,
        stage: usize,
        planned: u64,
        start: Duration,
        harmless: Option<Duration>,
    ) -> Self {
        Self {
            workers,
            stage,
            planned,
            start,
            lasts: None,
            over: None,
            watched: Vec::new(),
            ended: None,
            harmless,
            began_late: false,
            recent: VecDeque::new(),
        }
    }

    /// Whether the stage itself began so late that it is not harmless.
    pub(crate) fn late(self, began_late: bool) -> Self {
        Self { began_late, ..self }
    }

    /// The same for a stage whose devices stay connected until then, on the clock of the run.
    pub(crate) fn until(mut self, until: Option<Duration>) -> Self {
        self.lasts = until.map(|until| until.saturating_sub(self.start));
        self
    }

    /// The stage is over: from now on what it came to is told.
    pub(crate) fn end(&mut self, merged: &Merged, now: Duration) {
        let StageRecord { totals, phases, .. } = &merged.stage;
        // Whatever workers told is in the sum: only that stays, and at rest.
        let workers = std::mem::take(&mut self.workers);
        let (mut has_detail, lateness) = (false, merged.lateness.decode());
        if let Some(live) = workers.first() {
            let live = live.lock().unwrap_or_else(PoisonError::into_inner);
            has_detail = live.detail.is_some();
            let at_rest = |times: Times| CompactHistogram::new(&times.at_rest(phases, &merged.lateness));
            self.watched = live.watched.iter().map(|(times, _)| (*times, at_rest(*times))).collect();
        }
        let all = Live {
            totals: *totals,
            attempts_ended: totals.attempts,
            connected: 0,
            in_phases: InPhases::default(),
            all_due: true,
            total: phases.succeeded(Phase::Total).unwrap_or_default(),
            detail: has_detail.then(|| Detail::new(&phases.decode(), &lateness)),
            lateness,
            watched: Vec::new(),
        };
        self.over = Some(StageProgress { ended: Some(now), ..self.told(&all, 0.0) });
        self.ended = Some((merged.stage.span(), merged.whole));
    }

    pub(crate) fn snapshot(&mut self, now: Duration) -> StageProgress {
        if let Some(over) = &self.over {
            return over.clone();
        }
        let mut all = Live { all_due: true, ..Live::default() };
        for worker in &self.workers {
            let live = worker.lock().unwrap_or_else(PoisonError::into_inner);
            all.totals.add(&live.totals);
            all.attempts_ended += live.attempts_ended;
            all.connected += live.connected;
            all.in_phases.iter_mut().zip(live.in_phases).for_each(|(all, of_worker)| *all += of_worker);
            all.all_due &= live.all_due;
            all.total.merge(&live.total);
            all.lateness.merge(&live.lateness);
            if let Some(detail) = &live.detail {
                let all = all.detail.get_or_insert_default();
                all.phases.add(&detail.phases);
                all.lateness.merge(&detail.lateness);
                all.recover = all.recover.max(detail.recover);
            }
        }
        let good = all.attempts_ended - all.totals.failed_attempts.total();
        self.recent.push_back((now, good));
        while self.recent.front().is_some_and(|(at, _)| *at + Duration::from_millis(1_100) < now) {
            self.recent.pop_front();
        }
        let rate = self.recent.front().map_or(0.0, |(at, before)| {
            let seconds = now.saturating_sub(*at).as_secs_f64();
            if seconds > 0.0 { good.saturating_sub(*before) as f64 / seconds } else { 0.0 }
        });
        self.told(&all, rate)
    }

    fn told(&self, all: &Live, rate: f64) -> StageProgress {
        let Live { totals, attempts_ended, connected, in_phases, all_due, total, detail, .. } = all;
        let p50 = total.quantile(0.5);
        let distributions = detail.as_ref().map(|detail| Distributions {
            lateness_p50: detail.lateness.quantile(0.5),
            lateness_p99: detail.lateness.quantile(0.99),
            phases: detail.phases.clone(),
        });
        let recover = detail.as_ref().and_then(|detail| detail.recover);
        let lateness = distributions.as_ref().and_then(|distributions| distributions.lateness_p99);
        let too_late = |least| {
            let is_late = |(lateness, median)| {
                lateness > health::harmless(recover.map_or(median, |time| time.max(median)), least)
            };
            totals.dropped > 0 || lateness.zip(p50).is_some_and(is_late)
        };
        let failed_here = totals.failed[FailureClass::Generator] > 0;
        let saturated = failed_here || self.began_late || self.harmless.is_some_and(too_late);
        StageProgress {
            stage: self.stage,
            began: self.start,
            ended: None,
            lasts: self.lasts,
            all_due: *all_due,
            in_flight: totals.attempts.saturating_sub(*attempts_ended),
            in_phases: Phase::ALL.into_iter().zip(*in_phases).filter(|(_, count)| *count > 0).collect(),
            connected: *connected,
            rate,
            p50,
            p99: total.quantile(0.99),
            totals: Counts { planned: self.planned, ..*totals },
            saturated,
            distributions: distributions.map(Arc::new),
            lateness_p99: all.lateness.quantile(0.99),
        }
    }

    /// Adds what is known for a threshold on `metric` to `numbers`.
    pub(crate) fn add_to(&self, metric: Metric, now: Duration, numbers: &mut Numbers) {
        let mut totals = Counts::default();
        let wanted = Times::of(metric);
        for worker in &self.workers {
            let live = worker.lock().unwrap_or_else(PoisonError::into_inner);
            totals.add(&live.totals);
            if let Some((_, times)) = live.watched.iter().find(|(watched, _)| Some(*watched) == wanted) {
                numbers.add_times(times);
            }
        }
        if let Some((_, times)) = self.watched.iter().find(|(watched, _)| Some(*watched) == wanted) {
            numbers.add_times(&times.decode());
        }
        let totals = self.over.as_ref().map_or(totals, |over| over.totals);
        let (span, whole) = self.ended.unwrap_or(((self.start, now), false));
        numbers.add_stage(&totals, span, whole);
    }
}

#[cfg(test)]
mod tests;
