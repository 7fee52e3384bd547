use std::time::Duration;

/// Bounds on the generator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Most attempts in flight at once; `None` leaves it to the open file limit.
    pub max_in_flight: Option<u32>,
    /// Worker threads; `None` means one per available core.
    pub workers: Option<u32>,
    /// Most keys with CSR and SAS token made ahead of need.
    pub keys_ahead: u32,
    /// Longest time to make keys before the measured part begins.
    pub prepare: Duration,
    /// How long the run waits for attempts in flight after the last one could start.
    pub drain: Duration,
    /// How late one device in a hundred may start without the run being called saturated; a tenth of what an attempt takes is
    /// allowed in any case.
    pub harmless_lateness: Duration,
    /// How long attempts in flight may go on after the run was interrupted.
    pub grace: Duration,
}
