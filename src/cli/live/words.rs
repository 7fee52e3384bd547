//! Numbers in words, for the panel and for plain lines.

use std::time::Duration;

use crate::domain::{Concern, Count, FailureClass, Fate, Phase};
use crate::engine::{Progress, RunPart, StageProgress};
use crate::report::units;
use crate::rig::live::About;

/// A snapshot in plain lines: one for every stage that goes on. What a stage that is over came to is told by [`ended`].
pub(super) fn lines(about: &About, progress: &Progress) -> Vec<String> {
    let time = time(about, progress);
    if progress.part == RunPart::Prepare {
        let Progress { keys_ready, keys_wanted, .. } = progress;
        return vec![format!(
            "prepare {}/{} keys made ahead of need, {time}",
            units::count(*keys_ready),
            units::count(*keys_wanted)
        )];
    }
    if progress.part == RunPart::Wait {
        return vec![format!("ready: {}", begins(progress))];
    }
    let all_began = progress.stages.len() + progress.over.len() >= about.stages.len();
    if !all_began && progress.stages.iter().all(|stage| stage.ended.is_some()) {
        let words = ["waiting for a stage to begin".to_owned()].into_iter().chain(held(progress)).chain([time]);
        return vec![words.collect::<Vec<_>>().join(", ")];
    }
    let go_on = progress.stages.iter().filter(|stage| stage.ended.is_none());
    go_on.map(|stage| line(about, progress, stage)).collect()
}

fn line(about: &About, progress: &Progress, stage: &StageProgress) -> String {
    let head =
        format!("{} ({}) {}", name(about, stage.stage), progress.part.name(), Extent::of(about, progress, stage).words);
    let mut words = vec![head];
    words.extend(connected(stage));
    words.push(rate_of(stage.rate));
    words.extend(percentiles(stage));
    words.extend(counts(stage).map(|(words, _)| words));
    words.extend(held(progress));
    words.push(in_flight(stage));
    words.push(time(about, progress));
    words.join(", ")
}

/// How much of a stage is done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Extent {
    /// Of `whole`: devices, or microseconds where a stage lasts a time.
    pub(super) done: u64,
    pub(super) whole: u64,
    /// Both, as a person reads them.
    pub(super) words: String,
}

impl Extent {
    /// Of a stage: by time where devices stay connected for a time, and none of them is through before; else by devices.
    pub(super) fn of(about: &About, progress: &Progress, stage: &StageProgress) -> Self {
        let Some(lasts) = stage.lasts else { return Self::devices(stage.totals.through(), stage.totals.planned) };
        let now = stage.ended.unwrap_or(progress.elapsed);
        let passed = now.saturating_sub(stage.began).min(lasts);
        let time = |time| match about.time_scale.is_real() {
            true => units::duration(time),
            false => units::fleet_time(about.time_scale.to_fleet(time)),
        };
        let micros = |time: Duration| u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        Self { done: micros(passed), whole: micros(lasts), words: format!("{} of {}", time(passed), time(lasts)) }
    }

    /// Of things that are counted.
    pub(super) fn devices(done: u64, whole: u64) -> Self {
        Self { done, whole, words: format!("{}/{}", units::count(done), units::count(whole)) }
    }

    /// How much of `columns` that is; all of them only when all is done.
    pub(super) fn share(&self, columns: u64) -> u64 {
        let Self { done, whole, .. } = *self;
        if whole == 0 { 0 } else { (u128::from(done.min(whole)) * u128::from(columns) / u128::from(whole)) as u64 }
    }
}

/// Attempts that go on, and the phases that most of them are in: there before any of them has ended.
pub(super) fn in_flight(stage: &StageProgress) -> String {
    let mut phases = stage.in_phases.clone();
    phases.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    let most: Vec<_> =
        phases.iter().take(PHASES).map(|(phase, count)| format!("{} {}", units::count(*count), phase.name())).collect();
    let words = format!("{} in flight", units::count(stage.in_flight));
    match most.as_slice() {
        [] => words,
        most => format!("{words} ({}{})", most.join(", "), if phases.len() > PHASES { ", …" } else { "" }),
    }
}

