//! What is known of stages while they go on.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use crate::domain::{Known, Metric, Phase};
use crate::engine::record::merge::Merged;
use crate::engine::record::publication::{Detail, Interest, Publication, View};
use crate::engine::record::recorder::Recorder;
use crate::engine::record::times::Times;
use crate::engine::watch::progress::{Distributions, StageProgress};
use crate::engine::watch::saturation::Evidence;
use crate::engine::watch::thresholds::Numbers;
use crate::measure::{CompactHistogram, Counts, StageRecord};

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
    pub(crate) workers: Vec<Publication>,
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
    /// Lateness that matters to nobody, and whether devices come when they are due.
    harmless: Duration,
    open: bool,
    /// The stage itself began so late that it is not harmless.
    began_late: bool,
    /// Successful attempts at the last times, for the rate.
    recent: VecDeque<(Duration, u64)>,
}

impl Display {
    pub(crate) const fn new(workers: Vec<Publication>, stage: usize, planned: u64, start: Duration) -> Self {
        Self {
            workers,
            stage,
            planned,
            start,
            lasts: None,
            over: None,
            watched: Vec::new(),
            ended: None,
            harmless: Duration::MAX,
            open: false,
            began_late: false,
            recent: VecDeque::new(),
        }
    }

    /// The lateness that matters to nobody, and whether devices come when they are due.
    pub(crate) fn harmless(self, harmless: Duration, open: bool) -> Self {
        Self { harmless, open, ..self }
    }

    /// Whether the stage itself began so late that it is not harmless.
    pub(crate) fn late(self, began_late: bool) -> Self {
        Self { began_late, ..self }
    }

    /// Of a stage whose devices stay connected until then, on the clock of the run.
    pub(crate) fn until(mut self, until: Option<Duration>) -> Self {
        self.lasts = until.map(|until| until.saturating_sub(self.start));
        self
    }

    /// The stage is over: from now on what it came to is told.
    pub(crate) fn end(&mut self, merged: &Merged, now: Duration) {
        let StageRecord { totals, phases, .. } = &merged.stage;
        // Whatever workers told is in the sum: only that stays, and at rest.
        let workers = std::mem::take(&mut self.workers);
        let wanted = workers.first().map(Publication::wanted);
        let times = |times: &Times| (*times, times.at_rest(phases, &merged.lateness));
        let anyhow = Interest::new([], false, false);
        let times: Vec<_> = wanted.unwrap_or(&anyhow).times().iter().map(times).collect();
        if wanted.is_some() {
            self.watched = times.iter().map(|(wanted, times)| (*wanted, CompactHistogram::new(times))).collect();
        }
        let detail = wanted.is_some_and(|wanted| wanted.distributions);
        let detail = detail.then(|| {
            let late_steps = merged.late_steps.each_ref().map(CompactHistogram::decode);
            Arc::new(Detail::new(&phases.decode(), &merged.lateness.decode(), late_steps))
        });
        let attempts_ended = totals.attempts;
        let all = View { totals: *totals, attempts_ended, all_due: true, times, detail, ..View::default() };
        self.over = Some(StageProgress { ended: Some(now), ..self.told(&all, 0.0) });
        self.ended = Some((merged.stage.span(), merged.whole));
    }

    /// The newest copy of every worker that has published one.
    pub(crate) fn copies(&self) -> Vec<Arc<Recorder>> {
        self.workers.iter().filter_map(Publication::copy).collect()
    }

    pub(crate) fn snapshot(&mut self, now: Duration) -> StageProgress {
        if let Some(over) = &self.over {
            return over.clone();
        }
        let mut all = View { all_due: true, ..View::default() };
        self.workers.iter().for_each(|worker| all.add(&worker.view()));
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

    fn told(&self, all: &View, rate: f64) -> StageProgress {
        let View { totals, attempts_ended, connected, in_phases, all_due, detail, .. } = all;
        // Before anybody is through there is nothing to tell of how long it takes.
        let total = all.total().filter(|total| total.share() > 0.0);
        let p50 = total.as_ref().map(|total| total.quantile(0.5));
        let distributions = detail.as_ref().map(|detail| Distributions {
            lateness_p50: detail.lateness.quantile(0.5),
            lateness_p99: detail.lateness.quantile(0.99),
            phases: detail.phases.clone(),
        });
        let evidence = Evidence {
            totals,
            least: self.harmless,
            open: self.open,
            late_steps: detail.as_ref().map(|detail| detail.late_p99()).unwrap_or_default(),
            lateness: distributions.as_ref().and_then(|distributions| distributions.lateness_p99),
            median: p50.map(Known::least),
            recover: detail.as_ref().and_then(|detail| detail.recover),
            began_late: self.began_late,
        };
        let saturated = evidence.reasons().next().is_some();
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
            p99: total.map(|total| total.quantile(0.99)),
            totals: Counts { planned: self.planned, ..*totals },
            saturated,
            distributions: distributions.map(Arc::new),
            lateness_p99: all.times(Times::Lateness).and_then(|lateness| lateness.quantile(0.99)),
        }
    }

    /// Adds what is known for a threshold on `metric` to `numbers`.
    pub(crate) fn add_to(&self, metric: Metric, now: Duration, numbers: &mut Numbers) {
        let mut totals = Counts::default();
        let wanted = Times::of(metric);
        for worker in &self.workers {
            let view = worker.view();
            totals.add(&view.totals);
            for times in &wanted {
                if let Some(of_worker) = view.times(*times) {
                    numbers.add_times(*times, of_worker);
                }
            }
        }
        for (times, watched) in self.watched.iter().filter(|(times, _)| wanted.contains(times)) {
            numbers.add_times(*times, &watched.decode());
        }
        let totals = self.over.as_ref().map_or(totals, |over| over.totals);
        let (span, whole) = self.ended.unwrap_or(((self.start, now), false));
        numbers.add_stage(&totals, span, whole);
    }
}

#[cfg(test)]
mod tests;
