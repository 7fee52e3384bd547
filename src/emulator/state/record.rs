//! The records of the state, as JSON. A field that is added later needs a default.

use std::sync::Arc;
use std::time::SystemTime;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use uuid::Uuid;

use crate::emulator::registry::{
    CaCertificate, Certificate, CertificatePair, Device, Enrollment, EnrollmentAttestation, Registration, Revision,
    Scope, Twin, VerificationCode, X509Proof,
};
use crate::pki::description::CertificateInfo;
use crate::pki::sas::SymmetricKey;

/// An issued certificate, under its serial number.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct SerialRecord {
    pub(crate) device_id: String,
    pub(crate) not_after: SystemTime,
}

/// Which enrollment let a device in.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct EnrollmentName {
    pub(crate) group: bool,
    pub(crate) id: String,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct RegistrationRecord {
    pub(crate) registration_id: String,
    pub(crate) enrollment: EnrollmentName,
    leaf: Option<CertificateRecord>,
    signing: Option<CertificateRecord>,
    sent_id: String,
    device_id: String,
    revision: Revision,
}

impl RegistrationRecord {
    pub(crate) fn of(registration: &Registration) -> Self {
        let proof = registration.x509.as_deref();
        Self {
            registration_id: registration.registration_id.to_string(),
            enrollment: EnrollmentName {
                group: registration.enrollment.scope == Scope::Group,
                id: registration.enrollment.id.to_string(),
            },
            leaf: proof.map(|proof| CertificateRecord(proof.leaf.clone())),
            signing: proof.and_then(|proof| proof.signing.as_deref()).cloned().map(CertificateRecord),
            sent_id: registration.sent_id().to_owned(),
            device_id: registration.device_id.to_string(),
            revision: registration.revision(),
        }
    }

    /// `enrollment` is the one that it names.
    pub(crate) fn restore(self, enrollment: Arc<Enrollment>) -> Registration {
        let signing = self.signing.map(|signing| Arc::new(signing.0));
        let x509 = self.leaf.map(|leaf| Arc::new(X509Proof { leaf: leaf.0, signing }));
        let ids = (self.registration_id.into(), self.device_id.into());
        Registration::restore(enrollment, x509, ids, self.revision).sent_as(&self.sent_id)
    }
}

