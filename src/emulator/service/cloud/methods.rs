use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use serde_json::Value;
use tokio::time::timeout;

use super::{HubError, find};
use crate::emulator::hub::limits::MAX_METHOD_PAYLOAD;
use crate::emulator::hub::methods::topic;
use crate::emulator::registry::{Device, TooMany};
use crate::emulator::service::Service;

/// What a device made of a direct method.
#[derive(Debug, Clone, PartialEq)]
pub struct MethodResult {
    /// The device's own status.
    pub status: i32,
    /// The device's answer, `null` when it has none.
    pub payload: Value,
}

const MAX_NAME: usize = 100;

impl Service {
    /// Calls a direct method and waits for the device's answer, at most for `response_timeout` (the service allows 5 to
    /// 300 s, and 30 s by default).
    ///
    /// # Errors
    /// [`HubError::DeviceNotFound`]; [`HubError::DeviceNotOnline`] when it is not connected and subscribed, or leaves
    /// before it answers; [`HubError::Timeout`]; [`HubError::BadAnswer`]; [`HubError::TooManyCalls`];
    /// [`HubError::Argument`] for a name that cannot be; [`HubError::TooLarge`] for a payload above 128 KB.
    pub async fn invoke_method(
        &self,
        id: &str,
        method: &str,
        payload: Option<&Value>,
        response_timeout: Duration,
    ) -> Result<MethodResult, HubError> {
        let payload = payload.map(Value::to_string).unwrap_or_default();
        check(method, &payload)?;
        let device = find(self.core(), id)?;
        let (call, answer) = device.with_session(|state| {
            // Asked with the topic of some call, as which one it will be is not known yet.
            if state.session.is_none() || state.subscriptions.qos(&topic(method, 0)).is_none() {
                return Err(HubError::DeviceNotOnline);
            }
            state.calls.begin(method, Bytes::from(payload)).map_err(|TooMany| HubError::TooManyCalls)
        })?;
        let _open = Open { device, call };
        match timeout(response_timeout, answer).await {
            Err(_) => Err(HubError::Timeout(response_timeout)),
            Ok(Err(_)) => Err(HubError::DeviceNotOnline),
            Ok(Ok(answer)) => {
                let payload = match &*answer.payload {
                    [] => Value::Null,
                    json => serde_json::from_slice(json).map_err(|_| HubError::BadAnswer)?,
                };
                Ok(MethodResult { status: answer.status, payload })
            }
        }
    }
}

/// A call that somebody waits for; forgotten when he waits no longer, for whatever reason.
struct Open {
    device: Arc<Device>,
    call: u32,
}

impl Drop for Open {
    fn drop(&mut self) {
        self.device.with(|state| state.calls.give_up(self.call));
    }
}

fn check(method: &str, payload: &str) -> Result<(), HubError> {
    let forbidden = |b: u8| !b.is_ascii_graphic() || b"$()<>@,;:\\\"/[]?={}#+".contains(&b);
    if method.is_empty() || method.len() > MAX_NAME || method.bytes().any(forbidden) {
        let message = format!("`methodName` must be 1 to {MAX_NAME} printable ASCII characters without separators");
        return Err(HubError::Argument(message));
    }
    if payload.len() > MAX_METHOD_PAYLOAD {
        return Err(HubError::TooLarge { what: "a payload", size: payload.len(), limit: MAX_METHOD_PAYLOAD });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_may_have_100_characters_and_a_payload_128_kib() {
        let (name, payload) = ("x".repeat(101), "x".repeat(131_073));
        assert_eq!(check(&name[1..], &payload[1..]), Ok(()));
        assert!(matches!(check(&name, ""), Err(HubError::Argument(_))));
        let error = check("m", &payload).unwrap_err();
        assert_eq!(error, HubError::TooLarge { what: "a payload", size: 131_073, limit: 131_072 });
    }
}
