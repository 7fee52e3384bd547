use std::sync::Arc;
use std::time::SystemTime;

use super::record::EnrollmentName;
use super::store::{StateError, Stored};
use crate::emulator::registry::{CaCertificate, Enrollment, EnrollmentAttestation, EnrollmentKind, Registry, Scope};
use crate::pki::sas::SymmetricKey;

impl Stored {
    /// Primary key of the group of that id, if it has one.
    pub(crate) fn group_key(&self, id: &str) -> Option<SymmetricKey> {
        let group = self.enrollments.iter().find(|e| e.name.group && e.name.id.eq_ignore_ascii_case(id))?;
        match group.clone().restore()?.attestation {
            EnrollmentAttestation::SymmetricKey { primary, .. } => Some(primary),
            _ => None,
        }
    }

    /// How far the clock was moved, in milliseconds.
    pub(crate) fn clock_offset_ms(&self) -> i64 {
        self.authorities.as_ref().map_or(0, |authorities| authorities.clock_offset_ms)
    }

    /// Takes the enrollments out, groups in the order of their creation.
    pub(crate) fn take_enrollments(&mut self) -> Result<Vec<Enrollment>, StateError> {
        let records = std::mem::take(&mut self.enrollments).into_iter();
        let restored = records.map(|record| {
            let name = format!("the enrollment {:?}", record.name.id);
            record.restore().ok_or(StateError::Record(name))
        });
        let mut enrollments = restored.collect::<Result<Vec<_>, _>>()?;
        enrollments.sort_by_key(|enrollment| enrollment.revision.created);
        Ok(enrollments)
    }

    /// Takes the CA certificates out.
    pub(crate) fn take_cas(&mut self) -> Result<Vec<CaCertificate>, StateError> {
        let records = std::mem::take(&mut self.cas).into_iter();
        records
            .map(|record| record.restore().ok_or_else(|| StateError::Record("a CA certificate".to_owned())))
            .collect()
    }

    /// Enters registrations and devices of the hub into a registry that has the enrollments already.
    pub(crate) fn restore_into(self, registry: &Registry) -> Result<(), StateError> {
        let find = |name: &EnrollmentName| {
            let kind = if name.group { EnrollmentKind::Group } else { EnrollmentKind::Individual };
            registry.enrollments.get(kind, &name.id).unwrap_or_else(|| gone(name))
        };
        for record in self.registrations {
            let enrollment = find(&record.enrollment);
            registry.restore_registration(record.restore(enrollment));
        }
        for record in self.devices {
            let enrollment = find(&record.registration.enrollment);
            let name = format!("the device of the registration {:?}", record.registration.registration_id);
            registry.restore_device(record.restore(enrollment).ok_or(StateError::Record(name))?);
        }
        Ok(())
    }
}

/// An enrollment that was deleted while devices were registered with it: they stay, but its keys are gone.
fn gone(name: &EnrollmentName) -> Arc<Enrollment> {
    let key = SymmetricKey::random;
    let scope = if name.group { Scope::Group } else { Scope::Individual { device_id: None } };
    let attestation = EnrollmentAttestation::SymmetricKey { primary: key(), secondary: key() };
    let gone = Enrollment::new(&name.id, scope, attestation, SystemTime::UNIX_EPOCH);
    Arc::new(Enrollment { enabled: false, ..gone })
}
