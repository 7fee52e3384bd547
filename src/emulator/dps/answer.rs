use std::time::SystemTime;

use serde_json::{Map, Value, json};
use tokio::time::Instant;
use uuid::Uuid;

use crate::emulator::clock::dps_time;
use crate::emulator::core::Core;
use crate::emulator::registry::{Operation, OperationOutcome, Registration, Scope, X509Proof};
use crate::emulator::service_model::{Over, QueueFull};
use crate::pki::description::CertificateInfo;
use crate::protocol::payload::{ErrorDetails, OperationStatus, RegistrationState, RegistrationStatus, Text};

/// An answer of DPS, whatever carries it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Answer {
    /// Status as in HTTP.
    pub(crate) status: u16,
    /// Seconds to wait before the next request.
    pub(crate) retry_after: Option<u32>,
    /// The error code, of a refusal.
    pub(crate) code: Option<u32>,
    /// It is not to be sent before; at once when absent.
    pub(crate) due: Option<Instant>,
    /// JSON.
    pub(crate) body: Vec<u8>,
}

/// A request that DPS refuses: the rows of its error catalogue that are in use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum DpsRefusal {
    /// The body is not what it should be.
    Deserialization,
    /// The body names another device than user name or URL.
    OtherDevice,
    /// Nothing is enrolled for this device.
    NotEnrolled,
    /// The credential is not good for the enrollment.
    WrongCredential,
    /// The certificate does not lead to an authority that DPS knows.
    CaNotFound,
    /// The certificate is not the device's, or not valid now.
    InvalidCertificate,
    /// There is no DPS instance of that id scope.
    NoSuchScope,
    /// There is no such operation of this device.
    NoSuchOperation,
    /// The device has not registered yet.
    NotRegistered,
    /// A status lookup asks for a certificate.
    CsrInLookup,
    /// The registration id breaks the rules for ids.
    RegistrationId,
    /// There is no API version, or none that was ever there.
    ApiVersion,
    /// The body is longer than a message may be.
    TooLarge,
    /// The request did not come whole in time.
    Slow,
    /// There is nothing of this name.
    NoSuchResource,
    /// The method is not one for this resource.
    Method,
    /// Too much at once.
    Throttled,
    /// Over a quota; seconds to wait.
    OverQuota(u32),
    /// A fault of the service itself, with this status.
    Server(u16),
}

impl DpsRefusal {
    /// Status times 1000 plus a sub-code. Sub-codes 000 but that of 401 are not documented.
    pub(crate) const fn code(self) -> u32 {
        match self {
            Self::Deserialization => 400_012,
            Self::OtherDevice | Self::CsrInLookup | Self::RegistrationId | Self::ApiVersion => 400_000,
            Self::NotEnrolled => 401_000,
            Self::WrongCredential | Self::CaNotFound | Self::InvalidCertificate => 401_002,
            Self::NoSuchScope | Self::NoSuchOperation | Self::NoSuchResource => 404_000,
            Self::NotRegistered => 404_201,
            Self::Method => 405_000,
            Self::Slow => 408_000,
            Self::TooLarge => 413_000,
            Self::Throttled | Self::OverQuota(_) => 429_001,
            Self::Server(status) => status as u32 * 1000,
        }
    }

    const fn message(self) -> &'static str {
        match self {
            Self::Deserialization => "Deserialization error",
            Self::OtherDevice => "The registrationId of the body is not the one of the request.",
            Self::NotEnrolled | Self::WrongCredential => "Unauthorized",
            Self::CaNotFound => "CA certificate not found.",
            Self::InvalidCertificate => "Invalid certificate.",
            Self::NoSuchScope => "There is no provisioning service with this ID scope.",
            Self::NoSuchOperation => "Operation not found.",
            Self::NotRegistered => "Registration not found.",
            Self::CsrInLookup => "A registration status lookup takes no csr.",
            Self::RegistrationId => "The registration id is invalid.",
            Self::ApiVersion => "The api-version is missing or not supported.",
            Self::TooLarge => "The message exceeds 96 KB.",
            Self::Slow => "The request did not arrive in time.",
            Self::NoSuchResource => "Resource not found.",
            Self::Method => "Method not allowed.",
            Self::Throttled | Self::OverQuota(_) => "Too many requests.",
            Self::Server(_) => "The service failed to process the request.",
        }
    }

    /// The answer.
    pub(crate) fn answer(self, now: SystemTime, retry_after: u32) -> Answer {
        let code = self.code();
        let body = ErrorDetails {
            error_code: code,
            tracking_id: Some(Uuid::new_v4().to_string().into()),
            message: self.message().into(),
            timestamp_utc: Some(dps_time(now).into()),
            ..ErrorDetails::default()
        };
        Answer {
            status: u16::try_from(code / 1000).unwrap_or(500),
            retry_after: match self {
                Self::OverQuota(seconds) => Some(seconds),
                Self::Throttled | Self::Server(_) => Some(retry_after),
                _ => None,
            },
            code: Some(code),
            due: None,
            body: body.to_body(),
        }
    }
}

