use super::*;
use crate::domain::{ComparisonOperator, FailureClass, Fate, Known, Quantity, Ratio, Statistic, Threshold, Whose};
use crate::engine::plan::Plan;
use crate::engine::record::publication::{InPhases, Publisher};
use crate::engine::watch::thresholds;
use crate::measure::{Attempt, Outcome, PhaseTimes};
use crate::scenario::Scenario;

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

fn publish(worker: &mut Publisher, recorder: &Recorder) {
    worker.view(recorder, MS(0), NOWHERE, false);
}

/// A worker's end of what it publishes, with those times for thresholds, and that of those who look.
fn worker(times: impl IntoIterator<Item = Times>, distributions: bool) -> (Publisher, Publication) {
    let publication = Publication::new(Arc::new(Interest::new(times, distributions, false)));
    (Publisher::new(publication.clone(), 5), publication)
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
    let ((mut first, of_first), (mut second, of_second)) = (worker([], true), worker([], true));
    let mut display = Display::new(vec![of_first, of_second], 3, 40, MS(2_000)).until(Some(MS(62_000)));
    let nothing = display.snapshot(MS(2_000));
    assert_eq!((nothing.totals.planned, nothing.totals.through(), nothing.p50, nothing.rate), (40, 0, None, 0.0));
    let mut one = recorder(&[100, 100, 100, 100]);
    (one.totals.attempts, one.totals.dropped, one.totals.skipped, one.totals.expired) = (9, 3, 5, 2);
    (one.totals.failed[FailureClass::Tls], one.attempts_ended, one.connected) = (2, 6, 2);
    one.totals.failed_attempts[FailureClass::Tls] = 2;
    (one.totals.disconnects, one.totals.throttled) = (7, 8);
    (0..9).for_each(|_| one.lateness.record(1_000_000));
    let mut other = recorder(&[300]);
    (other.totals.attempts, other.connected) = (3, 3);
    (0..3).for_each(|_| other.lateness.record(1_000_000));
    let (mut in_one, mut in_other) = (NOWHERE, NOWHERE);
    (in_one[Phase::Register.index()], in_other[Phase::Register.index()], in_other[Phase::HubTls.index()]) = (3, 1, 1);
    first.view(&one, MS(0), in_one, true);
    second.view(&other, MS(0), in_other, false);
    let told = display.snapshot(MS(2_200));
    assert_eq!((told.stage, told.began, told.ended, told.lasts), (3, MS(2_000), None, Some(MS(60_000))));
    let totals = told.totals;
    assert_eq!(
        (totals.planned, totals.succeeded, totals.failed.total(), totals.dropped, totals.expired),
        (40, 5, 2, 3, 2)
    );
    assert_eq!(totals.through(), 5 + 2 + 3 + 5);
    assert_eq!((totals.attempts, totals.failed_attempts.total(), told.in_flight), (12, 2, 12 - 7));
    assert_eq!((told.connected, totals.disconnects, totals.throttled), (5, 7, 8));
    assert_eq!(told.in_phases, [(Phase::Register, 4), (Phase::HubTls, 1)]);
    assert_eq!(told.totals.skipped, 5);
    assert!(!told.all_due, "more are to come on one of them");
    assert_eq!([told.p50, told.p99].map(|time| time.unwrap().exact().unwrap().as_millis()), [100, 300]);
    assert_eq!(told.lateness_p99.unwrap().as_millis(), 1);
    let distributions = told.distributions.as_ref().expect("they are wanted");
    assert_eq!(distributions.lateness_p50.unwrap().as_millis(), 1);
    let counts: Vec<_> = distributions.phases.iter().map(|(phase, good, times)| (phase, good, times.count())).collect();
    assert_eq!(counts, [(Phase::Total, Fate::Succeeded, 5)]);
    second.view(&other, MS(0), in_other, true);
    assert!(display.snapshot(MS(2_400)).all_due);
}

#[test]
fn the_rate_is_that_of_attempts_that_succeeded_over_about_the_last_second() {
    let (mut worker, seen) = worker([], false);
    let mut display = Display::new(vec![seen], 0, 500, MS(0));
    let mut rates = Vec::new();
    // Ten in the first half second, of which four fail, none in the next, and 30 in the third.
    for (at, ended, failed) in [(0, 0, 0), (500, 10, 4), (1_000, 10, 4), (1_500, 40, 4), (1_500, 40, 4), (3_000, 40, 4)]
    {
        let mut recorder = Recorder::new();
        (recorder.attempts_ended, recorder.totals.failed_attempts[FailureClass::Tls]) = (ended, failed);
        publish(&mut worker, &recorder);
        rates.push(display.snapshot(MS(at)).rate);
    }
    assert_eq!(rates, [0.0, 12.0, 6.0, 30.0, 30.0, 0.0]);
    assert_eq!(display.snapshot(MS(3_000)).distributions, None, "nobody wants them");
}

