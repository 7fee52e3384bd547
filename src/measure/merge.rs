//! Several runs, or parts of one, as one: histograms are added, counts are added and checked.

use std::time::Duration;

use crate::domain::cause;
use crate::measure::identity::{Fleet, compare_fleets, fleets, identities, set_identities};
use crate::measure::{
    Begin, CompactHistogram, CpuUse, ErrorRow, GeneratorHealth, Identity, Interval, RunRecord, RunStatus,
};
use crate::measure::{StageRecord, add_each, resources, skips};

/// Shards that began further apart than this did not happen at the same time.
const TOGETHER: Duration = Duration::from_secs(1);

/// Runs that cannot be added.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MergeError {
    /// Nothing to merge.
    #[error("there is nothing to merge")]
    Nothing,
    /// Runs of different things.
    #[error("{what} differs: {first} and {other}")]
    Different {
        /// What differs.
        what: String,
        /// In the first run.
        first: String,
        /// In another one.
        other: String,
    },
    /// The same run twice, or two with devices in common.
    #[error("the same devices of scenario {scenario} are in {} and in {}", parts[0], parts[1])]
    Overlap {
        /// Name of the scenario.
        scenario: String,
        /// Which parts of which runs.
        parts: [Identity; 2],
    },
    /// The outcomes of a part do not add up.
    #[error("stage {stage} of seed {seed}: {accounted} devices have an outcome, but {planned} were planned")]
    Unaccounted {
        /// Name of the stage.
        stage: String,
        /// The seed.
        seed: u64,
        /// Devices planned.
        planned: u64,
        /// Devices with an outcome.
        accounted: u64,
    },
}

/// Adds runs, or shards of one, without loss: every histogram and count of the result is the sum of those of the parts.
/// Times are since each part's own start. What was true of a part alone (thresholds, saturation) is told as such; the sum has
/// no thresholds.
///
/// # Errors
/// They are of different things, have devices in common, or do not add up.
pub fn merge(parts: &[RunRecord]) -> Result<RunRecord, MergeError> {
    let (first, others) = parts.split_first().ok_or(MergeError::Nothing)?;
    for part in parts {
        if let Some(stage) = part.stages.iter().find(|stage| !stage.totals.add_up()) {
            let totals = &stage.totals;
            return Err(MergeError::Unaccounted {
                stage: stage.name.clone(),
                seed: part.seed,
                planned: totals.planned,
                accounted: totals.accounted(),
            });
        }
    }
    for other in others {
        same_thing(first, other)?;
    }
    let mut all: Vec<Identity> = parts.iter().flat_map(identities).collect();
    all.sort_unstable();
    for (place, one) in all.iter().enumerate() {
        // Sorted by seed first, so that only those of the same are looked at.
        let others = all.iter().skip(place + 1).take_while(|other| other.seed == one.seed);
        if let Some(other) = others.copied().find(|other| one.overlaps(*other)) {
            return Err(MergeError::Overlap { scenario: first.scenario.clone(), parts: [*one, other] });
        }
    }
    let mut merged = first.clone();
    for other in others {
        add(&mut merged, other);
    }
    merged.errors.clear();
    parts.iter().flat_map(|part| &part.errors).for_each(|row| add_error(&mut merged.errors, row));
    let fleets = fleets(&all);
    merged.notes.extend(fleets.iter().filter_map(Fleet::missing));
    merged.notes.extend(apart(parts));
    for part in parts {
        for threshold in &part.thresholds {
            let met = if threshold.met { "met" } else { "NOT met" };
            merged.notes.push(format!("{}: threshold {} was {met}", name(part), threshold.text));
        }
    }
    merged.health.saturated = parts.iter().flat_map(saturated).collect();
    (merged.health.peak_in_flight, merged.health.peak_connected, merged.health.in_flight_limit) = peaks(parts);
    // They judge one run; of several there is no one moment at which they held.
    merged.thresholds.clear();
    merged.errors.sort_by(|a, b| (b.count, a.class, a.code, &a.message).cmp(&(a.count, b.class, b.code, &b.message)));
    set_identities(&mut merged, &all);
    Ok(merged)
}

