use std::time::Duration;

use crate::domain::{Known, Phase};
use crate::measure::RunRecord;
use crate::report::compare::judging::{Bars, judge, order};
use crate::report::compare::side::{Side, Trust};
use crate::report::compare::statistics::{Block, chance};
use crate::report::compare::times::Times;
use crate::report::compare::{DifferenceLimits, Judgement, PERCENTILES, REPEATS, Row, Values, What};

/// So many values must lie beyond a percentile for it to say something.
const FEWEST_BEYOND: f64 = 5.0;

/// Every row of every stage. The confidence is that of all rows together.
pub(super) fn judged(a: &[RunRecord], b: &[RunRecord], limits: DifferenceLimits) -> Vec<Row> {
    let repeats = a.len().min(b.len()) >= REPEATS;
    let mut rows = Vec::new();
    for index in 0..a.first().map_or(0, |run| run.stages.len()) {
        let sides = [a, b].map(|runs| Side::new(runs, index, repeats));
        rows.extend(Phase::ALL.into_iter().filter_map(|phase| of_phase(&sides, phase)));
        rows.extend(What::measures().filter_map(|what| of_measure(&sides, what)));
    }
    let bars = Bars::new(limits, rows.iter().filter(|row| row.is_told()).count());
    for row in &mut rows {
        row.judgement = judge(row, bars, limits.effect, repeats);
    }
    rows
}

fn of_phase(sides: &[Side<'_>; 2], phase: Phase) -> Option<Row> {
    let [a, b] = sides;
    let sums = [Times::of(&a.stages, phase)?, Times::of(&b.stages, phase)?];
    let counts = sums.each_ref().map(Times::count);
    let nanos = PERCENTILES.map(|percentile| sums.each_ref().map(|times| times.at(percentile)));
    // Between both percentiles: the one side has more above it, the other less.
    let bounds = nanos.map(|[a, b]| Duration::from_nanos((a.least() * b.least()).sqrt() as u64));
    let trust = [a.times(phase, &sums[0], bounds), b.times(phase, &sums[1], bounds)];
    let values = (0..PERCENTILES.len()).map(|place| {
        let few = counts.iter().any(|count| *count as f64 * (1.0 - PERCENTILES[place]) < FEWEST_BEYOND);
        let trust = (!few).then_some([trust[0][place], trust[1][place]]);
        values(nanos[place], trust)
    });
    Some(row(a, What::Time(phase), counts, values.collect()))
}

/// `None`: it does not occur on either side.
fn of_measure(sides: &[Side<'_>; 2], what: What) -> Option<Row> {
    let sums = sides.each_ref().map(|side| side.sum(what));
    // Where everything is as it should, one row says so.
    let as_it_should = sums.iter().all(|sum| sum.above == 0.0) && what != What::FailedOrDropped;
    if as_it_should || sums.iter().any(|sum| sum.count <= 0.0) {
        return None;
    }
    let trust = [0, 1].map(|side| sides[side].measure(what, sums[side]));
    let counts = sums.map(|Block { count, .. }| count as u64);
    Some(row(&sides[0], what, counts, vec![values(sums.map(|sum| what.value(sum)), Some(trust))]))
}

fn values(sides: [Known<f64>; 2], trust: Option<[Trust; 2]>) -> Values {
    // What is not known to differ in one direction is no question of chance.
    let (Some([a, b]), Some(order)) = (trust, order(sides)) else {
        return Values { sides, chance: None, within: None };
    };
    let found = a.of_blocks.zip(b.of_blocks).map(|(a, b)| if order.is_eq() { 1.0 } else { chance(&a, &b) });
    Values { sides, chance: found, within: Some([a.within, b.within]) }
}

fn row(a: &Side<'_>, what: What, counts: [u64; 2], values: Vec<Values>) -> Row {
    let stage = a.stages.first().map(|stage| stage.name.clone()).unwrap_or_default();
    Row { stage, what, counts, values, judgement: Judgement::TooFew }
}