impl From<Over> for DpsRefusal {
    fn from(over: Over) -> Self {
        Self::OverQuota(over.retry_after)
    }
}

impl From<QueueFull> for DpsRefusal {
    fn from(QueueFull: QueueFull) -> Self {
        Self::Throttled
    }
}

impl Answer {
    /// A registration was taken on: 202.
    pub(crate) fn accepted(operation: &Operation, retry_after: u32) -> Self {
        let body = OperationStatus {
            operation_id: operation.id.to_string().into(),
            status: RegistrationStatus::Assigning,
            registration_state: None,
        };
        Self { status: 202, retry_after: Some(retry_after), code: None, due: None, body: body.to_body() }
    }

    /// It is still in progress: 202.
    pub(crate) fn assigning(operation: &Operation, retry_after: u32) -> Self {
        let state = RegistrationState {
            registration_id: Some((&*operation.registration_id).into()),
            status: RegistrationStatus::Assigning,
            ..RegistrationState::default()
        };
        Self { retry_after: Some(retry_after), ..Self::of(&operation.id.to_string(), state, 202) }
    }

    /// It is done, well or not: 200 either way.
    pub(crate) fn done(operation: &Operation, outcome: &OperationOutcome, hub: &str) -> Self {
        let state = match outcome {
            OperationOutcome::Assigned(assignment) => {
                let chain = assignment.chain.as_ref().map(|chain| chain.texts().map(Text::from).collect());
                RegistrationState { issued_certificate_chain: chain, ..assigned(&assignment.registration, hub) }
            }
            OperationOutcome::Failed { code, message, at } => RegistrationState {
                registration_id: Some((&*operation.registration_id).into()),
                created_date_time_utc: Some(dps_time(*at).into()),
                status: RegistrationStatus::Failed,
                error_code: Some(*code),
                error_message: Some(message.as_str().into()),
                last_updated_date_time_utc: Some(dps_time(*at).into()),
                ..RegistrationState::default()
            },
        };
        Self::of(&operation.id.to_string(), state, 200)
    }

    /// The enrollment is switched off: 200 without an operation.
    pub(crate) fn disabled(registration_id: &str) -> Self {
        let state = RegistrationState {
            registration_id: Some(registration_id.into()),
            status: RegistrationStatus::Disabled,
            ..RegistrationState::default()
        };
        Self::of("", state, 200)
    }

    /// A registration on its own, without the certificates that it once brought: 200.
    pub(crate) fn registration(registration: &Registration, enabled: bool, hub: &str) -> Self {
        let mut state = assigned(registration, hub);
        if !enabled {
            state.status = RegistrationStatus::Disabled;
        }
        Self { status: 200, retry_after: None, code: None, due: None, body: state.to_body() }
    }

    fn of(operation_id: &str, state: RegistrationState<'_>, status: u16) -> Self {
        let body = OperationStatus {
            operation_id: operation_id.into(),
            status: state.status,
            registration_state: Some(state),
        };
        Self { status, retry_after: None, code: None, due: None, body: body.to_body() }
    }
}

fn assigned<'a>(registration: &'a Registration, hub: &'a str) -> RegistrationState<'a> {
    let (symmetric_key, x509) = match &registration.x509 {
        None => (Some(group_of(registration)), None),
        Some(proof) => (None, Some(x509_of(registration, proof))),
    };
    RegistrationState {
        x509,
        symmetric_key,
        registration_id: Some((&*registration.registration_id).into()),
        created_date_time_utc: Some(dps_time(registration.created).into()),
        assigned_hub: Some(hub.into()),
        device_id: Some((&*registration.device_id).into()),
        status: RegistrationStatus::Assigned,
        substatus: Some("initialAssignment".into()),
        last_updated_date_time_utc: Some(dps_time(registration.updated).into()),
        etag: Some(registration.etag.to_string().into()),
        ..RegistrationState::default()
    }
}

/// A registration as the service API shows it.
pub(crate) fn registration_state(core: &Core, registration: &Registration) -> Value {
    // Fails only for maps with keys that are not text, of which there is none.
    serde_json::to_value(assigned(registration, &core.config.hub_host)).unwrap_or_default()
}

/// The group that let the device in; nothing for an individual enrollment.
fn group_of(registration: &Registration) -> Map<String, Value> {
    let mut group = Map::new();
    if registration.enrollment.scope == Scope::Group {
        group.insert("enrollmentGroupId".to_owned(), Value::from(&*registration.enrollment.id));
    }
    group
}

