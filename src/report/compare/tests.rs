use std::slice::from_ref;

use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

use super::*;
use crate::domain::{FailureClass, Fate, Phase};
use crate::measure::{Histogram, RunStatus};
use crate::report::console::{Look, WIDTH};
use crate::report::fixture::{self, timed as run};

const LIMITS: DifferenceLimits = DifferenceLimits { effect: 0.05, confidence: 0.99 };

/// Of the times.
fn judgements(a: &[RunRecord], b: &[RunRecord]) -> Vec<Judgement> {
    let rows = compare(a, b, MayDiffer::default(), LIMITS).unwrap().rows;
    rows.iter().filter(|row| row.what.phase().is_some()).map(|row| row.judgement).collect()
}

fn judgement(comparison: &Comparison, what: What) -> Option<Judgement> {
    comparison.rows.iter().find(|row| row.what == what).map(|row| row.judgement)
}

#[test]
fn the_same_is_hardly_ever_called_different() {
    let mut random = ChaCha8Rng::seed_from_u64(1);
    let wrong = (0..120).filter(|round| {
        let seconds = [9, 20, 40][round % 3];
        let (a, b) = (run(&mut random, seconds, 1.0), run(&mut random, seconds, 1.0));
        // However small: only chance decides here.
        let limits = DifferenceLimits { effect: 0.0, confidence: 0.95 };
        let rows = compare(&[a], &[b], MayDiffer::default(), limits).unwrap().rows;
        rows.iter().any(|row| matches!(row.judgement, Judgement::Worse | Judgement::Better))
    });
    let wrong = wrong.count();
    assert!(wrong <= 6, "{wrong} of 120 with a confidence of 95 %");
}

#[test]
fn a_clear_difference_is_told_in_either_direction_and_a_small_one_does_not_matter() {
    let mut random = ChaCha8Rng::seed_from_u64(2);
    let [a, b, small] = [1.0, 1.5, 1.02].map(|factor| run(&mut random, 40, factor));
    assert_eq!(judgements(from_ref(&a), from_ref(&b)), [Judgement::Worse; 2]);
    assert_eq!(judgements(&[b], from_ref(&a)), [Judgement::Better; 2]);
    assert_eq!(judgements(&[a], &[small]), [Judgement::Same; 2]);
    // Several short runs on either side do as well, one does not.
    let mut runs = |factor: f64| -> Vec<_> { (0..6).map(|_| run(&mut random, 4, factor)).collect() };
    let (a, b) = (runs(1.0), runs(2.0));
    assert_eq!(judgements(&a, &b), [Judgement::Worse; 2]);
    // It is not called none either, and the runs that it asks for do tell.
    let undecided = judgements(&a[..1], &b[..1]);
    assert!(
        undecided.iter().all(|row| matches!(row, Judgement::Undecided { worse: true, runs: 3..=6 })),
        "{undecided:?}"
    );
}

#[test]
fn failures_are_compared_too() {
    let mut random = ChaCha8Rng::seed_from_u64(3);
    let a = run(&mut random, 20, 1.0);
    let mut b = a.clone();
    for interval in &mut b.stages[0].intervals {
        (interval.counts.succeeded, interval.counts.dropped) = (60, 40);
    }
    (b.stages[0].totals.succeeded, b.stages[0].totals.dropped) = (1_200, 800);
    let comparison = compare(&[a], &[b], MayDiffer::default(), LIMITS).unwrap();
    for what in [What::FailedOrDropped, What::Dropped] {
        assert_eq!(judgement(&comparison, what), Some(Judgement::Worse), "{what:?}");
    }
    assert!(comparison.is_regression());
}

/// As a run in which that share of the devices failed for good, evenly over time, each within a second.
fn failing(mut run: RunRecord, share: f64) -> RunRecord {
    let stage = &mut run.stages[0];
    let mut failed = Histogram::new();
    for interval in &mut stage.intervals {
        let of_second = (share * 100.0).round() as u64;
        interval.counts.failed[FailureClass::Timeout] = of_second;
        (0..of_second).for_each(|_| failed.record(1_000_000_000));
    }
    stage.totals.failed[FailureClass::Timeout] = failed.count();
    stage.totals.started += failed.count();
    stage.phases.set(Phase::Total, Fate::Failed, &failed);
    run
}