/// In a stage whose devices stay connected: how many of them are.
pub(super) fn connected(stage: &StageProgress) -> Option<String> {
    stage.lasts?;
    Some(format!("{} of {} connected", units::count(stage.connected), units::count(stage.totals.planned)))
}

/// Connections that are held in all, unless those of the stages that go on are all of them.
pub(super) fn held(progress: &Progress) -> Option<String> {
    let told: u64 = progress.stages.iter().filter(|stage| stage.lasts.is_some()).map(|stage| stage.connected).sum();
    let connected = progress.connected;
    (connected > 0 && connected != told).then(|| format!("{} connections held", units::count(connected)))
}

/// When the measured part begins.
pub(super) fn begins(progress: &Progress) -> String {
    // Up, so that it is never said to begin in no time.
    let seconds = progress.begins_in.as_secs() + u64::from(progress.begins_in.subsec_nanos() > 0);
    format!("begins in {}", units::duration(Duration::from_secs(seconds)))
}

/// What a stage that is over came to.
pub(super) fn ended(about: &About, stage: &StageProgress) -> String {
    let name = name(about, stage.stage);
    if stage.totals.not_started > 0 && stage.totals.not_started == stage.totals.planned {
        return format!("{name} did not begin: {} devices not started", units::count(stage.totals.planned));
    }
    let mut words =
        vec![format!("{} of {} succeeded", units::count(stage.totals.succeeded), units::count(stage.totals.planned))];
    words.extend(percentiles(stage));
    words.extend(counts(stage).map(|(words, _)| words));
    let at = stage.ended.map(|ended| format!(" at {}", units::duration(ended))).unwrap_or_default();
    format!("{name} over{at}: {}", words.join(", "))
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

/// Median and 99th percentile of all devices that began.
pub(super) fn percentiles(stage: &StageProgress) -> impl Iterator<Item = String> {
    [("p50", stage.p50), ("p99", stage.p99)]
        .into_iter()
        .filter_map(|(name, time)| Some(format!("{name} {}", units::known(time?))))
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
        .filter(|(phase, end, _)| *end == Fate::Succeeded && of_total(phase))
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
    let totals = &stage.totals;
    let failed = (failures(stage), if totals.failed.total() > 0 { Mood::Bad } else { Mood::Plain });
    let others = Count::ALL.into_iter().filter(|count| *count != Count::Failed).filter_map(|count| {
        let mood = match count.concern() {
            Concern::None => return None,
            Concern::Warning => Mood::Warning,
            Concern::Bad => Mood::Bad,
        };
        let number = totals.number(count)?;
        Some(match count {
            Count::FailedAttempts => (number.saturating_sub(totals.failed.total()), "retried", Mood::Warning),
            Count::Throttled => (number, "times 429", mood),
            _ => (number, count.title(), mood),
        })
    });
    let others = others.filter(|(number, ..)| *number > 0);
    std::iter::once(failed).chain(others.map(|(number, name, mood)| (format!("{} {name}", units::count(number)), mood)))
}

/// Devices that failed, and the classes that most of them failed by.
fn failures(stage: &StageProgress) -> String {
    let mut classes: Vec<_> = FailureClass::ALL
        .into_iter()
        .map(|class| (stage.totals.failed[class], class))
        .filter(|(count, _)| *count > 0)
        .collect();
    classes.sort_by_key(|(count, _)| std::cmp::Reverse(*count));
    let named: Vec<_> =
        classes.iter().take(2).map(|(count, class)| format!("{} {}", units::count(*count), class.name())).collect();
    let words = format!("{} failed", units::count(stage.totals.failed.total()));
    match named.as_slice() {
        [] => words,
        named => format!("{words} ({}{})", named.join(", "), if classes.len() > 2 { ", …" } else { "" }),
    }
}
