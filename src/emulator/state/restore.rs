use std::sync::Arc;
use std::time::SystemTime;

use super::record::EnrollmentName;
use super::store::{StateError, Stored};
use crate::emulator::registry::{Attestation, CaCertificate, Device, Enrollment, Registration, Scope};
use crate::pki::sas::SymmetricKey;

impl Stored {
    /// Primary key of the group of that id, if it has one.
    pub(crate) fn group_key(&self, id: &str) -> Option<SymmetricKey> {
        let group = self.enrollments.iter().find(|e| e.name.group && e.name.id.eq_ignore_ascii_case(id))?;
        match group.clone().restore()?.attestation {
            Attestation::SymmetricKey { primary, .. } => Some(primary),
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

    /// Takes the registrations out. `find` knows the enrollments.
    pub(crate) fn take_registrations(
        &mut self,
        find: impl Fn(&EnrollmentName) -> Option<Arc<Enrollment>>,
    ) -> impl Iterator<Item = Registration> {
        std::mem::take(&mut self.registrations).into_iter().map(move |record| {
            let enrollment = find(&record.enrollment).unwrap_or_else(|| gone(&record.enrollment));
            record.restore(enrollment)
        })
    }

    /// Takes the devices of the hub out. `find` knows the enrollments.
    pub(crate) fn take_devices(
        &mut self,
        find: impl Fn(&EnrollmentName) -> Option<Arc<Enrollment>>,
    ) -> impl Iterator<Item = Result<Device, StateError>> {
        std::mem::take(&mut self.devices).into_iter().map(move |record| {
            let named = &record.registration.enrollment;
            let enrollment = find(named).unwrap_or_else(|| gone(named));
            let name = format!("the device of the registration {:?}", record.registration.registration_id);
            record.restore(enrollment).ok_or(StateError::Record(name))
        })
    }
}

/// An enrollment that was deleted while devices were registered with it: they stay, but its keys are gone.
fn gone(name: &EnrollmentName) -> Arc<Enrollment> {
    let key = SymmetricKey::random;
    let scope = if name.group { Scope::Group } else { Scope::Individual { device_id: None } };
    let attestation = Attestation::SymmetricKey { primary: key(), secondary: key() };
    let gone = Enrollment::new(&name.id, scope, attestation, SystemTime::UNIX_EPOCH);
    Arc::new(Enrollment { enabled: false, ..gone })
}
