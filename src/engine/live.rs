//! What is known of stages while they go on.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::domain::{FailureClass, Phase};
use crate::engine::merge::Merged;
use crate::engine::recorder::Recorder;
use crate::engine::thresholds::{Numbers, Times};
use crate::engine::{Distributions, StageProgress, health};
use crate::measure::{CompactHistogram, Histogram, PhaseBuckets, PhaseHistograms, StageRecord, Totals};
use crate::scenario::Metric;

/// How often a snapshot is made.
pub(super) const EVERY: Duration = Duration::from_millis(200);

/// Every so many of them tells how times are distributed, which costs more.
const DISTRIBUTIONS_EVERY: u32 = 5;

/// Attempts in flight in each phase, in the order of [`Phase::ALL`].
type InPhases = [u64; Phase::COUNT];

/// What a worker tells about a stage a few times a second.
#[derive(Debug, Default)]
pub(super) struct Live {
    totals: Totals,
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
pub(super) type SharedLive = Arc<Mutex<Live>>;

impl Live {
    /// Nothing yet; `watched` are times that are wanted, `distributions` whether those of every phase are.
    pub(super) fn shared(watched: impl IntoIterator<Item = Times>, distributions: bool) -> SharedLive {
        let watched = watched.into_iter().map(|times| (times, Histogram::new())).collect();
        let detail = distributions.then(Detail::default);
        Arc::new(Mutex::new(Self { watched, detail, ..Self::default() }))
    }

