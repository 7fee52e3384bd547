use std::time::Duration;

#[cfg(test)]
use crate::domain::PhaseTimes;
use crate::domain::{AttemptFacts, FailureClass, Fate};

/// How an attempt ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// All of it worked, the certificate was the right one.
    Success,
    /// It failed.
    Failed(FailureClass),
}

impl Outcome {
    /// How the times of an attempt with this outcome ended: what was cut off is a failure of the attempt's.
    pub const fn fate(self) -> Fate {
        match self {
            Self::Success => Fate::Succeeded,
            Self::Failed(_) => Fate::Failed,
        }
    }

    /// How the times of a device with this outcome ended: whoever was cut off was not seen to end.
    pub const fn fate_of_device(self) -> Fate {
        match self {
            Self::Failed(FailureClass::Cut) => Fate::Censored,
            _ => self.fate(),
        }
    }
}

/// One try of one device, as numbers only.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Attempt {
    /// Index of the device in the fleet.
    pub device: u32,
    /// Index of the stage in the scenario.
    pub stage: u16,
    /// 1 for the first try of this device in this stage.
    pub number: u16,
    /// When it was due, from the start of the measured part.
    pub due: Duration,
    /// When it started, on the same clock.
    pub started: Duration,
    /// When it ended, on the same clock.
    pub ended: Duration,
    /// How it ended.
    pub outcome: Outcome,
    /// The code of the service when it failed, 0 when there is none; see [`crate::domain::Failure::code`].
    pub code: u32,
    /// What it found out, with the phases `queued`, `total` and `total_raw` too.
    pub facts: AttemptFacts,
}

#[cfg(test)]
impl Attempt {
    /// The first one of a device, due and started when everything began, about which a test says no more than this.
    pub(crate) fn that(outcome: Outcome, phases: PhaseTimes) -> Self {
        Self {
            device: 0,
            stage: 0,
            number: 1,
            due: Duration::ZERO,
            started: Duration::ZERO,
            ended: Duration::ZERO,
            outcome,
            code: 0,
            facts: AttemptFacts { phases, ..AttemptFacts::default() },
        }
    }
}
