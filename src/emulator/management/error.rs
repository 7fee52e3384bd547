use std::time::SystemTime;

use axum::response::{IntoResponse, Response};
use hyper::StatusCode;
use hyper::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use uuid::Uuid;

use super::answer::Json;
use crate::emulator::clock::dps_time;
use crate::emulator::registry::ChangeError;
use crate::emulator::service::HubError;
use crate::protocol::payload::ErrorDetails;

/// What a request comes to, if the control plane does not refuse it.
pub(super) type ManagementResult<T = Json> = Result<T, ManagementRefusal>;

/// A request that the control plane refuses. It becomes an answer in two steps, as only the outermost layer knows the
/// time: [`IntoResponse`] sets the status and keeps the rest for [`ManagementRefusal::response`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ManagementRefusal {
    /// The status of HTTP times 1000 and a sub-code.
    code: u32,
    message: String,
}

impl ManagementRefusal {
    /// A refusal with a code of the catalogue.
    pub(super) fn new(code: u32, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }

    /// 400: the request cannot be.
    pub(super) fn bad_request(message: impl Into<String>) -> Self {
        Self::new(400_000, message)
    }

    /// 404: there is nothing of that name. The sub-code is the service's for enrollments.
    pub(super) fn not_found(what: &str, name: &str) -> Self {
        Self::new(404_201, format!("{what} {name:?} not found."))
    }

    /// 409: it is there already.
    pub(super) fn conflict(what: &str, name: &str) -> Self {
        let message = format!("{what} {name:?} exists already. Send its entity tag in If-Match to replace it.");
        Self::new(409_000, message)
    }

    /// 412: it was changed meanwhile.
    pub(super) fn precondition() -> Self {
        Self::new(412_000, "The entity tag in If-Match is not that of the resource.")
    }

    /// What a status alone says.
    pub(super) fn of(status: StatusCode) -> Self {
        let code = u32::from(status.as_u16()) * 1000;
        Self::new(code, format!("{}.", status.canonical_reason().unwrap_or("Refused")))
    }

    /// The error code.
    pub(super) const fn code(&self) -> u32 {
        self.code
    }

    /// In words.
    pub(super) fn message(&self) -> &str {
        &self.message
    }

    fn status(&self) -> StatusCode {
        u16::try_from(self.code / 1000)
            .ok()
            .and_then(|status| StatusCode::from_u16(status).ok())
            .unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }

    /// The whole answer, in the form of the DPS API.
    pub(super) fn response(&self, now: SystemTime) -> Response {
        let body = ErrorDetails {
            error_code: self.code,
            tracking_id: Some(Uuid::new_v4().to_string().into()),
            message: self.message.as_str().into(),
            timestamp_utc: Some(dps_time(now).into()),
            ..ErrorDetails::default()
        };
        let mut response = (self.status(), body.to_body()).into_response();
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json; charset=utf-8"));
        headers.insert(HeaderName::from_static("x-ms-error-code"), self.code.into());
        response
    }
}

impl IntoResponse for ManagementRefusal {
    fn into_response(self) -> Response {
        let mut response = self.status().into_response();
        response.extensions_mut().insert(self);
        response
    }
}

impl From<ChangeError> for ManagementRefusal {
    fn from(error: ChangeError) -> Self {
        match error {
            ChangeError::NotFound => Self::new(404_201, "Not found."),
            ChangeError::Precondition => Self::precondition(),
            ChangeError::TooMany(_) => Self::new(400_000, error.to_string()),
            ChangeError::UnknownCa(_)
            | ChangeError::Attestation(_)
            | ChangeError::NotAuthority
            | ChangeError::Authorities(_)
            | ChangeError::Verification(_) => Self::bad_request(error.to_string()),
        }
    }
}

impl From<HubError> for ManagementRefusal {
    fn from(error: HubError) -> Self {
        Self::new(error.code(), format!("{error}."))
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt as _;
    use serde_json::Value;

    use super::*;

    #[tokio::test]
    async fn a_refusal_says_what_when_and_why() {
        let refusal = ManagementRefusal::conflict("enrollment", "x");
        let why = "enrollment \"x\" exists already. Send its entity tag in If-Match to replace it.";
        assert_eq!((refusal.code(), refusal.message()), (409_000, why));
        let response = refusal.response(SystemTime::UNIX_EPOCH);
        assert_eq!(
            (response.status().as_u16(), response.headers()["x-ms-error-code"].as_bytes()),
            (409, b"409000".as_slice())
        );
        let body = response.into_body().collect().await.unwrap().to_bytes();
        let mut body: Value = serde_json::from_slice(&body).unwrap();
        let tracking = body.as_object_mut().unwrap().shift_remove("trackingId").unwrap();
        assert!(Uuid::try_parse(tracking.as_str().unwrap()).is_ok(), "{tracking}");
        let expected = serde_json::json!({
            "errorCode": 409_000, "message": why, "timestampUtc": "1970-01-01T00:00:00.0000000Z",
        });
        assert_eq!(body, expected);
    }
}
