use std::time::SystemTime;

use uuid::Uuid;

use crate::emulator::clock::hub_time;
use crate::protocol::payload::{RenewalError, RenewalInfo};

/// The body of a refusal by the hub.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ErrorBody<'a>(RenewalError<'a>);

impl<'a> ErrorBody<'a> {
    /// With the code and its words, a tracking id as the hub writes them, and the time.
    pub(super) fn new(code: u32, message: String, now: SystemTime) -> Self {
        Self::from_error(RenewalError { error_code: code, message: message.into(), ..RenewalError::default() }, now)
    }

    /// Adds tracking id and time to an error.
    pub(super) fn from_error(error: RenewalError<'a>, now: SystemTime) -> Self {
        let tracking_id = format!("{:X}-G2:-TimeStamp:{}", Uuid::new_v4().simple(), hub_time(now));
        Self(RenewalError { tracking_id: tracking_id.into(), timestamp_utc: hub_time(now).into(), ..error })
    }

    /// Adds details.
    pub(super) fn with_info(mut self, info: RenewalInfo<'a>) -> Self {
        self.0.info = Some(info);
        self
    }

    /// Adds seconds to wait.
    pub(super) const fn with_retry_after(mut self, seconds: u32) -> Self {
        self.0.retry_after = Some(seconds);
        self
    }

    /// Status as in HTTP.
    pub(super) fn status(&self) -> u16 {
        u16::try_from(self.0.error_code / 1000).unwrap_or(500)
    }

    /// JSON.
    pub(super) fn to_body(&self) -> Vec<u8> {
        self.0.to_body()
    }

    /// JSON without `"info":null`.
    pub(super) fn to_body_without_null(&self) -> Vec<u8> {
        let mut value = serde_json::to_value(&self.0).unwrap_or_default();
        if let Some(fields) = value.as_object_mut().filter(|_| self.0.info.is_none()) {
            fields.shift_remove("info");
        }
        value.to_string().into_bytes()
    }
}