fn x509_of(registration: &Registration, proof: &X509Proof) -> Map<String, Value> {
    let mut x509 = group_of(registration);
    x509.insert("certificateInfo".to_owned(), certificate_info(&proof.leaf));
    if let Some(signing) = &proof.signing {
        x509.insert("signingCertificateInfo".to_owned(), certificate_info(signing));
    }
    x509
}

/// `X509CertificateInfo` of the DPS API.
pub(crate) fn certificate_info(info: &CertificateInfo) -> Value {
    json!({
        "subjectName": info.subject,
        "sha1Thumbprint": info.sha1_thumbprint,
        "sha256Thumbprint": info.sha256_thumbprint,
        "issuerName": info.issuer,
        "notBeforeUtc": dps_time(info.not_before),
        "notAfterUtc": dps_time(info.not_after),
        "serialNumber": info.serial_number,
        "version": info.version,
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::emulator::registry::{Operations, test_group};

    fn text(answer: &Answer) -> String {
        String::from_utf8(answer.body.clone()).unwrap()
    }

    #[test]
    fn refusals_have_the_codes_of_the_catalogue_and_throttling_a_wait() {
        let answer = DpsRefusal::WrongCredential.answer(SystemTime::UNIX_EPOCH, 3);
        assert_eq!((answer.status, answer.retry_after), (401, None));
        let body = text(&answer);
        assert!(body.starts_with(r#"{"errorCode":401002,"trackingId":""#), "{body}");
        assert!(body.ends_with(r#""message":"Unauthorized","timestampUtc":"1970-01-01T00:00:00.0000000Z"}"#), "{body}");
        let answer = DpsRefusal::Throttled.answer(SystemTime::UNIX_EPOCH, 30);
        assert_eq!((answer.status, answer.retry_after), (429, Some(30)));
    }

    #[test]
    fn a_disabled_enrollment_has_an_empty_operation() {
        assert_eq!(
            text(&Answer::disabled("d")),
            r#"{"operationId":"","status":"disabled","registrationState":{"registrationId":"d","status":"disabled"}}"#
        );
    }

    #[test]
    fn what_is_not_there_is_left_out() {
        let registration = Registration::new(test_group(), "d".into(), SystemTime::UNIX_EPOCH, None);
        let json = text(&Answer::registration(&registration, true, "h"));
        assert!(!json.contains("null") && !json.contains("issuedCertificateChain"), "{json}");
        assert!(json.contains(r#""symmetricKey":{"enrollmentGroupId":"fleet"},"registrationId":"d""#), "{json}");
    }

    fn json_of(answer: &Answer) -> Value {
        serde_json::from_slice(&answer.body).unwrap()
    }

    #[test]
    fn a_registration_says_since_when_it_is_and_whether_its_enrollment_is_switched_off() {
        let (first, second) = (SystemTime::UNIX_EPOCH, SystemTime::UNIX_EPOCH + Duration::from_secs(9));
        let registration = Registration::new(test_group(), "d".into(), first, None);
        let registration = Registration::new(test_group(), "d".into(), second, Some(&registration));
        for (enabled, status) in [(true, "assigned"), (false, "disabled")] {
            let expected = json!({
                "symmetricKey": {"enrollmentGroupId": "fleet"},
                "registrationId": "d",
                "createdDateTimeUtc": "1970-01-01T00:00:00.0000000Z",
                "assignedHub": "h",
                "deviceId": "d",
                "status": status,
                "substatus": "initialAssignment",
                "lastUpdatedDateTimeUtc": "1970-01-01T00:00:09.0000000Z",
                "etag": registration.etag.to_string(),
            });
            assert_eq!(json_of(&Answer::registration(&registration, enabled, "h")), expected);
        }
    }

    #[test]
    fn an_operation_that_failed_says_whose_when_and_why() {
        let now = Instant::now();
        let operation = Operations::new(1, Duration::from_secs(60)).begin("d".into(), now, now).unwrap();
        let failed = OperationOutcome::Failed { code: 400_000, message: "no".to_owned(), at: SystemTime::UNIX_EPOCH };
        let answer = Answer::done(&operation, &failed, "h");
        assert_eq!((answer.status, answer.retry_after, answer.code), (200, None, None));
        let expected = json!({
            "operationId": operation.id.to_string(),
            "status": "failed",
            "registrationState": {
                "registrationId": "d",
                "createdDateTimeUtc": "1970-01-01T00:00:00.0000000Z",
                "status": "failed",
                "errorCode": 400_000,
                "errorMessage": "no",
                "lastUpdatedDateTimeUtc": "1970-01-01T00:00:00.0000000Z",
            },
        });
        assert_eq!(json_of(&answer), expected);
    }
}
