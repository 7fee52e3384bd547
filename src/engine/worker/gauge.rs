use std::sync::atomic::{AtomicU64, Ordering};

/// What all workers of a run have open together.
#[derive(Debug, Default)]
pub(crate) struct Gauges {
    /// Attempts in flight.
    pub(crate) in_flight: Gauge,
    /// Connections held.
    pub(crate) connected: Gauge,
}

/// How many there are at once, over all workers, and how many there were at most.
#[derive(Debug, Default)]
pub(crate) struct Gauge {
    now: AtomicU64,
    peak: AtomicU64,
}

impl Gauge {
    /// One more.
    pub(crate) fn rise(&self) {
        let now = self.now.fetch_add(1, Ordering::Relaxed) + 1;
        // Most of the time it is far from its peak, and looking is cheaper than writing.
        if now > self.peak.load(Ordering::Relaxed) {
            self.peak.fetch_max(now, Ordering::Relaxed);
        }
    }

    /// One less.
    pub(crate) fn fall(&self) {
        self.now.fetch_sub(1, Ordering::Relaxed);
    }

    /// Now.
    pub(crate) fn now(&self) -> u64 {
        self.now.load(Ordering::Relaxed)
    }

    /// At most so far.
    pub(crate) fn peak(&self) -> u64 {
        self.peak.load(Ordering::Relaxed)
    }
}