/// What a part is called.
fn name(part: &RunRecord) -> String {
    match part.shard.filter(|shard| !shard.is_whole()) {
        Some(shard) => Identity { seed: part.seed, shard }.to_string(),
        None => format!("seed {}", part.seed),
    }
}

/// That shards of one run did not begin together.
fn apart(parts: &[RunRecord]) -> Option<String> {
    let of_seed = |seed| parts.iter().filter(move |part| part.seed == seed).map(|part| part.started_at);
    let span = |part: &RunRecord| {
        let (first, last) = (of_seed(part.seed).min()?, of_seed(part.seed).max()?);
        last.duration_since(first).ok()
    };
    let most = parts.iter().filter_map(span).max().filter(|span| *span > TOGETHER)?;
    Some(format!(
        "the shards began up to {:.1} s apart: what stands in the same interval did not happen at the same time (run them \
         with --start-at)",
        most.as_secs_f64()
    ))
}

/// Why a generator was the bottleneck, and which one where there are several of a run.
fn saturated(part: &RunRecord) -> impl Iterator<Item = String> + '_ {
    let shard = part.shard.filter(|shard| !shard.is_whole());
    let which = shard.map(|shard| format!("{shard}: ")).unwrap_or_default();
    part.health.saturated.iter().map(move |reason| format!("{which}{reason}"))
}

/// Most attempts in flight and most connections held at once, and the bound on them: of shards of one run, which go on at the same time, the sum (the
/// peaks need not be at the same moment, so it is no more than that); of runs, the largest.
fn peaks(parts: &[RunRecord]) -> (u64, u64, u64) {
    let of_seed = |seed, what: fn(&GeneratorHealth) -> u64| -> u64 {
        parts.iter().filter(|part| part.seed == seed).map(|part| what(&part.health)).sum()
    };
    let most = |what| parts.iter().map(|part| of_seed(part.seed, what)).max().unwrap_or_default();
    (most(|health| health.peak_in_flight), most(|health| health.peak_connected), most(|health| health.in_flight_limit))
}

fn same_thing(first: &RunRecord, other: &RunRecord) -> Result<(), MergeError> {
    let shape = |run: &RunRecord| -> String {
        run.stages.iter().map(|stage| format!("{} ({})", stage.name, stage.kind)).collect::<Vec<_>>().join(", ")
    };
    let pairs = [
        ("scenario", first.scenario.clone(), other.scenario.clone()),
        ("time_scale", first.time_scale.to_string(), other.time_scale.to_string()),
        ("list of stages", shape(first), shape(other)),
    ];
    match pairs.into_iter().find(|(_, first, other)| first != other) {
        Some((what, first, other)) => Err(MergeError::Different { what: what.to_owned(), first, other }),
        None => Ok(()),
    }
}

fn add(sum: &mut RunRecord, other: &RunRecord) {
    if let (Some(sum), Some(other)) = (&mut sum.rows_lost, other.rows_lost) {
        *sum += other;
    } else {
        sum.rows_lost = sum.rows_lost.or(other.rows_lost);
    }
    compare_fleets(sum, other);
    let note = |note: &String| !sum.notes.contains(note);
    let notes: Vec<_> = other.notes.iter().filter(|n| note(n)).cloned().collect();
    sum.notes.extend(notes);
    sum.started_at = sum.started_at.min(other.started_at);
    sum.prepare = sum.prepare.max(other.prepare);
    sum.elapsed = sum.elapsed.max(other.elapsed);
    if sum.status == RunStatus::Complete {
        sum.status = other.status;
    }
    add_cpu(&mut sum.generator, &other.generator);
    match (&mut sum.emulator, &other.emulator) {
        (Some(sum), Some(other)) => add_cpu(sum, other),
        (sum, other) => *sum = sum.or(*other),
    }
    sum.health.lateness.merge(&other.health.lateness);
    // The rest of it is not added pair by pair.
    sum.resources = resources::beside(&sum.resources, &other.resources);
    for (sum, other) in sum.stages.iter_mut().zip(&other.stages) {
        add_stage(sum, other);
    }
    sum.certificates = match (sum.certificates.take(), &other.certificates) {
        (Some(mut sum), Some(other)) => {
            sum.add(other);
            Some(sum)
        }
        // Those of only a part of the devices would be taken for those of all.
        _ => None,
    };
}

