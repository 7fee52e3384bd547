use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::engine::record::recorder::Recorder;

/// How often workers put a copy of what they recorded aside, and how often a record is made of them.
pub(crate) const EVERY: Duration = Duration::from_millis(500);

/// Where a worker puts the newest copy of what it recorded of a stage.
#[derive(Debug, Clone, Default)]
pub(crate) struct Copies(Arc<Mutex<Option<Box<Recorder>>>>);

impl Copies {
    /// Puts a copy in the place of the one before.
    pub(crate) fn put(&self, copy: Box<Recorder>) {
        let before = lock(&self.0).replace(copy);
        // Outside the lock: whoever records waits for nobody who frees memory.
        drop(before);
    }

    pub(crate) fn take(&self) -> Option<Box<Recorder>> {
        lock(&self.0).take()
    }
}

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
