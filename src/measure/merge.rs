//! Several runs, or parts of one, as one: histograms are added, counts are added and checked.

use crate::measure::{CompactHistogram, CpuUse, ErrorRow, GeneratorHealth, Interval, Origin, RunRecord, RunStatus};
use crate::measure::{Setting, StageRecord, add_each, resources};

/// Settings by which a merged record knows what it is made of.
const PART: &str = "merged.";

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
    /// The same run twice, or two with the same devices.
    #[error("the same devices are in two of them: scenario {scenario}, seed {seed}")]
    Overlap {
        /// Name of the scenario.
        scenario: String,
        /// The seed.
        seed: String,
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

/// Adds runs, without loss: every histogram and count of the result is the sum of those of the parts. What was true of a part
/// alone (thresholds, saturation) is told as such.
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
    let mut identities: Vec<String> = parts.iter().flat_map(identities).collect();
    identities.sort();
    if let Some(twice) = identities.windows(2).find(|pair| pair[0] == pair[1]) {
        return Err(MergeError::Overlap { scenario: first.scenario.clone(), seed: twice[0].clone() });
    }
    let mut merged = first.clone();
    for other in others {
        add(&mut merged, other);
    }
    for part in parts {
        for threshold in &part.thresholds {
            let met = if threshold.met { "met" } else { "NOT met" };
            merged.notes.push(format!("seed {}: threshold {} was {met}", part.seed, threshold.text));
        }
    }
    // They judge one run; of several there is no one moment at which they held.
    merged.thresholds.clear();
    merged.errors.sort_by(|a, b| (b.count, a.class, a.code, &a.message).cmp(&(a.count, b.class, b.code, &b.message)));
    merged.settings.retain(|setting| !setting.key.starts_with(PART));
    let part = |(number, value)| Setting { key: format!("{PART}{number}"), value, origin: Origin::CommandLine };
    merged.settings.extend((1..).zip(identities).map(part));
    Ok(merged)
}

/// The seeds that a record is made of: seed and scenario say which devices came.
fn identities(record: &RunRecord) -> Vec<String> {
    let parts: Vec<_> =
        record.settings.iter().filter(|setting| setting.key.starts_with(PART)).map(|part| part.value.clone()).collect();
    if parts.is_empty() { vec![record.seed.to_string()] } else { parts }
}

fn same_thing(first: &RunRecord, other: &RunRecord) -> Result<(), MergeError> {
    let shape = |run: &RunRecord| -> String {
        run.stages.iter().map(|stage| format!("{} ({})", stage.name, stage.kind)).collect::<Vec<_>>().join(", ")
    };
    let pairs = [
        ("scenario", first.scenario.clone(), other.scenario.clone()),
        ("time_scale", first.time_scale.to_string(), other.time_scale.to_string()),
        ("target", first.target.clone(), other.target.clone()),
        ("list of stages", shape(first), shape(other)),
    ];
    match pairs.into_iter().find(|(_, first, other)| first != other) {
        Some((what, first, other)) => Err(MergeError::Different { what: what.to_owned(), first, other }),
        None => Ok(()),
    }
}

fn add(sum: &mut RunRecord, other: &RunRecord) {
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
    let GeneratorHealth { lateness, saturated, peak_in_flight, peak_connected, in_flight_limit } = &other.health;
    sum.health.lateness.merge(lateness);
    sum.health.saturated.extend(saturated.iter().cloned());
    sum.health.peak_in_flight = sum.health.peak_in_flight.max(*peak_in_flight);
    sum.health.peak_connected = sum.health.peak_connected.max(*peak_connected);
    sum.health.in_flight_limit = sum.health.in_flight_limit.max(*in_flight_limit);
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
    for row in &other.errors {
        add_error(&mut sum.errors, row);
    }
}

fn add_cpu(sum: &mut CpuUse, other: &CpuUse) {
    sum.user = sum.user.saturating_add(other.user);
    sum.system = sum.system.saturating_add(other.system);
    sum.peak_memory = sum.peak_memory.max(other.peak_memory);
}

fn add_stage(sum: &mut StageRecord, other: &StageRecord) {
    let end = |stage: &StageRecord| stage.start.saturating_add(stage.elapsed);
    let until = end(sum).max(end(other));
    sum.start = sum.start.min(other.start);
    sum.elapsed = until.saturating_sub(sum.start);
    sum.totals.add(&other.totals);
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

fn add_error(rows: &mut Vec<ErrorRow>, row: &ErrorRow) {
    match rows.iter_mut().find(|r| (r.class, r.code, &r.message) == (row.class, row.code, &row.message)) {
        Some(known) => {
            known.count += row.count;
            known.first = known.first.min(row.first);
            known.last = known.last.max(row.last);
        }
        None => rows.push(row.clone()),
    }
}
