//! Twins of devices and direct methods. Source: IoT Hub REST API, "Devices - Get Twin", "Invoke Method".

use std::time::Duration;

use axum::extract::{Path, State};
use axum::routing::{get, post};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde::Deserialize;
use serde_json::{Value, json};

use super::Plane;
use super::answer::Json;
use super::error::{ManagementRefusal, ManagementResult};
use super::request::{self, IfMatch};
use super::routes::Routes;
use crate::emulator::service::{MethodResult, TwinInfo};

/// `/twins`.
pub(super) fn routes() -> Routes {
    Routes::new().route("/twins/{id}", get(show).patch(change)).route("/twins/{id}/methods", post(invoke))
}

/// What a back end may change of a twin.
#[derive(Deserialize)]
struct Patch {
    tags: Option<Value>,
    properties: Option<Properties>,
}

#[derive(Deserialize)]
struct Properties {
    desired: Option<Value>,
}

/// A call of a direct method.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Call {
    method_name: String,
    payload: Option<Value>,
    response_timeout_in_seconds: Option<u64>,
    connect_timeout_in_seconds: Option<u64>,
}

impl Call {
    /// How long the device may take, in seconds. Source: Microsoft Learn, "Understand and invoke direct methods".
    const TIMEOUTS: std::ops::RangeInclusive<u64> = 5..=300;
    const TIMEOUT: u64 = 30;
}

async fn show(State(plane): State<Plane>, Path(id): Path<String>) -> ManagementResult {
    Ok(Json(shown(&plane.service.twin(&id)?)))
}

/// Merges a patch into a twin. Whoever sends `If-Match` is told when it changed meanwhile, up to the moment before.
async fn change(
    State(plane): State<Plane>,
    Path(id): Path<String>,
    if_match: IfMatch,
    body: Bytes,
) -> ManagementResult {
    let Patch { tags, properties } = request::json(&body)?;
    if !if_match.is(etag(plane.service.twin(&id)?.version)) {
        return Err(ManagementRefusal::precondition());
    }
    let desired = properties.and_then(|properties| properties.desired);
    Ok(Json(shown(&plane.service.patch_twin(&id, tags.as_ref(), desired.as_ref())?)))
}

/// Calls a method of a device and waits for its answer.
async fn invoke(State(plane): State<Plane>, Path(id): Path<String>, body: Bytes) -> ManagementResult {
    let Call { method_name, payload, response_timeout_in_seconds, connect_timeout_in_seconds } = request::json(&body)?;
    if connect_timeout_in_seconds.is_some_and(|seconds| seconds > 0) {
        let message = "connectTimeoutInSeconds is not emulated: the device must be connected.";
        return Err(ManagementRefusal::bad_request(message));
    }
    let seconds = response_timeout_in_seconds.unwrap_or(Call::TIMEOUT);
    if !Call::TIMEOUTS.contains(&seconds) {
        return Err(ManagementRefusal::bad_request("responseTimeoutInSeconds must be from 5 to 300."));
    }
    let timeout = Duration::from_secs(seconds);
    let MethodResult { status, payload } =
        plane.service.invoke_method(&id, &method_name, payload.as_ref(), timeout).await?;
    Ok(Json(json!({"status": status, "payload": payload})))
}

fn shown(twin: &TwinInfo) -> Value {
    let TwinInfo { device_id, version, enabled, connection_state, tags, desired, reported } = twin;
    json!({
        "deviceId": &**device_id,
        "etag": etag(*version),
        "version": version,
        "status": if *enabled { "enabled" } else { "disabled" },
        "connectionState": connection_state.as_str(),
        "tags": tags,
        "properties": {"desired": desired, "reported": reported},
    })
}

/// The entity tag, in the hub's form: base64 of the version.
fn etag(version: u64) -> String {
    STANDARD.encode(version.to_be_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_are_those_of_the_hub() {
        assert_eq!(etag(1), "AAAAAAAAAAE=");
    }
}
