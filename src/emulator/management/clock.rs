//! Time travel, so that certificates and tokens of devices can be made to expire.

use axum::extract::State;
use axum::routing::get;
use bytes::Bytes;
use jiff::{Span, SpanRelativeTo};
use serde::Deserialize;
use serde_json::json;

use super::Plane;
use super::answer::Json;
use super::error::ManagementRefusal;
use super::request;
use super::routes::Routes;
use crate::domain::FleetTime;
use crate::emulator::clock::dps_time;

/// As far as one request may move the clock: the life of the authorities.
const MOST: FleetTime = FleetTime::from_secs(3650 * 86_400);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Change {
    advance: String,
}

/// `/clock`.
pub(super) fn routes() -> Routes {
    Routes::new().route("/clock", get(show).post(advance))
}

async fn show(State(plane): State<Plane>) -> Json {
    Json(json!({"now": dps_time(plane.core().clock.now())}))
}

/// Moves the wall clock forward; it never goes back.
async fn advance(State(plane): State<Plane>, body: Bytes) -> Result<Json, ManagementRefusal> {
    let Change { advance } = request::json(&body)?;
    let by = duration(&advance).filter(|by| *by <= MOST);
    let by = by.ok_or_else(|| {
        ManagementRefusal::bad_request(
            "advance must be an ISO 8601 duration from PT0S to P3650D, such as P8D or PT12H.",
        )
    })?;
    plane.core().advance_clock(by).map_err(|error| ManagementRefusal::new(500_001, format!("{error}.")))?;
    Ok(show(State(plane)).await)
}

fn duration(text: &str) -> Option<FleetTime> {
    let span: Span = text.parse().ok()?;
    span.to_duration(SpanRelativeTo::days_are_24_hours()).ok()?.try_into().ok().map(FleetTime::new)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_those_of_iso_8601_and_not_negative() {
        assert_eq!(duration("P8D"), Some(FleetTime::from_secs(8 * 86_400)));
        assert_eq!(duration("P1W"), Some(FleetTime::from_secs(7 * 86_400)));
        assert_eq!(duration("PT1H30M"), Some(FleetTime::from_secs(5400)));
        for bad in ["", "8", "P8", "-P1D", "P1M", "P99999999999999D"] {
            assert_eq!(duration(bad), None, "{bad}");
        }
    }
}
