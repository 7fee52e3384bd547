use crate::model::Waits;

/// How patient a registration is. Source: Microsoft Learn, "Best practices for large-scale IoT device deployments";
/// defaults of the official SDKs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RegistrationPolicy {
    /// How long it waits between questions, and when it is refused.
    pub waits: Waits,
    /// Whether the retry-after of the 202 that answers the registration is obeyed too (azure-iot-device for Python does not:
    /// its first poll comes after 2 s whatever DPS says).
    pub honours_first_retry_after: bool,
    /// How often 429 and 5xx are waited out and repeated before the attempt fails. [`u16::MAX`]: without end.
    pub max_repeats: u16,
    /// How often the operation's status is asked before the attempt fails. [`u16::MAX`]: without end.
    pub max_polls: u16,
}

impl Default for RegistrationPolicy {
    fn default() -> Self {
        Self { waits: Waits::default(), honours_first_retry_after: true, max_repeats: 10, max_polls: 100 }
    }
}
