use rand::SeedableRng as _;
use rand_chacha::ChaCha8Rng;

use super::*;
use crate::domain::{FailureClass, Fate, Phase};
use crate::report::compare::{DifferenceLimits, Judgement, MayDiffer, compare};
use crate::report::fixture;
use crate::report::html::tests::{ATTACK, assert_whole, own_of, structure};

const LIMITS: DifferenceLimits = DifferenceLimits { effect: 0.05, confidence: 0.99 };

/// Runs of either side; B takes `factor` times as long, and fails in a second.
fn sides(runs: usize, seconds: u64, factor: f64) -> [Vec<RunRecord>; 2] {
    let mut random = ChaCha8Rng::seed_from_u64(5);
    let mut both = [1.0, factor].map(|factor| {
        let run = |seed| {
            let mut record = fixture::timed(&mut random, seconds, factor);
            record.thresholds = fixture::renewal_storm().thresholds;
            record.seed = seed;
            record
        };
        (1..=runs as u64).map(run).collect::<Vec<_>>()
    });
    for run in &mut both[1] {
        let stage = &mut run.stages[0];
        stage.totals.failed[FailureClass::Timeout] = 40;
        stage.intervals[1].counts.failed[FailureClass::Timeout] = 40;
    }
    both
}

fn compared([a, b]: &[Vec<RunRecord>; 2]) -> (Comparison, [Side<'_>; 2]) {
    let sides = [Side { name: "results/a", runs: a }, Side { name: "results/b", runs: b }];
    (compare(a, b, MayDiffer::default(), LIMITS).unwrap(), sides)
}

fn page_of(runs: &[Vec<RunRecord>; 2]) -> String {
    let (comparison, sides) = compared(runs);
    let page = comparison_page(&comparison, sides).unwrap();
    page.replace(&format!("fleetstorm {}", env!("CARGO_PKG_VERSION")), "fleetstorm [version]")
}

#[test]
fn structure_of_the_page_of_single_runs() {
    let html = own_of(&page_of(&sides(1, 20, 1.6)));
    assert_whole(&html);
    insta::assert_snapshot!("comparison.html", structure(&html));
}

#[test]
fn structure_of_the_page_of_several_runs() {
    let html = own_of(&page_of(&sides(3, 3, 1.0)));
    assert_whole(&html);
    insta::assert_snapshot!("comparison_of_several_runs.html", structure(&html));
}

#[test]
fn data_of_the_plots() {
    let runs = sides(3, 3, 1.6);
    let (comparison, sides) = compared(&runs);
    let mut data: serde_json::Value = serde_json::from_str(&Data::of(&comparison, sides).json().unwrap()).unwrap();
    // Curves are tested as such; a few points tell whether it is the right one.
    for table in data["stages"][0].as_object_mut().unwrap().values_mut() {
        for column in table.as_object_mut().unwrap().values_mut() {
            column.as_array_mut().unwrap().truncate(4);
        }
    }
    data.sort_all_objects();
    insta::assert_snapshot!("comparison_data", format!("{data:#}"));
}

#[test]
fn verdicts_are_those_of_the_comparison() {
    let cases = [
        (sides(1, 20, 1.0), "No detectable difference"),
        (sides(1, 20, 2.0), "<strong>Regression</strong>"),
        (sides(1, 20, 0.5), "<strong>No regression, better</strong>"),
        (sides(1, 3, 1.0), "<strong>Not enough data</strong>"),
    ];
    for (mut runs, words) in cases {
        for run in &mut runs[1] {
            let stage = &mut run.stages[0];
            (stage.totals.failed, stage.intervals[1].counts.failed) = (Default::default(), Default::default());
        }
        let html = page_of(&runs);
        assert!(html.contains(words), "{words}: {}", structure(&own_of(&html)));
    }
    // A page never judges by itself: rows that differ but were not judged so are not called different.
    let runs = sides(1, 20, 2.0);
    let (mut comparison, both) = compared(&runs);
    for row in &mut comparison.rows {
        row.judgement = Judgement::Same;
    }
    let html = own_of(&comparison_page(&comparison, both).unwrap());
    assert!(!html.contains("slower</t") && !html.contains("What got worse"));
}

#[test]
fn phases_that_differ_have_curves_and_others_have_none_but_total() {
    let mut runs = sides(1, 20, 2.0);
    let same = runs[0][0].stages[0].phases.succeeded(Phase::Tls).unwrap();
    runs[1][0].stages[0].phases.set(Phase::Tls, Fate::Succeeded, &same);
    for run in runs.iter_mut().flatten() {
        run.stages[0].phases.set(Phase::Register, Fate::Succeeded, &same);
    }
    let (comparison, both) = compared(&runs);
    let ids = |data: &Data| data.plots_of(0).map(|plot| plot.id.clone()).collect::<Vec<_>>();
    let curves = |data: &Data| ids(data).into_iter().filter(|id| !id.contains("over-time")).collect::<Vec<_>>();
    let data = Data::of(&comparison, both);
    assert_eq!(curves(&data), ["plot-0-total"]);
    assert_eq!(ids(&data).len(), 5, "p50, p99, succeeded and failed beside it");
    let runs = sides(1, 20, 2.0);
    let (comparison, both) = compared(&runs);
    assert_eq!(curves(&Data::of(&comparison, both)), ["plot-0-total", "plot-0-tls"]);
}

#[test]
fn words_of_a_peer_cannot_break_out() {
    let mut runs = sides(2, 3, 1.0);
    for run in runs.iter_mut().flatten() {
        run.scenario = ATTACK.to_owned();
        run.question = Some(ATTACK.to_owned());
        run.target = ATTACK.to_owned();
        run.version = ATTACK.to_owned();
        run.command.push(ATTACK.to_owned());
        run.machine.cpu = ATTACK.to_owned();
        run.thresholds[0].text = ATTACK.to_owned();
        run.stages[0].name = ATTACK.to_owned();
    }
    runs[0][0].target = format!("other {ATTACK}");
    let (comparison, mut both) = compared(&runs);
    both[0].name = ATTACK;
    let html = comparison_page(&comparison, both).unwrap();
    assert!(!html.contains("<img") && !html.contains("onerror=\"") && !html.contains("onload='"));
    assert_eq!(html.matches("<script").count(), 3, "data, library, script");
    assert_eq!(html.matches("</script>").count(), 3);
    assert_whole(&own_of(&html));
    for reference in ["src=", "href=\"http", "url(", "@import", "<link", "<iframe", " style="] {
        assert!(!own_of(&page_of(&sides(1, 3, 1.0))).contains(reference), "{reference}");
    }
}

#[test]
fn long_runs_of_many_stages_stay_small() {
    let mut runs = sides(2, 20, 3.0);
    for run in runs.iter_mut().flatten() {
        let stage = run.stages[0].clone();
        run.stages = (0..20)
            .map(|n| {
                let mut stage = stage.clone();
                stage.name = format!("stage-{n}");
                let second = stage.intervals[1].clone();
                stage.intervals = (0..2_000)
                    .map(|n| crate::measure::Interval {
                        start: std::time::Duration::from_secs(n),
                        counts: crate::measure::Counts { succeeded: n * 3, ..second.counts },
                        total: Default::default(),
                        ..second.clone()
                    })
                    .collect();
                for phase in Phase::ALL.into_iter().take(9) {
                    let total = stage.phases.succeeded(Phase::Total).unwrap();
                    stage.phases.set(phase, Fate::Succeeded, &total);
                }
                stage
            })
            .collect();
    }
    let (comparison, both) = compared(&runs);
    let size = comparison_page(&comparison, both).unwrap().len();
    assert!(size < 2_000_000, "{size}");
}

#[test]
fn sides_in_which_nothing_happened_have_a_page() {
    let mut runs = sides(1, 3, 1.0);
    for run in runs.iter_mut().flatten() {
        run.stages[0].intervals.clear();
        run.stages[0].phases = Default::default();
        run.thresholds.clear();
    }
    assert_whole(&own_of(&page_of(&runs)));
    for run in runs.iter_mut().flatten() {
        run.stages.clear();
    }
    assert_whole(&own_of(&page_of(&runs)));
}
