//! Numbers in words, for the panel and for plain lines.

use std::time::Duration;

use crate::cli::live::About;
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
    let Some(newest) = progress.stages.last() else {
        return format!("waiting for a stage to begin, {time}");
    };
    let names = progress.stages.iter().map(|stage| name(about, stage.stage)).collect::<Vec<_>>().join(" + ");
    let rate: f64 = progress.stages.iter().map(|stage| stage.rate).sum();
    let mut words = vec![format!("{rate:.0}/s")];
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
    if about.time_scale.is_real() || progress.part == RunPart::Prepare {
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

/// How bad a count is when it is not zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mood {
    /// It belongs to the scenario.
    Plain,
    /// It may be what the scenario is about.
    Warning,
    /// Devices did not get through.
    Bad,
}

/// What went wrong; failures always, the others where there are any.
pub(super) fn counts(stage: &StageProgress) -> impl Iterator<Item = (String, Mood)> {
    let retried = stage.failed_attempts.saturating_sub(stage.failed);
    let failed = (stage.failed, "failed", if stage.failed > 0 { Mood::Bad } else { Mood::Plain });
    let others = [
        (stage.dropped, "dropped", Mood::Bad),
        (stage.expired, "expired", Mood::Bad),
        (stage.disconnects, "lost", Mood::Warning),
        (retried, "retried", Mood::Warning),
        (stage.throttled, "times 429", Mood::Warning),
    ];
    std::iter::once(failed)
        .chain(others.into_iter().filter(|(count, ..)| *count > 0))
        .map(|(count, name, mood)| (format!("{} {name}", units::count(count)), mood))
}