#[test]
fn who_failed_counts_as_slower_than_everybody() {
    let mut random = ChaCha8Rng::seed_from_u64(6);
    let a = run(&mut random, 40, 1.0);
    // The survivors are as fast as before.
    let b = failing(run(&mut random, 40, 1.0), 0.15);
    let comparison = compare(from_ref(&a), from_ref(&b), MayDiffer::default(), LIMITS).unwrap();
    assert_eq!(judgement(&comparison, What::Time(Phase::Total)), Some(Judgement::Worse));
    assert_eq!(judgement(&comparison, What::Time(Phase::Tls)), Some(Judgement::Same), "a part of attempts");
    for what in [What::Through, What::FailedAs(FailureClass::Timeout)] {
        assert_eq!(judgement(&comparison, what), Some(Judgement::Worse), "{what:?}");
    }
    let text = table(&comparison, ["a", "b"], Look::new(false));
    assert!(text.contains("> 1.00 s") && text.contains("4,000 of 4,600 (87.0 %)"), "{text}");
    let document = serde_json::to_value(ComparisonJson::from(&comparison)).unwrap();
    let p99 = &document["phases"][1]["p99"];
    assert!(p99["b_above_us"].is_u64() && p99["a_us"].is_u64() && p99["change"].is_null(), "{p99}");
    assert!(p99.get("b_us").is_none() && p99.get("a_above_us").is_none(), "{p99}");
    // Two unknowns tell nothing.
    let both = compare(&[failing(a, 0.15)], &[b], MayDiffer::default(), LIMITS).unwrap();
    assert_eq!(both.rows[1].values[2].chance, None);
    assert_ne!(judgement(&both, What::Time(Phase::Total)), Some(Judgement::Worse));
}

#[test]
fn a_large_difference_of_single_runs_is_neither_a_regression_nor_none() {
    let with = |attempts: u64, throttled: u64| {
        let mut run = run(&mut ChaCha8Rng::seed_from_u64(7), 20, 1.0);
        let stage = &mut run.stages[0];
        (stage.totals.attempts, stage.totals.throttled) = (attempts, throttled);
        // All of them come first, as in a storm.
        (stage.intervals[0].counts.attempts, stage.intervals[0].counts.throttled) = (attempts, throttled);
        run
    };
    let (a, b) = (with(11_600, 9_600), with(48_600, 46_600));
    let comparison = compare(from_ref(&a), from_ref(&b), MayDiffer::default(), LIMITS).unwrap();
    let found = judgement(&comparison, What::AttemptsPerSuccess);
    let Some(Judgement::Undecided { worse: true, runs }) = found else { panic!("{found:?}") };
    assert!(!comparison.is_regression() && comparison.is_undecided());
    let text = table(&comparison, ["a", "b"], Look::new(false));
    for words in ["LARGE DIFFERENCES, BUT FROM ONE RUN EACH", "5.80", "24.3", &format!("more? ({runs} runs)")] {
        assert!(text.contains(words), "{words}: {text}");
    }
    assert!(text.contains(&format!("run --repeat {}`", comparison.runs_to_tell())), "{text}");
    // So many runs that do not differ among each other decide it.
    let times = |run: &RunRecord| vec![run.clone(); runs];
    let decided = compare(&times(&a), &times(&b), MayDiffer::default(), LIMITS).unwrap();
    assert_eq!(judgement(&decided, What::AttemptsPerSuccess), Some(Judgement::Worse));
    // Nobody succeeded: more attempts for each success than there were.
    let mut none = b;
    none.stages[0].totals.succeeded = 0;
    let comparison = compare(&[a], &[none], MayDiffer::default(), LIMITS).unwrap();
    assert!(table(&comparison, ["a", "b"], Look::new(false)).contains("> 48,600"));
}

#[test]
fn runs_that_differ_as_much_among_each_other_are_hardly_ever_called_different() {
    let mut random = ChaCha8Rng::seed_from_u64(8);
    let times = run(&mut random, 3, 1.0);
    // What fails and is refused depends on the run.
    let mut unlike = || {
        let mut run = times.clone();
        let mood = (0.5 * (0..6).map(|_| random.random::<f64>() - 0.5).sum::<f64>()).exp();
        let mut drawn = |share: f64| (0..300).filter(|_| random.random::<f64>() < share * mood).count() as u64;
        let totals = &mut run.stages[0].totals;
        totals.failed[FailureClass::Throttled] = drawn(0.05);
        totals.throttled = drawn(0.2) + drawn(0.2);
        totals.expired = drawn(0.02);
        totals.attempts = 300 + totals.throttled;
        run
    };
    let limits = DifferenceLimits { effect: 0.0, confidence: 0.95 };
    let wrong = (0..100).filter(|round| {
        let runs = [3, 5, 8][round % 3];
        let mut side = || (0..runs).map(|_| unlike()).collect::<Vec<_>>();
        let (a, b) = (side(), side());
        compare(&a, &b, MayDiffer::default(), limits)
            .unwrap()
            .rows
            .iter()
            .any(|row| matches!(row.judgement, Judgement::Worse | Judgement::Better | Judgement::Undecided { .. }))
    });
    let wrong = wrong.count();
    assert!(wrong <= 5, "{wrong} of 100 with a confidence of 95 %");
}

