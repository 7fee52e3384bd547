use std::sync::Arc;

use hyper::body::Incoming;
use hyper::header::{HeaderMap, HeaderName, HeaderValue};
use hyper::{Method, Request, StatusCode};
use jiff::Timestamp;
use serde_json::json;
use tokio::time::{Instant, sleep_until};
use uuid::Uuid;

use super::route::{self, Hub};
use super::{Client, JSON, Response, authorization, empty, with_body};
use crate::domain::percent_encode;
use crate::emulator::core::Core;
use crate::emulator::counters::Event;
use crate::emulator::http::{self, BodyError};
use crate::emulator::hub;
use crate::emulator::registry::Device;
use crate::emulator::service_model::{Full, Step};

/// The name of the error, for clients that do not read the body.
const ERROR_CODE: HeaderName = HeaderName::from_static("iothub-errorcode");

/// Largest message in bytes. Source: Microsoft Learn, "IoT Hub quotas and throttling".
const MAX_MESSAGE: usize = 256 * 1024;

/// A request that the hub refuses: the rows of its error catalogue that are in use. Source: Microsoft Learn,
/// "Troubleshoot IoT Hub errors".
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Refusal {
    ApiVersion,
    Argument,
    Unauthorized,
    Disabled,
    NoSuchDevice,
    Method,
    Slow,
    TooLarge,
    Throttled,
}

impl Refusal {
    const fn status(self) -> StatusCode {
        match self {
            Self::ApiVersion | Self::Argument => StatusCode::BAD_REQUEST,
            Self::Unauthorized => StatusCode::UNAUTHORIZED,
            Self::Disabled => StatusCode::FORBIDDEN,
            Self::NoSuchDevice => StatusCode::NOT_FOUND,
            Self::Method => StatusCode::METHOD_NOT_ALLOWED,
            Self::Slow => StatusCode::REQUEST_TIMEOUT,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Throttled => StatusCode::TOO_MANY_REQUESTS,
        }
    }

    /// The name, which the service gives instead of the number, and a text.
    const fn words(self) -> (&'static str, &'static str) {
        match self {
            Self::ApiVersion => ("InvalidProtocolVersion", "The api-version is missing."),
            Self::Argument => ("ArgumentInvalid", "The body is malformed."),
            Self::Unauthorized => ("IotHubUnauthorizedAccess", "Unauthorized"),
            Self::Disabled => ("DeviceDisabled", "The device is disabled."),
            Self::NoSuchDevice => ("DeviceNotFound", "The device is not registered."),
            Self::Method => ("MethodNotAllowed", "The method is not one for this resource."),
            Self::Slow => ("RequestTimeout", "The request did not arrive in time."),
            Self::TooLarge => ("MessageTooLarge", "The message exceeds 256 KB."),
            Self::Throttled => ("ThrottlingException", "Too many requests."),
        }
    }

    /// The answer, in the form of the hub.
    fn response(self, core: &Core) -> Response {
        let (name, text) = self.words();
        let at = Timestamp::try_from(core.clock.now()).unwrap_or_default().strftime("%m/%d/%Y %H:%M:%S");
        let tracking = format!("Tracking ID:{}-G:0-TimeStamp:{at}", Uuid::new_v4().simple());
        let body = json!({"Message": format!("ErrorCode:{name};{text}"), "ExceptionMessage": tracking});
        let mut response = with_body(self.status(), JSON, body.to_string());
        response.headers_mut().insert(ERROR_CODE, HeaderValue::from_static(name));
        response
    }
}

/// A request of the hub. Source: IoT Hub REST API, "Device".
pub(super) async fn answer(client: &Client, request: Request<Incoming>, device_id: &str, of: Hub) -> Response {
    attempt(client, request, device_id, of).await.unwrap_or_else(|refusal| {
        client.core.tally.count(Event::HubRefused);
        refusal.response(&client.core)
    })
}

async fn attempt(client: &Client, request: Request<Incoming>, device_id: &str, of: Hub) -> Result<Response, Refusal> {
    let core = &client.core;
    let (head, body) = request.into_parts();
    let expected = match of {
        Hub::Telemetry => Method::POST,
        Hub::Messages => Method::GET,
    };
    if head.method != expected {
        return Err(Refusal::Method);
    }
    if route::api_version(&head.uri).is_none_or(str::is_empty) {
        return Err(Refusal::ApiVersion);
    }
    let device = authorize(client, authorization(&head.headers), device_id)?;
    let body = http::body(body, MAX_MESSAGE, &core.config.listen).await.map_err(|error| match error {
        BodyError::TooLarge => Refusal::TooLarge,
        BodyError::Slow => Refusal::Slow,
        BodyError::Broken => Refusal::Argument,
    })?;
    match of {
        Hub::Telemetry => {
            let due = core.model.admit(Step::Telemetry, Instant::now()).map_err(|Full| Refusal::Throttled)?;
            if let Some(due) = due {
                sleep_until(due).await;
            }
            hub::receive_telemetry(core, &device, &properties(&head.headers), &body, false);
        }
        Hub::Messages => {}
    }
    Ok(empty(StatusCode::NO_CONTENT))
}

/// System and application properties of a message as MQTT writes them into a topic.
fn properties(headers: &HeaderMap) -> String {
    let pairs = headers.iter().filter_map(|(name, value)| {
        let name = match name.as_str() {
            "iothub-messageid" => "$.mid",
            "iothub-correlationid" => "$.cid",
            "iothub-userid" => "$.uid",
            "iothub-contenttype" => "$.ct",
            "iothub-contentencoding" => "$.ce",
            name => name.strip_prefix("iothub-app-")?,
        };
        Some(format!("{}={}", percent_encode(name), percent_encode(value.to_str().ok()?)))
    });
    pairs.collect::<Vec<_>>().join("&")
}

fn authorize(client: &Client, token: &str, device_id: &str) -> Result<Arc<Device>, Refusal> {
    let device = client.core.registry.device(device_id).ok_or(Refusal::NoSuchDevice)?;
    match hub::is_proved(&client.core, &device, token, &client.peer) {
        Ok(true) if device.with(|state| state.enabled) => Ok(device),
        Ok(true) => Err(Refusal::Disabled),
        Ok(false) | Err(_) => Err(Refusal::Unauthorized),
    }
}
