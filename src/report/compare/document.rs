use serde::Serialize;

use crate::report::SCHEMA;
use crate::report::compare::{Comparison, FailureRow, Judgement, PhaseRow, ThresholdRow};
use crate::report::csv::micros;
use crate::report::observed::Observed;
use crate::report::units::rounded;

/// A comparison for machines; keys as in `run.json`.
#[derive(Debug, Serialize)]
pub struct ComparisonJson {
    schema: u32,
    scenario: String,
    runs_a: usize,
    runs_b: usize,
    regression: bool,
    min_effect: f64,
    confidence: f64,
    phases: Vec<Phase>,
    failures: Vec<Failures>,
    thresholds: Vec<Threshold>,
    notes: Vec<String>,
}

#[derive(Debug, Serialize)]
struct Phase {
    stage: String,
    phase: &'static str,
    verdict: &'static str,
    count_a: u64,
    count_b: u64,
    p50: Percentile,
    p90: Percentile,
    p99: Percentile,
}

#[derive(Debug, Serialize)]
struct Percentile {
    a_us: u64,
    b_us: u64,
    /// The difference as a share of `a_us`.
    change: Option<f64>,
    /// How probable a difference like this is by chance; absent where there is too little to tell.
    chance: Option<f64>,
}

#[derive(Debug, Serialize)]
struct Failures {
    stage: String,
    verdict: &'static str,
    failed_a: u64,
    count_a: u64,
    failed_b: u64,
    count_b: u64,
    chance: Option<f64>,
}

#[derive(Debug, Serialize)]
struct Threshold {
    threshold: String,
    runs_met_a: u64,
    runs_a: u64,
    runs_met_b: u64,
    runs_b: u64,
    observed_a: Option<f64>,
    observed_b: Option<f64>,
    /// What it is above of when it is not known.
    observed_above_a: Option<f64>,
    observed_above_b: Option<f64>,
    unit: Option<&'static str>,
}

impl From<&Comparison> for ComparisonJson {
    fn from(comparison: &Comparison) -> Self {
        let Comparison { scenario, runs, limits, phases, failures, thresholds, notes } = comparison;
        Self {
            schema: SCHEMA,
            scenario: scenario.clone(),
            runs_a: runs[0],
            runs_b: runs[1],
            regression: comparison.is_regression(),
            min_effect: limits.effect,
            confidence: limits.confidence,
            phases: phases.iter().map(phase).collect(),
            failures: failures.iter().map(failure).collect(),
            thresholds: thresholds.iter().map(threshold).collect(),
            notes: notes.clone(),
        }
    }
}

fn phase(row: &PhaseRow) -> Phase {
    let percentile = |place: usize| Percentile {
        a_us: micros(row.nanos[0][place]),
        b_us: micros(row.nanos[1][place]),
        change: row.change(place).map(rounded),
        chance: row.chance[place],
    };
    Phase {
        stage: row.stage.clone(),
        phase: row.phase.name(),
        verdict: name(row.judgement),
        count_a: row.counts[0],
        count_b: row.counts[1],
        p50: percentile(0),
        p90: percentile(1),
        p99: percentile(2),
    }
}

const fn name(judgement: Judgement) -> &'static str {
    match judgement {
        Judgement::Worse => "slower",
        Judgement::Better => "faster",
        Judgement::Same => "no_difference",
        Judgement::TooFew => "not_enough_data",
    }
}

fn failure(row: &FailureRow) -> Failures {
    let verdict = match row.judgement {
        Judgement::Worse => "more_failures",
        Judgement::Better => "fewer_failures",
        other => name(other),
    };
    let FailureRow { stage, failed, counts, chance, judgement: _ } = row;
    Failures {
        stage: stage.clone(),
        verdict,
        failed_a: failed[0],
        count_a: counts[0],
        failed_b: failed[1],
        count_b: counts[1],
        chance: *chance,
    }
}

fn threshold(row: &ThresholdRow) -> Threshold {
    let ThresholdRow { text, observed, met, runs } = row;
    let sides = observed.map(Observed::of);
    let unit = sides.iter().find_map(|side| side.unit);
    let [observed_a, observed_b] = sides.map(|side| side.number);
    let [observed_above_a, observed_above_b] = sides.map(|side| side.above);
    Threshold {
        threshold: text.clone(),
        runs_met_a: met[0],
        runs_a: runs[0],
        runs_met_b: met[1],
        runs_b: runs[1],
        observed_a,
        observed_b,
        observed_above_a,
        observed_above_b,
        unit,
    }
}
