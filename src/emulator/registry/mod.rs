//! Everything that DPS, hub and device registry remember. Operations on it are short and never wait; what grows is
//! bounded in number or in age.

mod ca_certificate;
mod calls;
mod device;
mod enrollment;
mod enrollments;
mod group_trust;
mod inbox;
mod initial;
mod journal;
mod operation;
mod registration;
mod renewal;
mod revision;
mod subscriptions;
mod twin;
mod watchers;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::SystemTime;

pub(crate) use ca_certificate::{CaCertificate, VerificationCode};
pub(crate) use calls::{MethodAnswer, TooMany};
pub(crate) use device::{Device, DeviceLink, DeviceState};
pub(crate) use enrollment::{
    Attested, Certificate, CertificatePair, Enrollment, EnrollmentAttestation, Scope, X509Proof,
};
pub(crate) use enrollments::{ChangeError, EnrollmentKind, Enrollments, TokenMatch};
pub(crate) use group_trust::CertificateRefusal;
pub(crate) use inbox::{Inbox, InboxFull, Letter};
pub(crate) use journal::{Change, Journal, JournalEntry};
pub(crate) use operation::{Operation, OperationOutcome, Operations};
pub(crate) use registration::{Assignment, Registration};
pub(crate) use renewal::Renewal;
pub(crate) use revision::{Condition, Revision};
pub(crate) use subscriptions::Subscriptions;
pub(crate) use twin::{Invalid, Notification, Twin};
pub use watchers::TelemetryMessage;
pub(crate) use watchers::Watchers;

use super::config::{Config, ConfigError};
use super::sharded::Sharded;
use crate::domain::FleetTime;
use crate::pki::chain::ChainError;

/// Everything that is remembered.
#[derive(Debug)]
pub(crate) struct Registry {
    /// Who may register.
    pub(crate) enrollments: Enrollments,
    /// Registrations in progress and just done.
    pub(crate) operations: Operations,
    registrations: Sharded<Registration>,
    registration_count: AtomicUsize,
    max_registrations: usize,
    devices: Sharded<Arc<Device>>,
    dps_sessions: Sharded<DeviceLink>,
    journal: Option<Journal>,
}

/// Why the registry cannot be filled.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RegistryError {
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A CA certificate or a group that was there before cannot be used.
    #[error(transparent)]
    Authority(#[from] ChainError),
}

impl Registry {
    /// What is there at the start: enrollments and CA certificates that were there before, then what the configuration has.
    pub(crate) fn new(
        config: &Config,
        now: SystemTime,
        before: (Vec<Enrollment>, Vec<CaCertificate>),
        journal: Option<Journal>,
    ) -> Result<Self, RegistryError> {
        let enrollments = Enrollments::new(config.dps.every_ca_verified, journal.clone());
        enrollments.restore(before.0, before.1)?;
        initial::fill(&enrollments, config, now)?;
        Ok(Self {
            enrollments,
            operations: Operations::new(
                config.dps.max_operations,
                Operations::real_ttl(FleetTime::from_secs(config.dps.operation_ttl_seconds), config.time_scale),
            ),
            registrations: Sharded::new(),
            registration_count: AtomicUsize::new(0),
            max_registrations: config.dps.max_registrations,
            devices: Sharded::new(),
            dps_sessions: Sharded::new(),
            journal,
        })
    }

    /// Enters a registration that was there before.
    pub(crate) fn restore_registration(&self, registration: Registration) {
        let id = Arc::clone(&registration.registration_id);
        self.registrations.shard(&id).insert(Arc::clone(&id), registration);
        self.registration_count.fetch_add(1, Ordering::Relaxed);
    }

    /// Enters a device that was there before.
    pub(crate) fn restore_device(&self, device: Device) {
        self.devices.shard(&device.id).insert(Arc::clone(&device.id), Arc::new(device));
    }

