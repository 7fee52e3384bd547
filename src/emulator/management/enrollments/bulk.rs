use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{document, noun};
use crate::emulator::management::Plane;
use crate::emulator::management::answer::Json;
use crate::emulator::management::error::{ManagementRefusal, ManagementResult};
use crate::emulator::management::request;
use crate::emulator::registry::{ChangeError, Condition, EnrollmentKind};

/// Most enrollments of one request. Source: Microsoft Learn, DPS limits, bulk operations.
const MOST: usize = 10;

/// `BulkEnrollmentOperation` and `BulkEnrollmentGroupOperation`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Bulk {
    mode: Mode,
    enrollments: Option<Vec<Map<String, Value>>>,
    enrollment_groups: Option<Vec<Map<String, Value>>>,
}

#[derive(Debug, Clone, Copy, Deserialize)]
enum Mode {
    #[serde(rename = "create")]
    Create,
    #[serde(rename = "update")]
    Update,
    #[serde(rename = "updateIfMatchETag")]
    UpdateIfMatch,
    #[serde(rename = "delete")]
    Delete,
}

/// Does the same to several enrollments; those that fail do not keep the others back.
pub(super) fn run(plane: &Plane, kind: EnrollmentKind, body: &[u8]) -> ManagementResult {
    let Bulk { mode, enrollments, enrollment_groups } = request::json(body)?;
    let list = match kind {
        EnrollmentKind::Individual => enrollments,
        EnrollmentKind::Group => enrollment_groups,
    };
    let list = list.filter(|list| (1..=MOST).contains(&list.len()));
    let list =
        list.ok_or_else(|| ManagementRefusal::bad_request(format!("1 to {MOST} {}s are needed.", noun(kind))))?;
    let errors: Vec<_> = list.into_iter().filter_map(|item| one(plane, kind, mode, item).err()).collect();
    Ok(Json(json!({"isSuccessful": errors.is_empty(), "errors": errors})))
}

/// Does it to one; the error is as the answer lists it.
fn one(plane: &Plane, kind: EnrollmentKind, mode: Mode, mut item: Map<String, Value>) -> Result<(), Value> {
    let id = item.get(document::id_field(kind)).and_then(Value::as_str).unwrap_or_default().to_owned();
    let etag = item.shift_remove("etag");
    change(plane, kind, mode, &id, etag.as_ref().and_then(Value::as_str), item).map_err(
        |refusal| json!({document::id_field(kind): id, "errorCode": refusal.code(), "errorStatus": refusal.message()}),
    )
}

fn change(
    plane: &Plane,
    kind: EnrollmentKind,
    mode: Mode,
    id: &str,
    etag: Option<&str>,
    item: Map<String, Value>,
) -> ManagementResult<()> {
    let core = plane.core();
    let enrollments = &core.registry.enrollments;
    let condition = match mode {
        Mode::Create => Condition::Absent,
        Mode::Update => Condition::Exists,
        Mode::UpdateIfMatch => match Condition::parse(etag) {
            Condition::None => return Err(ManagementRefusal::bad_request("etag is missing.")),
            condition => condition,
        },
        Mode::Delete => {
            return enrollments.delete(kind, id, Condition::parse(etag)).map_err(|error| match error {
                ChangeError::NotFound => ManagementRefusal::not_found(noun(kind), id),
                error => error.into(),
            });
        }
    };
    let current = enrollments.get(kind, id);
    if current.is_none() && !matches!(mode, Mode::Create) {
        return Err(ManagementRefusal::not_found(noun(kind), id));
    }
    let enrollment = document::parse(core, kind, id, item, current.as_deref())?;
    match enrollments.put(enrollment, condition, core.clock.now()) {
        Err(ChangeError::Precondition) if matches!(mode, Mode::Create) => {
            Err(ManagementRefusal::conflict(noun(kind), id))
        }
        changed => Ok(changed.map(drop)?),
    }
}
