//! Reading results back. The files may come from anywhere: sizes and counts are bounded, nothing here panics.

mod log;
#[cfg(test)]
mod tests;

use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::domain::BYTE_ORDER_MARK;
use crate::measure::{RunRecord, RunStatus};
use crate::report::SCHEMA;
use crate::report::json::run::Run;

/// A stored run cannot be read.
#[derive(Debug, thiserror::Error, miette::Diagnostic)]
pub enum ReadError {
    /// A file cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    #[diagnostic(help(
        "give the folder that `fleetstorm run` wrote its results to; those of versions before run.json was enough have latency.hlog, too"
    ))]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The folder holds no results.
    #[error("{} holds no results: there is neither {RUN_JSON} nor {PARTIAL_JSON}", path.display())]
    #[diagnostic(help("give the folder that `fleetstorm run` wrote its results to"))]
    Nothing {
        /// The folder.
        path: PathBuf,
    },
    /// It is longer than the results of any run.
    #[error("{} is longer than {} MiB", path.display(), MOST_BYTES >> 20)]
    #[diagnostic(help("is it a file of fleetstorm?"))]
    TooLong {
        /// The file.
        path: PathBuf,
    },
    /// A newer fleetstorm wrote it.
    #[error("{} has schema {schema}, this fleetstorm reads up to {SCHEMA}", path.display())]
    #[diagnostic(help("read it with the version of fleetstorm that wrote it, or a newer one"))]
    Newer {
        /// The file.
        path: PathBuf,
        /// The schema that it states.
        schema: u64,
    },
    /// It is not what a run writes.
    #[error("{} cannot be understood: {reason}", path.display())]
    #[diagnostic(help("the file was changed or cut off; results can only be read as they were written"))]
    Wrong {
        /// The file.
        path: PathBuf,
        /// What is wrong with it, and where.
        reason: String,
    },
}

/// The record of a run.
pub(in crate::report) const RUN_JSON: &str = "run.json";
/// The record of a run that goes on or was killed.
pub(in crate::report) const PARTIAL_JSON: &str = "partial.json";
/// The last snapshot of a run that ended, but whose record could not be written.
pub(in crate::report) const UNWRITTEN_JSON: &str = "unwritten.json";
const LATENCY_LOG: &str = "latency.hlog";

/// No file of a run comes near.
const MOST_BYTES: u64 = 512 << 20;

/// Whether a folder holds the results of one run, whole or partial.
pub fn holds_results(folder: &Path) -> bool {
    [RUN_JSON, PARTIAL_JSON, UNWRITTEN_JSON].iter().any(|file| folder.join(file).is_file())
}

/// Reads the record of the run whose results are in `folder`. What a killed run left is read as [`RunStatus::Lost`], what one left
/// that could not write its record as [`RunStatus::Unwritten`].
///
/// # Errors
/// There is none, or it cannot be understood.
pub fn read(folder: &Path) -> Result<RunRecord, ReadError> {
    let whole = folder.join(RUN_JSON);
    if whole.is_file() {
        return parse(&whole);
    }
    for (file, status) in [(PARTIAL_JSON, RunStatus::Lost), (UNWRITTEN_JSON, RunStatus::Unwritten)] {
        let partial = folder.join(file);
        if partial.is_file() {
            let mut record = parse(&partial)?;
            record.status = status;
            return Ok(record);
        }
    }
    Err(ReadError::Nothing { path: folder.to_owned() })
}

/// What is looked at first.
#[derive(Deserialize)]
struct Head {
    schema: u64,
}

fn parse(path: &Path) -> Result<RunRecord, ReadError> {
    let bytes = bounded(path)?;
    let Head { schema } = serde_json::from_slice(&bytes).map_err(|error| wrong(path, &error))?;
    if schema > u64::from(SCHEMA) {
        return Err(ReadError::Newer { path: path.to_owned(), schema });
    }
    let stored: Run = serde_json::from_slice(&bytes).map_err(|error| wrong(path, &error))?;
    let is_whole = stored.has_distributions();
    let mut record = stored.into_record().map_err(|reason| wrong(path, &reason))?;
    if !is_whole {
        // As it was before the record alone was enough.
        let log = path.with_file_name(LATENCY_LOG);
        let text = bounded(&log)?;
        let text = std::str::from_utf8(&text).map_err(|error| wrong(&log, &error))?;
        let mut stages: Vec<_> = record.stages.iter_mut().map(log::Latencies::of).collect();
        log::read(text, &mut stages).map_err(|reason| wrong(&log, &reason))?;
    }
    Ok(record.at_rest())
}

fn bounded(path: &Path) -> Result<Vec<u8>, ReadError> {
    let unreadable = |source| ReadError::Unreadable { path: path.to_owned(), source };
    let mut bytes = Vec::new();
    File::open(path).map_err(unreadable)?.take(MOST_BYTES + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    if bytes.len() as u64 > MOST_BYTES {
        return Err(ReadError::TooLong { path: path.to_owned() });
    }
    if bytes.starts_with(BYTE_ORDER_MARK.as_bytes()) {
        bytes.drain(..BYTE_ORDER_MARK.len());
    }
    Ok(bytes)
}

fn wrong(path: &Path, reason: &dyn ToString) -> ReadError {
    ReadError::Wrong { path: path.to_owned(), reason: reason.to_string() }
}