fn add_cpu(sum: &mut CpuUse, other: &CpuUse) {
    sum.user = sum.user.saturating_add(other.user);
    sum.system = sum.system.saturating_add(other.system);
    sum.peak_memory = sum.peak_memory.max(other.peak_memory);
}

fn add_stage(sum: &mut StageRecord, other: &StageRecord) {
    let until = sum.span().1.max(other.span().1);
    // Each shard has its own when a stage follows another one.
    sum.begin = sum
        .begin
        .zip(other.begin)
        .map(|(sum, other)| Begin { due: sum.due.min(other.due), late: sum.late.max(other.late) });
    sum.start = sum.start.min(other.start);
    sum.elapsed = until.saturating_sub(sum.start);
    sum.totals.add(&other.totals);
    for skip in &other.skips {
        skips::add(&mut sum.skips, skip);
    }
    sum.skips.sort_by_key(|skip| std::cmp::Reverse(skip.devices));
    sum.phases.merge(&other.phases);
    for interval in &other.intervals {
        match sum.intervals.binary_search_by_key(&interval.start, |known| known.start) {
            Ok(place) => add_interval(&mut sum.intervals[place], interval),
            Err(place) => sum.intervals.insert(place, interval.clone()),
        }
    }
}

fn add_interval(sum: &mut Interval, other: &Interval) {
    let mut total = sum.total.decode();
    total.merge(&other.total.decode());
    sum.total = CompactHistogram::new(&total);
    sum.length = sum.length.max(other.length);
    for (sum, other) in [
        (&mut sum.due, other.due),
        (&mut sum.started, other.started),
        (&mut sum.attempts, other.attempts),
        (&mut sum.failed_attempts, other.failed_attempts),
        (&mut sum.succeeded_attempts, other.succeeded_attempts),
        (&mut sum.succeeded, other.succeeded),
        (&mut sum.throttled, other.throttled),
        (&mut sum.dropped, other.dropped),
        (&mut sum.expired, other.expired),
        (&mut sum.gave_up, other.gave_up),
        (&mut sum.disconnects, other.disconnects),
        (&mut sum.telemetry, other.telemetry),
        (&mut sum.in_flight, other.in_flight),
    ] {
        *sum += other;
    }
    add_each(&mut sum.failed, &other.failed);
    sum.failed_attempts_by_class = match (sum.failed_attempts_by_class, &other.failed_attempts_by_class) {
        (Some(mut sum), Some(other)) => {
            add_each(&mut sum, other);
            Some(sum)
        }
        // Of one of them nobody knows.
        _ => None,
    };
    sum.retry_after_max = sum.retry_after_max.max(other.retry_after_max);
}

/// Records of before may tell one cause in the words of every single request.
fn add_error(rows: &mut Vec<ErrorRow>, row: &ErrorRow) {
    let message = cause(&row.message);
    match rows.iter_mut().find(|r| (r.class, r.code, r.message.as_str()) == (row.class, row.code, &*message)) {
        Some(known) => {
            known.count += row.count;
            known.first = known.first.min(row.first);
            known.last = known.last.max(row.last);
        }
        None => rows.push(ErrorRow { message: message.into_owned(), ..row.clone() }),
    }
}
