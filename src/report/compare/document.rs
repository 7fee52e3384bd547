use serde::Serialize;

use crate::domain::Known;
use crate::report::SCHEMA;
use crate::report::compare::{Comparison, Headline, Judgement, Row, ThresholdRow, Values};
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
    headline: &'static str,
    regression: bool,
    min_effect: f64,
    confidence: f64,
    phases: Vec<Phase>,
    measures: Vec<Measure>,
    thresholds: Vec<Threshold>,
    warnings: Vec<String>,
    notes: Vec<String>,
}

#[derive(Debug, Serialize)]
struct Phase {
    stage: String,
    phase: String,
    verdict: String,
    /// Runs of either side that decide what is large, but not decided.
    runs_to_tell: Option<usize>,
    count_a: u64,
    count_b: u64,
    p50: Percentile,
    p90: Percentile,
    p99: Percentile,
}

#[derive(Debug, Serialize)]
struct Percentile {
    /// Absent when it is not known, as too few got through.
    #[serde(skip_serializing_if = "Option::is_none")]
    a_us: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    b_us: Option<u64>,
    /// What it is above of then.
    #[serde(skip_serializing_if = "Option::is_none")]
    a_above_us: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    b_above_us: Option<u64>,
    /// The difference as a share of `a_us`.
    change: Option<f64>,
    /// How probable a difference like this is by chance; absent where there is too little to tell.
    chance: Option<f64>,
}

/// What has one value.
#[derive(Debug, Serialize)]
struct Measure {
    stage: String,
    measure: String,
    unit: &'static str,
    verdict: String,
    runs_to_tell: Option<usize>,
    /// Of how many (devices, connections, attempts).
    count_a: u64,
    count_b: u64,
    /// Absent when it is not known, as nobody succeeded.
    #[serde(skip_serializing_if = "Option::is_none")]
    a: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    b: Option<f64>,
    /// What it is above of then.
    #[serde(skip_serializing_if = "Option::is_none")]
    a_above: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    b_above: Option<f64>,
    change: Option<f64>,
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
        let Comparison { scenario, runs, limits, rows, thresholds, warnings, notes } = comparison;
        Self {
            schema: SCHEMA,
            scenario: scenario.clone(),
            runs_a: runs[0],
            runs_b: runs[1],
            headline: Headline::of(comparison).name(),
            regression: comparison.is_regression(),
            min_effect: limits.effect,
            confidence: limits.confidence,
            phases: rows.iter().filter_map(phase).collect(),
            measures: rows.iter().filter_map(measure).collect(),
            thresholds: thresholds.iter().map(threshold).collect(),
            warnings: warnings.clone(),
            notes: notes.clone(),
        }
    }
}

/// `None`: it is no row of times.
fn phase(row: &Row) -> Option<Phase> {
    let phase = row.what.phase()?;
    let [p50, p90, p99] = row.values.as_slice() else { return None };
    let percentile = |values: &Values| {
        let [a, b] = values.sides.map(|side| side.map(|nanos| micros(nanos as u64)));
        Percentile {
            a_us: a.exact(),
            b_us: b.exact(),
            a_above_us: a.above(),
            b_above_us: b.above(),
            change: values.change().map(rounded),
            chance: values.chance,
        }
    };
    Some(Phase {
        stage: row.stage.clone(),
        phase: phase.name().to_owned(),
        verdict: verdict(row),
        runs_to_tell: runs_to_tell(row),
        count_a: row.counts[0],
        count_b: row.counts[1],
        p50: percentile(p50),
        p90: percentile(p90),
        p99: percentile(p99),
    })
}

/// `None`: it is a row of times.
fn measure(row: &Row) -> Option<Measure> {
    let [values] = row.values.as_slice() else { return None };
    let [a, b]: [Known<f64>; 2] = values.sides;
    Some(Measure {
        stage: row.stage.clone(),
        measure: row.what.name().into_owned(),
        unit: row.what.unit(),
        verdict: verdict(row),
        runs_to_tell: runs_to_tell(row),
        count_a: row.counts[0],
        count_b: row.counts[1],
        a: a.exact(),
        b: b.exact(),
        a_above: a.above(),
        b_above: b.above(),
        change: values.change().map(rounded),
        chance: values.chance,
    })
}

fn verdict(row: &Row) -> String {
    let [worse, better] = row.what.words();
    match row.judgement {
        Judgement::Worse => worse.to_owned(),
        Judgement::Better => better.to_owned(),
        Judgement::Same => "no_difference".to_owned(),
        Judgement::TooFew => "not_enough_data".to_owned(),
        Judgement::Undecided { worse: true, .. } => format!("maybe_{worse}"),
        Judgement::Undecided { worse: false, .. } => format!("maybe_{better}"),
    }
}

const fn runs_to_tell(row: &Row) -> Option<usize> {
    if let Judgement::Undecided { runs, .. } = row.judgement { Some(runs) } else { None }
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
