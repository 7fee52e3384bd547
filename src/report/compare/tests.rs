use std::slice::from_ref;

use rand::SeedableRng as _;
use rand_chacha::ChaCha8Rng;

use super::*;
use crate::measure::RunStatus;
use crate::report::console::{Look, WIDTH};
use crate::report::fixture::{self, timed as run};

const LIMITS: DifferenceLimits = DifferenceLimits { effect: 0.05, confidence: 0.99 };

fn judgements(a: &[RunRecord], b: &[RunRecord]) -> Vec<Judgement> {
    compare(a, b, &[], LIMITS).unwrap().phases.iter().map(|row| row.judgement).collect()
}

#[test]
fn the_same_is_hardly_ever_called_different() {
    let mut random = ChaCha8Rng::seed_from_u64(1);
    let wrong = (0..120).filter(|round| {
        let seconds = [9, 20, 40][round % 3];
        let (a, b) = (run(&mut random, seconds, 1.0), run(&mut random, seconds, 1.0));
        // However small: only chance decides here.
        let limits = DifferenceLimits { effect: 0.0, confidence: 0.95 };
        let rows = compare(&[a], &[b], &[], limits).unwrap().phases;
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
    assert_eq!(judgements(&a[..1], &b[..1]), [Judgement::TooFew; 2]);
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
    let comparison = compare(&[a], &[b], &[], LIMITS).unwrap();
    assert_eq!(comparison.failures[0].judgement, Judgement::Worse);
    assert!(comparison.is_regression());
}

#[test]
fn runs_that_are_not_comparable_are_refused_with_every_reason() {
    let a = fixture::record();
    let mut b = fixture::renewal_storm();
    b.settings[0].value = "99".to_owned();
    b.health.saturated.push("late".to_owned());
    b.machine.cores = 8;
    let NotComparable(reasons) = compare(from_ref(&a), from_ref(&b), &[], LIMITS).unwrap_err();
    for word in ["fleet.devices: 1234 and 99", "time_scale", "stages", "partial (threshold-failed)", "bottleneck"] {
        assert!(reasons.iter().any(|reason| reason.contains(word)), "{word}: {reasons:#?}");
    }
    let mut c = a.clone();
    (c.settings[0].value, c.seed, c.machine.cores) = ("99".to_owned(), 7, 8);
    assert!(compare(from_ref(&a), from_ref(&c), &[], LIMITS).is_err());
    let allowed = compare(from_ref(&a), &[c], &["fleet".to_owned()], LIMITS).unwrap();
    assert!(allowed.notes.iter().any(|note| note.contains("machine differs")), "{:?}", allowed.notes);
    b = a.clone();
    b.status = RunStatus::Lost;
    assert!(compare(from_ref(&a), &[b], &[], LIMITS).is_err());
    assert!(compare(&[a], &[], &[], LIMITS).is_err());
}

#[test]
fn the_table_fits() {
    let mut random = ChaCha8Rng::seed_from_u64(4);
    let (mut a, mut b) = (run(&mut random, 20, 1.0), run(&mut random, 20, 1.6));
    for record in [&mut a, &mut b] {
        record.thresholds = fixture::renewal_storm().thresholds;
    }
    b.stages[0].totals.dropped = 7;
    let comparison = compare(&[a], &[b], &[], LIMITS).unwrap();
    let text = table(&comparison, ["results/a", "results/b"], Look::new(false));
    assert!(text.lines().all(|line| line.chars().count() <= usize::from(WIDTH)), "{text}");
    insta::assert_snapshot!("compare", text);
    let document = serde_json::to_value(ComparisonJson::from(&comparison)).unwrap();
    assert_eq!(document["regression"], true);
    assert_eq!(document["phases"][1]["verdict"], "slower");
}
