//! Enrollments as JSON: `EnrollmentGroup` and `IndividualEnrollment` of the DPS API. Source: Azure REST API
//! specification, DPS service API 2025-07-01-preview.

use serde_json::{Map, Value, json};

use super::attestation::{self, Mechanism};
use crate::domain::RegistrationId;
use crate::emulator::clock::dps_time;
use crate::emulator::core::Core;
use crate::emulator::management::error::{ManagementRefusal, ManagementResult};
use crate::emulator::registry::{Enrollment, EnrollmentKind, Scope, Twin};

/// Name of the field with the id.
pub(super) const fn id_field(kind: EnrollmentKind) -> &'static str {
    match kind {
        EnrollmentKind::Individual => "registrationId",
        EnrollmentKind::Group => "enrollmentGroupId",
    }
}

/// Fields that only the service writes.
const OF_THE_SERVICE: [&str; 4] = ["etag", "createdDateTimeUtc", "lastUpdatedDateTimeUtc", "registrationState"];

type Check = fn(&Value) -> bool;

/// Fields that are kept as they come, with their type.
const KEPT: [(&str, Check); 7] = [
    ("capabilities", Value::is_object),
    (Enrollment::INITIAL_TWIN, Value::is_object),
    ("reprovisionPolicy", Value::is_object),
    ("optionalDeviceInformation", Value::is_object),
    ("allocationPolicy", is_allocation_policy),
    ("iotHubs", is_list_of_texts),
    ("iotHubHostName", Value::is_string),
];

fn is_allocation_policy(value: &Value) -> bool {
    value.as_str().is_some_and(|word| ["hashed", "geoLatency", "static"].contains(&word))
}

fn is_list_of_texts(value: &Value) -> bool {
    value.as_array().is_some_and(|list| list.iter().all(Value::is_string))
}

/// The enrollment that a body means, for the id of the URL. `current` is the one that it may replace.
pub(super) fn parse(
    core: &Core,
    kind: EnrollmentKind,
    id: &str,
    mut body: Map<String, Value>,
    current: Option<&Enrollment>,
) -> ManagementResult<Enrollment> {
    RegistrationId::new(id)
        .map_err(|error| ManagementRefusal::bad_request(format!("The id {id:?} cannot be: {error}.")))?;
    // `null` is absent, as official SDKs write what they do not have.
    body.retain(|_, value| !value.is_null());
    if let Some(named) = text(&mut body, id_field(kind))?
        && !named.eq_ignore_ascii_case(id)
    {
        let message = format!("The {} of the body is not that of the URL.", id_field(kind));
        return Err(ManagementRefusal::bad_request(message));
    }
    let mechanism =
        body.shift_remove("attestation").ok_or_else(|| ManagementRefusal::bad_request("attestation is missing."))?;
    let mechanism: Mechanism = serde_json::from_value(mechanism)
        .map_err(|error| ManagementRefusal::new(400_012, format!("Deserialization error: attestation: {error}")))?;
    let enabled = match text(&mut body, "provisioningStatus")?.as_deref() {
        None | Some("enabled") => true,
        Some("disabled") => false,
        Some(_) => return Err(ManagementRefusal::bad_request("provisioningStatus must be enabled or disabled.")),
    };
    let policy = text(&mut body, "credentialPolicyName")?.filter(|name| !name.is_empty());
    if let Some(name) = &policy
        && core.adr.policy(name).is_none()
    {
        return Err(ManagementRefusal::bad_request(format!("There is no credential policy {name:?}.")));
    }
    let scope = match kind {
        EnrollmentKind::Group => Scope::Group,
        EnrollmentKind::Individual => Scope::Individual { device_id: device_id(&mut body)?.map(Into::into) },
    };
    for name in OF_THE_SERVICE {
        body.shift_remove(name);
    }
    for (name, value) in &body {
        match KEPT.iter().find(|(kept, _)| kept == name) {
            Some((_, is_good)) if is_good(value) => {}
            Some(_) => return Err(ManagementRefusal::bad_request(format!("{name} has a value that cannot be."))),
            None => return Err(ManagementRefusal::bad_request(format!("{name} is not a field, or not emulated."))),
        }
    }
    if let Some(twin) = body.get(Enrollment::INITIAL_TWIN) {
        Twin::initial(twin).map_err(|error| ManagementRefusal::bad_request(format!("initialTwin: {error}.")))?;
    }
    let attestation = mechanism.attestation(current.map(|current| &current.attestation))?;
    Ok(Enrollment {
        credential_policy: policy.map(Into::into),
        enabled,
        other: body,
        ..Enrollment::new(id, scope, attestation, core.clock.now())
    })
}

fn text(body: &mut Map<String, Value>, name: &str) -> ManagementResult<Option<String>> {
    match body.shift_remove(name) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(ManagementRefusal::new(400_012, format!("Deserialization error: {name} must be text."))),
    }
}

/// Ids of devices at the hub. Source: Microsoft Learn, "Understand the identity registry in your IoT hub".
fn device_id(body: &mut Map<String, Value>) -> ManagementResult<Option<String>> {
    let Some(id) = text(body, "deviceId")?.filter(|id| !id.is_empty()) else { return Ok(None) };
    let allowed = |c: char| c.is_ascii_alphanumeric() || "-.%_*?!(),:=@$'+#".contains(c);
    if id.len() > 128 || !id.chars().all(allowed) {
        return Err(ManagementRefusal::bad_request(format!("The deviceId {id:?} cannot be.")));
    }
    Ok(Some(id))
}

/// An enrollment as the service shows it: without its keys.
pub(super) fn show(core: &Core, kind: EnrollmentKind, enrollment: &Enrollment) -> Value {
    let mut shown = json!({
        id_field(kind): &*enrollment.id,
        "attestation": attestation::shown(&enrollment.attestation),
        "capabilities": {"iotEdge": false},
        "etag": format!("\"{}\"", enrollment.revision.etag.text()),
        "provisioningStatus": if enrollment.enabled { "enabled" } else { "disabled" },
        "reprovisionPolicy": {"updateHubAssignment": true, "migrateDeviceData": true},
        "createdDateTimeUtc": dps_time(enrollment.revision.created),
        "lastUpdatedDateTimeUtc": dps_time(enrollment.revision.updated),
        "allocationPolicy": "hashed",
        "iotHubs": [&*core.config.hub_host],
    });
    for (name, value) in &enrollment.other {
        shown[name] = value.clone();
    }
    if let Some(policy) = &enrollment.credential_policy {
        shown["credentialPolicyName"] = (**policy).into();
    }
    if let Scope::Individual { device_id } = &enrollment.scope {
        if let Some(device_id) = device_id {
            shown["deviceId"] = (**device_id).into();
        }
        if let Some(state) = core.registry.registration(&enrollment.id) {
            shown["registrationState"] = crate::emulator::dps::registration_state(core, &state);
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_id_has_1_to_128_characters_of_those_that_the_hub_allows() {
        let (longest, too_long) = ("x".repeat(128), "x".repeat(129));
        let of = |id: Value| device_id(&mut Map::from_iter([("deviceId".to_owned(), id)]));
        for good in ["d", "Press-1.%_*?!(),:=@$'+#", &longest] {
            assert_eq!(of(good.into()), Ok(Some(good.to_owned())));
        }
        assert_eq!((of("".into()), device_id(&mut Map::new())), (Ok(None), Ok(None)));
        for bad in ["a b", "é", "a/b", &too_long] {
            assert_eq!(of(bad.into()).unwrap_err().code(), 400_000, "{bad}");
        }
        assert_eq!(of(7.into()).unwrap_err().code(), 400_012);
    }
}
