use std::time::Duration;

use super::*;
use crate::domain::{CryptoProvider, FleetTime, KeyAlgorithm, RegistrationId, TimeScale};
use crate::emulator::registry::{Condition, Enrollment, EnrollmentAttestation, EnrollmentKind, Scope, test_group};
use crate::pki::bootstrap;
use crate::pki::key::DeviceKey;

#[tokio::test]
async fn a_revocation_ends_the_sessions_of_that_authority_and_of_no_other() {
    let core = Core::new(Config::default()).unwrap();
    let authority = || AuthorityId::of(core.adr.policy(&core.config.adr.policy).unwrap().ca_der());
    let revoked = authority();
    assert!(!core.has_ended(revoked));
    core.inject(PlannedFault::RevokePolicy);
    assert_eq!([revoked, authority()].map(|authority| core.has_ended(authority)), [true, false]);
}

#[tokio::test]
async fn the_hub_learns_of_a_new_authority_unless_it_was_to_learn_of_none() {
    for synced in [true, false] {
        let mut config = Config::default();
        config.hub.synced = synced;
        let core = Core::new(config).unwrap();
        let knows = || core.is_synced(core.adr.policy(&core.config.adr.policy).unwrap().ca_der());
        assert_eq!(knows(), synced);
        core.inject(PlannedFault::RevokePolicy);
        assert!(!knows());
        core.inject(PlannedFault::SyncCredentials);
        assert_eq!(knows(), synced);
    }
}

#[tokio::test]
async fn a_clock_that_ran_faster_does_not_go_back_at_the_next_start() {
    const DAY_MS: i64 = 86_400_000;
    let folder = tempfile::tempdir().unwrap();
    let config = || Config {
        state: Some(folder.path().to_owned()),
        time_scale: TimeScale::new(FleetTime::from_secs(86_400), Duration::from_secs(1)).unwrap(),
        ..Config::default()
    };
    let core = Core::new(config()).unwrap();
    core.begin(SystemTime::now() - Duration::from_secs(1));
    core.record_clock().unwrap();
    assert!(core.durable().await);
    drop(core);
    let ahead = Core::new(config()).unwrap().clock.lead_ms();
    assert!(ahead >= DAY_MS - 1000, "a day passed in that second: {ahead}");
}

#[tokio::test]
async fn changes_of_a_device_that_come_together_are_one() {
    let folder = tempfile::tempdir().unwrap();
    {
        let config = Config { state: Some(folder.path().to_owned()), ..Config::default() };
        let core = Core::new(config).unwrap();
        let go = core.journal.as_ref().unwrap().stand_still();
        let registration = core.registry.register(test_group(), &"dev1".into(), "dev1", SystemTime::now());
        let (registration, device) = registration.unwrap();
        core.journal.as_ref().unwrap().record(Change::Registered(registration, Arc::clone(&device)));
        for telemetry in 0..100 {
            device.with(|state| state.telemetry = telemetry);
            core.registry.changed(&device);
        }
        assert!(device.with(|state| state.unsaved));
        go.send(()).unwrap();
        assert!(core.durable().await);
        assert!(!device.with(|state| state.unsaved));
    }
    let core = Core::new(Config { state: Some(folder.path().to_owned()), ..Config::default() }).unwrap();
    assert_eq!(core.registry.device("dev1").unwrap().with(|state| state.telemetry), 99);
}

#[tokio::test]
async fn after_a_restart_those_are_let_in_who_were_enrolled() {
    let (folder, now) = (tempfile::tempdir().unwrap(), SystemTime::now());
    let config = || Config { state: Some(folder.path().to_owned()), ..Config::default() };
    let root = bootstrap::root("root", KeyAlgorithm::EcdsaP256, 30, now).unwrap();
    let key = DeviceKey::generate(KeyAlgorithm::EcdsaP256, CryptoProvider::AwsLc).unwrap();
    let id = RegistrationId::new("dev1").unwrap();
    let device = bootstrap::device(&root, &[], &id, key, 7, now).unwrap();
    let by_key = |id: &str, scope| Enrollment { id: id.into(), scope, ..Enrollment::clone(&test_group()) };
    let group_key = {
        let core = Core::new(config()).unwrap();
        let enrollments = &core.registry.enrollments;
        enrollments.put_ca("ca", root.der(), true, Condition::None, now).unwrap();
        let references = EnrollmentAttestation::CaReferences { primary: "ca".into(), secondary: None };
        let individual = || Scope::Individual { device_id: None };
        for enrollment in [
            Enrollment::new("x509", Scope::Group, references, now),
            by_key("another", Scope::Group),
            by_key("deleted", Scope::Group),
            by_key("fleet", individual()),
            by_key("removed", individual()),
        ] {
            enrollments.put(enrollment, Condition::None, now).unwrap();
        }
        let deleted = enrollments.get(EnrollmentKind::Group, "deleted").unwrap();
        let (registration, device) = core.registry.register(deleted, &"dev2".into(), "dev2", now).unwrap();
        core.journal.as_ref().unwrap().record(Change::Registered(registration, device));
        enrollments.delete(EnrollmentKind::Group, "deleted", Condition::None).unwrap();
        enrollments.delete(EnrollmentKind::Individual, "removed", Condition::None).unwrap();
        core.group_key.to_base64().to_string()
    };
    let core = Core::new(config()).unwrap();
    let enrollments = &core.registry.enrollments;
    assert_eq!(*core.group_key.to_base64(), group_key, "that of the group, not of another");
    let attested = enrollments.find_by_certificates(&device.chain, "dev1", now).unwrap();
    assert_eq!((&*attested.enrollment.id, enrollments.cas().len()), ("x509", 1));
    let ids = |kind| enrollments.list(kind, None, 9).iter().map(|e| e.id.to_string()).collect::<Vec<_>>();
    assert_eq!(
        (ids(EnrollmentKind::Group), ids(EnrollmentKind::Individual)),
        (["another", "fleet", "x509"].map(str::to_owned).to_vec(), vec!["fleet".to_owned()])
    );
    let registration = core.registry.registration("dev2").unwrap();
    let (id, enabled) = (&*registration.enrollment.id, registration.enrollment.enabled);
    assert_eq!((id, enabled), ("deleted", false), "it stays registered, by what lets nobody in any more");
}

#[test]
fn debug_shows_no_key() {
    let folder = tempfile::tempdir().unwrap();
    let core = Core::new(Config { state: Some(folder.path().to_owned()), ..Config::default() }).unwrap();
    let key = core.group_key.to_base64().to_string();
    drop(core);
    let (_journal, stored) = state::open(folder.path()).unwrap();
    let text = format!("{stored:?}");
    assert!(!text.contains(&key) && !text.contains("PRIVATE KEY"), "{text}");
}
