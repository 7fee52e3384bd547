//! Several runs, or parts of one, as one: histograms are added, counts are added and checked.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use crate::domain::cause;
use crate::measure::identity::{ShardsOfSeed, compare_fleets, fleets, identities, set_identities};
use crate::measure::{Begin, CpuUse, ErrorRow, GeneratorHealth, Identity, Interval, RunRecord, RunStatus};
use crate::measure::{StageRecord, resources, skips};

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
    /// One run twice, or two with devices in common.
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

/// Runs, or shards of one, as they are added one by one, so that no more than the sum and the one that is added need to be in
/// memory. Nothing is lost: every histogram and count of the result is the sum of those of the parts. Times are since each
/// part's own start. What was true of a part alone (what became of thresholds, saturation) is told as such: the
/// sum has what all parts had to meet, and was not held against it.
#[derive(Debug)]
pub struct Merging {
    sum: RunRecord,
    apart: Apart,
}

/// What of the parts is not added pair by pair.
#[derive(Debug, Default)]
struct Apart {
    identities: Vec<Identity>,
    /// By seed.
    generators: BTreeMap<u64, Generators>,
    /// What became of the thresholds.
    thresholds: Vec<String>,
    saturated: Vec<String>,
    errors: Vec<ErrorRow>,
}

/// The generators of one run, which go on at the same time.
#[derive(Debug)]
struct Generators {
    /// When the first and the last of them began.
    began: [SystemTime; 2],
    /// Most attempts in flight and most connections held at once, and the bound on them. The peaks need not be at the same
    /// moment, so their sum is no more than that.
    peaks: [u64; 3],
}

impl Merging {
    /// Begins with a part.
    ///
    /// # Errors
    /// Its outcomes do not add up.
    pub fn new(mut first: RunRecord) -> Result<Self, MergeError> {
        accounted(&first)?;
        let mut apart = Apart::default();
        apart.note(&first);
        // They judge one run; of several there is no one moment at which they held.
        first.thresholds.clear();
        Ok(Self { sum: first, apart })
    }

    /// Adds one more. What was added before an error stays.
    ///
    /// # Errors
    /// It is of something else, or does not add up.
    pub fn add(&mut self, part: &RunRecord) -> Result<(), MergeError> {
        accounted(part)?;
        same_thing(&self.sum, part)?;
        add(&mut self.sum, part);
        self.apart.note(part);
        Ok(())
    }

    /// The sum.
    ///
    /// # Errors
    /// Two parts have devices in common.
    pub fn finish(self) -> Result<RunRecord, MergeError> {
        let Self { mut sum, apart } = self;
        let Apart { mut identities, generators, thresholds, saturated, errors } = apart;
        identities.sort_unstable();
        for (place, one) in identities.iter().enumerate() {
            // Sorted by seed first, so that only those of the same are looked at.
            let others = identities.iter().skip(place + 1).take_while(|other| other.seed == one.seed);
            if let Some(other) = others.copied().find(|other| one.overlaps(*other)) {
                return Err(MergeError::Overlap { scenario: sum.scenario, parts: [*one, other] });
            }
        }
        sum.notes.extend(fleets(&identities).iter().filter_map(ShardsOfSeed::missing));
        sum.notes.extend(began_apart(generators.values()));
        sum.notes.extend(thresholds);
        sum.health.saturated = saturated;
        // Runs follow each other.
        let most = |which: usize| generators.values().map(|of_run| of_run.peaks[which]).max().unwrap_or_default();
        let GeneratorHealth { peak_in_flight, peak_connected, in_flight_limit, .. } = &mut sum.health;
        (*peak_in_flight, *peak_connected, *in_flight_limit) = (most(0), most(1), most(2));
        sum.errors = errors;
        sum.errors.sort_by(|a, b| (b.count, a.class, a.code, &a.message).cmp(&(a.count, b.class, b.code, &b.message)));
        set_identities(&mut sum, &identities);
        Ok(sum)
    }
}

impl Apart {
    fn note(&mut self, part: &RunRecord) {
        self.identities.extend(identities(part));
        part.errors.iter().for_each(|row| add_error(&mut self.errors, row));
        for threshold in &part.thresholds {
            let met = if threshold.met { "met" } else { "NOT met" };
            self.thresholds.push(format!("{}: threshold {} was {met}", name(part), threshold.text));
        }
        self.saturated.extend(saturated(part));
        let began = part.started_at;
        let generators = self.generators.entry(part.seed).or_insert(Generators { began: [began; 2], peaks: [0; 3] });
        generators.began = [generators.began[0].min(began), generators.began[1].max(began)];
        let GeneratorHealth { peak_in_flight, peak_connected, in_flight_limit, .. } = part.health;
        for (sum, peak) in generators.peaks.iter_mut().zip([peak_in_flight, peak_connected, in_flight_limit]) {
            *sum += peak;
        }
    }
}

/// Adds runs that are all at hand, see [`Merging`].
///
/// # Errors
/// There are none, they are of different things, have devices in common, or do not add up.
pub fn merge(parts: &[RunRecord]) -> Result<RunRecord, MergeError> {
    let (first, others) = parts.split_first().ok_or(MergeError::Nothing)?;
    let mut merging = Merging::new(first.clone())?;
    others.iter().try_for_each(|other| merging.add(other))?;
    merging.finish()
}

fn accounted(part: &RunRecord) -> Result<(), MergeError> {
    let Some(stage) = part.stages.iter().find(|stage| !stage.totals.add_up()) else { return Ok(()) };
    let (planned, accounted) = (stage.totals.planned, stage.totals.accounted());
    Err(MergeError::Unaccounted { stage: stage.name.clone(), seed: part.seed, planned, accounted })
}

/// What a part is called.
fn name(part: &RunRecord) -> String {
    match part.shard.filter(|shard| !shard.is_whole()) {
        Some(shard) => Identity { seed: part.seed, shard }.to_string(),
        None => format!("seed {}", part.seed),
    }
}

/// That shards of one run did not begin together.
fn began_apart<'a>(runs: impl Iterator<Item = &'a Generators>) -> Option<String> {
    let span = |Generators { began: [first, last], .. }: &Generators| last.duration_since(*first).ok();
    let most = runs.filter_map(span).max().filter(|span| *span > TOGETHER)?;
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
    if sum.conditions != other.conditions {
        // There is nothing that all of them had to meet.
        sum.conditions.clear();
    }
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
    match (&mut sum.machine, &other.machine) {
        (Some(sum), Some(other)) => sum.add(other),
        (sum, other) => *sum = sum.or(*other),
    }
    for interval in &other.intervals {
        match sum.intervals.binary_search_by_key(&interval.start, |known| known.start) {
            Ok(place) => add_interval(&mut sum.intervals[place], interval),
            Err(place) => sum.intervals.insert(place, interval.clone()),
        }
    }
}

fn add_interval(sum: &mut Interval, other: &Interval) {
    sum.total.merge(&other.total);
    sum.length = sum.length.max(other.length);
    sum.counts.add(&other.counts);
    sum.due += other.due;
    sum.succeeded_attempts += other.succeeded_attempts;
    sum.in_flight += other.in_flight;
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

#[cfg(test)]
mod tests;
