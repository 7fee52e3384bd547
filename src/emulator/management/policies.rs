//! Credential policies of the device registry. Source: Azure REST API specification, `Microsoft.DeviceRegistry`
//! 2025-11-01-preview, credentials and policies.

use axum::extract::{Path, State};
use axum::routing::{get, post};
use bytes::Bytes;
use hyper::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};

use super::Plane;
use super::answer::Json;
use super::error::{ManagementRefusal, ManagementResult};
use super::request;
use super::routes::Routes;
use crate::domain::FleetTime;
use crate::emulator::clock::dps_time;
use crate::emulator::issuing::adr::{CredentialPolicy, PutPolicyError};

const DAY: u64 = 86_400;
/// Longest validity of device certificates in days. The documentation names 30 and 90.
const MAX_DAYS: u64 = 90;

/// `/policies` and the synchronization of the credential with the hub.
pub(super) fn routes() -> Routes {
    Routes::new()
        .route("/policies", get(list))
        .route("/policies/{name}", get(show).put(put))
        .route("/policies/{name}/revoke", post(revoke))
        .route("/credentials/default/synchronize", post(synchronize))
}

/// What can be set of a policy; everything else of it follows.
#[derive(Deserialize)]
struct Body {
    properties: Properties,
}

#[derive(Deserialize)]
struct Properties {
    certificate: CertificateConfiguration,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct CertificateConfiguration {
    certificate_authority_configuration: Option<AuthorityConfiguration>,
    leaf_certificate_configuration: LeafConfiguration,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct AuthorityConfiguration {
    key_type: Option<String>,
}

/// The validity in days; in seconds only here, for tests.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct LeafConfiguration {
    validity_period_in_days: Option<u64>,
    validity_period_in_seconds: Option<u64>,
}

impl Body {
    fn validity(self) -> ManagementResult<FleetTime> {
        let CertificateConfiguration { certificate_authority_configuration, leaf_certificate_configuration } =
            self.properties.certificate;
        let key_type = certificate_authority_configuration.and_then(|authority| authority.key_type);
        if key_type.is_some_and(|key_type| key_type != "ECC") {
            return Err(ManagementRefusal::bad_request("certificateAuthorityConfiguration.keyType must be ECC."));
        }
        let LeafConfiguration { validity_period_in_days, validity_period_in_seconds } = leaf_certificate_configuration;
        let seconds = match (validity_period_in_days, validity_period_in_seconds) {
            (Some(days), None) => days.checked_mul(DAY),
            (None, seconds) => seconds,
            (Some(_), Some(_)) => None,
        };
        let seconds = seconds.filter(|seconds| (1..=MAX_DAYS * DAY).contains(seconds));
        seconds.map(FleetTime::from_secs).ok_or_else(|| {
            ManagementRefusal::bad_request(format!(
                "leafCertificateConfiguration must have a validityPeriodInDays from 1 to {MAX_DAYS} (or a \
                 validityPeriodInSeconds)."
            ))
        })
    }
}

async fn list(State(plane): State<Plane>) -> Json {
    let policies = plane.core().adr.policies();
    let policies: Vec<_> = policies.iter().map(|(name, policy)| shown(&plane, name, policy)).collect();
    Json(json!({"value": policies}))
}

async fn show(State(plane): State<Plane>, Path(name): Path<String>) -> ManagementResult {
    let policy = plane.core().adr.policy(&name).ok_or_else(|| ManagementRefusal::not_found("policy", &name))?;
    Ok(Json(shown(&plane, &name, &policy)))
}

/// Makes a policy with an issuing CA of its own, or changes the validity of the certificates that one gives from now on.
async fn put(State(plane): State<Plane>, Path(name): Path<String>, body: Bytes) -> ManagementResult {
    if !is_name(&name) {
        let rule = "3 to 63 letters, digits and dashes, no dash first";
        return Err(ManagementRefusal::bad_request(format!("The name {name:?} cannot be: {rule}.")));
    }
    let validity = request::json::<Body>(&body)?.validity()?;
    let core = plane.core();
    let policy = core.adr.put_policy(&name, validity, core.clock.now()).map_err(|error| match error {
        PutPolicyError::TooMany(_) => ManagementRefusal::bad_request(format!("{error}.")),
        PutPolicyError::Key(_) => ManagementRefusal::new(500_001, format!("{error}.")),
    })?;
    core.record_authorities().map_err(|error| ManagementRefusal::new(500_001, format!("{error}.")))?;
    Ok(Json(shown(&plane, &name, &policy)))
}

/// Gives the policy a new issuing CA. Certificates of the old one are no longer good at the hub, and those of the new one
/// are good after the next synchronization.
async fn revoke(State(plane): State<Plane>, Path(name): Path<String>) -> ManagementResult {
    plane.service.revoke_policy(&name)?;
    show(State(plane), Path(name)).await
}

async fn synchronize(State(plane): State<Plane>) -> ManagementResult<StatusCode> {
    plane.service.sync_credentials()?;
    Ok(StatusCode::NO_CONTENT)
}

fn is_name(name: &str) -> bool {
    (3..=63).contains(&name.len())
        && !name.starts_with('-')
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}

fn shown(plane: &Plane, name: &str, policy: &CredentialPolicy) -> Value {
    let validity = policy.validity().as_secs();
    let leaf = match validity % DAY {
        0 => json!({"validityPeriodInDays": validity / DAY}),
        _ => json!({"validityPeriodInSeconds": validity}),
    };
    let authority = policy.ca_info();
    json!({
        "name": name,
        "type": "Microsoft.DeviceRegistry/namespaces/credentials/policies",
        "properties": {
            "provisioningState": "Succeeded",
            "synchronized": plane.core().is_synced(policy.ca_der()),
            "certificate": {
                "certificateAuthorityConfiguration": {
                    "keyType": "ECC",
                    "subject": authority.as_ref().map(|ca| ca.subject.as_str()),
                    "validityNotBefore": authority.as_ref().map(|ca| dps_time(ca.not_before)),
                    "validityNotAfter": authority.as_ref().map(|ca| dps_time(ca.not_after)),
                },
                "leafCertificateConfiguration": leaf,
            },
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn validity(leaf: &str) -> Option<u64> {
        let body = format!(r#"{{"properties":{{"certificate":{{"leafCertificateConfiguration":{leaf}}}}}}}"#);
        request::json::<Body>(body.as_bytes()).unwrap().validity().ok().map(|validity| validity.as_secs())
    }

    #[test]
    fn validities_are_days_or_for_tests_seconds() {
        assert_eq!(validity(r#"{"validityPeriodInDays":30}"#), Some(30 * DAY));
        assert_eq!(validity(r#"{"validityPeriodInSeconds":5}"#), Some(5));
        for bad in [
            "{}",
            r#"{"validityPeriodInDays":0}"#,
            r#"{"validityPeriodInDays":91}"#,
            r#"{"validityPeriodInDays":18446744073709551615}"#,
            r#"{"validityPeriodInDays":1,"validityPeriodInSeconds":86400}"#,
        ] {
            assert_eq!(validity(bad), None, "{bad}");
        }
    }

    #[test]
    fn names_follow_the_rule_of_the_resource_manager() {
        assert!(is_name("cert-policy") && is_name("0ab"));
        for bad in ["ab", "-abc", "a_b", "", &"a".repeat(64)] {
            assert!(!is_name(bad), "{bad}");
        }
    }
}