    /// Has the state of a device written, if state is kept.
    pub(crate) fn changed(&self, device: &Arc<Device>) {
        if let Some(journal) = &self.journal {
            journal.device(device);
        }
    }

    /// Registers a device, for the first time or again, and makes its identity at the hub; `None` when there are too
    /// many registrations. `sent_id` is the registration id as the device wrote it.
    pub(crate) fn register(
        &self,
        attested: impl Into<Attested>,
        registration_id: &Arc<str>,
        sent_id: &str,
        now: SystemTime,
    ) -> Option<(Registration, Arc<Device>)> {
        let registration = {
            let mut shard = self.registrations.shard(registration_id);
            let earlier = shard.get(registration_id);
            if earlier.is_none() && self.registration_count.load(Ordering::Relaxed) >= self.max_registrations {
                return None;
            }
            let registration = Registration::new(attested, Arc::clone(registration_id), now, earlier).sent_as(sent_id);
            if shard.insert(Arc::clone(registration_id), registration.clone()).is_none() {
                self.registration_count.fetch_add(1, Ordering::Relaxed);
            }
            registration
        };
        let mut shard = self.devices.shard(&registration.device_id);
        let device = match shard.get(&registration.device_id) {
            Some(device) => {
                device.with(|state| state.registration = registration.clone());
                Arc::clone(device)
            }
            None => {
                let device = Arc::new(Device::new(registration.clone()));
                shard.insert(Arc::clone(&device.id), Arc::clone(&device));
                device
            }
        };
        Some((registration, device))
    }

    /// The registration of that id (in lower case).
    pub(crate) fn registration(&self, id: &str) -> Option<Registration> {
        self.registrations.get(id)
    }

    /// At most `count` registrations by the enrollment group of that id (whose case does not matter), in the order of
    /// their ids, after the one with the id `after`.
    pub(crate) fn registrations_of(&self, group: &str, after: Option<&str>, count: usize) -> Vec<Registration> {
        let mut found = self.registrations.select(|id, registration| {
            let enrollment = &registration.enrollment;
            let later = after.is_none_or(|after| *id > *after);
            later && enrollment.scope == Scope::Group && enrollment.id.eq_ignore_ascii_case(group)
        });
        found.sort_unstable_by(|a, b| a.registration_id.cmp(&b.registration_id));
        found.truncate(count);
        found
    }

    /// Forgets a registration. The device keeps its identity at the hub.
    pub(crate) fn delete_registration(&self, id: &str, condition: Condition<'_>) -> Result<(), ChangeError> {
        let id = id.to_ascii_lowercase();
        let mut shard = self.registrations.shard(&id);
        let registration = shard.get(id.as_str()).ok_or(ChangeError::NotFound)?;
        if !condition.holds(Some(&registration.revision())) {
            return Err(ChangeError::Precondition);
        }
        shard.remove(id.as_str());
        self.registration_count.fetch_sub(1, Ordering::Relaxed);
        if let Some(journal) = &self.journal {
            journal.record(Change::RegistrationDeleted(id.into()));
        }
        Ok(())
    }

    /// Devices that registered.
    pub(crate) fn registration_count(&self) -> usize {
        self.registration_count.load(Ordering::Relaxed)
    }

    /// The hub's device of that id (ids of hub devices are case-sensitive).
    pub(crate) fn device(&self, id: &str) -> Option<Arc<Device>> {
        self.devices.get(id)
    }

    /// At most `limit` of the hub's devices in the order of their ids, from the one after `after` on.
    pub(crate) fn devices(&self, after: Option<&str>, limit: usize) -> Vec<Arc<Device>> {
        let mut devices = self.devices.select(|id, _| after.is_none_or(|after| *id > *after));
        devices.sort_unstable_by(|a, b| a.id.cmp(&b.id));
        devices.truncate(limit);
        devices
    }

