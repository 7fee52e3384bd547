use std::fs::{self, DirBuilder, File, OpenOptions, Permissions, TryLockError};
use std::io::{self, BufWriter, ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::SystemTime;

use crate::domain::injected_panic;
use crate::measure::RunRecord;
use crate::report::json::{PARTIAL_JSON, PartialJson, RUN_JSON, UNWRITTEN_JSON};
use crate::report::{EXPORTERS, Exporter, units};

/// The folder that the results of one run go to. Made and tried before the run, so that an hour of load is not lost to
/// a typing error, and nobody else's until it is dropped. A folder that is made is for its owner alone, as results name devices,
/// addresses and hosts; files in it are as open as the folder is.
#[derive(Debug)]
pub struct ResultsFolder {
    path: PathBuf,
    created: bool,
    /// What was kept while the run goes on is all that there is of it.
    unfinished: AtomicBool,
    /// Locked as long as it is open. The system lets go of it however the process ends, so that a run that was killed locks
    /// nobody out. `None` on file systems on which folders cannot be locked, such as NFS.
    _lock: Option<File>,
}

/// Whoever reads results may be nobody but their owner, unless the user says otherwise.
const OWN_FOLDER: u32 = 0o700;

/// Runs of one scenario that may begin in the same second.
const MOST_AT_ONCE: u32 = 1_000;

/// The results folder cannot be used.
#[derive(Debug, thiserror::Error, miette::Diagnostic)]
pub enum FolderError {
    /// It cannot be made or written to.
    #[error("cannot write results to {}: {source}", path.display())]
    #[diagnostic(help("{}", remedy(source)))]
    NotWritable {
        /// The folder.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// Another process writes there now.
    #[error("another run or report writes its results to {} now", path.display())]
    #[diagnostic(help(
        "give another folder with --out, or leave --out away to get a new one per run; else wait until the other has ended"
    ))]
    InUse {
        /// The folder.
        path: PathBuf,
    },
    /// It holds other results.
    #[error("{} already holds results", path.display())]
    #[diagnostic(help("give another folder with --out, or leave --out away to get a new one per run"))]
    Occupied {
        /// The folder.
        path: PathBuf,
    },
}

/// A results file could not be written. The others were tried all the same.
#[derive(Debug, thiserror::Error, miette::Diagnostic)]
#[error("cannot write {}: {source}", path.display())]
#[diagnostic(help("{}", remedy(source)))]
pub struct WriteError {
    /// The file.
    pub path: PathBuf,
    /// Why not.
    pub source: io::Error,
}

impl ResultsFolder {
    /// A new folder `<parent>/<utc-time>-<scenario>`, numbered when runs begin in the same second. `scenario` is reduced to
    /// characters that every file system takes.
    ///
    /// # Errors
    /// It cannot be made or written to.
    pub fn fresh(parent: &Path, now: SystemTime, scenario: &str) -> Result<Self, FolderError> {
        let time: String = units::rfc3339(now).chars().filter(|c| !matches!(c, '-' | ':')).collect();
        let time = time.split('.').next().unwrap_or(&time);
        let name: String =
            scenario.chars().map(|c| if c.is_ascii_alphanumeric() || "-_".contains(c) { c } else { '-' }).collect();
        let first = parent.join(format!("{time}Z-{name}"));
        let not_writable = |source| FolderError::NotWritable { path: first.clone(), source };
        fs::create_dir_all(parent).map_err(not_writable)?;
        let mut path = first.clone();
        for number in 2.. {
            match DirBuilder::new().mode(OWN_FOLDER).create(&path) {
                Ok(()) => break,
                // Whoever makes the folder owns it: two runs never share one.
                Err(error) if error.kind() == ErrorKind::AlreadyExists && number < MOST_AT_ONCE => {
                    path = parent.join(format!("{time}Z-{name}-{number}"));
                }
                Err(error) => return Err(not_writable(error)),
            }
        }
        Self::taken(path, true)?.tried()
    }

