use std::time::Duration;

use tokio::time::Instant;

/// Time since the start of the measured part of a run, the same for all threads.
#[derive(Debug, Clone, Copy)]
pub(super) struct RunClock {
    start: Instant,
}

impl RunClock {
    /// The measured part starts now.
    pub(super) fn start() -> Self {
        Self { start: Instant::now() }
    }

    pub(super) fn now(self) -> Duration {
        self.start.elapsed()
    }

    /// The instant of a time of this clock.
    pub(super) fn instant(self, time: Duration) -> Instant {
        self.start + time
    }
}
