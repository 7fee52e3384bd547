use std::sync::Arc;
use std::time::SystemTime;

use serde_json::{Map, Value};

use super::revision::Revision;
use crate::domain::SasToken;
use crate::pki::description::{CertificateInfo, describe};
use crate::pki::sas::SymmetricKey;

/// What DPS knows about devices before they come.
#[derive(Debug, Clone)]
pub(crate) struct Enrollment {
    /// Id of the group, or the registration id of an individual enrollment in lower case.
    pub(crate) id: Arc<str>,
    /// For one device or for many.
    pub(crate) scope: Scope,
    /// How its devices prove who they are.
    pub(crate) attestation: EnrollmentAttestation,
    /// Policy that signs the certificates of its devices; none when they get none.
    pub(crate) credential_policy: Option<Arc<str>>,
    /// Whether its devices may register.
    pub(crate) enabled: bool,
    /// Further fields of its JSON, given back as they came. Only the initial twin is acted on.
    pub(crate) other: Map<String, Value>,
    /// Since when, and its tag; [`Enrollments::put`](super::Enrollments::put) sees to it.
    pub(crate) revision: Revision,
}

/// For one device or for many.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Scope {
    /// An enrollment group.
    Group,
    /// An individual enrollment.
    Individual {
        /// The device id at the hub, when it is not the registration id.
        device_id: Option<Arc<str>>,
    },
}

/// How devices prove who they are.
#[derive(Debug, Clone)]
pub(crate) enum EnrollmentAttestation {
    /// By SAS token. A group's keys are those that device keys are derived from.
    SymmetricKey {
        /// One key.
        primary: SymmetricKey,
        /// The other, equally good.
        secondary: SymmetricKey,
    },
    /// By one of these very certificates: individual enrollments.
    ClientCertificates(CertificatePair),
    /// By a certificate that leads to one of these authorities, which need not be uploaded: groups.
    SigningCertificates(CertificatePair),
    /// By a certificate that leads to one of the CA certificates of these names, once it is verified: groups.
    CaReferences {
        /// A name.
        primary: Arc<str>,
        /// Another, equally good.
        secondary: Option<Arc<str>>,
    },
}

/// One or two certificates of the same worth, so that one can take the place of the other.
#[derive(Debug, Clone)]
pub(crate) struct CertificatePair {
    pub(crate) primary: Certificate,
    pub(crate) secondary: Option<Certificate>,
}

impl CertificatePair {
    /// From DER; `None` when one of them is no certificate.
    pub(crate) fn new(primary: &[u8], secondary: Option<&[u8]>) -> Option<Self> {
        let secondary = secondary.map(|der| Certificate::new(der).ok_or(())).transpose().ok()?;
        Some(Self { primary: Certificate::new(primary)?, secondary })
    }

    /// Both.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Certificate> {
        std::iter::once(&self.primary).chain(&self.secondary)
    }
}

/// A certificate and what is shown of it.
#[derive(Debug, Clone)]
pub(crate) struct Certificate {
    pub(crate) der: Arc<[u8]>,
    pub(crate) info: Arc<CertificateInfo>,
}

impl Certificate {
    /// From DER; `None` when it is no certificate.
    pub(crate) fn new(der: &[u8]) -> Option<Self> {
        Some(Self { der: der.into(), info: Arc::new(describe(der)?) })
    }
}

impl Enrollment {
    /// The field of its JSON with the twin that its devices begin with.
    pub(crate) const INITIAL_TWIN: &str = "initialTwin";

    /// One that lets its devices in and has nothing but what is given.
    pub(crate) fn new(id: &str, scope: Scope, attestation: EnrollmentAttestation, now: SystemTime) -> Self {
        Self {
            id: match scope {
                Scope::Group => id.into(),
                Scope::Individual { .. } => id.to_ascii_lowercase().into(),
            },
            scope,
            attestation,
            credential_policy: None,
            enabled: true,
            other: Map::new(),
            revision: Revision::new(now),
        }
    }

    /// Whether `token` was signed with one of the keys. Group keys are derived with the registration id as the device
    /// writes it and in lower case, because real devices do either.
    pub(crate) fn verifies(&self, token: &SasToken, registration_id: &str) -> bool {
        let EnrollmentAttestation::SymmetricKey { primary, secondary } = &self.attestation else { return false };
        let mut keys = [primary, secondary].into_iter();
        match self.scope {
            Scope::Individual { .. } => keys.any(|key| key.verifies(token)),
            Scope::Group => {
                let lower = registration_id.to_ascii_lowercase();
                let other = (lower != registration_id).then_some(lower.as_str());
                keys.any(|key| std::iter::once(registration_id).chain(other).any(|id| key.derive(id).verifies(token)))
            }
        }
    }

    /// The device id at the hub of the device that registers as `registration_id` (lower case).
    pub(crate) fn device_id(&self, registration_id: &Arc<str>) -> Arc<str> {
        match &self.scope {
            Scope::Individual { device_id: Some(device_id) } => Arc::clone(device_id),
            Scope::Individual { device_id: None } | Scope::Group => Arc::clone(registration_id),
        }
    }
}

/// What let a device in.
#[derive(Debug, Clone)]
pub(crate) struct Attested {
    /// The enrollment that it proved to belong to.
    pub(crate) enrollment: Arc<Enrollment>,
    /// The certificates that proved it, when it was certificates.
    pub(crate) x509: Option<Arc<X509Proof>>,
}

/// The certificates that proved who a device is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct X509Proof {
    /// The device's own.
    pub(crate) leaf: CertificateInfo,
    /// That of the authority which the enrollment group names.
    pub(crate) signing: Option<Arc<CertificateInfo>>,
}

impl From<Arc<Enrollment>> for Attested {
    fn from(enrollment: Arc<Enrollment>) -> Self {
        Self { enrollment, x509: None }
    }
}