    /// The sessions of all connected devices, in the order in which they began.
    pub(crate) fn hub_sessions(&self) -> Vec<DeviceLink> {
        let devices = self.devices.select(|_, _| true);
        let sessions = devices.iter().filter_map(|device| device.with(|state| state.session.clone()));
        let mut sessions: Vec<_> = sessions.collect();
        sessions.sort_unstable_by_key(DeviceLink::number);
        sessions
    }

    /// Forgets a device of the hub; who holds it still is to be told.
    pub(crate) fn delete_device(&self, id: &str) -> Option<Arc<Device>> {
        let mut shard = self.devices.shard(id);
        let device = shard.remove(id)?;
        device.with(|state| state.deleted = true);
        if let Some(journal) = &self.journal {
            journal.record(Change::DeviceDeleted(id.into()));
        }
        Some(device)
    }

    /// Makes `link` the DPS session of a client; the one before is returned, to be closed. Nothing happens when that one has
    /// proved who it is and the new one has not yet: anybody could end the session of anybody.
    pub(crate) fn begin_dps_session(&self, client: &Arc<str>, link: DeviceLink) -> Option<DeviceLink> {
        let mut shard = self.dps_sessions.shard(client);
        match shard.get(client) {
            Some(earlier) if earlier.is_proven() && !link.is_proven() => None,
            _ => shard.insert(Arc::clone(client), link),
        }
    }

    /// Whether `link` is still the DPS session of the client.
    pub(crate) fn is_dps_session(&self, client: &str, link: &DeviceLink) -> bool {
        self.dps_sessions.shard(client).get(client) == Some(link)
    }

    /// Forgets the DPS session of a client, unless it is another one by now.
    pub(crate) fn end_dps_session(&self, client: &str, link: &DeviceLink) {
        let mut shard = self.dps_sessions.shard(client);
        if shard.get(client) == Some(link) {
            shard.remove(client);
        }
    }
}

