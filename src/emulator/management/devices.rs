//! Device identities of the hub, and messages to devices. Source: IoT Hub REST API, "Devices".

use std::time::{Duration, SystemTime};

use axum::extract::{Path, State};
use axum::response::Response;
use axum::routing::{get, post};
use bytes::Bytes;
use hyper::{HeaderMap, StatusCode};
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};

use super::Plane;
use super::answer::{Json, listing};
use super::error::{ManagementRefusal, ManagementResult};
use super::request::{self, Page, header};
use super::routes::Routes;
use crate::emulator::service::{CloudToDevice, DeviceInfo};

/// `/devices`.
pub(super) fn routes() -> Routes {
    Routes::new()
        .route("/devices", get(list))
        .route("/devices/{id}", get(show).patch(change).delete(delete))
        .route("/devices/{id}/revoke", post(revoke))
        .route("/devices/{id}/messages/deviceBound", post(send))
}

/// What can be changed of a device.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Change {
    status: Status,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Status {
    Enabled,
    Disabled,
}

async fn list(State(plane): State<Plane>, page: Page) -> Response {
    let found = plane.service.devices(page.after.as_deref(), page.count.saturating_add(1));
    listing("device", &page, found.iter().map(|device| (device.device_id.to_string(), shown(device))).collect())
}

async fn show(State(plane): State<Plane>, Path(id): Path<String>) -> ManagementResult {
    Ok(Json(shown(&plane.service.device(&id)?)))
}

async fn change(State(plane): State<Plane>, Path(id): Path<String>, body: Bytes) -> ManagementResult {
    let Change { status } = request::json(&body)?;
    Ok(Json(shown(&plane.service.set_device_enabled(&id, status == Status::Enabled)?)))
}

async fn delete(State(plane): State<Plane>, Path(id): Path<String>) -> ManagementResult<StatusCode> {
    plane.service.delete_device(&id)?;
    Ok(StatusCode::NO_CONTENT)
}

/// Revokes the certificates of a device.
async fn revoke(State(plane): State<Plane>, Path(id): Path<String>) -> ManagementResult {
    plane.service.revoke_device_certificates(&id)?;
    show(State(plane), Path(id)).await
}

/// Sends a cloud-to-device message: the body is its payload, properties are headers.
async fn send(
    State(plane): State<Plane>,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> ManagementResult<StatusCode> {
    plane.service.send_cloud_to_device(&id, &message(&headers, body)?)?;
    Ok(StatusCode::NO_CONTENT)
}

/// Headers as the hub names them towards devices: `iothub-messageid`, `iothub-app-NAME` and so on.
fn message(headers: &HeaderMap, payload: Bytes) -> ManagementResult<CloudToDevice> {
    const APPLICATION: &str = "iothub-app-";
    let text = |name: &str| header(headers, name).map(|value| value.map(str::to_owned));
    let application = headers.keys().filter_map(|name| Some((name.as_str().strip_prefix(APPLICATION)?, name)));
    let properties = application.map(|(property, name)| Ok((property.to_owned(), text(name.as_str())?)));
    let mut properties = properties.collect::<ManagementResult<Vec<_>>>()?;
    // The order of headers in the table is arbitrary.
    properties.sort_unstable();
    Ok(CloudToDevice {
        payload,
        message_id: text("iothub-messageid")?,
        correlation_id: text("iothub-correlationid")?,
        user_id: text("iothub-userid")?,
        content_type: text("iothub-contenttype")?,
        content_encoding: text("iothub-contentencoding")?,
        ack: text("iothub-ack")?.map(ack).transpose()?,
        expires: text("iothub-expiry")?.as_deref().map(moment).transpose()?,
        properties,
    })
}

fn ack(word: String) -> ManagementResult<String> {
    if ["none", "positive", "negative", "full"].contains(&word.as_str()) {
        Ok(word)
    } else {
        Err(ManagementRefusal::bad_request("iothub-ack must be none, positive, negative or full."))
    }
}

fn moment(text: &str) -> ManagementResult<SystemTime> {
    let moment = text.parse::<Timestamp>().ok().and_then(|at| Duration::try_from(at.as_duration()).ok());
    moment
        .map(|since| SystemTime::UNIX_EPOCH + since)
        .ok_or_else(|| ManagementRefusal::bad_request("iothub-expiry must be a moment since 1970 as in RFC 3339."))
}

fn shown(device: &DeviceInfo) -> Value {
    let DeviceInfo {
        device_id,
        registration_id,
        enabled,
        connection_state,
        telemetry_messages,
        cloud_to_device_messages,
        unique_id,
    } = device;
    json!({
        "deviceId": &**device_id,
        "registrationId": &**registration_id,
        "status": if *enabled { "enabled" } else { "disabled" },
        "connectionState": connection_state.as_str(),
        "cloudToDeviceMessageCount": cloud_to_device_messages,
        "telemetryMessages": telemetry_messages,
        "uniqueId": unique_id.to_string(),
    })
}
