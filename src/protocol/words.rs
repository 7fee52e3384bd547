//! Words for failures: equal failures of different devices must read equal.

use crate::domain::{Failure, cause};
use crate::protocol::mqtt::ConnectReturnCode;

/// Longest text of a service that is kept, in characters.
const MAX_LENGTH: usize = 240;

/// How much of a longer one is looked at, in bytes.
const MOST_READ: usize = 4 * 1024;

/// A service's words without what is particular to one device or request: its id, tracking ids, times and the like, control
/// characters.
pub fn plain_words(text: &str, device_id: &str) -> String {
    let text = &text[..text.floor_char_boundary(MOST_READ)];
    let text = text.split("Tracking ID").next().unwrap_or_default();
    let text = without(text, device_id);
    // Before it is cut, so that no part of what differs is left at its end.
    let text: String = cause(&text).chars().map(|c| if c.is_control() { ' ' } else { c }).take(MAX_LENGTH).collect();
    text.trim().to_owned()
}

/// `text` without an id, in whichever case the service writes it, but not where it is only a part of a word.
fn without(text: &str, id: &str) -> String {
    if id.is_empty() {
        return text.to_owned();
    }
    let (mut rest, mut at) = (String::with_capacity(text.len()), 0);
    for (place, found) in text.to_ascii_lowercase().match_indices(&id.to_ascii_lowercase()) {
        let (before, after) = (&text[..place], &text[place + found.len()..]);
        let goes_on = |c: Option<char>| c.is_some_and(char::is_alphanumeric);
        if !goes_on(before.chars().next_back()) && !goes_on(after.chars().next()) {
            rest.push_str(&text[at..place]);
            rest.push_str("{device}");
            at = place + found.len();
        }
    }
    rest.push_str(&text[at..]);
    rest
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
        let words = |id: &str, guid: &str| {
            plain_words(
                &format!("{} {}: device {id} is unknown, ask for {guid} again", "x".repeat(180), id.to_uppercase()),
                id,
            )
        };
        let (first, other) = ("0dbf3f2a-7a1c-4b5e-9d6f-11aa22bb33cc", "9dbf3f2a-7a1c-4b5e-9d6f-11aa22bb33cd");
        assert_eq!(words("dev-1", first), words("dev-2", other));
        assert!(words("dev-1", first).contains(" {device}: device {device} is unknown"), "{}", words("dev-1", first));
        assert_eq!(
            plain_words("e-1 asked for e-10 and te-1: e-1", "e-1"),
            "{device} asked for e-10 and te-1: {device}"
        );
    }

    #[test]
    fn of_endless_words_the_first_4_kib_are_read() {
        let refused = |digits| plain_words(&format!("{} refused", "7".repeat(digits)), "");
        assert_eq!((refused(4088).as_str(), refused(4089).as_str()), ("{id} refused", "{id} refuse"));
    }

    proptest::proptest! {
        #[test]
        fn any_words_about_any_device_are_taken(text in "\\PC{0,40}", id in "\\PC{0,3}") {
            let _ = plain_words(&text, &id);
        }
    }

    #[test]
    fn connack_codes_become_failures() {
        assert_eq!(connack_failure("DPS", ConnectReturnCode::Success), None);
        let failure = connack_failure("DPS", ConnectReturnCode::NotAuthorized).unwrap();
        assert_eq!(failure.to_string(), "rejected 5: DPS refused CONNECT: not authorized");
    }
}
