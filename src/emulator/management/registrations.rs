//! Registrations: the service API of DPS, "Device Registration State".

use axum::extract::{Path, State};
use axum::response::Response;
use axum::routing::{get, post};
use hyper::StatusCode;

use super::Plane;
use super::answer::{Json, listing};
use super::error::{ManagementRefusal, ManagementResult};
use super::request::{IfMatch, Page};
use super::routes::Routes;
use crate::emulator::dps::registration_state;
use crate::emulator::registry::{ChangeError, EnrollmentKind};

/// `/registrations`.
pub(super) fn routes() -> Routes {
    Routes::new()
        .route("/registrations/{id}", get(show).delete(delete))
        .route("/registrations/{id}/query", post(of_group))
}

async fn show(State(plane): State<Plane>, Path(id): Path<String>) -> ManagementResult {
    let core = plane.core();
    let registration = core.registry.registration(&id.to_ascii_lowercase()).ok_or_else(|| unknown(&id))?;
    Ok(Json(registration_state(core, &registration)))
}

async fn delete(State(plane): State<Plane>, Path(id): Path<String>, if_match: IfMatch) -> ManagementResult<StatusCode> {
    plane.core().registry.delete_registration(&id, if_match.or_any()).map_err(|error| match error {
        ChangeError::NotFound => unknown(&id),
        error => error.into(),
    })?;
    Ok(StatusCode::NO_CONTENT)
}

/// The registrations of an enrollment group, page by page.
async fn of_group(State(plane): State<Plane>, Path(group): Path<String>, page: Page) -> ManagementResult<Response> {
    let core = plane.core();
    if core.registry.enrollments.get(EnrollmentKind::Group, &group).is_none() {
        return Err(ManagementRefusal::not_found("enrollmentGroup", &group));
    }
    let found = core.registry.registrations_of(&group, page.after.as_deref(), page.count.saturating_add(1));
    let items = found.iter().map(|r| (r.registration_id.to_string(), registration_state(core, r)));
    Ok(listing("deviceRegistration", &page, items.collect()))
}

fn unknown(id: &str) -> ManagementRefusal {
    ManagementRefusal::not_found("registration", id)
}