    pub(super) fn publish(shared: &SharedLive, recorder: &Recorder, in_phases: InPhases, all_due: bool) {
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
pub(super) fn shown(mut stages: Vec<StageProgress>) -> (Vec<StageProgress>, Vec<StageProgress>) {
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
pub(super) struct Display {
    pub(super) workers: Vec<SharedLive>,
    pub(super) stage: usize,
    pub(super) planned: u64,
    /// When it began, on the clock of the run.
    pub(super) start: Duration,
    /// How long its devices stay connected, in real time.
    lasts: Option<Duration>,
    /// What is left of it once it is over.
    pub(super) over: Option<StageProgress>,
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
    pub(super) const fn new(
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
    pub(super) fn late(self, began_late: bool) -> Self {
        Self { began_late, ..self }
    }

    /// The same for a stage whose devices stay connected until then, on the clock of the run.
    pub(super) fn until(mut self, until: Option<Duration>) -> Self {
        self.lasts = until.map(|until| until.saturating_sub(self.start));
        self
    }

    /// The stage is over: from now on what it came to is told.
    pub(super) fn end(&mut self, merged: &Merged, now: Duration) {
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

    pub(super) fn snapshot(&mut self, now: Duration) -> StageProgress {
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
        let good = all.attempts_ended - all.totals.failed_attempts_total();
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
        let failed = totals.failed_total();
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
        let failed_here = totals.failed[FailureClass::Generator.index()] > 0;
        let saturated = failed_here || self.began_late || self.harmless.is_some_and(too_late);
        StageProgress {
            stage: self.stage,
            began: self.start,
            ended: None,
            lasts: self.lasts,
            all_due: *all_due,
            planned: self.planned,
            done: totals.succeeded + failed + totals.dropped + totals.skipped,
            succeeded: totals.succeeded,
            failed,
            dropped: totals.dropped,
            expired: totals.expired,
            attempts: totals.attempts,
            failed_attempts: totals.failed_attempts_total(),
            in_flight: totals.attempts.saturating_sub(*attempts_ended),
            in_phases: Phase::ALL.into_iter().zip(*in_phases).filter(|(_, count)| *count > 0).collect(),
            connected: *connected,
            disconnects: totals.disconnects,
            throttled: totals.throttled,
            rate,
            p50,
            p99: total.quantile(0.99),
            totals: *totals,
            saturated,
            distributions: distributions.map(Arc::new),
            lateness_p99: all.lateness.quantile(0.99),
        }
    }

    /// Adds what is known for a threshold on `metric` to `numbers`.
    pub(super) fn add_to(&self, metric: Metric, now: Duration, numbers: &mut Numbers) {
        let mut totals = Totals::default();
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
mod tests {
    use super::*;
    use crate::engine::Plan;
    use crate::engine::thresholds;
    use crate::measure::{Attempt, Observed, Outcome, PhaseTimes};
    use crate::scenario::{Comparison, Scenario, Statistic, Threshold};

    const MS: fn(u64) -> Duration = Duration::from_millis;
    const NOWHERE: InPhases = [0; Phase::COUNT];

    /// A worker whose successes took so many milliseconds each, and that had as many attempts.
    fn recorder(totals: &[u64]) -> Recorder {
        let mut recorder = Recorder::new();
        for total in totals {
            let mut times = PhaseTimes::new();
            times.set(Phase::Total, MS(*total));
            recorder.phases.record(&Attempt::that(Outcome::Success, times));
        }
        let count = totals.len() as u64;
        (recorder.totals.attempts, recorder.totals.succeeded, recorder.attempts_ended) = (count, count, count);
        recorder
    }

    fn publish(live: &SharedLive, recorder: &Recorder) {
        Live::publish(live, recorder, NOWHERE, false);
    }

    fn merged(recorder: &Recorder) -> Merged {
        let text = "schema = 1\nname = 'x'\nfleet.devices = 5\n\
                    [[stage]]\nname = 's'\nkind = 'provision'\narrival = 'at-once'\n";
        let mut merged = Merged::not_started(&Plan::new(&Scenario::parse("x.toml", text, &[]).unwrap(), 1), 0, MS(0));
        merged.stage.totals = recorder.totals;
        merged.stage.phases = (&recorder.phases).into();
        merged.lateness = (&recorder.lateness).into();
        (merged.stage.start, merged.stage.elapsed, merged.whole) = (MS(2_000), MS(4_000), true);
        merged
    }

    #[test]
    fn a_stage_that_goes_on_is_told_as_the_sum_of_its_workers() {
        let workers: Vec<_> = (0..2).map(|_| Live::shared([], true)).collect();
        let mut display = Display::new(workers.clone(), 3, 40, MS(2_000), None).until(Some(MS(62_000)));
        let nothing = display.snapshot(MS(2_000));
        assert_eq!((nothing.planned, nothing.done, nothing.p50, nothing.rate), (40, 0, None, 0.0));
        let mut one = recorder(&[100, 100, 100, 100]);
        (one.totals.attempts, one.totals.dropped, one.totals.skipped, one.totals.expired) = (9, 3, 5, 2);
        (one.totals.failed[FailureClass::Tls.index()], one.attempts_ended, one.connected) = (2, 6, 2);
        one.totals.failed_attempts[FailureClass::Tls.index()] = 2;
        (one.totals.disconnects, one.totals.throttled) = (7, 8);
        (0..9).for_each(|_| one.lateness.record(1_000_000));
        let mut other = recorder(&[300]);
        (other.totals.attempts, other.connected) = (3, 3);
        (0..3).for_each(|_| other.lateness.record(1_000_000));
        let (mut in_one, mut in_other) = (NOWHERE, NOWHERE);
        (in_one[Phase::Register.index()], in_other[Phase::Register.index()], in_other[Phase::HubTls.index()]) =
            (3, 1, 1);
        Live::publish(&workers[0], &one, in_one, true);
        Live::publish(&workers[1], &other, in_other, false);
        let told = display.snapshot(MS(2_200));
        assert_eq!((told.stage, told.began, told.ended, told.lasts), (3, MS(2_000), None, Some(MS(60_000))));
        assert_eq!((told.planned, told.succeeded, told.failed, told.dropped, told.expired), (40, 5, 2, 3, 2));
        assert_eq!(told.done, 5 + 2 + 3 + 5);
        assert_eq!((told.attempts, told.failed_attempts, told.in_flight), (12, 2, 12 - 7));
        assert_eq!((told.connected, told.disconnects, told.throttled), (5, 7, 8));
        assert_eq!(told.in_phases, [(Phase::Register, 4), (Phase::HubTls, 1)]);
        assert_eq!(told.totals.skipped, 5);
        assert!(!told.all_due, "more are to come on one of them");
        assert_eq!([told.p50, told.p99].map(|time| time.unwrap().as_millis()), [100, 300]);
        assert_eq!(told.lateness_p99.unwrap().as_millis(), 1);
        let distributions = told.distributions.as_ref().expect("they are wanted");
        assert_eq!(distributions.lateness_p50.unwrap().as_millis(), 1);
        let counts: Vec<_> =
            distributions.phases.iter().map(|(phase, good, times)| (phase, good, times.count())).collect();
        assert_eq!(counts, [(Phase::Total, true, 5)]);
        Live::publish(&workers[1], &other, in_other, true);
        assert!(display.snapshot(MS(2_400)).all_due);
    }

    #[test]
    fn the_rate_is_that_of_attempts_that_succeeded_over_about_the_last_second() {
        let live = Live::shared([], false);
        let mut display = Display::new(vec![Arc::clone(&live)], 0, 500, MS(0), None);
        let mut rates = Vec::new();
        // Ten in the first half second, of which four fail, none in the next, and 30 in the third.
        for (at, ended, failed) in
            [(0, 0, 0), (500, 10, 4), (1_000, 10, 4), (1_500, 40, 4), (1_500, 40, 4), (3_000, 40, 4)]
        {
            let mut recorder = Recorder::new();
            (recorder.attempts_ended, recorder.totals.failed_attempts[FailureClass::Tls.index()]) = (ended, failed);
            publish(&live, &recorder);
            rates.push(display.snapshot(MS(at)).rate);
        }
        assert_eq!(rates, [0.0, 12.0, 6.0, 30.0, 30.0, 0.0]);
        assert_eq!(display.snapshot(MS(3_000)).distributions, None, "nobody wants them");
    }

    #[test]
    fn the_generator_is_the_bottleneck_when_devices_are_dropped_late_or_fail_within_it() {
        let saturated = |recorder: &Recorder, harmless, began_late| {
            let live = Live::shared([], true);
            publish(&live, recorder);
            Display::new(vec![live], 0, 5, MS(0), harmless).late(began_late).snapshot(MS(100)).saturated
        };
        let fine = || recorder(&[100]);
        let (some, none) = (Some(MS(50)), None);
        assert!(!saturated(&fine(), some, false));
        assert!(saturated(&fine(), some, true), "the stage itself began late");
        let mut failed = fine();
        failed.totals.failed[FailureClass::Generator.index()] = 1;
        assert!(saturated(&failed, some, false) && saturated(&failed, none, false));
        let mut of_the_service = fine();
        of_the_service.totals.failed[FailureClass::Tls.index()] = 1;
        assert!(!saturated(&of_the_service, some, false));
        let mut dropped = recorder(&[]);
        dropped.totals.dropped = 1;
        assert!(
            saturated(&dropped, some, false) && !saturated(&dropped, none, false),
            "nobody can be late in a closed one"
        );
        let mut late = fine();
        late.lateness.record(70_000_000);
        let lateness = late.lateness.quantile(0.99).unwrap();
        let nanosecond = Duration::from_nanos(1);
        assert!(!saturated(&late, Some(lateness), false), "as late as is harmless");
        assert!(!saturated(&late, Some(lateness + nanosecond), false));
        assert!(saturated(&late, Some(lateness - nanosecond), false));
        // A tenth of the median is harmless too, and of the time until a lost connection was there again.
        let mut slow = recorder(&[1_000]);
        slow.lateness.record(70_000_000);
        assert!(!saturated(&slow, some, false));
        late.recovered(MS(1_000));
        assert!(!saturated(&late, some, false));
    }

    #[test]
    fn distributions_are_told_anew_with_every_fifth_time() {
        let live = Live::shared([], true);
        let mut display = Display::new(vec![Arc::clone(&live)], 0, 5, MS(0), None);
        let mut counts = Vec::new();
        for published in 1..=7 {
            publish(&live, &recorder(&vec![100; published]));
            let distributions = display.snapshot(MS(200 * published as u64)).distributions.unwrap();
            counts.push(distributions.phases.iter().map(|(_, _, times)| times.count()).sum::<u64>());
        }
        assert_eq!(counts, [1, 1, 1, 1, 1, 6, 6]);
    }

    #[test]
    fn a_stage_that_is_over_is_told_as_what_it_came_to() {
        let live = Live::shared([], true);
        let mut display = Display::new(vec![Arc::clone(&live)], 2, 5, MS(2_000), None);
        let mut part = recorder(&[100]);
        part.connected = 1;
        publish(&live, &part);
        display.snapshot(MS(5_000));
        let mut all = recorder(&[100, 200, 200]);
        all.totals.dropped = 2;
        all.lateness.record(1_000_000);
        display.end(&merged(&all), MS(6_500));
        // However long afterwards it is looked at.
        for now in [6_500, 60_000] {
            let told = display.snapshot(MS(now));
            assert_eq!((told.stage, told.began, told.ended), (2, MS(2_000), Some(MS(6_500))));
            assert_eq!((told.done, told.succeeded, told.in_flight, told.connected, told.rate), (5, 3, 0, 0, 0.0));
            assert!(told.all_due && told.in_phases.is_empty());
            assert_eq!(told.p50.unwrap().as_millis(), 200);
            assert_eq!(told.distributions.unwrap().lateness_p99.unwrap().as_millis(), 1);
        }
        let mut unwatched = Display::new(vec![Live::shared([], false)], 2, 5, MS(2_000), None);
        unwatched.end(&merged(&all), MS(6_500));
        assert_eq!(unwatched.snapshot(MS(7_000)).distributions, None);
    }

    #[test]
    fn a_threshold_sees_the_times_that_it_waits_for_while_the_stage_goes_on_and_once_it_is_over() {
        let total = |statistic| Metric::Phase { phase: Phase::Total, succeeded: true, statistic };
        let observed = |display: &Display, metric, now| {
            let text = "t".to_owned();
            let threshold = Threshold {
                text,
                stages: vec![0],
                metric,
                comparison: Comparison::Less,
                bound: 1.0,
                abort_after: None,
            };
            let mut numbers = Numbers::default();
            display.add_to(metric, now, &mut numbers);
            thresholds::judge(&threshold, &numbers, None).observed
        };
        let (one, other) = (recorder(&[100]), recorder(&[100, 300]));
        // Told apart by how many they are.
        let late = |mut recorder: Recorder, times: u64| {
            (0..times).for_each(|_| recorder.lateness.record(1_000_000));
            recorder
        };
        let (one, other) = (late(one, 5), late(other, 2));
        let watched = || [total(Statistic::Max), Metric::Lateness(Statistic::Max)].into_iter().filter_map(Times::of);
        let workers: Vec<_> = (0..2).map(|_| Live::shared(watched(), false)).collect();
        let mut display = Display::new(workers.clone(), 0, 5, MS(2_000), None);
        publish(&workers[0], &one);
        publish(&workers[1], &other);
        let count = Statistic::Count;
        let all = |display: &Display, now| {
            [total(count), Metric::Lateness(count), Metric::SuccessRate, Metric::Throughput]
                .map(|metric| observed(display, metric, now))
        };
        let (number, share) = (Observed::Number, Observed::Share(1.0));
        let partly = all(&display, MS(8_000));
        // Nobody has started as far as the totals here say, so that there is no throughput of a part.
        assert_eq!(partly, [number(3.0), number(7.0), share, Observed::Nothing]);
        let mut sum = late(recorder(&[100, 100, 300, 300]), 9);
        sum.totals.started = 4;
        display.end(&merged(&sum), MS(6_500));
        // Four in the four seconds that it took.
        assert_eq!(all(&display, MS(60_000)), [number(4.0), number(9.0), share, Observed::PerSecond(1.0)]);
        let unwatched = Display::new(vec![Live::shared([], false)], 0, 5, MS(2_000), None);
        publish(&unwatched.workers[0], &one);
        assert_eq!(observed(&unwatched, total(count), MS(8_000)), Observed::Nothing);
    }
}
