use std::borrow::Cow;
use std::collections::BTreeMap;
use std::io;

use serde::Serialize;

use crate::domain::{Known, Phase};
use crate::measure::{Histogram, RunRecord};
use crate::report::compare::{Comparison, Judgement, Row, word};
use crate::report::html::comparison::Side;
use crate::report::html::comparison::over_time::{self, FAILED, P50, P99, SUCCEEDED, Shown};
use crate::report::html::escape;
use crate::report::html::plots::{AxisUnit, Plot, Series, Shape};
use crate::report::html::series::{self, Columns};

/// Percentile curves of one stage beside that of `total`, and of all stages, so that the page stays small.
const CURVES_OF_A_STAGE: usize = 8;
const CURVES: usize = 100;

/// The tables of one stage: `a` and `b` over time, and one per phase that has a curve.
type Tables = BTreeMap<&'static str, Columns>;

/// What the page's script draws.
#[derive(Debug, Serialize)]
pub(super) struct Data {
    stages: Vec<Tables>,
    pub(super) plots: Vec<Plot>,
    /// Intervals that one point stands for, by stage.
    #[serde(skip)]
    pub(super) per_point: Vec<usize>,
}

impl Data {
    pub(super) fn of(comparison: &Comparison, sides: [Side<'_>; 2]) -> Self {
        let mut data = Self { stages: Vec::new(), plots: Vec::new(), per_point: Vec::new() };
        let first = sides[0].runs.first().map_or(&[][..], |run| &run.stages);
        let curves_of_a_stage = CURVES_OF_A_STAGE.min(CURVES / first.len().max(1));
        for (position, stage) in first.iter().enumerate() {
            let stages = sides.iter().flat_map(|side| side.runs).filter_map(|run| run.stages.get(position));
            let per_point = over_time::per_point(stages, first.len());
            let [a, b] = sides.map(|side| over_time::columns(side.runs, position, per_point));
            let mut tables = Tables::from([("a", a), ("b", b)]);
            let rows: Vec<_> = (comparison.rows.iter())
                .filter(|row| row.stage == stage.name)
                .filter_map(|row| Some((row, row.what.phase()?)))
                .collect();
            let total = rows.iter().find(|(_, phase)| *phase == Phase::Total).copied();
            let mut differ: Vec<_> =
                rows.into_iter().filter(|(row, phase)| differs(row) && *phase != Phase::Total).collect();
            differ.sort_by(|(a, _), (b, _)| change(b).total_cmp(&change(a)));
            differ.truncate(curves_of_a_stage);
            for (row, phase) in total.into_iter().chain(differ) {
                tables.insert(phase.name(), curves(sides, position, phase));
                data.plots.push(curve(position, row, phase, &tables));
                if phase == Phase::Total {
                    data.plots.extend(OVER_TIME.iter().filter_map(|kind| kind.plot(position, &tables)));
                }
            }
            if total.is_none() {
                data.plots.extend(OVER_TIME.iter().filter_map(|kind| kind.plot(position, &tables)));
            }
            data.stages.push(tables);
            data.per_point.push(per_point);
        }
        data
    }

    /// The plots of one stage, in order.
    pub(super) fn plots_of(&self, stage: usize) -> impl Iterator<Item = &Plot> {
        self.plots.iter().filter(move |plot| plot.stage == Some(stage))
    }

    /// As JSON that can stand inside of a `<script>`.
    pub(super) fn json(&self) -> io::Result<String> {
        Ok(escape::json(&serde_json::to_string(self)?))
    }
}

/// Whether the row is said to differ.
pub(super) const fn differs(row: &Row) -> bool {
    !matches!(row.judgement, Judgement::Same | Judgement::TooFew)
}

/// How far the sides are apart where they are most, as a factor of at least one.
pub(super) fn change(row: &Row) -> f64 {
    let factor = |sides: [Known<f64>; 2]| {
        let [a, b] = sides.map(Known::least);
        if a == b { 1.0 } else { a.max(b) / a.min(b) }
    };
    row.values.iter().map(|values| factor(values.sides)).fold(1.0, f64::max)
}

/// The percentile curves of both sides, all runs of a side together.
fn curves(sides: [Side<'_>; 2], stage: usize, phase: Phase) -> Columns {
    let [a, b] = sides.map(|side| sum(side.runs, stage, phase));
    series::curves(&[("a", Some(&a)), ("b", Some(&b))])
}

fn sum(runs: &[RunRecord], stage: usize, phase: Phase) -> Histogram {
    let mut sum = Histogram::new();
    for histogram in runs.iter().filter_map(|run| run.stages.get(stage)?.phases.succeeded(phase)) {
        sum.merge(&histogram);
    }
    sum
}

fn curve(stage: usize, row: &Row, of: Phase, tables: &Tables) -> Plot {
    let phase = of.name();
    let series = [("a", "A"), ("b", "B")].map(|(column, name)| Series {
        column: column.into(),
        name,
        table: Some(phase),
        band: None,
    });
    let what = match of {
        Phase::Total => "Latency from due until done, waits and further attempts included, of the devices that succeeded, on the \
                         HDR scale: each step to the right is ten times rarer. A curve ends where only the slowest device of its side is left. "
            .to_owned(),
        other => format!("{}, on the same scale. ", crate::report::console::meaning(other)),
    };
    let plot = Plot {
        id: format!("plot-{stage}-{phase}"),
        stage: Some(stage),
        axis: "percentile",
        unit: AxisUnit::Milliseconds,
        shape: Shape::Lines,
        log: false,
        series: Vec::from(series),
        title: Cow::Owned(format!("Percentile curve of {phase}")),
        words: Cow::Owned(format!("{what}The comparison says of it: {}.", word(row))),
        source: format!(
            "phases.csv of either side, row {phase} (percentiles); run.json, stages[].phases[].histogram (whole curve)"
        ),
        alternative: String::new(),
    };
    plot.fitted(lines(tables, [(phase, "a"), (phase, "b")]))
}

struct Kind {
    shown: Shown,
    title: &'static str,
    words: &'static str,
    unit: AxisUnit,
    source: &'static str,
}

const OVER_TIME: [Kind; 4] = [
    Kind {
        shown: P50,
        title: "Latency p50 over time",
        words: "The median of total of the devices that succeeded in each interval; an interval without successes has no \
                point.",
        unit: AxisUnit::Milliseconds,
        source: "intervals.csv of either side: start_s, p50_us",
    },
    Kind {
        shown: P99,
        title: "Latency p99 over time",
        words: "The p99 of total of the devices that succeeded in each interval.",
        unit: AxisUnit::Milliseconds,
        source: "intervals.csv of either side: start_s, p99_us",
    },
    Kind {
        shown: SUCCEEDED,
        title: "Succeeded",
        words: "Devices per second that succeeded.",
        unit: AxisUnit::PerSecond,
        source: "intervals.csv of either side: start_s, length_us, succeeded",
    },
    Kind {
        shown: FAILED,
        title: "Failed",
        words: "Devices per second that failed for good, of all classes, or were dropped.",
        unit: AxisUnit::PerSecond,
        source: "intervals.csv of either side: start_s, length_us, failed_*, dropped",
    },
];

impl Kind {
    /// `None` when nothing happened on either side.
    fn plot(&self, stage: usize, tables: &Tables) -> Option<Plot> {
        let Self { shown, title, words, unit, source } = self;
        let Shown { column, edges, .. } = *shown;
        let happened = |table| {
            let values = tables.get(table).and_then(|columns| columns.get(column)).into_iter().flatten();
            values.filter_map(|number| number.0).any(|value| value != 0.0)
        };
        if !happened("a") && !happened("b") {
            return None;
        }
        let series = [("a", "A"), ("b", "B")].map(|(table, name)| {
            let banded = tables.get(table).is_some_and(|columns| columns.contains_key(edges[0]));
            Series { column: column.into(), name, table: Some(table), band: banded.then_some(edges) }
        });
        let plot = Plot {
            id: format!("plot-{stage}-over-time-{column}"),
            stage: Some(stage),
            axis: "time",
            unit: *unit,
            shape: Shape::Lines,
            log: false,
            series: Vec::from(series),
            title: Cow::Borrowed(title),
            words: Cow::Borrowed(words),
            source: (*source).to_owned(),
            alternative: String::new(),
        };
        Some(plot.fitted(lines(tables, [("a", column), ("b", column)])))
    }
}

/// The values of both lines, by table and column.
fn lines<'a>(
    tables: &'a Tables,
    places: [(&'static str, &'static str); 2],
) -> impl Iterator<Item = (&'static str, &'a [series::Number])> {
    let values = move |(table, column): (&str, &str)| Some(tables.get(table)?.get(column)?.as_slice());
    ["A", "B"].into_iter().zip(places).filter_map(move |(name, place)| Some((name, values(place)?)))
}