/// How what is shown of a certificate is written.
#[derive(Serialize, Deserialize)]
#[serde(remote = "CertificateInfo")]
struct CertificateFields {
    subject: String,
    issuer: String,
    sha1_thumbprint: String,
    sha256_thumbprint: String,
    #[serde(with = "unix_seconds")]
    not_before: SystemTime,
    #[serde(with = "unix_seconds")]
    not_after: SystemTime,
    serial_number: String,
    version: u32,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct CertificateRecord(#[serde(with = "CertificateFields")] CertificateInfo);

/// Dates of certificates are whatever their makers wrote: seconds since 1970, or before it.
mod unix_seconds {
    use std::time::{Duration, SystemTime};

    use serde::{Deserialize as _, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(at: &SystemTime, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_i64(match at.duration_since(SystemTime::UNIX_EPOCH) {
            Ok(after) => i64::try_from(after.as_secs()).unwrap_or(i64::MAX),
            Err(before) => i64::try_from(before.duration().as_secs()).map_or(i64::MIN, |seconds| -seconds),
        })
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<SystemTime, D::Error> {
        let seconds = i64::deserialize(deserializer)?;
        let (epoch, distance) = (SystemTime::UNIX_EPOCH, Duration::from_secs(seconds.unsigned_abs()));
        let time = if seconds < 0 { epoch.checked_sub(distance) } else { epoch.checked_add(distance) };
        Ok(time.unwrap_or(epoch))
    }
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct DeviceRecord {
    pub(crate) registration: RegistrationRecord,
    enabled: bool,
    unique_id: String,
    thumbprint: Option<String>,
    twin: Option<Twin>,
    telemetry: u64,
}

impl DeviceRecord {
    /// What is to be written of a device; nothing when it was deleted. Changes from now on are another write.
    pub(crate) fn of(device: &Device) -> Option<Self> {
        device.with(|state| {
            state.unsaved = false;
            (!state.deleted).then(|| Self {
                registration: RegistrationRecord::of(&state.registration),
                enabled: state.enabled,
                unique_id: state.unique_id.to_string(),
                thumbprint: state.thumbprint.as_deref().map(str::to_owned),
                twin: state.stored_twin().cloned(),
                telemetry: state.telemetry,
            })
        })
    }

    /// `enrollment` is the one that its registration names; nothing when the record is broken.
    pub(crate) fn restore(self, enrollment: Arc<Enrollment>) -> Option<Device> {
        let device = Device::new(self.registration.restore(enrollment));
        let unique_id = Uuid::parse_str(&self.unique_id).ok()?;
        device.with(|state| {
            state.enabled = self.enabled;
            state.unique_id = unique_id;
            state.thumbprint = self.thumbprint.map(Into::into);
            state.telemetry = self.telemetry;
            state.restore_twin(self.twin);
        });
        Some(device)
    }
}

#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct EnrollmentRecord {
    pub(crate) name: EnrollmentName,
    device_id: Option<String>,
    attestation: AttestationRecord,
    credential_policy: Option<String>,
    enabled: bool,
    other: Map<String, Value>,
    revision: Revision,
}

/// Keys and certificates are base64.
#[derive(Clone, Serialize, Deserialize)]
enum AttestationRecord {
    SymmetricKey { primary: String, secondary: String },
    ClientCertificates { primary: String, secondary: Option<String> },
    SigningCertificates { primary: String, secondary: Option<String> },
    CaReferences { primary: String, secondary: Option<String> },
}

/// Keys are in it.
impl std::fmt::Debug for EnrollmentRecord {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("EnrollmentRecord").field("name", &self.name).finish_non_exhaustive()
    }
}

impl EnrollmentRecord {
    pub(crate) fn of(enrollment: &Enrollment) -> Self {
        let device_id = match &enrollment.scope {
            Scope::Group => None,
            Scope::Individual { device_id } => device_id.as_deref().map(str::to_owned),
        };
        Self {
            name: EnrollmentName { group: enrollment.scope == Scope::Group, id: enrollment.id.to_string() },
            device_id,
            attestation: AttestationRecord::of(&enrollment.attestation),
            credential_policy: enrollment.credential_policy.as_deref().map(str::to_owned),
            enabled: enrollment.enabled,
            other: enrollment.other.clone(),
            revision: enrollment.revision,
        }
    }

    /// Nothing when it is broken.
    pub(crate) fn restore(self) -> Option<Enrollment> {
        let scope = match self.name.group {
            true => Scope::Group,
            false => Scope::Individual { device_id: self.device_id.map(Into::into) },
        };
        let attestation = self.attestation.restore()?;
        Some(Enrollment {
            credential_policy: self.credential_policy.map(Into::into),
            enabled: self.enabled,
            other: self.other,
            revision: self.revision,
            ..Enrollment::new(&self.name.id, scope, attestation, self.revision.created)
        })
    }
}

impl AttestationRecord {
    fn of(attestation: &EnrollmentAttestation) -> Self {
        let key = |key: &SymmetricKey| key.to_base64().to_string();
        let certificate = |certificate: &Certificate| STANDARD.encode(&certificate.der);
        match attestation {
            EnrollmentAttestation::SymmetricKey { primary, secondary } => {
                Self::SymmetricKey { primary: key(primary), secondary: key(secondary) }
            }
            EnrollmentAttestation::ClientCertificates(pair) => Self::ClientCertificates {
                primary: certificate(&pair.primary),
                secondary: pair.secondary.as_ref().map(certificate),
            },
            EnrollmentAttestation::SigningCertificates(pair) => Self::SigningCertificates {
                primary: certificate(&pair.primary),
                secondary: pair.secondary.as_ref().map(certificate),
            },
            EnrollmentAttestation::CaReferences { primary, secondary } => {
                Self::CaReferences { primary: primary.to_string(), secondary: secondary.as_deref().map(str::to_owned) }
            }
        }
    }

    fn restore(self) -> Option<EnrollmentAttestation> {
        let pair = |primary: String, secondary: Option<String>| {
            let secondary = secondary.map(|text| STANDARD.decode(text)).transpose().ok()?;
            CertificatePair::new(&STANDARD.decode(primary).ok()?, secondary.as_deref())
        };
        Some(match self {
            Self::SymmetricKey { primary, secondary } => EnrollmentAttestation::SymmetricKey {
                primary: SymmetricKey::from_base64(&primary).ok()?,
                secondary: SymmetricKey::from_base64(&secondary).ok()?,
            },
            Self::ClientCertificates { primary, secondary } => {
                EnrollmentAttestation::ClientCertificates(pair(primary, secondary)?)
            }
            Self::SigningCertificates { primary, secondary } => {
                EnrollmentAttestation::SigningCertificates(pair(primary, secondary)?)
            }
            Self::CaReferences { primary, secondary } => {
                EnrollmentAttestation::CaReferences { primary: primary.into(), secondary: secondary.map(Into::into) }
            }
        })
    }
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct CaRecord {
    name: String,
    certificate: String,
    verified: bool,
    verification_code: Option<(String, SystemTime)>,
    revision: Revision,
}

impl CaRecord {
    pub(crate) fn of(ca: &CaCertificate) -> Self {
        Self {
            name: ca.name.to_string(),
            certificate: STANDARD.encode(&ca.certificate.der),
            verified: ca.verified,
            verification_code: ca.verification_code.as_ref().map(|code| (code.code.clone(), code.expiry)),
            revision: ca.revision,
        }
    }

    /// Nothing when it is broken.
    pub(crate) fn restore(self) -> Option<CaCertificate> {
        Some(CaCertificate {
            name: self.name.into(),
            certificate: Certificate::new(&STANDARD.decode(self.certificate).ok()?)?,
            verified: self.verified,
            verification_code: self.verification_code.map(|(code, expiry)| VerificationCode { code, expiry }),
            revision: self.revision,
        })
    }
}
