use std::time::Duration;

/// A device that became due.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Due {
    pub(crate) device: u32,
    /// When, on the clock of the run.
    pub(crate) at: Duration,
}

/// Who is due when, from the start of the stage, in order.
pub(crate) type DueList = Box<dyn Iterator<Item = (Duration, u32)> + Send>;
