use std::sync::{Arc, Mutex, PoisonError};

use crate::engine::Snapshots;
use crate::measure::RunRecord;
use crate::report::{ResultsFolder, WriteError};
use crate::rig::record_frame::RecordFrame;

/// What was measured so far, on the disk and here: the run may be killed, and fleetstorm itself may break.
#[derive(Debug, Clone, Default)]
pub(super) struct Newest(Arc<Mutex<Kept>>);

#[derive(Debug, Default)]
pub(super) struct Kept {
    /// The last record that was made.
    pub(super) record: Option<RunRecord>,
    /// Why it could not be written, if so.
    pub(super) unwritten: Option<WriteError>,
}

impl Newest {
    /// Takes what was measured so far whenever there is something new.
    pub(super) fn keeper(&self, folder: Arc<ResultsFolder>, frame: RecordFrame) -> Snapshots {
        let newest = self.clone();
        Box::new(move |outcome| {
            let record = frame.clone().record(outcome);
            let unwritten = folder.keep(&record).err();
            *newest.0.lock().unwrap_or_else(PoisonError::into_inner) = Kept { record: Some(record), unwritten };
        })
    }

    /// It, once.
    pub(super) fn take(&self) -> Kept {
        std::mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
