//! What holds for every run.

use fleetstorm::domain::{FailureClass, Fate, Phase};
use fleetstorm::engine::EngineOutcome;
use fleetstorm::measure::CompactHistogram;
use proptest::prelude::*;

use super::service::{self, Answer};
use super::{MS, Run, cancel_after, scenario, script};

/// Everything that the record says, but for the machine's own figures.
fn fingerprint(outcome: &EngineOutcome) -> String {
    let mut text = format!("{:?} {:?} {:?}\n{:?}\n", outcome.status, outcome.elapsed, outcome.errors, outcome.health);
    for stage in &outcome.stages {
        text += &format!("{} {:?} {:?} {:?}\n", stage.name, stage.totals, stage.elapsed, stage.intervals);
        for phase in Phase::ALL {
            for histogram in Fate::ALL.map(|fate| stage.phases.get(phase, fate)) {
                text += &format!("{phase} {:?}\n", histogram.as_ref().map(CompactHistogram::new));
            }
        }
    }
    text
}

fn virtual_run(devices: u32, text: &str, answers: Vec<Answer>, stop: Option<u64>) -> EngineOutcome {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().expect("a runtime");
    let scenario = scenario(devices, text);
    runtime.block_on(async move {
        let answers = script(move |i| answers[i as usize % answers.len()]);
        let run = Run::new(scenario, service::start(answers));
        if let Some(stop) = stop {
            cancel_after(&run.stop, MS(stop));
        }
        run.outcome().await
    })
}

fn mixed() -> Vec<Answer> {
    (0..50)
        .map(|i| match i % 5 {
            0 => Answer::Refuse(MS(i * 37 % 900)),
            1 => Answer::Silence,
            2 => Answer::Close(MS(i * 53 % 2_000)),
            _ => Answer::Issue(MS(i * 97 % 3_000)),
        })
        .collect()
}

#[test]
fn two_runs_with_the_same_seed_have_identical_records() {
    let text = "arrival = { process = 'ramp', points = [{ at = '0s', rate = 5 }, { at = '5s', rate = 100 }] }\n\
                timeout = '4s'\nmax_lateness = '300ms'\n[limits]\nmax_in_flight = 40";
    let run = || fingerprint(&virtual_run(300, text, mixed(), Some(6_000)));
    let (first, second) = (run(), run());
    assert!(first.contains("dropped"));
    assert_eq!(first, second);
}

fn answer() -> impl Strategy<Value = Answer> {
    let time = || (0u64..4_000).prop_map(MS);
    prop_oneof![
        3 => time().prop_map(Answer::Issue),
        1 => time().prop_map(Answer::Refuse),
        1 => time().prop_map(Answer::Close),
        1 => Just(Answer::Silence),
    ]
}

fn workload() -> impl Strategy<Value = String> {
    prop_oneof![
        (1u32..9).prop_map(|slots| format!("workload = 'closed'\nconcurrency = {slots}")),
        Just("arrival = 'at-once'\nmax_lateness = '1s'".to_owned()),
        (1u32..60, 1u64..2_000).prop_map(|(rate, late)| format!(
            "arrival = {{ process = 'constant', rate = {rate} }}\nmax_lateness = '{late}ms'"
        )),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn every_device_has_exactly_one_outcome_whatever_happens(
        devices in 1u32..25,
        workload in workload(),
        max_in_flight in 1u32..12,
        drain in 0u64..3_000,
        answers in prop::collection::vec(answer(), 1..8),
        stop in prop::option::of(0u64..5_000),
    ) {
        let text = format!(
            "{workload}\ntimeout = '3s'\n[limits]\nmax_in_flight = {max_in_flight}\ndrain = '{drain}ms'\ngrace = '700ms'"
        );
        let outcome = virtual_run(devices, &text, answers, stop);
        let stage = &outcome.stages[0];
        let totals = &stage.totals;
        prop_assert_eq!(totals.planned, u64::from(devices));
        prop_assert_eq!(totals.planned, totals.succeeded + totals.failed.total() + totals.dropped + totals.not_started);
        prop_assert_eq!(totals.started, totals.succeeded + totals.failed.total());
        prop_assert!(outcome.health.peak_in_flight <= u64::from(max_in_flight));
        // Intervals, histograms and error rows tell the same story.
        let sum = |of: fn(&fleetstorm::measure::Interval) -> u64| stage.intervals.iter().map(of).sum::<u64>();
        prop_assert_eq!(sum(|i| i.counts.started), totals.started);
        prop_assert_eq!(sum(|i| i.counts.succeeded), totals.succeeded);
        prop_assert_eq!(sum(|i| i.counts.dropped), totals.dropped);
        prop_assert_eq!(sum(|i| i.counts.failed.total()), totals.failed.total());
        prop_assert_eq!(sum(|i| i.total.decode().count()), totals.succeeded);
        prop_assert_eq!(stage.intervals.last().map_or(0, |i| i.in_flight), 0);
        let count = |h: Option<fleetstorm::measure::Histogram>| h.map_or(0, |h| h.count());
        prop_assert_eq!(count(stage.phases.succeeded(Phase::Total)), totals.succeeded);
        let cut = totals.failed[FailureClass::Cut];
        prop_assert_eq!(count(stage.phases.get(Phase::Total, Fate::Failed)), totals.failed.total() - cut);
        prop_assert_eq!(count(stage.phases.get(Phase::Total, Fate::Censored)), cut);
        prop_assert_eq!(count(stage.phases.get(Phase::TotalRaw, Fate::Failed)), totals.failed.total());
        prop_assert_eq!(outcome.health.lateness.decode().count(), totals.started);
        prop_assert_eq!(outcome.errors.iter().map(|e| e.count).sum::<u64>(), totals.failed.total());
    }
}
