use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{PayloadError, Text};
use crate::protocol::retry_after;

/// Where a registration stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RegistrationStatus {
    /// Nothing was decided.
    Unassigned,
    /// In progress.
    Assigning,
    /// Assigned to a hub.
    Assigned,
    /// Refused.
    Failed,
    /// The enrollment is switched off.
    Disabled,
    /// A word that this version does not know; never written.
    #[default]
    #[serde(other)]
    Unknown,
}

/// Body of an answer to register and status requests (`RegistrationOperationStatus`).
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct OperationStatus<'a> {
    /// The operation, opaque; empty for a disabled enrollment.
    #[serde(borrow, deserialize_with = "null_is_default")]
    pub operation_id: Text<'a>,
    /// Where it stands.
    pub status: RegistrationStatus,
    /// The registration, absent in the first answer.
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    pub registration_state: Option<RegistrationState<'a>>,
}

/// A registration (`DeviceRegistrationResult`). What is not known is left out: official SDKs refuse `null`, and refuse
/// `assignedHub` without `deviceId` or the reverse.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct RegistrationState<'a> {
    /// Certificate details, for X.509 attestation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub x509: Option<Map<String, Value>>,
    /// Enrollment group, for symmetric key attestation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub symmetric_key: Option<Map<String, Value>>,
    /// The registration id.
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    pub registration_id: Option<Text<'a>>,
    /// When the registration was made, RFC 3339.
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    pub created_date_time_utc: Option<Text<'a>>,
    /// Host name of the hub.
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    pub assigned_hub: Option<Text<'a>>,
    /// Device id at the hub.
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    pub device_id: Option<Text<'a>>,
    /// Where it stands.
    pub status: RegistrationStatus,
    /// `initialAssignment`, `deviceDataMigrated`, `deviceDataReset` or `reprovisionedToInitialAssignment`.
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    pub substatus: Option<Text<'a>>,
    /// Why it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error_code: Option<u32>,
    /// Why it failed, in words.
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    pub error_message: Option<Text<'a>>,
    /// When it last changed, RFC 3339.
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    pub last_updated_date_time_utc: Option<Text<'a>>,
    /// Version of the registration.
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    pub etag: Option<Text<'a>>,
    /// What custom allocation answered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub payload: Option<Value>,
    /// Base64 DER certificates, the device's first, the root last; only when a CSR was sent and a policy is linked.
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    pub issued_certificate_chain: Option<Vec<Text<'a>>>,
}

/// Body of a refused request (`ProvisioningServiceErrorDetails`).
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ErrorDetails<'a> {
    /// Status times 1000 plus a sub-code, such as 401002.
    pub error_code: u32,
    /// For the service's operators.
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    pub tracking_id: Option<Text<'a>>,
    /// In words.
    #[serde(borrow, deserialize_with = "null_is_default")]
    pub message: Text<'a>,
    /// More.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub info: Option<Value>,
    /// When, RFC 3339.
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    pub timestamp_utc: Option<Text<'a>>,
    /// Seconds to wait, when the service names them here too.
    #[serde(deserialize_with = "retry_after::from_json", skip_serializing_if = "Option::is_none")]
    pub retry_after: Option<u32>,
}

impl<'a> OperationStatus<'a> {
    /// From a body; unknown fields are ignored.
    pub fn parse(body: &'a [u8]) -> Result<Self, PayloadError> {
        super::object(body)
    }

    /// The body.
    pub fn to_body(&self) -> Vec<u8> {
        serde_json::to_vec(self).unwrap_or_default()
    }
}

impl RegistrationState<'_> {
    /// The body of an answer that has nothing else.
    pub fn to_body(&self) -> Vec<u8> {
        serde_json::to_vec(self).unwrap_or_default()
    }
}

impl<'a> ErrorDetails<'a> {
    /// From a body; `None` when it has no error code, as refusals by proxies and load balancers do.
    pub fn parse(body: &'a [u8]) -> Option<Self> {
        super::object(body).ok().filter(|details: &Self| details.error_code != 0)
    }

    /// The body.
    pub fn to_body(&self) -> Vec<u8> {
        serde_json::to_vec(self).unwrap_or_default()
    }
}

fn null_is_default<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: serde::Deserializer<'de>,
    T: Deserialize<'de> + Default,
{
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_answer_has_no_registration_state() {
        let status = OperationStatus {
            operation_id: "5.afa7.cf71".into(),
            status: RegistrationStatus::Assigning,
            registration_state: None,
        };
        let body = br#"{"operationId":"5.afa7.cf71","status":"assigning"}"#;
        assert_eq!(status.to_body(), body);
        assert_eq!(OperationStatus::parse(body), Ok(status));
    }

    #[test]
    fn an_assigned_answer_is_read_and_written_in_the_order_of_the_service() {
        let body = concat!(
            r#"{"operationId":"5.a.b","status":"assigned","registrationState":{"symmetricKey":{"enrollmentGroupId":"g"},"#,
            r#""registrationId":"dev1","createdDateTimeUtc":"2020-04-10T03:11:13.0276997Z","#,
            r#""assignedHub":"contoso.azure-devices.net","deviceId":"dev1","status":"assigned","#,
            r#""substatus":"initialAssignment","lastUpdatedDateTimeUtc":"2020-04-10T03:11:13.2096201Z","#,
            r#""etag":"IjYx","payload":{},"issuedCertificateChain":["bGVhZg==","aWNh"]}}"#
        );
        let status = OperationStatus::parse(body.as_bytes()).unwrap();
        let state = status.registration_state.as_ref().unwrap();
        assert_eq!(state.assigned_hub.as_deref(), Some("contoso.azure-devices.net"));
        let chain = state.issued_certificate_chain.as_ref().unwrap();
        assert!(matches!(chain[0].0, std::borrow::Cow::Borrowed("bGVhZg==")), "not copied");
        assert_eq!(String::from_utf8(status.to_body()).unwrap(), body);
    }

    #[test]
    fn null_is_absent_and_unknown_words_are_kept_apart() {
        let body = br#"{"operationId":null,"status":"pondering","registrationState":{"issuedCertificateChain":null,
            "errorCode":null,"x509":null,"status":"failed","new":[]}}"#;
        let status = OperationStatus::parse(body).unwrap();
        assert_eq!((&*status.operation_id, status.status), ("", RegistrationStatus::Unknown));
        assert_eq!(status.registration_state.unwrap().issued_certificate_chain, None);
        assert!(OperationStatus::parse(b"").is_err());
        assert!(OperationStatus::parse(b"<html>").is_err());
    }

    #[test]
    fn refusals_have_a_code_or_are_not_the_services() {
        let body = br#"{"errorCode":401000,"trackingId":"2cb8","message":"Unauthorized","timestampUtc":"2019-11-19T21:39:05.1573304Z"}"#;
        let details = ErrorDetails::parse(body).unwrap();
        assert_eq!((details.error_code, &*details.message), (401_000, "Unauthorized"));
        assert_eq!(details.to_body(), body);
        assert_eq!(ErrorDetails::parse(b"<html>"), None);
        assert_eq!(ErrorDetails::parse(b"{}"), None);
    }
}
