//! What goes wrong on purpose, changed while it runs.

use axum::extract::State;
use axum::routing::{get, post};
use bytes::Bytes;
use serde_json::json;

use super::Plane;
use super::answer::Json;
use super::error::{ManagementRefusal, ManagementResult};
use super::request;
use super::routes::Routes;
use crate::emulator::config::{Faults, told};
use crate::settings::Problems;

/// `/faults`.
pub(super) fn routes() -> Routes {
    Routes::new().route("/faults", get(show).put(put)).route("/faults/disconnectHub", post(disconnect))
}

async fn show(State(plane): State<Plane>) -> ManagementResult {
    let faults = serde_json::to_value(plane.service.faults());
    faults.map(Json).map_err(|error| ManagementRefusal::new(500_001, format!("{error}.")))
}

/// Replaces the whole plan: what the body leaves out does not go wrong. All times count from now.
async fn put(State(plane): State<Plane>, body: Bytes) -> ManagementResult {
    let refused = |problems: Problems| ManagementRefusal::bad_request(format!("{}.", told(&problems)));
    let faults = Faults::from_json(&request::json(&body)?).map_err(refused)?;
    plane.service.set_faults(faults).map_err(refused)?;
    show(State(plane)).await
}

/// Ends all connections with the hub, now.
async fn disconnect(State(plane): State<Plane>) -> Json {
    Json(json!({"connections": plane.service.disconnect_hub()}))
}
