//! Enrollment groups and individual enrollments: the service API of DPS.

mod attestation;
mod bulk;
mod document;

use axum::extract::{Path, State};
use axum::routing::{get, post};
use bytes::Bytes;
use hyper::StatusCode;
use serde_json::Value;

use super::Plane;
use super::answer::{Json, listing};
use super::error::{ManagementRefusal, ManagementResult};
use super::query::{self, Query};
use super::request::{IfMatch, Page, json};
use super::routes::Routes;
use crate::emulator::registry::{ChangeError, EnrollmentKind};

/// `/enrollmentGroups` and `/enrollments`.
pub(super) fn routes() -> Routes {
    Routes::new()
        .merge(of("/enrollmentGroups", EnrollmentKind::Group))
        .merge(of("/enrollments", EnrollmentKind::Individual))
}

fn of(path: &str, kind: EnrollmentKind) -> Routes {
    let put = move |State(plane): State<Plane>, Path(id): Path<String>, if_match: IfMatch, body: Bytes| async move {
        put(&plane, kind, &id, &if_match, &body)
    };
    let show = move |State(plane): State<Plane>, Path(id): Path<String>| async move { show(&plane, kind, &id) };
    let delete = move |State(plane): State<Plane>, Path(id): Path<String>, if_match: IfMatch| async move {
        delete(&plane, kind, &id, &if_match)
    };
    let mechanism = move |State(plane): State<Plane>, Path(id): Path<String>| async move {
        let enrollment = plane.core().registry.enrollments.get(kind, &id);
        let enrollment = enrollment.ok_or_else(|| ManagementRefusal::not_found(noun(kind), &id))?;
        Ok::<_, ManagementRefusal>(Json(attestation::whole(&enrollment.attestation)))
    };
    let list = move |State(plane): State<Plane>, page: Page, body: Bytes| async move {
        let table = match kind {
            EnrollmentKind::Individual => "enrollments",
            EnrollmentKind::Group => "enrollmentgroups",
        };
        query::check(&json::<Query>(&body)?, table)?;
        let core = plane.core();
        let found = core.registry.enrollments.list(kind, page.after.as_deref(), page.count.saturating_add(1));
        let items = found.iter().map(|enrollment| (enrollment.id.to_string(), document::show(core, kind, enrollment)));
        Ok::<_, ManagementRefusal>(listing(noun(kind), &page, items.collect()))
    };
    let bulk = move |State(plane): State<Plane>, body: Bytes| async move { bulk::run(&plane, kind, &body) };
    Routes::new()
        .route(path, post(bulk))
        .route(&format!("{path}/query"), post(list))
        .route(&format!("{path}/{{id}}"), get(show).put(put).delete(delete))
        .route(&format!("{path}/{{id}}/attestationmechanism"), post(mechanism))
}

/// What it is called, in messages and in `x-ms-item-type`.
const fn noun(kind: EnrollmentKind) -> &'static str {
    match kind {
        EnrollmentKind::Individual => "enrollment",
        EnrollmentKind::Group => "enrollmentGroup",
    }
}

fn show(plane: &Plane, kind: EnrollmentKind, id: &str) -> ManagementResult {
    let core = plane.core();
    let enrollment =
        core.registry.enrollments.get(kind, id).ok_or_else(|| ManagementRefusal::not_found(noun(kind), id))?;
    Ok(Json(document::show(core, kind, &enrollment)))
}

fn put(plane: &Plane, kind: EnrollmentKind, id: &str, if_match: &IfMatch, body: &[u8]) -> ManagementResult {
    let Value::Object(body) = json(body)? else {
        return Err(ManagementRefusal::new(400_012, "Deserialization error: the body must be an object."));
    };
    let (core, condition) = (plane.core(), if_match.or_absent());
    let enrollments = &core.registry.enrollments;
    let enrollment = document::parse(core, kind, id, body, enrollments.get(kind, id).as_deref())?;
    let stored = enrollments.put(enrollment, condition, core.clock.now()).map_err(|error| match error {
        ChangeError::Precondition if if_match.is_absent() => ManagementRefusal::conflict(noun(kind), id),
        error => error.into(),
    })?;
    Ok(Json(document::show(core, kind, &stored)))
}

fn delete(plane: &Plane, kind: EnrollmentKind, id: &str, if_match: &IfMatch) -> ManagementResult<StatusCode> {
    plane.core().registry.enrollments.delete(kind, id, if_match.or_any()).map_err(|error| match error {
        ChangeError::NotFound => ManagementRefusal::not_found(noun(kind), id),
        error => error.into(),
    })?;
    Ok(StatusCode::NO_CONTENT)
}
