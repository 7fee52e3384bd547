use std::io;

/// Why a run could not be carried out at all. What goes wrong with devices is data, not this.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// A thread or its runtime could not be made.
    #[error("cannot start worker {worker} of {workers}: {source}; lower limits.workers or raise the open file limit")]
    Worker {
        /// Which one, from 1.
        worker: usize,
        /// How many were wanted.
        workers: usize,
        /// What the system says.
        source: io::Error,
    },
    /// The threads that make keys could not be started.
    #[error("cannot start the threads that make keys: {0}")]
    KeyPool(#[from] rayon::ThreadPoolBuildError),
    /// The thread that tells who is due could not be made.
    #[error("cannot start the pacing thread: {0}")]
    Pacer(#[source] io::Error),
    /// The thread that keeps what was measured so far could not be made.
    #[error(
        "cannot start the thread that keeps what was measured: {0}; is the limit on processes (`ulimit -u`) too low?"
    )]
    Keeper(#[source] io::Error),
    /// A defect in fleetstorm.
    #[error("the thread that tells who is due broke; this is a defect in fleetstorm")]
    PacerLost,
    /// A defect in fleetstorm.
    #[error("worker {0} ended without its result; this is a defect in fleetstorm")]
    WorkerLost(usize),
    /// A defect in fleetstorm.
    #[error("{settings} settings for {classes} classes of devices; this is a defect in fleetstorm")]
    Classes {
        /// Settings given.
        settings: usize,
        /// Classes of the scenario.
        classes: usize,
    },
    /// The open file limit leaves nothing for devices.
    #[error(
        "the limit of {limit} open files leaves none for devices ({reserved} are needed for fleetstorm itself): raise \
         it with `ulimit -n`"
    )]
    OpenFiles {
        /// Limit in force.
        limit: u64,
        /// What fleetstorm needs for itself.
        reserved: u64,
    },
}