    /// A folder that was asked for: made if need be, and proved to take files.
    ///
    /// # Errors
    /// It cannot be made or written to, is another's now, or holds other results.
    pub fn open(path: PathBuf) -> Result<Self, FolderError> {
        let created = match made(&path) {
            Ok(created) => created,
            Err(source) => return Err(FolderError::NotWritable { path, source }),
        };
        // First taken, then looked at: whoever comes later sees what whoever came first has written.
        let folder = Self::taken(path, created)?;
        Self::unoccupied(&folder.path)?;
        folder.tried()
    }

    /// Whether a folder, which need not be there, is free of results.
    ///
    /// # Errors
    /// It holds results.
    pub fn unoccupied(path: &Path) -> Result<(), FolderError> {
        let results = EXPORTERS.iter().map(|exporter| exporter.file_name()).chain([PARTIAL_JSON, UNWRITTEN_JSON]);
        match results.into_iter().any(|file| path.join(file).exists()) {
            true => Err(FolderError::Occupied { path: path.to_owned() }),
            false => Ok(()),
        }
    }

    /// A folder that holds the results of a run, whose formats are to be redone.
    ///
    /// # Errors
    /// It cannot be written to, or is another's now.
    pub fn existing(path: PathBuf) -> Result<Self, FolderError> {
        Self::taken(path, false)?.tried()
    }

    /// Of several that want it at the same time, one gets it.
    fn taken(path: PathBuf, created: bool) -> Result<Self, FolderError> {
        let lock = match File::open(&path).map(|folder| folder.try_lock().map(|()| folder)) {
            Ok(Ok(folder)) => Some(folder),
            Ok(Err(TryLockError::WouldBlock)) => return Err(FolderError::InUse { path }),
            Ok(Err(TryLockError::Error(_))) => None,
            Err(source) => return Err(FolderError::NotWritable { path, source }),
        };
        Ok(Self { path, created, unfinished: AtomicBool::new(false), _lock: lock })
    }