#[test]
fn the_generator_is_the_bottleneck_when_devices_are_dropped_late_or_fail_within_it() {
    let saturated = |recorder: &Recorder, harmless: Option<Duration>, began_late| {
        let (mut worker, seen) = worker([], true);
        publish(&mut worker, recorder);
        Display::new(vec![seen], 0, 5, MS(0))
            .harmless(harmless.unwrap_or(MS(50)), harmless.is_some())
            .late(began_late)
            .snapshot(MS(100))
            .saturated
    };
    let fine = || recorder(&[100]);
    let (some, none) = (Some(MS(50)), None);
    assert!(!saturated(&fine(), some, false));
    assert!(saturated(&fine(), some, true), "the stage itself began late");
    let mut failed = fine();
    failed.totals.failed[FailureClass::Generator] = 1;
    assert!(saturated(&failed, some, false) && saturated(&failed, none, false));
    let mut of_the_service = fine();
    of_the_service.totals.failed[FailureClass::Tls] = 1;
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
    late.at_work.begins(7, MS(0));
    late.lost(7, MS(0));
    late.recovered(7, MS(1_000));
    assert!(!saturated(&late, some, false));
}

#[test]
fn distributions_are_told_anew_with_every_fifth_time() {
    let (mut worker, seen) = worker([], true);
    let mut display = Display::new(vec![seen], 0, 5, MS(0));
    let mut counts = Vec::new();
    for published in 1..=7 {
        publish(&mut worker, &recorder(&vec![100; published]));
        let distributions = display.snapshot(MS(200 * published as u64)).distributions.unwrap();
        counts.push(distributions.phases.iter().map(|(_, _, times)| times.count()).sum::<u64>());
    }
    assert_eq!(counts, [1, 1, 1, 1, 1, 6, 6]);
}

#[test]
fn a_stage_that_is_over_is_told_as_what_it_came_to() {
    let (mut worker, seen) = worker([], true);
    let mut display = Display::new(vec![seen], 2, 5, MS(2_000));
    let mut part = recorder(&[100]);
    part.connected = 1;
    publish(&mut worker, &part);
    display.snapshot(MS(5_000));
    let mut all = recorder(&[100, 200, 200]);
    all.totals.dropped = 2;
    all.lateness.record(1_000_000);
    display.end(&merged(&all), MS(6_500));
    // However long afterwards it is looked at.
    for now in [6_500, 60_000] {
        let told = display.snapshot(MS(now));
        assert_eq!((told.stage, told.began, told.ended), (2, MS(2_000), Some(MS(6_500))));
        let through = told.totals.through();
        assert_eq!((through, told.totals.succeeded, told.in_flight, told.connected, told.rate), (5, 3, 0, 0, 0.0));
        assert!(told.all_due && told.in_phases.is_empty());
        assert_eq!(told.p50.unwrap().exact().unwrap().as_millis(), 200);
        assert_eq!(told.distributions.unwrap().lateness_p99.unwrap().as_millis(), 1);
    }
    let mut unwatched = Display::new(vec![self::worker([], false).1], 2, 5, MS(2_000));
    unwatched.end(&merged(&all), MS(6_500));
    assert_eq!(unwatched.snapshot(MS(7_000)).distributions, None);
}

#[test]
fn a_threshold_sees_the_times_that_it_waits_for_while_the_stage_goes_on_and_once_it_is_over() {
    let total = |statistic| Metric::Phase { phase: Phase::Total, whose: Whose::All, statistic };
    let observed = |display: &Display, metric, now| {
        let text = "t".to_owned();
        let threshold = Threshold {
            text,
            stages: vec![0],
            metric,
            comparison: ComparisonOperator::Less,
            bound: Quantity::Number(1.0),
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
    let watched = || [total(Statistic::Max), Metric::Lateness(Statistic::Max)].into_iter().flat_map(Times::of);
    let ((mut first, of_first), (mut second, of_second)) = (worker(watched(), false), worker(watched(), false));
    let mut display = Display::new(vec![of_first, of_second], 0, 5, MS(2_000));
    publish(&mut first, &one);
    publish(&mut second, &other);
    let count = Statistic::Count;
    let all = |display: &Display, now| {
        [total(count), Metric::Lateness(count), Metric::Ratio(Ratio::SuccessRate), Metric::Ratio(Ratio::Throughput)]
            .map(|metric| observed(display, metric, now))
    };
    let number = |number| Some(Known::Is(Quantity::Number(number)));
    let share = Some(Known::Is(Quantity::Share(1.0)));
    let partly = all(&display, MS(8_000));
    // Nobody has started as far as the totals here say, so that there is no throughput of a part.
    assert_eq!(partly, [number(3.0), number(7.0), share, None]);
    let mut sum = late(recorder(&[100, 100, 300, 300]), 9);
    sum.totals.started = 4;
    display.end(&merged(&sum), MS(6_500));
    // Four in the four seconds that it took.
    assert_eq!(all(&display, MS(60_000)), [number(4.0), number(9.0), share, Some(Known::Is(Quantity::PerSecond(1.0)))]);
}
