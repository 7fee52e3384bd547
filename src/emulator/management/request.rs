//! What handlers read from a request.

use axum::extract::FromRequestParts;
use hyper::HeaderMap;
use hyper::header::{HeaderValue, IF_MATCH};
use hyper::http::request::Parts;
use serde::de::DeserializeOwned;

use super::error::{ManagementRefusal, ManagementResult};
use crate::emulator::registry::Condition;

/// A JSON body.
pub(super) fn json<T: DeserializeOwned>(body: &[u8]) -> ManagementResult<T> {
    serde_json::from_slice(body)
        .map_err(|error| ManagementRefusal::new(400_012, format!("Deserialization error: {error}")))
}

/// The `If-Match` header.
#[derive(Debug)]
pub(super) struct IfMatch(Option<String>);

impl IfMatch {
    /// For a change of what is there or not: without the header it must not be there, as at the service.
    pub(super) fn or_absent(&self) -> Condition<'_> {
        match Condition::parse(self.0.as_deref()) {
            Condition::None => Condition::Absent,
            condition => condition,
        }
    }

    /// The header was not sent.
    pub(super) fn is_absent(&self) -> bool {
        self.or_absent() == Condition::Absent
    }

    /// For a change that is made whatever the tag is, unless the header says otherwise.
    pub(super) fn or_any(&self) -> Condition<'_> {
        Condition::parse(self.0.as_deref())
    }

    /// Whether the header, if it was sent, takes the tag of what is there.
    pub(super) fn is(&self, etag: String) -> bool {
        self.or_any().holds_for(Some(&[etag]))
    }

    /// For a change that needs the header.
    pub(super) fn required(&self) -> ManagementResult<Condition<'_>> {
        match Condition::parse(self.0.as_deref()) {
            Condition::None => Err(ManagementRefusal::bad_request("The header If-Match is missing.")),
            condition => Ok(condition),
        }
    }
}

impl<S: Send + Sync> FromRequestParts<S> for IfMatch {
    type Rejection = ManagementRefusal;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> ManagementResult<Self> {
        // Several lines are one list.
        let lines = parts.headers.get_all(IF_MATCH).iter().map(|line| text(IF_MATCH.as_str(), line));
        let lines = lines.collect::<Result<Vec<_>, _>>()?;
        Ok(Self((!lines.is_empty()).then(|| lines.join(","))))
    }
}

/// Where a listing begins and how much of it is wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Page {
    /// After the resource of this id.
    pub(super) after: Option<String>,
    /// At most so many.
    pub(super) count: usize,
}

impl Page {
    /// Header with the most items wanted.
    pub(super) const MAX_ITEM_COUNT: &str = "x-ms-max-item-count";
    /// Header with the place where a listing goes on.
    pub(super) const CONTINUATION: &str = "x-ms-continuation";
    /// Most items of one answer.
    const MOST: usize = 1000;
}

impl<S: Send + Sync> FromRequestParts<S> for Page {
    type Rejection = ManagementRefusal;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> ManagementResult<Self> {
        let count = match header(&parts.headers, Self::MAX_ITEM_COUNT)? {
            None => Self::MOST,
            Some(text) => text.parse::<usize>().ok().filter(|count| *count > 0).ok_or_else(|| {
                ManagementRefusal::bad_request(format!(
                    "The header {} must be a positive number.",
                    Self::MAX_ITEM_COUNT
                ))
            })?,
        };
        let after = header(&parts.headers, Self::CONTINUATION)?.filter(|text| !text.is_empty()).map(str::to_owned);
        Ok(Self { after, count: count.min(Self::MOST) })
    }
}

/// A header that is text, if it is there.
pub(super) fn header<'a>(headers: &'a HeaderMap, name: &str) -> ManagementResult<Option<&'a str>> {
    headers.get(name).map(|value| text(name, value)).transpose()
}

fn text<'a>(name: &str, value: &'a HeaderValue) -> ManagementResult<&'a str> {
    value.to_str().map_err(|_| ManagementRefusal::bad_request(format!("The header {name} must be ASCII text.")))
}