#[cfg(test)]
pub(crate) fn test_group() -> Arc<Enrollment> {
    let key = crate::pki::sas::SymmetricKey::random;
    let attestation = EnrollmentAttestation::SymmetricKey { primary: key(), secondary: key() };
    Arc::new(Enrollment::new("fleet", Scope::Group, attestation, SystemTime::UNIX_EPOCH))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::domain::KeyAlgorithm;
    use crate::emulator::config::{CaEntry, GroupEntry};
    use crate::pki::bootstrap;
    use crate::pki::sas::SymmetricKey;

    fn new(config: &Config) -> Registry {
        Registry::new(config, SystemTime::UNIX_EPOCH, <_>::default(), None).unwrap()
    }

    #[test]
    fn registering_again_keeps_the_identity_and_the_first_time() {
        let registry = new(&Config::default());
        let (id, group): (Arc<str>, _) = ("d".into(), test_group());
        let first = registry.register(Arc::clone(&group), &id, "D", SystemTime::UNIX_EPOCH).unwrap();
        let later = SystemTime::UNIX_EPOCH + Duration::from_secs(9);
        let second = registry.register(group, &id, "d", later).unwrap();
        assert!(Arc::ptr_eq(&first.1, &second.1));
        assert_eq!((second.0.created, second.0.updated), (SystemTime::UNIX_EPOCH, later));
        assert_eq!((first.0.sent_id(), second.0.sent_id()), ("D", "d"));
    }

    #[test]
    fn registrations_are_bounded() {
        let mut config = Config::default();
        config.dps.max_registrations = 1;
        let registry = new(&config);
        let register = |id: &str| registry.register(test_group(), &id.into(), id, SystemTime::UNIX_EPOCH).is_some();
        assert_eq!(["a", "b", "a"].map(register), [true, false, true]);
    }

    #[test]
    fn devices_are_listed_in_order_and_page_by_page() {
        let registry = new(&Config::default());
        for id in ["c", "a", "d", "b"] {
            registry.register(test_group(), &id.into(), id, SystemTime::UNIX_EPOCH).unwrap();
        }
        let ids = |after, limit| registry.devices(after, limit).iter().map(|d| d.id.to_string()).collect::<String>();
        assert_eq!((ids(None, 2), ids(Some("b"), 9)), ("ab".to_owned(), "cd".to_owned()));
        assert_eq!(registry.registration_count(), 4);
        assert_eq!(registry.delete_registration("A", Condition::None), Ok(()));
        assert_eq!(registry.delete_registration("A", Condition::None), Err(ChangeError::NotFound));
        assert_eq!(registry.registration_count(), 3);
        assert!(registry.delete_device("c").is_some() && registry.delete_device("c").is_none());
        assert_eq!(ids(None, 9), "abd");
    }

    #[test]
    fn a_session_that_was_taken_over_does_not_end_its_successor() {
        let registry = new(&Config::default());
        let (client, old, new): (Arc<str>, _, _) = ("c".into(), DeviceLink::new(), DeviceLink::new());
        assert!(registry.begin_dps_session(&client, old.clone()).is_none());
        assert_eq!(registry.begin_dps_session(&client, new.clone()).as_ref(), Some(&old));
        registry.end_dps_session(&client, &old);
        assert!(registry.is_dps_session(&client, &new) && !registry.is_dps_session(&client, &old));
        registry.end_dps_session(&client, &new);
        assert!(!registry.is_dps_session(&client, &new));
    }

    #[test]
    fn a_group_of_the_settings_has_one_kind_of_attestation() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000);
        let root = bootstrap::root("root", KeyAlgorithm::EcdsaP256, 30, now).unwrap();
        let attestation = |group: GroupEntry| {
            let cas = ["one", "two", "three"].map(|name| CaEntry::new(name, root.der().to_vec()));
            let config = Config { ca_certificates: cas.to_vec(), groups: vec![group], ..Config::default() };
            let registry = Registry::new(&config, now, <_>::default(), None);
            registry.map(|registry| registry.enrollments.get(EnrollmentKind::Group, "g").unwrap().attestation.clone())
        };
        let references = |names: &[&str]| match attestation(GroupEntry::by_ca_references("g", names)) {
            Ok(EnrollmentAttestation::CaReferences { primary, secondary }) => Ok((primary, secondary)),
            Ok(other) => panic!("{other:?}"),
            Err(error) => Err(error.to_string()),
        };
        assert_eq!(references(&["one"]), Ok(("one".into(), None)));
        assert_eq!(references(&["two", "one"]), Ok(("two".into(), Some("one".into()))));
        assert!(references(&["one", "two", "three"]).is_err() && references(&["four"]).is_err());
        let by_key = GroupEntry::by_ca_references("g", &[]);
        assert!(matches!(attestation(by_key), Ok(EnrollmentAttestation::SymmetricKey { .. })));
        let certificates = |count| GroupEntry::by_signing_certificates("g", vec![root.der().to_vec(); count]);
        assert!(matches!(attestation(certificates(2)), Ok(EnrollmentAttestation::SigningCertificates(_))));
        assert!(attestation(certificates(3)).is_err());
        for mut both in [certificates(1), GroupEntry::by_ca_references("g", &["one"])] {
            both.primary_key = Some(SymmetricKey::random());
            assert!(attestation(both).is_err());
        }
    }

    #[test]
    fn a_session_that_is_proved_gives_way_to_such_sessions_only() {
        let registry = new(&Config::default());
        let (client, old, new): (Arc<str>, _, _) = ("c".into(), DeviceLink::new(), DeviceLink::new());
        registry.begin_dps_session(&client, old.clone());
        old.prove();
        assert!(registry.begin_dps_session(&client, new.clone()).is_none());
        registry.end_dps_session(&client, &new);
        assert!(registry.is_dps_session(&client, &old));
        new.prove();
        assert_eq!(registry.begin_dps_session(&client, new).as_ref(), Some(&old));
    }
}
