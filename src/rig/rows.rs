//! `--devices`: a thread that writes one row per attempt while the run goes on.

use std::fs::{self, File};
use std::io::{self, BufWriter};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, SystemTime};

use crossbeam_channel::{Sender, bounded};
use tokio::time::Instant;

use crate::domain::injected_panic;
use crate::engine::{Received, RowSink, RowSource, rows};
use crate::report::rows::{RowFormat, RowNames, RowWriter};
use crate::report::{FolderError, ResultsFolder, units};
use crate::scenario::Scenario;

/// What the file is called while it is written, after its name.
const PARTIAL: &str = ".partial";

/// How often what was written reaches the file, so that a run that is killed leaves rows.
const FLUSH_EVERY: Duration = Duration::from_secs(1);

/// The rows cannot be written at all.
#[derive(Debug, thiserror::Error, miette::Diagnostic)]
pub enum RowsError {
    /// There are some already.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Folder(#[from] FolderError),
    /// The file cannot be made.
    #[error("cannot write {}: {source}", path.display())]
    #[diagnostic(help("choose another folder with --out DIR, or leave --devices away"))]
    File {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// There is no thread that could write them.
    #[error("cannot start the thread that writes the rows of --devices: {0}")]
    #[diagnostic(help("is the limit on processes (`ulimit -u`) far too low?"))]
    Thread(#[source] io::Error),
}

/// A file of rows on its way. What is not finished is removed.
#[derive(Debug)]
pub struct RowsFile {
    sink: Option<RowSink>,
    begin: Option<Sender<SystemTime>>,
    thread: Option<JoinHandle<io::Result<u64>>>,
    lost: Arc<AtomicU64>,
    format: RowFormat,
    partial: PathBuf,
    whole: PathBuf,
}

impl RowsFile {
    /// Makes the file in `folder`, before the run: an hour of load is not lost to a folder that takes no files.
    pub fn create(format: RowFormat, folder: &ResultsFolder, scenario: &Scenario) -> Result<Self, RowsError> {
        let (partial, whole) = paths(format, folder.path());
        if whole.exists() || partial.exists() {
            return Err(FolderError::Occupied { path: folder.path().to_owned() }.into());
        }
        let file = folder.create_file(&format!("{}{PARTIAL}", format.file_name()));
        let file = file.map_err(|source| RowsError::File { path: partial.clone(), source })?;
        Self::to(file, format, folder.path(), scenario)
    }

    fn to(file: File, format: RowFormat, folder: &Path, scenario: &Scenario) -> Result<Self, RowsError> {
        let (partial, whole) = paths(format, folder);
        let (sink, source, lost) = rows();
        let (begin, begun) = bounded(1);
        let mut this = Self { sink: Some(sink), begin: Some(begin), thread: None, lost, format, partial, whole };
        let scenario = scenario.clone();
        let write = move || match begun.recv() {
            Ok(started_at) => write(format, file, &source, RowNames::new(&scenario, started_at)),
            // The run never began.
            Err(_) => Ok(0),
        };
        this.thread = Some(thread::Builder::new().name("rows".to_owned()).spawn(write).map_err(RowsError::Thread)?);
        Ok(this)
    }

    /// Where the engine is to put attempts; once.
    pub fn sink(&mut self) -> Option<RowSink> {
        self.sink.take()
    }

    /// How many rows were lost so far.
    pub fn lost(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.lost)
    }

    /// To be told when the measured part begins; once.
    pub fn begin(&mut self) -> Option<Sender<SystemTime>> {
        self.begin.take()
    }

    /// Waits until everything is written, after the engine ended. Gives what was lost, and what the reader of the results must
    /// know of it.
    pub fn finish(mut self) -> (RowsLost, Option<String>) {
        self.sink = None;
        self.begin = None;
        let written = match self.thread.take().map(JoinHandle::join) {
            Some(Ok(written)) => written,
            Some(Err(_)) | None => Err(io::Error::other("its thread panicked: a defect in fleetstorm")),
        };
        let written = written.and_then(|rows| persist(&self.partial, &self.whole).map(|()| rows));
        let (lost, file) = (self.lost.load(Ordering::Relaxed), self.format.file_name());
        match written {
            Ok(_) if lost == 0 => (RowsLost::Counted(self.lost()), None),
            Ok(rows) => {
                let note = format!(
                    "{file} has {} of {} attempts: the disk was too slow for the others, and no device waits for a disk",
                    units::count(rows),
                    units::count(rows + lost)
                );
                (RowsLost::Counted(self.lost()), Some(note))
            }
            Err(error) => {
                let note = format!(
                    "{file} could not be written ({error}) and was given up, which leaves the other results their room"
                );
                (RowsLost::All, Some(note))
            }
        }
    }
}

/// How many rows are missing.
#[derive(Debug, Clone)]
pub enum RowsLost {
    /// Those that were counted, so far.
    Counted(Arc<AtomicU64>),
    /// There is no file.
    All,
}

impl RowsLost {
    /// How many of so many attempts.
    pub fn of(&self, attempts: u64) -> u64 {
        match self {
            Self::Counted(lost) => lost.load(Ordering::Relaxed),
            Self::All => attempts,
        }
    }
}

impl Drop for RowsFile {
    fn drop(&mut self) {
        // There is none when it was finished well.
        let _ = fs::remove_file(&self.partial);
    }
}

fn paths(format: RowFormat, folder: &Path) -> (PathBuf, PathBuf) {
    let whole = format.file_name();
    (folder.join(format!("{whole}{PARTIAL}")), folder.join(whole))
}

fn write(format: RowFormat, file: File, source: &RowSource, names: RowNames) -> io::Result<u64> {
    let mut rows = RowWriter::new(format, BufWriter::with_capacity(1 << 20, file), names)?;
    let mut written = 0;
    let mut flushed = Instant::now();
    loop {
        injected_panic("rows");
        match source.next(FLUSH_EVERY) {
            Received::Rows(attempts) => {
                attempts.iter().try_for_each(|attempt| rows.write(attempt))?;
                written += attempts.len() as u64;
            }
            Received::Nothing => {}
            Received::End => break,
        }
        if flushed.elapsed() >= FLUSH_EVERY {
            rows.flush()?;
            flushed = Instant::now();
        }
    }
    let file = rows.finish()?.into_inner().map_err(io::IntoInnerError::into_error)?;
    file.sync_all()?;
    Ok(written)
}

fn persist(partial: &Path, whole: &Path) -> io::Result<()> {
    fs::rename(partial, whole)?;
    match whole.parent() {
        // The rename is only durable once the folder is.
        Some(folder) => File::open(folder)?.sync_all(),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{AttemptFacts, Phase};
    use crate::engine::RowBatch;
    use crate::measure::{Attempt, Outcome, PhaseTimes};

    /// Rows of a run without attempts, to a file in a folder of their own.
    fn rows_to(file: impl FnOnce(&Path) -> File) -> (tempfile::TempDir, RowsFile) {
        let text = "schema = 1\nname = 'test'\nfleet = { devices = 1, registration_id = 'd-{index}' }\n\
                    [[stage]]\nname = 'stage'\nkind = 'provision'\narrival = 'at-once'\n";
        let scenario = Scenario::parse("test.toml", text, &[]).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let file = file(&folder.path().join("devices.csv.partial"));
        let rows = RowsFile::to(file, RowFormat::Csv, folder.path(), &scenario).unwrap();
        (folder, rows)
    }

    fn files(folder: &tempfile::TempDir) -> Vec<std::ffi::OsString> {
        fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect()
    }

    #[test]
    fn a_file_appears_whole() {
        let (folder, mut rows) = rows_to(|path| File::create(path).unwrap());
        rows.begin().unwrap().send(SystemTime::UNIX_EPOCH).unwrap();
        let (lost, note) = rows.finish();
        assert_eq!((lost.of(9), note), (0, None));
        assert_eq!(files(&folder), ["devices.csv"]);
    }

    fn attempt(device: u32) -> Attempt {
        let mut phases = PhaseTimes::new();
        for (place, phase) in (0..).zip(Phase::ALL) {
            let nanos = 20_000 * (place + 1) + u64::from(device).wrapping_mul(7_919) % 9_000_000;
            phases.set(phase, Duration::from_nanos(nanos));
        }
        let due = Duration::from_micros(u64::from(device) * 500);
        Attempt {
            device,
            stage: 0,
            number: 1,
            due,
            started: due + Duration::from_micros(40),
            ended: due + Duration::from_millis(20),
            outcome: Outcome::Success,
            code: 0,
            facts: AttemptFacts { phases, polls: 1, ..AttemptFacts::default() },
        }
    }

    /// Resident memory of this process in bytes, `VmRSS` or the largest ever, `VmHWM`.
    fn memory(what: &str) -> u64 {
        let status = fs::read_to_string("/proc/self/status").unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix(what)?.strip_prefix(':')).unwrap();
        line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1_024
    }

    /// As fast as they can be written: `cargo test --release --lib a_million_rows -- --ignored --nocapture`.
    #[test]
    #[ignore = "writes half a gigabyte"]
    fn a_million_rows_take_little_memory() {
        const ROWS: u32 = 1_000_000;
        let text = "schema = 1\nname = 'test'\nfleet = { devices = 1000000, registration_id = 'device-{index:06}' }\n\
                    [[stage]]\nname = 'storm'\nkind = 'provision'\narrival = 'at-once'\n";
        let scenario = Scenario::parse("test.toml", text, &[]).unwrap();
        for format in [RowFormat::Csv, RowFormat::Parquet] {
            let folder = tempfile::tempdir().unwrap();
            let results = ResultsFolder::open(folder.path().to_owned()).unwrap();
            // The peak of before is forgotten.
            fs::write("/proc/self/clear_refs", "5").unwrap();
            let (before, began) = (memory("VmRSS"), Instant::now());
            let mut rows = RowsFile::create(format, &results, &scenario).unwrap();
            rows.begin().unwrap().send(SystemTime::UNIX_EPOCH).unwrap();
            let sink = rows.sink().unwrap();
            let mut batch = RowBatch::new(sink.clone());
            for device in 0..ROWS {
                // Devices do not wait, but here nobody is a device.
                while sink.waiting() > 32 {
                    thread::yield_now();
                }
                batch.push(&attempt(device));
            }
            drop((batch, sink));
            let (lost, note) = rows.finish();
            assert_eq!((lost.of(ROWS.into()), note), (0, None));
            let (took, grown) = (began.elapsed(), memory("VmHWM").saturating_sub(before));
            let size = fs::metadata(folder.path().join(format.file_name())).unwrap().len();
            println!(
                "{}: {} rows in {}, {} on disk, {} of memory at most",
                format.file_name(),
                units::count(ROWS.into()),
                units::duration(took),
                units::bytes(size),
                units::bytes(grown),
            );
            assert!(grown < 100_000_000, "{grown} bytes");
        }
    }

    #[test]
    fn a_run_that_never_begins_leaves_nothing() {
        let (folder, rows) = rows_to(|path| File::create(path).unwrap());
        drop(rows);
        assert!(files(&folder).is_empty());
    }

    #[test]
    fn a_full_disk_is_said_and_leaves_room() {
        let (folder, mut rows) = rows_to(|path| {
            File::create(path).unwrap();
            // Takes no byte.
            File::options().write(true).open("/dev/full").unwrap()
        });
        rows.begin().unwrap().send(SystemTime::UNIX_EPOCH).unwrap();
        let (lost, note) = rows.finish();
        let note = note.unwrap();
        assert_eq!(lost.of(9), 9);
        assert!(note.contains("devices.csv could not be written") && note.contains("No space left"), "{note}");
        assert!(files(&folder).is_empty());
    }
}
