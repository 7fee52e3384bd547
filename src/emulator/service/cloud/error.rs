use std::time::Duration;

use crate::emulator::registry::{Inbox, InboxFull, Invalid};

/// Why the hub does not do what a back end wants.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HubError {
    /// There is no such device.
    #[error("the hub has no device {0:?}")]
    DeviceNotFound(String),
    /// There is no such credential policy.
    #[error("there is no credential policy {0:?}")]
    PolicyNotFound(String),
    /// The device is not connected, or not subscribed to method calls, or left before it answered.
    #[error("the device is not online")]
    DeviceNotOnline,
    /// The device did not answer in time.
    #[error("the device did not answer within {} s", .0.as_secs_f64())]
    Timeout(Duration),
    /// The device answered a method call with something else than JSON.
    #[error("the device's answer is not JSON")]
    BadAnswer,
    /// The device has as many messages waiting as it may.
    #[error("the device has {} messages waiting", Inbox::MAX)]
    QueueFull,
    /// The device has as many unanswered method calls as it may.
    #[error("too many method calls wait for the device")]
    TooManyCalls,
    /// Larger than allowed.
    #[error("{what} of {size} bytes, {limit} are allowed")]
    TooLarge {
        /// What is.
        what: &'static str,
        /// How large it is.
        size: usize,
        /// The limit.
        limit: usize,
    },
    /// A value that cannot be.
    #[error("{0}")]
    Argument(String),
    /// The library failed.
    #[error("{0}")]
    Internal(String),
}

impl HubError {
    /// The service's code: the status of HTTP times 1000 and a sub-code. Source: Microsoft Learn, "Understand and
    /// resolve Azure IoT Hub errors".
    pub const fn code(&self) -> u32 {
        match self {
            Self::Argument(_) => 400_004,
            Self::QueueFull => 403_004,
            Self::DeviceNotFound(_) => 404_001,
            Self::PolicyNotFound(_) => 404_000,
            Self::DeviceNotOnline => 404_103,
            Self::TooLarge { .. } => 413_001,
            Self::TooManyCalls => 429_001,
            Self::Internal(_) => 500_001,
            Self::BadAnswer => 502_000,
            Self::Timeout(_) => 504_101,
        }
    }

    /// Status as in HTTP.
    pub fn status(&self) -> u16 {
        u16::try_from(self.code() / 1000).unwrap_or(500)
    }
}

impl From<InboxFull> for HubError {
    fn from(_: InboxFull) -> Self {
        Self::QueueFull
    }
}

impl From<Invalid> for HubError {
    fn from(invalid: Invalid) -> Self {
        match invalid {
            Invalid::TooLarge { size, limit } => Self::TooLarge { what: "a twin's section", size, limit },
            invalid => Self::Argument(invalid.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::emulator::hub::twin;

    #[test]
    fn the_status_is_in_the_code() {
        assert_eq!(HubError::QueueFull.status(), 403);
        assert_eq!(HubError::Timeout(Duration::from_secs(5)).status(), 504);
        let too_large = HubError::from(Invalid::TooLarge { size: 9, limit: 8 });
        assert_eq!((too_large.code(), twin::code(&Invalid::TooLarge { size: 9, limit: 8 })), (413_001, 413_001));
    }
}
