use std::fmt;
use std::time::SystemTime;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// An entity tag: changes with every change of what it belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(crate) struct Etag(Uuid);

impl Etag {
    /// A tag unlike all others.
    pub(crate) fn new() -> Self {
        Self(Uuid::new_v4())
    }

    /// The text inside: `6d00e5ea-0000-0100-0000-5ce53e080000`. Enrollments show it in quotes, everything else encoded.
    pub(crate) fn text(self) -> String {
        let (a, b) = self.0.as_u64_pair();
        format!("{:08x}-0000-0100-0000-{:08x}0000", a >> 32, b >> 32)
    }
}

/// As it is stored.
impl From<Etag> for String {
    fn from(etag: Etag) -> Self {
        etag.0.to_string()
    }
}

impl TryFrom<String> for Etag {
    type Error = uuid::Error;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        Uuid::parse_str(&text).map(Self)
    }
}

/// The service's form: base64 of a quoted guid-like text.
impl fmt::Display for Etag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&STANDARD.encode(format!("\"{}\"", self.text())))
    }
}

/// When something was made and last changed, and its tag.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Revision {
    /// When it was made.
    pub(crate) created: SystemTime,
    /// When it last changed.
    pub(crate) updated: SystemTime,
    /// Its tag.
    pub(crate) etag: Etag,
}

impl Revision {
    /// Of something made at `now`.
    pub(crate) fn new(now: SystemTime) -> Self {
        Self { created: now, updated: now, etag: Etag::new() }
    }

    /// After a change at `now`.
    pub(crate) fn next(self, now: SystemTime) -> Self {
        Self { created: self.created, ..Self::new(now) }
    }
}

/// What must hold for a change to be made: `If-Match` of RFC 9110, section 13.1.1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Condition<'a> {
    /// Nothing.
    None,
    /// It is not there yet.
    Absent,
    /// It is there: `*`.
    Exists,
    /// It has this tag, in either form; quotes around it do not matter.
    Etag(&'a str),
}

impl<'a> Condition<'a> {
    /// From the header, if it was sent.
    pub(crate) fn parse(if_match: Option<&'a str>) -> Self {
        match if_match.map(str::trim) {
            None | Some("") => Self::None,
            Some("*") => Self::Exists,
            Some(tag) => Self::Etag(tag.trim_matches('"')),
        }
    }

    /// Whether it holds for what is there.
    pub(crate) fn holds(self, current: Option<&Revision>) -> bool {
        match (self, current) {
            (Self::None, _) | (Self::Exists, Some(_)) | (Self::Absent, None) => true,
            (Self::Etag(tag), Some(revision)) => tag == revision.etag.text() || tag == revision.etag.to_string(),
            (Self::Exists | Self::Etag(_), None) | (Self::Absent, Some(_)) => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn etags_look_like_the_services() {
        let text = String::from_utf8(STANDARD.decode(Etag::new().to_string()).unwrap()).unwrap();
        assert_eq!((text.len(), &text[9..25]), (38, "-0000-0100-0000-"), "{text}");
    }

    #[test]
    fn a_change_asks_for_the_tag_that_is_there() {
        let first = Revision::new(SystemTime::UNIX_EPOCH);
        let tag = format!("\"{}\"", first.etag);
        let condition = Condition::parse(Some(&tag));
        assert!(condition.holds(Some(&first)) && !condition.holds(None));
        assert!(Condition::Etag(&first.etag.text()).holds(Some(&first)));
        assert!(!condition.holds(Some(&first.next(SystemTime::UNIX_EPOCH))));
        assert!(Condition::parse(Some("*")).holds(Some(&first)) && !Condition::parse(Some("*")).holds(None));
        assert!(Condition::Absent.holds(None) && !Condition::Absent.holds(Some(&first)));
        assert!(Condition::parse(None).holds(None) && Condition::parse(None).holds(Some(&first)));
    }
}
