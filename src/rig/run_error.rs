use std::io;

use crate::engine::EngineError;
use crate::rig::defect::Defect;
use crate::rig::machine::OpenFilesError;
use crate::rig::metrics::MetricsError;
use crate::rig::target::OpenError;

/// Nothing was measured.
#[derive(Debug, thiserror::Error, miette::Diagnostic)]
pub enum RunError {
    /// The run may not begin with that target.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Target(#[from] OpenError),
    /// It was ended before it began.
    #[error("stopped before anything was measured")]
    Stopped,
    /// The generator could not start or broke.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// Something that fleetstorm does broke.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Defect(#[from] Defect),
    /// The emulator cannot be told when a run begins.
    #[error("cannot keep the pipe to the embedded emulator open: {0}")]
    #[diagnostic(help("is the limit on open files (`ulimit -n`) far too low?"))]
    Pipe(#[source] io::Error),
    /// The system does not tell how many files may be open.
    #[error(transparent)]
    #[diagnostic(transparent)]
    OpenFiles(#[from] OpenFilesError),
    /// Metrics cannot be told.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Metrics(#[from] MetricsError),
}
