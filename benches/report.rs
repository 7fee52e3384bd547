//! What it takes to write every format of a run of a million attempts, and what comes out: wanted are 5 s, 100 MB and a page
//! below 2 MB; and to merge a thousand small runs and to compare as many: wanted are 100 MB and 200 MB. Prints time, peak
//! memory of the whole process and sizes.

use std::path::{Path, PathBuf};
use std::time::Duration;

use fleetstorm::domain::{AttemptFacts, FailureClass, Phase};
use fleetstorm::measure::{Attempt, CompactHistogram, Histogram, Interval, Outcome, PhaseHistograms, PhaseTimes};
use fleetstorm::measure::{Counts, Merging, RunRecord};
use fleetstorm::report::compare::{DifferenceLimits, MayDiffer, compare};
use fleetstorm::report::{ResultsFolder, read};
use tokio::time::Instant;

/// A small run that was recorded; what it measured is replaced by more.
const STORED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/results/with-certificates");

/// Attempts that end in one second of the run.
const RATE: u64 = 750;

fn main() {
    // `cargo test --benches` only wants to know that it works.
    let whole = std::env::args().any(|arg| arg == "--bench");
    let (attempts, runs) = if whole { (1_000_000, 1_000) } else { (2_000, 6) };
    many_runs(runs);
    forget_peak();
    let mut record = read(Path::new(STORED)).expect("a stored record");
    let start = peak();
    record_attempts(&mut record, attempts);
    let record = record.at_rest();
    let recorded = peak();
    let folder = tempfile::tempdir().expect("a temporary folder");
    let results = ResultsFolder::open(folder.path().join("results")).expect("a results folder");
    let begin = Instant::now();
    let unwritten = results.write(&record);
    let wrote = begin.elapsed();
    assert!(unwritten.is_empty(), "{unwritten:?}");
    let written = peak();
    let begin = Instant::now();
    let again = read(results.path()).expect("what was written can be read");
    let read = begin.elapsed();
    assert_eq!(again.totals(), record.totals());
    println!("{attempts} attempts in {} intervals", record.stages[0].intervals.len());
    println!("written in {:.2} s, read back in {:.2} s", wrote.as_secs_f64(), read.as_secs_f64());
    println!("peak memory: {start} MB at first, {recorded} MB recorded, {written} MB written, {} MB read back", peak());
    let mut files: Vec<_> = std::fs::read_dir(results.path()).expect("results").flatten().collect();
    files.sort_by_key(std::fs::DirEntry::file_name);
    for file in files {
        let kib = file.metadata().map_or(0, |metadata| metadata.len()) / 1024;
        println!("{:>8} KiB {}", kib, file.file_name().display());
    }
}

/// Merges so many small runs, then compares one half of them with the other.
fn many_runs(runs: u64) {
    const ATTEMPTS: u64 = 600;
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut record = read(Path::new(STORED)).expect("a stored record");
    record_attempts(&mut record, ATTEMPTS);
    let mut record = record.at_rest();
    let folders: Vec<PathBuf> = (0..runs).map(|run| folder.path().join(run.to_string())).collect();
    for (seed, folder) in (0..).zip(&folders) {
        record.seed = seed;
        let unwritten = ResultsFolder::open(folder.clone()).expect("a results folder").write(&record);
        assert!(unwritten.is_empty(), "{unwritten:?}");
    }
    drop(record);
    let run = |folder: &PathBuf| read(folder).expect("what was written can be read");

    forget_peak();
    let (begin, start) = (Instant::now(), peak());
    let mut merging = Merging::new(run(&folders[0])).expect("a run");
    folders[1..].iter().for_each(|folder| merging.add(&run(folder)).expect("one more run"));
    let sum = merging.finish().expect("runs of different seeds");
    assert_eq!(sum.totals().planned, runs * ATTEMPTS);
    println!(
        "merged {runs} runs in {:.2} s: {start} MB at first, {} MB at most",
        begin.elapsed().as_secs_f64(),
        peak()
    );
    drop(sum);

    forget_peak();
    let (begin, start) = (Instant::now(), peak());
    let (a, b) = folders.split_at(folders.len() / 2);
    let [a, b] = [a, b].map(|side| side.iter().map(run).collect::<Vec<_>>());
    let comparison = compare(&a, &b, MayDiffer::default(), DifferenceLimits { effect: 0.05, confidence: 0.99 })
        .expect("runs of one scenario");
    assert!(!comparison.is_regression(), "both sides are the same");
    println!(
        "compared {runs} runs in {:.2} s: {start} MB at first, {} MB at most",
        begin.elapsed().as_secs_f64(),
        peak()
    );
}

