use std::sync::{Arc, Mutex, PoisonError};

use crate::cli::command::run::conduct::Around;
use crate::engine::Snapshots;
use crate::measure::RunRecord;
use crate::report::{ResultsFolder, WriteError};

/// What was measured so far, on the disk and here: the run may be killed, and fleetstorm itself may break.
#[derive(Debug, Clone, Default)]
pub(super) struct Kept(Arc<Mutex<Newest>>);

#[derive(Debug, Default)]
pub(super) struct Newest {
    /// The last record that was made.
    pub(super) record: Option<RunRecord>,
    /// Why it could not be written, if so.
    pub(super) unwritten: Option<WriteError>,
}

impl Kept {
    /// Takes what was measured so far whenever there is something new.
    pub(super) fn keeper(&self, folder: Arc<ResultsFolder>, around: Around) -> Snapshots {
        let kept = self.clone();
        Box::new(move |outcome| {
            let record = around.clone().record(outcome);
            let unwritten = folder.keep(&record).err();
            let newest = Newest { record: Some(record), unwritten };
            *kept.0.lock().unwrap_or_else(PoisonError::into_inner) = newest;
        })
    }

    /// The newest, once.
    pub(super) fn take(&self) -> Newest {
        std::mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
