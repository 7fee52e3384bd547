//! How long a peer asks to be left alone, however it writes that.

use std::time::{Duration, UNIX_EPOCH};

use serde::{Deserialize, Deserializer};
use serde_json::Value;

/// The longest wait that is taken for meant, in seconds: a day. What is beyond is shortened to it, so that a slip of the
/// service is a long wait, and not none at all.
pub const LONGEST: u32 = 86_400;

/// Whole seconds of a decimal number in text, as MQTT topics have it: fractions are rounded up, what is negative is no
/// wait, and nothing is longer than [`LONGEST`]. `None` when it is no number.
pub fn from_text(text: &str) -> Option<u32> {
    let text = text.trim();
    // Rust reads "inf" and "nan" as numbers, too.
    let is_decimal = text.trim_start_matches(['+', '-']).starts_with(|c: char| c.is_ascii_digit() || c == '.');
    text.parse().ok().filter(|_| is_decimal).map(from_number)
}

/// The header of an HTTP answer: seconds, or a date in any of the three forms of HTTP (RFC 9110, sections 10.2.3 and
/// 5.6.7). A date is held against `date`, that of the same answer, so that it does not matter whether both clocks agree;
/// against `now`, since the beginning of 1970, when the answer has none. A date that is past is no wait.
pub fn from_header(text: &str, date: Option<&str>, now: Duration) -> Option<u32> {
    from_text(text).or_else(|| {
        let until = since_1970(text)?;
        let since = date.and_then(since_1970).unwrap_or(now);
        Some(from_number(until.saturating_sub(since).as_secs_f64()))
    })
}

fn since_1970(date: &str) -> Option<Duration> {
    httpdate::parse_http_date(date.trim()).ok()?.duration_since(UNIX_EPOCH).ok()
}

/// A field of JSON: a number, or a number in text. Anything else is none, and no reason not to read the rest.
pub(super) fn from_json<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u32>, D::Error> {
    Ok(match Value::deserialize(deserializer)? {
        Value::Number(number) => number.as_f64().map(from_number),
        Value::String(text) => from_text(&text),
        _ => None,
    })
}

fn from_number(seconds: f64) -> u32 {
    // A number that is none becomes 0.
    seconds.ceil().clamp(0.0, f64::from(LONGEST)) as u32
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Sun, 06 Nov 1994 08:49:37 GMT, the example of RFC 9110.
    const MOMENT: Duration = Duration::from_secs(784_111_777);

    #[test]
    fn numbers_are_rounded_up_and_bounded() {
        for (text, seconds) in [
            ("6", 6),
            (" 6 ", 6),
            ("+6", 6),
            ("6.0", 6),
            ("6.1", 7),
            ("0.001", 1),
            (".5", 1),
            ("0", 0),
            ("-1", 0),
            ("-0.5", 0),
            ("86400", LONGEST),
            ("86401", LONGEST),
            ("4294967296", LONGEST),
            ("99999999999999999999999", LONGEST),
            ("1e9", LONGEST),
        ] {
            assert_eq!(from_text(text), Some(seconds), "{text}");
        }
        assert_eq!(from_text(&"9".repeat(400)), Some(LONGEST));
        for text in ["", "soon", "inf", "-inf", "nan", "NaN", "infinity", "6 s", "6,5", "0x6", "-", "."] {
            assert_eq!(from_text(text), None, "{text}");
        }
    }

    #[test]
    fn dates_are_held_against_the_date_of_the_answer() {
        let now = MOMENT;
        let date = Some("Sun, 06 Nov 1994 08:49:31 GMT");
        for text in
            ["Sun, 06 Nov 1994 08:49:37 GMT", "Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994", "6", "5.2"]
        {
            // Our own clock is an hour behind, which does not matter.
            assert_eq!(from_header(text, date, now - Duration::from_secs(3_600)), Some(6), "{text}");
        }
        let past = "Sun, 06 Nov 1994 08:49:30 GMT";
        assert_eq!(from_header(past, date, now), Some(0));
        assert_eq!(from_header("Fri, 06 Nov 2195 08:49:37 GMT", date, now), Some(LONGEST));
        for unreadable in [None, Some("yesterday")] {
            let half_before = now - Duration::from_millis(1_500);
            let text = "Sun, 06 Nov 1994 08:49:37 GMT";
            assert_eq!(from_header(text, unreadable, half_before), Some(2), "against our clock, rounded up");
        }
        assert_eq!(from_header("tomorrow", date, now), None);
    }

    proptest! {
        #[test]
        fn any_number_is_a_wait_that_is_not_shorter_but_for_the_longest(seconds in -1e12..1e12f64) {
            let read = from_text(&seconds.to_string());
            let bounded = seconds.clamp(0.0, f64::from(LONGEST));
            prop_assert!(read.is_some_and(|read| f64::from(read) >= bounded && f64::from(read) < bounded + 1.0));
        }

        #[test]
        fn reading_never_panics(text in any::<String>(), date in any::<String>()) {
            let _ = from_header(&text, Some(&date), Duration::ZERO);
        }
    }
}