/// From now on [`peak`] tells the most from here on (proc_pid_clear_refs(5)).
fn forget_peak() {
    let _ = std::fs::write("/proc/self/clear_refs", "5");
}

/// Peak resident memory of this process in MB, as proc_pid_status(5) tells it: getrusage(2) would count that of whoever
/// started it too.
fn peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap_or_default();
    line.split_whitespace().next().and_then(|kib| kib.parse().ok()).map_or(0, |kib: u64| kib * 1024 / 1_000_000)
}

/// One stage in which so many devices make one attempt each; one in a hundred fails.
fn record_attempts(record: &mut RunRecord, attempts: u64) {
    record.stages.truncate(1);
    record.thresholds.clear();
    record.errors.clear();
    let stage = &mut record.stages[0];
    let mut phases = PhaseHistograms::new();
    stage.intervals.clear();
    stage.totals = Counts { planned: attempts, started: attempts, attempts, polls: attempts, ..Counts::default() };
    let mut total = Histogram::new();
    let mut interval = Interval::default();
    for index in 0..attempts {
        let attempt = attempt(index);
        phases.record(&attempt);
        interval.due += 1;
        interval.counts.started += 1;
        interval.counts.attempts += 1;
        match attempt.outcome {
            Outcome::Success => {
                stage.totals.succeeded += 1;
                interval.counts.succeeded += 1;
                interval.succeeded_attempts += 1;
                let nanos = attempt.facts.phases.get(Phase::Total).unwrap_or_default().as_nanos();
                total.record(u64::try_from(nanos).unwrap_or(u64::MAX));
            }
            Outcome::Failed(class) => {
                stage.totals.failed[class] += 1;
                stage.totals.failed_attempts[class] += 1;
                interval.counts.failed[class] += 1;
                interval.counts.failed_attempts[class] += 1;
            }
        }
        if (index + 1) % RATE == 0 || index + 1 == attempts {
            interval.start = Duration::from_secs(index / RATE);
            interval.length = Duration::from_secs(1);
            interval.total = CompactHistogram::new(&total);
            stage.intervals.push(std::mem::take(&mut interval));
            total = Histogram::new();
        }
    }
    stage.phases = (&phases).into();
    stage.elapsed = Duration::from_secs(attempts.div_ceil(RATE));
    record.elapsed = stage.elapsed;
}

/// Every phase of a provisioning, with times that spread over two decades.
fn attempt(index: u64) -> Attempt {
    let spread = (index.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 40) % 1_000;
    let mut phases = PhaseTimes::new();
    for (place, phase) in (1..).zip(Phase::ALL).filter(|(_, p)| !matches!(p, Phase::RenewAccept | Phase::RenewIssue)) {
        phases.set(phase, Duration::from_micros(30 * place + spread * spread / 5));
    }
    let failed = index % 100 == 99;
    Attempt {
        device: u32::try_from(index).unwrap_or(u32::MAX),
        stage: 0,
        number: 1,
        due: Duration::ZERO,
        started: Duration::from_micros(index),
        ended: Duration::from_micros(index + 20_000),
        outcome: if failed { Outcome::Failed(FailureClass::Timeout) } else { Outcome::Success },
        code: 0,
        facts: AttemptFacts { phases, polls: 1, ..AttemptFacts::default() },
    }
}
