use std::collections::BTreeMap;

use crate::measure::{RunRecord, StageRecord};
use crate::report::html::series::{self, Columns, Number, Points};
use crate::report::units;

/// Fewer than in the report of a run: both sides have theirs, and a band around them.
const POINTS: Points = Points { in_all: 4_000, of_a_stage: (50, 500) };

/// What is shown over time: the middle of the runs, and the edges of the band that they lie in.
pub(super) struct Shown {
    pub(super) column: &'static str,
    pub(super) edges: [&'static str; 2],
    value: fn(&Columns, usize) -> Option<f64>,
    /// What a run that is over still adds: nothing happens any more, but there is no latency of nothing.
    after: Option<f64>,
}

pub(super) const P50: Shown =
    Shown { column: "p50", edges: ["p50_low", "p50_high"], value: |run, at| column(run, "p50", at), after: None };
pub(super) const P99: Shown =
    Shown { column: "p99", edges: ["p99_low", "p99_high"], value: |run, at| column(run, "p99", at), after: None };
pub(super) const SUCCEEDED: Shown = Shown {
    column: "succeeded",
    edges: ["succeeded_low", "succeeded_high"],
    value: |run, at| column(run, "succeeded", at),
    after: Some(0.0),
};
pub(super) const FAILED: Shown =
    Shown { column: "failed", edges: ["failed_low", "failed_high"], value: failed, after: Some(0.0) };

const ALL: [Shown; 4] = [P50, P99, SUCCEEDED, FAILED];

fn column(run: &Columns, name: &str, at: usize) -> Option<f64> {
    run.get(name)?.get(at)?.0
}

/// Devices per second that failed for good, of all classes, or were dropped.
fn failed(run: &Columns, at: usize) -> Option<f64> {
    ["failed", "dropped"].into_iter().map(|name| column(run, name, at)).sum()
}

/// Intervals that become one point: as many for all runs of both sides, so that the points mean the same.
pub(super) fn per_point<'a>(stages: impl Iterator<Item = &'a StageRecord>, of_run: usize) -> usize {
    let longest = stages.map(|stage| series::lived(stage).len()).max().unwrap_or(0);
    POINTS.intervals_of_one(longest, of_run)
}

/// The columns over time of one stage of one side, counted from the stage's first due time.
pub(super) fn columns(runs: &[RunRecord], stage: usize, per_point: usize) -> Columns {
    let runs: Vec<Run> = runs.iter().filter_map(|run| Some(Run::of(run.stages.get(stage)?, per_point))).collect();
    let mut moments: Vec<i64> = runs.iter().flat_map(|run| run.at.keys().copied()).collect();
    moments.sort_unstable();
    moments.dedup();
    let mut columns = Columns::new();
    let mut push = |name: &'static str, value: Option<f64>| {
        columns.entry(name.into()).or_default().push(Number(value.map(units::rounded)));
    };
    for moment in moments {
        push("start_s", Some(moment as f64 / 1e3));
        for shown in &ALL {
            let mut values: Vec<f64> = runs.iter().filter_map(|run| run.value(shown, moment)).collect();
            values.sort_by(f64::total_cmp);
            push(shown.column, middle(&values));
            if runs.len() > 1 {
                let [low, high] = shown.edges;
                push(low, values.first().copied());
                push(high, values.last().copied());
            }
        }
    }
    columns
}

/// The middle of values in order, or of the two around it.
fn middle(values: &[f64]) -> Option<f64> {
    let upper = *values.get(values.len() / 2)?;
    let lower = if values.len().is_multiple_of(2) { *values.get(values.len() / 2 - 1)? } else { upper };
    Some(f64::midpoint(lower, upper))
}

/// One run: where in its columns each moment is, in milliseconds since the first point.
struct Run {
    columns: Columns,
    at: BTreeMap<i64, usize>,
}

impl Run {
    fn of(stage: &StageRecord, per_point: usize) -> Self {
        let columns = series::points(series::lived(stage), per_point);
        let starts: Vec<f64> = columns.get("start_s").into_iter().flatten().filter_map(|start| start.0).collect();
        let first = starts.first().copied().unwrap_or(0.0);
        let at = starts.iter().enumerate().map(|(at, start)| (((start - first) * 1e3).round() as i64, at)).collect();
        Self { columns, at }
    }

    fn value(&self, shown: &Shown, moment: i64) -> Option<f64> {
        match self.at.get(&moment) {
            Some(at) => (shown.value)(&self.columns, *at),
            None => shown.after.filter(|_| self.at.last_key_value().is_some_and(|(last, _)| moment > *last)),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::measure::{Counts, Interval};
    use crate::report::fixture;

    fn run(succeeded: &[u64], start: u64) -> RunRecord {
        let mut record = fixture::record();
        let stage = &mut record.stages[0];
        stage.start = Duration::from_secs(start);
        let interval = |second: u64, succeeded: u64| Interval {
            start: Duration::from_secs(second),
            length: Duration::from_secs(1),
            counts: Counts { succeeded, ..Counts::default() },
            ..Interval::default()
        };
        stage.intervals = (0..).zip(succeeded).map(|(second, n)| interval(start + second, *n)).collect();
        record
    }

    fn values(columns: &Columns, name: &str) -> Vec<Option<f64>> {
        columns[name].iter().map(|number| number.0).collect()
    }

    #[test]
    fn runs_are_laid_over_each_other_from_the_first_device_on() {
        let runs = [run(&[10, 20], 0), run(&[30, 50, 7], 5), run(&[20, 20], 2)];
        let columns = columns(&runs, 0, 1);
        assert_eq!(values(&columns, "start_s"), [Some(0.0), Some(1.0), Some(2.0)]);
        assert_eq!(values(&columns, "succeeded"), [Some(20.0), Some(20.0), Some(0.0)]);
        assert_eq!(values(&columns, "succeeded_low"), [Some(10.0), Some(20.0), Some(0.0)]);
        assert_eq!(values(&columns, "succeeded_high"), [Some(30.0), Some(50.0), Some(7.0)]);
        assert_eq!(values(&columns, "p99"), [None, None, None]);
    }

    #[test]
    fn one_run_has_no_band_and_two_meet_in_the_middle() {
        let one = columns(&[run(&[1], 0)], 0, 1);
        assert!(!one.contains_key("succeeded_low"));
        let two = columns(&[run(&[1], 0), run(&[4], 0)], 0, 1);
        assert_eq!(values(&two, "succeeded"), [Some(2.5)]);
        assert!(columns(&[], 0, 1).is_empty());
    }

    #[test]
    fn points_are_bounded_for_the_longest_run() {
        let record = run(&vec![1; 10_000], 0);
        let per_point = per_point([&record.stages[0], &run(&[1], 0).stages[0]].into_iter(), 2);
        assert_eq!(per_point, 20);
        assert_eq!(columns(&[record], 0, per_point)["start_s"].len(), 500);
    }
}
