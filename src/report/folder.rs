use std::fs::{self, File, Permissions};
use std::io::{self, BufWriter, ErrorKind, Write};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use crate::measure::RunRecord;
use crate::report::json::PartialJson;
use crate::report::{EXPORTERS, Exporter, units};

/// The folder that the results of one run go to. Made and tried before the run, so that an hour of load is not lost to
/// a typing error.
#[derive(Debug)]
pub struct ResultsFolder {
    path: PathBuf,
    created: bool,
}

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
            match fs::create_dir(&path) {
                Ok(()) => break,
                // Whoever makes the folder owns it: two runs never share one.
                Err(error) if error.kind() == ErrorKind::AlreadyExists && number < MOST_AT_ONCE => {
                    path = parent.join(format!("{time}Z-{name}-{number}"));
                }
                Err(error) => return Err(not_writable(error)),
            }
        }
        Self::tried(Self { path, created: true })
    }

    /// A folder that was asked for: made if need be, and proved to take files.
    ///
    /// # Errors
    /// It cannot be made or written to, or holds other results.
    pub fn open(path: PathBuf) -> Result<Self, FolderError> {
        let created = !path.exists();
        if let Err(source) = fs::create_dir_all(&path) {
            return Err(FolderError::NotWritable { path, source });
        }
        let folder = Self { path, created };
        if EXPORTERS
            .iter()
            .copied()
            .chain([&PartialJson as &dyn Exporter])
            .any(|e| folder.path.join(e.file_name()).exists())
        {
            return Err(FolderError::Occupied { path: folder.path.clone() });
        }
        Self::tried(folder)
    }

    /// A folder that holds the results of a run, whose formats are to be redone.
    ///
    /// # Errors
    /// It cannot be written to.
    pub fn existing(path: PathBuf) -> Result<Self, FolderError> {
        Self::tried(Self { path, created: false })
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

    /// Writes every format. A file appears whole or not at all (temporary file, fsync, rename), and one that fails does
    /// not keep the others from being written. What [`Self::keep`] wrote goes away once the whole record is there.
    pub fn write(&self, record: &RunRecord) -> Vec<WriteError> {
        let errors: Vec<_> =
            EXPORTERS.iter().filter_map(|exporter| self.write_one(*exporter, record, Durable::Yes).err()).collect();
        if errors.is_empty() {
            // Not there in most cases.
            let _ = fs::remove_file(self.path.join(PartialJson.file_name()));
        }
        errors
    }

    /// Writes the record of a run that goes on, in the place of the one before: what is left when the run is killed. It is
    /// not forced to the disk: what a process wrote outlives it, and waiting for a disk every second would disturb the run.
    ///
    /// # Errors
    /// It cannot be written; the one before is still there.
    pub fn keep(&self, record: &RunRecord) -> Result<(), WriteError> {
        self.write_one(&PartialJson, record, Durable::No)
    }

    fn write_one(&self, exporter: &dyn Exporter, record: &RunRecord, durable: Durable) -> Result<(), WriteError> {
        let path = self.path.join(exporter.file_name());
        self.write_file(exporter, record, &path, durable).map_err(|source| WriteError { path, source })
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
        .permissions(Permissions::from_mode(0o644))
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

/// Whether a file must survive the machine, or only the process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Durable {
    Yes,
    No,
}

impl Drop for ResultsFolder {
    /// A run that ended before it measured anything leaves no empty folder behind.
    fn drop(&mut self) {
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
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::FileTooLarge => {
            "make room on that file system, or choose a folder on another one with --out DIR"
        }
        ErrorKind::NotADirectory | ErrorKind::AlreadyExists => {
            "a file is in the way: choose another folder with --out DIR"
        }
        _ => "choose another folder with --out DIR",
    }
}
