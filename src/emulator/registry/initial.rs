use std::time::SystemTime;

use super::enrollment::{CertificatePair, Enrollment, EnrollmentAttestation, Scope};
use super::enrollments::{EnrollmentKind, Enrollments};
use super::revision::Condition;
use crate::emulator::config::{Config, ConfigError, Group, GroupEntry, Individual};
use crate::pki::sas::SymmetricKey;

/// Enters what the configuration has from the start: CA certificates, groups, individual enrollments. What is there
/// already, as it was stored, stays; only the first group gets the key that is given for it.
pub(super) fn fill(enrollments: &Enrollments, config: &Config, now: SystemTime) -> Result<(), ConfigError> {
    for ca in config.ca_certificates.iter().filter(|ca| enrollments.ca(&ca.name).is_none()) {
        enrollments
            .put_ca(&ca.name, &ca.certificate, ca.verified, Condition::None, now)
            .map_err(|error| ConfigError::entry("ca_certificates", &ca.name, error))?;
    }
    if let Some(group) = first_group(enrollments, &config.group, now) {
        enrollments
            .put(group, Condition::None, now)
            .map_err(|error| ConfigError::entry("group", &config.group.id, error))?;
    }
    for group in config.groups.iter().filter(|group| enrollments.get(EnrollmentKind::Group, &group.id).is_none()) {
        let failed = |error| ConfigError::entry("groups", &group.id, error);
        let enrollment = Enrollment {
            credential_policy: policy(&group.credential_policy),
            enabled: !group.disabled,
            ..Enrollment::new(&group.id, Scope::Group, group_attestation(group)?, now)
        };
        enrollments.put(enrollment, Condition::None, now).map_err(failed)?;
    }
    let absent =
        |individual: &&Individual| enrollments.get(EnrollmentKind::Individual, &individual.registration_id).is_none();
    for individual in config.enrollments.iter().filter(absent) {
        let scope = Scope::Individual { device_id: individual.device_id.as_deref().map(Into::into) };
        let enrollment = Enrollment {
            credential_policy: policy(&individual.credential_policy),
            enabled: !individual.disabled,
            ..Enrollment::new(&individual.registration_id, scope, individual_attestation(individual)?, now)
        };
        enrollments
            .put(enrollment, Condition::None, now)
            .map_err(|error| ConfigError::entry("enrollments", &individual.registration_id, error))?;
    }
    Ok(())
}

/// The first group, unless it is there already and has its key.
fn first_group(enrollments: &Enrollments, group: &Group, now: SystemTime) -> Option<Enrollment> {
    let Some(stored) = enrollments.get(EnrollmentKind::Group, &group.id) else {
        let attestation = keys(group.primary_key.as_ref(), group.secondary_key.as_ref());
        return Some(Enrollment {
            credential_policy: policy(&group.credential_policy),
            enabled: !group.disabled,
            ..Enrollment::new(&group.id, Scope::Group, attestation, now)
        });
    };
    let (EnrollmentAttestation::SymmetricKey { primary, secondary }, Some(given)) =
        (&stored.attestation, &group.primary_key)
    else {
        return None;
    };
    let attestation = EnrollmentAttestation::SymmetricKey { primary: given.clone(), secondary: secondary.clone() };
    (*primary.to_base64() != *given.to_base64()).then(|| Enrollment { attestation, ..Enrollment::clone(&stored) })
}

fn group_attestation(group: &GroupEntry) -> Result<EnrollmentAttestation, ConfigError> {
    let certificates = group.signing_certificates.as_slice();
    match (certificates, group.ca_references.as_slice(), &group.primary_key) {
        ([], [], primary) => Ok(keys(primary.as_ref(), None)),
        ([], [primary], None) => {
            Ok(EnrollmentAttestation::CaReferences { primary: primary.as_str().into(), secondary: None })
        }
        ([], [primary, secondary], None) => Ok(EnrollmentAttestation::CaReferences {
            primary: primary.as_str().into(),
            secondary: Some(secondary.as_str().into()),
        }),
        (certificates, [], None) => {
            pair(certificates).map(EnrollmentAttestation::SigningCertificates).ok_or_else(|| ConfigError::Certificate {
                key: "groups.signing_certificate_files",
                entry: group.id.clone(),
            })
        }
        _ => Err(ConfigError::OneAttestation { table: "groups", entry: group.id.clone() }),
    }
}

fn individual_attestation(individual: &Individual) -> Result<EnrollmentAttestation, ConfigError> {
    match (individual.certificates.as_slice(), &individual.primary_key) {
        ([], primary) => Ok(keys(primary.as_ref(), None)),
        (certificates, None) => pair(certificates).map(EnrollmentAttestation::ClientCertificates).ok_or_else(|| {
            ConfigError::Certificate { key: "enrollments.certificate_files", entry: individual.registration_id.clone() }
        }),
        _ => Err(ConfigError::OneAttestation { table: "enrollments", entry: individual.registration_id.clone() }),
    }
}

/// One certificate or two.
fn pair(certificates: &[Vec<u8>]) -> Option<CertificatePair> {
    match certificates {
        [primary] => CertificatePair::new(primary, None),
        [primary, secondary] => CertificatePair::new(primary, Some(secondary)),
        _ => None,
    }
}

/// Random keys where none are given.
fn keys(primary: Option<&SymmetricKey>, secondary: Option<&SymmetricKey>) -> EnrollmentAttestation {
    let key = |key: Option<&SymmetricKey>| key.cloned().unwrap_or_else(SymmetricKey::random);
    EnrollmentAttestation::SymmetricKey { primary: key(primary), secondary: key(secondary) }
}

fn policy(name: &str) -> Option<std::sync::Arc<str>> {
    (!name.is_empty()).then(|| name.into())
}
