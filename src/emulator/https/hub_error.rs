use hyper::StatusCode;
use hyper::header::{HeaderName, HeaderValue};
use jiff::Timestamp;
use serde_json::json;
use uuid::Uuid;

use super::{JSON, Response, with_body};
use crate::emulator::core::Core;

/// The name of the error, for clients that do not read the body.
const ERROR_CODE: HeaderName = HeaderName::from_static("iothub-errorcode");

/// A request that the hub refuses: the rows of its error catalogue that are in use. Source: Microsoft Learn,
/// "Troubleshoot IoT Hub errors".
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum HubRefusal {
    ApiVersion,
    Argument,
    Batch,
    Unauthorized,
    Disabled,
    NoSuchDevice,
    LockLost,
    Method,
    Slow,
    TooLarge,
    Throttled,
    Unavailable,
}

impl HubRefusal {
    const fn status(self) -> StatusCode {
        match self {
            Self::ApiVersion | Self::Argument | Self::Batch => StatusCode::BAD_REQUEST,
            Self::Unauthorized => StatusCode::UNAUTHORIZED,
            Self::Disabled => StatusCode::FORBIDDEN,
            Self::NoSuchDevice => StatusCode::NOT_FOUND,
            Self::LockLost => StatusCode::PRECONDITION_FAILED,
            Self::Method => StatusCode::METHOD_NOT_ALLOWED,
            Self::Slow => StatusCode::REQUEST_TIMEOUT,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Throttled => StatusCode::TOO_MANY_REQUESTS,
            Self::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    /// The name, which the service gives instead of the number, and a text.
    const fn words(self) -> (&'static str, &'static str) {
        match self {
            Self::ApiVersion => ("InvalidProtocolVersion", "The api-version is missing."),
            Self::Argument => ("ArgumentInvalid", "The body is malformed."),
            Self::Batch => (
                "ArgumentInvalid",
                "The body is no batch: an array of {\"body\":\"BASE64\",\"properties\":{\"NAME\":\"TEXT\"}}.",
            ),
            Self::Unauthorized => ("IotHubUnauthorizedAccess", "Unauthorized"),
            Self::Disabled => ("DeviceDisabled", "The device is disabled."),
            Self::NoSuchDevice => ("DeviceNotFound", "The device is not registered."),
            Self::LockLost => ("DeviceMessageLockLost", "The message is not locked, or no longer."),
            Self::Method => ("MethodNotAllowed", "The method is not one for this resource."),
            Self::Slow => ("RequestTimeout", "The request did not arrive in time."),
            Self::TooLarge => ("MessageTooLarge", "The message exceeds 256 KB."),
            Self::Throttled => ("ThrottlingException", "Too many requests."),
            Self::Unavailable => ("ServiceUnavailable", "The hub is not available."),
        }
    }

    /// The answer, in the form of the hub.
    pub(super) fn response(self, core: &Core) -> Response {
        let (name, text) = self.words();
        let at = Timestamp::try_from(core.clock.now()).unwrap_or_default().strftime("%m/%d/%Y %H:%M:%S");
        let tracking = format!("Tracking ID:{}-G:0-TimeStamp:{at}", Uuid::new_v4().simple());
        let body = json!({"Message": format!("ErrorCode:{name};{text}"), "ExceptionMessage": tracking});
        let mut response = with_body(self.status(), JSON, body.to_string());
        response.headers_mut().insert(ERROR_CODE, HeaderValue::from_static(name));
        response
    }
}
