//! Words for failures: equal failures of different devices must read equal.

use crate::domain::Failure;
use crate::protocol::mqtt::ConnectReturnCode;

/// Longest text of a service that is kept, in characters.
const MAX_LENGTH: usize = 240;

/// A service's words without what is particular to one device or request: its id, tracking ids, control characters.
pub fn plain_words(text: &str, device_id: &str) -> String {
    let text = text.split("Tracking ID").next().unwrap_or_default();
    let text = if device_id.is_empty() { text.to_owned() } else { text.replace(device_id, "{device}") };
    let text: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(MAX_LENGTH).collect();
    text.trim().to_owned()
}

/// The failure that a refusing CONNACK stands for; `None` when it accepts.
pub fn connack_failure(service: &str, code: ConnectReturnCode) -> Option<Failure> {
    let reason = match code {
        ConnectReturnCode::Success => return None,
        ConnectReturnCode::RefusedProtocolVersion => "unacceptable protocol version",
        ConnectReturnCode::BadClientId => "client id rejected",
        ConnectReturnCode::ServiceUnavailable => "service unavailable or busy",
        ConnectReturnCode::BadUserNamePassword => "bad user name or password",
        ConnectReturnCode::NotAuthorized => "not authorized",
    };
    Some(Failure::rejected(code as u32, format!("{service} refused CONNECT: {reason}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_different_devices_read_equal() {
        assert_eq!(plain_words("CN of dev-1 is\twrong\n", "dev-1"), "CN of {device} is wrong");
        assert_eq!(plain_words("Unauthorized Tracking ID:1234-G:10-TimeStamp:x", "d1"), "Unauthorized");
        assert_eq!(plain_words(&"ä".repeat(1000), "").chars().count(), MAX_LENGTH);
    }

    #[test]
    fn connack_codes_become_failures() {
        assert_eq!(connack_failure("DPS", ConnectReturnCode::Success), None);
        let failure = connack_failure("DPS", ConnectReturnCode::NotAuthorized).unwrap();
        assert_eq!(failure.to_string(), "rejected 5: DPS refused CONNECT: not authorized");
    }
}
