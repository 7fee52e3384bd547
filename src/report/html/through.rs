//! The share of those who began that are through, over the time since each began: a plot of every stage.

use std::time::Duration;

use crate::domain::{Fate, Phase};
use crate::measure::{Incidence, StageRecord};
use crate::report::html::plots::{AxisUnit, Lines, Plot, PlotKind, Shape};
use crate::report::html::series::{Columns, Number, millis};
use crate::report::units;

/// Points of a curve: more than a screen shows would only slow the page down.
const POINTS: usize = 250;

/// What there are curves of: devices that get through, and connections that come back.
pub(super) const OF: [(Phase, PlotKind); 2] = [
    (
        Phase::Total,
        PlotKind {
            name: "through",
            title: "Share of devices through, over time",
            words: "Of all devices that began, those that have what the stage is for, by the time since each was due.",
            unit: AxisUnit::Share,
            shape: Shape::Steps,
            lines: Lines::Of(&[("share", "through")]),
            needs: &[],
        },
    ),
    (
        Phase::Recover,
        PlotKind {
            name: "recovered",
            title: "Share of lost connections that are back, over time",
            words: "Of all connections that were lost and wanted back, those that are back, by the time since each was lost.",
            unit: AxisUnit::Share,
            shape: Shape::Steps,
            lines: Lines::Of(&[("share", "back")]),
            needs: &[],
        },
    ),
];

/// The points of a curve; none when nobody began.
pub(super) fn columns(stage: &StageRecord, phase: Phase) -> Columns {
    let mut columns = Columns::new();
    let Some(times) = stage.of_all(phase) else { return columns };
    let steps: Vec<_> = times.steps().collect();
    let mut push = |time: Duration, share: f64| {
        columns.entry("since_ms".into()).or_default().push(Number(Some(units::rounded(millis(time)))));
        columns.entry("share".into()).or_default().push(Number(Some(units::rounded(share))));
    };
    push(Duration::ZERO, 0.0);
    let every = steps.len().div_ceil(POINTS).max(1);
    for (place, (time, share)) in steps.iter().enumerate() {
        // The last one stays, whatever is left out.
        if place % every == 0 || place + 1 == steps.len() {
            push(*time, *share);
        }
    }
    // Level from there on to the end of what was seen.
    push(times.seen().max(steps.last().map(|(time, _)| *time).unwrap_or_default()), times.share());
    columns
}

/// The plot of a curve that is there.
pub(super) fn plot(
    position: usize,
    stage: &StageRecord,
    phase: Phase,
    kind: &PlotKind,
    columns: &Columns,
) -> Option<Plot> {
    let plot = kind.plot(Some(position), columns, kind.name)?;
    let words = format!("{} {}", kind.words, end(&stage.of_all(phase)?));
    Some(Plot { words: words.into(), ..plot })
}

/// How it ends, in words.
fn end(times: &Incidence) -> String {
    let count = |fate| times.ended(fate);
    let open = times.began() - Fate::ALL.map(count).iter().sum::<u64>() + count(Fate::Censored);
    if count(Fate::Succeeded) == times.began() {
        return format!("All {} are, after {}.", units::count(times.began()), units::known(times.max()));
    }
    let mut words = format!(
        "{} of {} had been seen to be by the end, {}",
        units::count(count(Fate::Succeeded)),
        units::count(times.began()),
        units::duration(times.seen())
    );
    for (number, what) in [(count(Fate::Failed), "failed for good"), (open, "were not seen to end")] {
        if number > 0 {
            words.push_str(&format!("; {} {what}", units::count(number)));
        }
    }
    words.push('.');
    words
}