#[test]
fn runs_that_are_not_comparable_are_refused_with_every_reason() {
    let a = fixture::record();
    let mut b = fixture::renewal_storm();
    b.settings[0].value = "99".to_owned();
    b.health.saturated.push("late".to_owned());
    b.machine.cores = 8;
    let NotComparable(reasons) = compare(from_ref(&a), from_ref(&b), MayDiffer::default(), LIMITS).unwrap_err();
    for word in ["fleet.devices: 1234 and 99", "time_scale", "stages", "partial (threshold-failed)", "bottleneck"] {
        assert!(reasons.iter().any(|reason| reason.contains(word)), "{word}: {reasons:#?}");
    }
    let mut c = a.clone();
    (c.settings[0].value, c.seed, c.machine.cores) = ("99".to_owned(), 7, 8);
    assert!(compare(from_ref(&a), from_ref(&c), MayDiffer::default(), LIMITS).is_err());
    let allowed =
        compare(from_ref(&a), &[c], MayDiffer { settings: &["fleet".to_owned()], scenario: false }, LIMITS).unwrap();
    let text = table(&allowed, ["a", "b"], Look::new(false));
    assert_eq!(text.matches("WARNING: different machines").count(), 2, "below either verdict: {text}");
    assert_eq!(allowed.warnings, ["different machines: Example CPU 3.0 GHz, 2 cores and Example CPU 3.0 GHz, 8 cores"]);
    b = a.clone();
    b.status = RunStatus::Lost;
    assert!(compare(from_ref(&a), &[b], MayDiffer::default(), LIMITS).is_err());
    assert!(compare(&[a], &[], MayDiffer::default(), LIMITS).is_err());
}

#[test]
fn scenarios_are_held_against_each_other_when_that_is_asked_for() {
    let a = fixture::record();
    let mut b = a.clone();
    b.scenario = "another".to_owned();
    b.settings[1].value = "rsa-2048".to_owned();
    b.stages[0].workload = "closed".to_owned();
    b.stages.insert(0, b.stages[0].clone());
    b.stages[0].name = "before".to_owned();
    let across = MayDiffer { settings: &[], scenario: true };
    let mut sides = [vec![a.clone(), a.clone()], vec![b.clone(), b.clone()]];
    let [first, second] = &mut sides;
    let notes = match_stages([first, second]).unwrap();
    assert_eq!(notes, ["stages are matched by name", "only B has the stages before, which are not compared"]);
    let comparison = compare(&sides[0], &sides[1], across, LIMITS).unwrap();
    assert_eq!(comparison.scenario, "provisioning-storm against another");
    let keys = [
        "compared: fleet.key_algorithm: ecdsa-p256 and rsa-2048",
        "compared: scenario: provisioning-storm and another",
    ];
    assert_eq!(comparison.notes[..2], keys);
    // Runs of one side are the same in any case, and so is what stages are.
    sides[1][1].settings[1].value = "p384".to_owned();
    assert!(compare(&sides[0], &sides[1], across, LIMITS).is_err());
    sides[1].truncate(1);
    sides[1][0].stages[0].kind = crate::domain::StageKind::Renew;
    assert!(compare(&sides[0], &sides[1], across, LIMITS).is_err());
    let refused = compare(from_ref(&a), from_ref(&b), MayDiffer::default(), LIMITS).unwrap_err();
    assert!(miette::Diagnostic::help(&refused).unwrap().to_string().contains("--across"));
    // Without names in common it is the position, where either side has as many.
    let mut c = a.clone();
    c.stages[0].name = "other".to_owned();
    let notes = match_stages([&mut [a.clone()], &mut [c.clone()]]).unwrap();
    assert_eq!(notes, ["stages are matched by position: storm and other"]);
    b.stages[1].name = "third".to_owned();
    assert!(match_stages([&mut [a], &mut [b]]).is_err());
}

#[test]
fn the_table_fits() {
    let mut random = ChaCha8Rng::seed_from_u64(4);
    let (mut a, mut b) = (run(&mut random, 20, 1.0), run(&mut random, 20, 1.6));
    for record in [&mut a, &mut b] {
        record.thresholds = fixture::renewal_storm().thresholds;
    }
    b.stages[0].totals.dropped = 7;
    let comparison = compare(&[a], &[b], MayDiffer::default(), LIMITS).unwrap();
    let text = table(&comparison, ["results/a", "results/b"], Look::new(false));
    assert!(text.lines().all(|line| line.chars().count() <= usize::from(WIDTH)), "{text}");
    insta::assert_snapshot!("compare", text);
    let document = serde_json::to_value(ComparisonJson::from(&comparison)).unwrap();
    assert_eq!(document["regression"], true);
    assert_eq!(document["phases"][1]["verdict"], "slower");
}
