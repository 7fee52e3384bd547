//! Numbers in words, for the panel and for plain lines.

use std::time::Duration;

use crate::cli::live::About;
use crate::domain::{FailureClass, Phase};
use crate::engine::{Progress, RunPart, StageProgress};
use crate::report::units;

/// A snapshot in one plain line.
pub(super) fn line(about: &About, progress: &Progress) -> String {
    let time = time(about, progress);
    if progress.part == RunPart::Prepare {
        let Progress { keys_ready, keys_wanted, .. } = progress;
        return format!(
            "prepare {}/{} keys made ahead of need, {time}",
            units::count(*keys_ready),
            units::count(*keys_wanted)
        );
    }
    if progress.part == RunPart::Wait {
        return format!("ready: {}", begins(progress));
    }
    let Some(newest) = progress.stages.last() else {
        return format!("waiting for a stage to begin, {time}");
    };
    let names = progress.stages.iter().map(|stage| name(about, stage.stage)).collect::<Vec<_>>().join(" + ");
    let rate: f64 = progress.stages.iter().map(|stage| stage.rate).sum();
    let mut words = vec![rate_of(rate)];
    words.extend(percentiles(newest));
    words.extend(counts(newest).map(|(words, _)| words));
    let in_flight = progress.stages.iter().map(|stage| stage.in_flight).sum();
    if progress.connected > 0 {
        words.push(format!("{} connected", units::count(progress.connected)));
    }
    words.push(format!("{} in flight", units::count(in_flight)));
    words.push(time);
    let (done, planned) = (units::count(newest.done), units::count(newest.planned));
    format!("{names} ({}) {done}/{planned}, {}", progress.part.name(), words.join(", "))
}

/// When the measured part begins.
pub(super) fn begins(progress: &Progress) -> String {
    // Up, so that it is never said to begin in no time.
    let seconds = progress.begins_in.as_secs() + u64::from(progress.begins_in.subsec_nanos() > 0);
    format!("begins in {}", units::duration(Duration::from_secs(seconds)))
}

/// What a stage that is over came to, seen at `elapsed`.
pub(super) fn ended(about: &About, stage: &StageProgress, elapsed: Duration) -> String {
    let mut words = vec![format!("{} of {} succeeded", units::count(stage.succeeded), units::count(stage.planned))];
    words.extend(percentiles(stage));
    words.extend(counts(stage).map(|(words, _)| words));
    format!("{} over at {}: {}", name(about, stage.stage), units::duration(elapsed), words.join(", "))
}

/// Name of a stage.
pub(super) fn name(about: &About, stage: usize) -> &str {
    about.stages.get(stage).map_or("run", String::as_str)
}

/// Real time, and beside it that of the fleet where it is another.
pub(super) fn time(about: &About, progress: &Progress) -> String {
    let real = units::duration(progress.elapsed);
    if about.time_scale.is_real() || matches!(progress.part, RunPart::Prepare | RunPart::Wait) {
        return real;
    }
    format!("{real} = {} of the fleet", units::fleet_time(about.time_scale.to_fleet(progress.elapsed)))
}

/// Median and 99th percentile of the successes so far.
pub(super) fn percentiles(stage: &StageProgress) -> impl Iterator<Item = String> {
    [("p50", stage.p50), ("p99", stage.p99)]
        .into_iter()
        .filter_map(|(name, time)| Some(format!("{name} {}", units::duration(time?))))
}

/// A rate without fractions, which would only flicker.
pub(super) fn rate_of(per_second: f64) -> String {
    format!("{}/s", units::count(per_second.round() as u64))
}

/// Phases that are shown; the others hardly matter to `total` then.
const PHASES: usize = 3;

/// Where the time of successes went, as far as it is told: the phases that took most of it, with their means.
pub(super) fn phases(stage: &StageProgress) -> Option<String> {
    let of_total = |phase: &Phase| match phase {
        Phase::Total | Phase::TotalRaw => false,
        // Made ahead of need.
        Phase::Keygen | Phase::Csr | Phase::Sas => false,
        // One per message, not per device.
        Phase::TelemetryAck => false,
        _ => true,
    };
    let mut times: Vec<_> = stage
        .distributions
        .as_ref()?
        .phases
        .iter()
        .filter(|(phase, succeeded, _)| *succeeded && of_total(phase))
        .map(|(phase, _, buckets)| (phase, buckets.sum, buckets.count()))
        .filter(|(_, _, count)| *count > 0)
        .collect();
    times.sort_by(|(_, a, _), (_, b, _)| b.total_cmp(a));
    let mean = |(phase, sum, count): (Phase, f64, u64)| {
        format!("{} {}", phase.name(), units::nanos((sum / count as f64) as u64))
    };
    let longest: Vec<_> = times.into_iter().take(PHASES).map(mean).collect();
    if longest.is_empty() { None } else { Some(format!("most time in {}", longest.join(", "))) }
}

/// How bad a count is when it is not zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mood {
    /// It belongs to the scenario.
    Plain,
    /// It is about something else.
    Aside,
    /// It may be what the scenario is about.
    Warning,
    /// Devices did not get through.
    Bad,
}

/// What went wrong; failures always, the others where there are any.
pub(super) fn counts(stage: &StageProgress) -> impl Iterator<Item = (String, Mood)> {
    let retried = stage.failed_attempts.saturating_sub(stage.failed);
    let failed = (failures(stage), if stage.failed > 0 { Mood::Bad } else { Mood::Plain });
    let others = [
        (stage.dropped, "dropped", Mood::Bad),
        (stage.expired, "expired", Mood::Bad),
        (stage.disconnects, "connections lost", Mood::Warning),
        (retried, "retried", Mood::Warning),
        (stage.throttled, "times 429", Mood::Warning),
    ];
    let others = others.into_iter().filter(|(count, ..)| *count > 0);
    std::iter::once(failed).chain(others.map(|(count, name, mood)| (format!("{} {name}", units::count(count)), mood)))
}

/// Devices that failed, and the classes that most of them failed by.
fn failures(stage: &StageProgress) -> String {
    let mut classes: Vec<_> = FailureClass::ALL
        .into_iter()
        .map(|class| (stage.totals.failed[class.index()], class))
        .filter(|(count, _)| *count > 0)
        .collect();
    classes.sort_by_key(|(count, _)| std::cmp::Reverse(*count));
    let named: Vec<_> =
        classes.iter().take(2).map(|(count, class)| format!("{} {}", units::count(*count), class.name())).collect();
    let words = format!("{} failed", units::count(stage.failed));
    match named.as_slice() {
        [] => words,
        named => format!("{words} ({}{})", named.join(", "), if classes.len() > 2 { ", …" } else { "" }),
    }
}
