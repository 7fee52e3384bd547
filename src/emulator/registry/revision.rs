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
    /// It has one of these tags, in either form: a list as in the header.
    Tags(&'a str),
}

impl<'a> Condition<'a> {
    /// From the header, if it was sent: `*`, or tags with commas between them. Official SDKs send `"*"` and mean `*`.
    pub(crate) fn parse(if_match: Option<&'a str>) -> Self {
        match if_match.map(str::trim) {
            None | Some("") => Self::None,
            Some(list) if tags(list).any(|tag| tag == "*") => Self::Exists,
            Some(list) => Self::Tags(list),
        }
    }

    /// Whether it holds for what is there.
    pub(crate) fn holds(self, current: Option<&Revision>) -> bool {
        let etag = current.map(|revision| revision.etag);
        self.holds_for(etag.map(|etag| [etag.text(), etag.to_string()]).as_ref().map(<[String; 2]>::as_slice))
    }

    /// Whether it holds for what is there, whose tag has these forms.
    pub(crate) fn holds_for(self, current: Option<&[String]>) -> bool {
        match (self, current) {
            (Self::None, _) | (Self::Exists, Some(_)) | (Self::Absent, None) => true,
            (Self::Tags(list), Some(forms)) => tags(list).any(|tag| forms.iter().any(|form| form == tag)),
            (Self::Exists | Self::Tags(_), None) | (Self::Absent, Some(_)) => false,
        }
    }
}

/// The tags of a list. Clients send them in quotes, without, or in two pairs of them, when they quote a tag that the
/// service showed in quotes. A weak tag counts as the strong one: whoever made it weak changed the form of the answer only.
fn tags(list: &str) -> impl Iterator<Item = &str> {
    let mut rest = list;
    std::iter::from_fn(move || {
        rest = rest.trim_start_matches([' ', '\t', ',']);
        if rest.is_empty() {
            return None;
        }
        let quoted = rest.strip_prefix("W/\"").or_else(|| rest.strip_prefix('"'));
        let (tag, behind) = match quoted {
            None => rest.split_once(',').unwrap_or((rest, "")),
            Some(inside) => {
                let twice = inside.strip_prefix('"').filter(|inside| !inside.starts_with([' ', '\t', ',']));
                // There may be commas in it.
                let inside = twice.filter(|inside| !inside.is_empty()).unwrap_or(inside);
                inside.split_once('"').unwrap_or((inside, ""))
            }
        };
        rest = behind.trim_start_matches('"');
        Some(tag.trim_end())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn etags_look_like_the_services() {
        let text = String::from_utf8(STANDARD.decode(Etag::new().to_string()).unwrap()).unwrap();
        assert_eq!((text.len(), &text[9..25]), (38, "-0000-0100-0000-"), "{text}");
    }

    #[test]
    fn a_change_asks_for_the_tag_that_is_there() {
        let first = Revision::new(SystemTime::UNIX_EPOCH);
        let second = first.next(SystemTime::UNIX_EPOCH);
        for form in [first.etag.text(), first.etag.to_string()] {
            for sent in [
                form.clone(),
                format!("\"{form}\""),
                format!("\"\"{form}\"\""),
                format!("W/\"{form}\""),
                format!(" \"a,b\" , W/\"c\",\"{form}\" "),
                format!("other, {form} ,"),
            ] {
                let condition = Condition::parse(Some(&sent));
                assert!(condition.holds(Some(&first)) && !condition.holds(None), "{sent}");
                assert!(!condition.holds(Some(&second)), "{sent}");
            }
        }
        assert!(Condition::Absent.holds(None) && !Condition::Absent.holds(Some(&first)));
        assert!(Condition::parse(None).holds(None) && Condition::parse(None).holds(Some(&first)));
        for empty in [",", "\"\"", "W/"] {
            assert!(!Condition::parse(Some(empty)).holds(Some(&first)), "{empty}");
        }
    }

    #[test]
    fn a_star_stands_for_whatever_is_there_with_quotes_and_without() {
        let there = Revision::new(SystemTime::UNIX_EPOCH);
        for sent in ["*", "\"*\"", " * ", "W/\"*\"", "\"a\", *"] {
            let condition = Condition::parse(Some(sent));
            assert_eq!(condition, Condition::Exists, "{sent}");
            assert!(condition.holds(Some(&there)) && !condition.holds(None));
        }
    }

    proptest! {
        #[test]
        fn lists_end_and_quoted_tags_are_found_in_them(list in ".{0,40}", wanted in "[a-z,=/+]{1,10}") {
            prop_assert!(tags(&list).count() <= list.len());
            let quoted = format!("\"x\", \"{wanted}\"");
            prop_assert!(tags(&quoted).any(|tag| tag == wanted));
        }
    }
}
