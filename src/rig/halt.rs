use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio_util::sync::CancellationToken;

/// Ends a run before its time, each time it is asked more urgently. Clones end the same run.
#[derive(Debug, Clone, Default)]
pub struct Halt {
    /// No device is started any more.
    pub(super) stop: CancellationToken,
    /// Attempts in flight get no grace.
    pub(super) cut: CancellationToken,
    /// Nobody waits until the last metrics are pushed.
    pub(super) leave: CancellationToken,
    is_measured: Arc<AtomicBool>,
}

impl Halt {
    /// At first no device is started any more and those in flight get a moment; asked again, they do not. Once all is measured, the
    /// last push of the metrics is given up. What was measured stays.
    pub fn sooner(&self) {
        if self.is_measured.load(Ordering::Acquire) {
            self.leave.cancel();
        } else if self.stop.is_cancelled() {
            self.cut.cancel();
        } else {
            self.stop.cancel();
        }
    }

    pub(super) fn measured(&self) {
        self.is_measured.store(true, Ordering::Release);
    }
}