    fn tried(self) -> Result<Self, FolderError> {
        match tempfile::tempfile_in(&self.path).and_then(|mut probe| probe.write_all(b"fleetstorm")) {
            Ok(()) => Ok(self),
            Err(source) => Err(FolderError::NotWritable { path: self.path.clone(), source }),
        }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Makes a file that is written while the run goes on.
    ///
    /// # Errors
    /// It is there, or cannot be made.
    pub fn create_file(&self, name: &str) -> io::Result<File> {
        OpenOptions::new().write(true).create_new(true).mode(mode_in(&self.path)).open(self.path.join(name))
    }

    /// Writes every format. A file appears whole or not at all (temporary file, fsync, rename), and one that fails does
    /// not keep the others from being written. What [`Self::keep`] wrote goes away once the whole record is there.
    pub fn write(&self, record: &RunRecord) -> Vec<WriteError> {
        self.write_all(&EXPORTERS, record)
    }

    pub(super) fn write_all(&self, exporters: &[&dyn Exporter], record: &RunRecord) -> Vec<WriteError> {
        let errors: Vec<_> =
            exporters.iter().filter_map(|exporter| self.write_one(*exporter, record, Durable::Yes).err()).collect();
        let whole = self.path.join(RUN_JSON);
        if errors.iter().all(|error| error.path != whole) {
            self.unfinished.store(false, Ordering::Relaxed);
            for partial in [PARTIAL_JSON, UNWRITTEN_JSON] {
                // Not there in most cases.
                let _ = fs::remove_file(self.path.join(partial));
            }
        }
        errors
    }

    /// Writes the record of a run that goes on, in the place of the one before: what is left when the run is killed. It is
    /// not forced to the disk: what a process wrote outlives it, and waiting for a disk every second would disturb the run.
    ///
    /// # Errors
    /// It cannot be written; the one before is still there.
    pub fn keep(&self, record: &RunRecord) -> Result<(), WriteError> {
        self.unfinished.store(true, Ordering::Relaxed);
        self.write_one(&PartialJson, record, Durable::No)
    }

    /// A format whose writer panics costs that file alone.
    fn write_one(&self, exporter: &dyn Exporter, record: &RunRecord, durable: Durable) -> Result<(), WriteError> {
        let path = self.path.join(exporter.file_name());
        let write = || {
            injected_panic(exporter.file_name());
            self.write_file(exporter, record, &path, durable)
        };
        let written = catch_unwind(AssertUnwindSafe(write));
        let written =
            written.unwrap_or_else(|_| Err(io::Error::other("its writer panicked, which is a defect of fleetstorm")));
        written.map_err(|source| WriteError { path, source })
    }

    fn write_file(&self, exporter: &dyn Exporter, record: &RunRecord, path: &Path, durable: Durable) -> io::Result<()> {
        whole(&self.path, path, durable, |to| exporter.write(record, to))
    }
}

/// Writes one file: it appears whole or not at all (temporary file beside it, fsync, rename).
///
/// # Errors
/// It cannot be written; what was there before is still there.
pub fn write_whole(path: &Path, content: &[u8]) -> io::Result<()> {
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    whole(folder, path, Durable::Yes, |to| to.write_all(content))
}

fn whole(
    folder: &Path,
    path: &Path,
    durable: Durable,
    write: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> io::Result<()> {
    let file = tempfile::Builder::new()
        .prefix(".")
        .suffix(".tmp")
        .permissions(Permissions::from_mode(mode_in(folder)))
        .tempfile_in(folder)?;
    let mut writer = BufWriter::new(file);
    write(&mut writer)?;
    let file = writer.into_inner().map_err(io::IntoInnerError::into_error)?;
    if durable == Durable::No {
        file.persist(path).map_err(|e| e.error)?;
        return Ok(());
    }
    file.as_file().sync_all()?;
    file.persist(path).map_err(|e| e.error)?;
    // The rename is only durable once the folder is.
    File::open(folder)?.sync_all()
}

/// Makes a folder with those above it, and says whether it is new.
fn made(path: &Path) -> io::Result<bool> {
    let make = || DirBuilder::new().mode(OWN_FOLDER).create(path);
    let made = match (make(), path.parent()) {
        (Err(error), Some(above)) if error.kind() == ErrorKind::NotFound => {
            fs::create_dir_all(above).and_then(|()| make())
        }
        (made, _) => made,
    };
    match made {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == ErrorKind::AlreadyExists && path.is_dir() => Ok(false),
        Err(error) => Err(error),
    }
}

/// A file may be read by those who may read its folder, less what the user's umask takes away.
fn mode_in(folder: &Path) -> u32 {
    let folder = fs::metadata(folder).map_or(OWN_FOLDER, |folder| folder.permissions().mode());
    0o600 | (folder & 0o044)
}

/// Whether a file must survive the machine, or only the process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Durable {
    Yes,
    No,
}

impl Drop for ResultsFolder {
    /// A run that ended before it measured anything leaves no empty folder behind; one that could not write its record leaves what
    /// was kept under a name that says so: it was not killed. A new name needs no room on a full disk.
    fn drop(&mut self) {
        if *self.unfinished.get_mut() {
            // Nothing was kept when nothing could be written.
            let _ = fs::rename(self.path.join(PARTIAL_JSON), self.path.join(UNWRITTEN_JSON));
        }
        if self.created {
            // Fails when there is something in it, which is the point.
            let _ = fs::remove_dir(&self.path);
        }
    }
}

fn remedy(error: &io::Error) -> &'static str {
    match error.kind() {
        ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => {
            "choose a folder that you may write to with --out DIR"
        }
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => {
            "make room on that file system, or choose a folder on another one with --out DIR"
        }
        ErrorKind::FileTooLarge => {
            "raise the limit on the size of files (`ulimit -f`), or choose another file system with --out DIR"
        }
        ErrorKind::NotADirectory | ErrorKind::AlreadyExists => {
            "a file is in the way: choose another folder with --out DIR"
        }
        _ => "choose another folder with --out DIR",
    }
}
