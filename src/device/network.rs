use std::time::Duration;

/// Impairment of a network, made in user space below TLS, on top of what the real one does. Real time.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct NetworkImpairment {
    /// Added round-trip time.
    pub latency: Duration,
    /// Upper end of a random addition to it.
    pub jitter: Duration,
    /// Probability from 0 to 1 that a connection is reset early in its conversation.
    pub reset: f64,
}

impl NetworkImpairment {
    /// Whether it does nothing.
    pub fn is_perfect(&self) -> bool {
        *self == Self::default()
    }
}
