//! What different failures of one cause have in common.

use std::borrow::Cow;
use std::sync::LazyLock;

use regex::{Captures, Regex};

/// What differs from one request to the next, and what is written in its place.
struct Varying {
    pattern: Regex,
    placeholder: &'static str,
}

/// Longest words of a cause, in bytes.
const LONGEST: usize = 600;

/// How much of longer words is looked at, in bytes.
const MOST_READ: usize = 8 * 1024;

/// In this order: what is left of a time must not be taken for a number.
static VARYING: LazyLock<[Varying; 6]> = LazyLock::new(|| {
    let varying = |pattern, placeholder| Varying {
        pattern: Regex::new(pattern).expect("constant patterns are valid"),
        placeholder,
    };
    [
        varying(r"(?i-u:\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b)", "{guid}"),
        varying(
            r"(?x-u)
            \b\d{4}-\d{2}-\d{2} [Tt\x20] \d{2}:\d{2}:\d{2} (?:[.,]\d+)? (?:[Zz]|\x20?[+-]\d{2}:?\d{2})?
            | \b\d{1,2}/\d{1,2}/\d{4} \x20 \d{1,2}:\d{2}:\d{2} (?:\x20[AaPp][Mm])? (?:\x20?[+-]\d{2}:?\d{2})?
            | \b[A-Z][a-z]{2},\x20 \d{1,2} \x20[A-Z][a-z]{2}\x20 \d{4} \x20 \d{2}:\d{2}:\d{2} (?:\x20 (?:GMT|UTC))?",
            "{time}",
        ),
        varying(
            r"(?x-u) \b\d{1,3}(?:\.\d{1,3}){3}(?::\d{1,5})?\b | \[[0-9A-Fa-f]*:[0-9A-Fa-f:.]*\](?::\d{1,5}\b)?",
            "{address}",
        ),
        varying(r"(?i-u:\b0x[0-9a-f]+\b|\b[0-9a-f]{8,}\b)", "{id}"),
        varying(r"(?i-u:\bport \d{2,5}\b)", "port {port}"),
        varying(r"(?-u::\d{4,5}\b)", ":{port}"),
    ]
});

/// The words of a failure without what differs between requests of one cause: GUIDs, times, addresses and ports, and numbers of
/// eight digits or more, in hexadecimal too. Failures whose words are the same then are counted together. What was done once
/// changes nothing when it is done again.
/// Of longer ones the first words, 600 bytes at most: whoever names them may be a peer.
pub fn cause(words: &str) -> Cow<'_, str> {
    let mut words = Cow::Borrowed(shortened(words, MOST_READ));
    // All of them have digits.
    let varies = words.bytes().any(|byte| byte.is_ascii_digit());
    for Varying { pattern, placeholder } in VARYING.iter().filter(|_| varies) {
        // A word of letters alone is one, even when they are hexadecimal digits.
        let replace = |found: &Captures<'_>| {
            let found = &found[0];
            if found.bytes().any(|byte| byte.is_ascii_digit()) || found.contains(':') { *placeholder } else { found }
                .to_owned()
        };
        if let Cow::Owned(replaced) = pattern.replace_all(&words, replace) {
            words = Cow::Owned(replaced);
        }
    }
    match words {
        Cow::Borrowed(words) => Cow::Borrowed(shortened(words, LONGEST)),
        Cow::Owned(words) => Cow::Owned(shortened(&words, LONGEST).to_owned()),
    }
}

/// Whole words from the beginning of `words` in at most so many bytes; a part of the first one when it alone is longer.
fn shortened(words: &str, most: usize) -> &str {
    if words.len() <= most {
        return words;
    }
    let first = &words[..words.floor_char_boundary(most)];
    first.rfind(char::is_whitespace).map_or(first, |end| first[..end].trim_end())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_differs_between_requests_is_left_out() {
        for (words, expected) in [
            ("Unauthorized: 0dbf3f2a-7a1c-4b5e-9d6f-11aa22bb33cc", "Unauthorized: {guid}"),
            ("trace 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", "trace 00-{id}-{id}-01"),
            ("at 2026-11-28T01:04:25.123Z and 2026-11-28 01:04:25 +00:00", "at {time} and {time}"),
            ("TimeStamp:11/28/2026 01:04:25 AM, since Sat, 28 Nov 2026 01:04:25 GMT", "TimeStamp:{time}, since {time}"),
            ("from 127.3.4.5:50123 to [::1]:8883", "from {address} to {address}"),
            ("localhost:50123 and port 50124", "localhost:{port} and port {port}"),
            ("request 304937152 of 0x1F3a, thumbprint 5D3A9BC04E", "request {id} of {id}, thumbprint {id}"),
        ] {
            assert_eq!(cause(words), expected);
        }
    }

    #[test]
    fn what_tells_causes_apart_stays() {
        for words in [
            "Unauthorized: CA certificate, \"not found\"",
            "DPS answered 503 without an error code",
            "IotHubThrottled 429001: 5000/min exceeded, ask again after 3.5 s",
            "the facade is effaced and defaced: deadbeef",
            "TLS 1.2, ECDSA P-384, X.509 v3, api-version 2025-07-01-preview",
            "ends at 10:30:00 h, ratio 16:9",
        ] {
            assert!(matches!(cause(words), Cow::Borrowed(same) if same == words), "{words} became {}", cause(words));
        }
    }

    #[test]
    fn causes_end_somewhere() {
        let long = format!("first words 0123456789 {}", "and others ".repeat(10_000));
        let short = cause(&long);
        assert!(short.starts_with("first words {id} and others") && short.ends_with("and others"), "{short}");
        assert!(short.len() <= LONGEST && cause(&short) == short);
        assert_eq!(cause(&"ä".repeat(10_000)).len(), LONGEST);
        // Of what is longer than 8 KiB the whole words within are read.
        let refused = |digits| cause(&format!("{} refused", "7".repeat(digits))).into_owned();
        assert_eq!((refused(8184).as_str(), refused(8185).as_str()), ("{id} refused", "{id}"));
    }

    proptest! {
        #[test]
        fn done_again_it_changes_nothing(words in "[ a-f0-9:./T{}\\[\\]xZ-]{0,80}") {
            let once = cause(&words).into_owned();
            prop_assert_eq!(cause(&once), once.as_str());
        }

        #[test]
        fn any_words_are_taken(words in "\\PC{0,60}") {
            let _ = cause(&words);
        }
    }
}
