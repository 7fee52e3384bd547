use std::fmt;
use std::time::SystemTime;

/// Wall-clock time, for the validity of tokens and certificates only; latencies use the runtime's monotonic clock.
pub trait WallClock: fmt::Debug + Send + Sync {
    /// The time now.
    fn now(&self) -> SystemTime;
}

/// The clock of the machine.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl WallClock for SystemClock {
    fn now(&self) -> SystemTime {
        SystemTime::now()
    }
}
