use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, SystemTime};

use crossbeam_channel::{Sender, bounded};
use redb::backends::FileBackend;
use redb::{Database, StorageBackend};
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, duplex};

use super::*;
use crate::domain::{CryptoProvider, KeyAlgorithm, RegistrationId};
use crate::emulator::config::Config;
use crate::emulator::core::Core;
use crate::emulator::dps::{Caller, Introduction, operation_status, register};
use crate::emulator::management::Management;
use crate::emulator::registry::{
    Attestation, Attested, Condition, Enrollment, Kind, Registration, Scope, X509Proof, test_group,
};
use crate::emulator::service::Service;
use crate::pki::bootstrap;
use crate::pki::csr;
use crate::pki::description::CertificateInfo;
use crate::pki::key::DeviceKey;

/// A core that keeps state, whose disk stands still until something is sent.
fn with_stalled_disk(folder: &std::path::Path) -> (Arc<Core>, Sender<()>) {
    let mut config = Config { state: Some(folder.to_owned()), ..Config::default() };
    config.adr.issue_inline = true;
    let core = Core::new(config).unwrap();
    let go = core.journal.as_ref().unwrap().stand_still();
    (core, go)
}

fn caller(core: &Core, id: &str) -> Caller {
    let expiry = core.clock.unix_seconds() + 60;
    let token = core.group_key.derive(id).sign(&format!("0ne00000001/registrations/{id}"), expiry, None);
    let introduction = Introduction {
        id_scope: "0ne00000001",
        registration_id: id,
        api_version: Some("2025-07-01-preview"),
        token: &token.to_text(),
        certificates: Vec::new(),
    };
    Caller::new(introduction).unwrap()
}

fn json(body: &[u8]) -> Value {
    serde_json::from_slice(body).unwrap()
}

#[tokio::test]
async fn nobody_is_told_assigned_before_it_is_on_the_disk() {
    let folder = tempfile::tempdir().unwrap();
    let key = DeviceKey::generate(KeyAlgorithm::EcdsaP256, CryptoProvider::AwsLc).unwrap();
    let with_csr = format!(r#"{{"csr":"{}"}}"#, csr::to_base64(&csr::build(&key, "dev1").unwrap()));
    for body in ["{}", &with_csr] {
        let (core, go) = with_stalled_disk(folder.path());
        let caller = caller(&core, "dev1");
        let accepted = register(&core, &caller, body.as_bytes()).0;
        let operation = json(&accepted.body)["operationId"].as_str().unwrap().to_owned();
        let ask = || json(&operation_status(&core, &caller, &operation).body)["status"].clone();
        assert_eq!((accepted.status, ask()), (202, "assigning".into()), "{body}");
        go.send(()).unwrap();
        assert!(core.durable().await);
        assert_eq!(ask(), "assigned", "{body}");
    }
}

#[tokio::test]
async fn changes_of_a_device_that_come_together_are_one() {
    let folder = tempfile::tempdir().unwrap();
    {
        let (core, go) = with_stalled_disk(folder.path());
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

#[test]
fn a_registration_comes_back_as_it_was_whatever_its_certificate_says() {
    let odd = CertificateInfo {
        subject: "CN=dev1".to_owned(),
        issuer: String::new(),
        sha1_thumbprint: "00".to_owned(),
        sha256_thumbprint: "11".to_owned(),
        // X.509 can say 1950.
        not_before: SystemTime::UNIX_EPOCH - Duration::from_secs(20 * 365 * 86_400),
        not_after: SystemTime::UNIX_EPOCH + Duration::from_secs(250_000_000_000),
        serial_number: "01".to_owned(),
        version: 3,
    };
    let group = test_group();
    let x509 = Some(Arc::new(X509Proof { leaf: odd.clone(), signing: Some(Arc::new(odd)) }));
    let attested = Attested { enrollment: Arc::clone(&group), x509 };
    let registration = Registration::new(attested, "dev1".into(), SystemTime::now(), None).sent_as("DEV1");
    let bytes = serde_json::to_vec(&record::RegistrationRecord::of(&registration)).unwrap();
    let restored = serde_json::from_slice::<record::RegistrationRecord>(&bytes).unwrap().restore(group);
    assert_eq!((restored.x509.clone(), restored.sent_id()), (registration.x509.clone(), registration.sent_id()));
    assert_eq!((restored.revision(), restored.device_id), (registration.revision(), registration.device_id));
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
        let references = Attestation::CaReferences { primary: "ca".into(), secondary: None };
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
        let deleted = enrollments.get(Kind::Group, "deleted").unwrap();
        let (registration, device) = core.registry.register(deleted, &"dev2".into(), "dev2", now).unwrap();
        core.journal.as_ref().unwrap().record(Change::Registered(registration, device));
        enrollments.delete(Kind::Group, "deleted", Condition::None).unwrap();
        enrollments.delete(Kind::Individual, "removed", Condition::None).unwrap();
        core.group_key.to_base64().to_string()
    };
    let core = Core::new(config()).unwrap();
    let enrollments = &core.registry.enrollments;
    assert_eq!(*core.group_key.to_base64(), group_key, "that of the group, not of another");
    let attested = enrollments.find_by_certificates(&device.chain, "dev1", now).unwrap();
    assert_eq!((&*attested.enrollment.id, enrollments.cas().len()), ("x509", 1));
    let ids = |kind| enrollments.list(kind, None, 9).iter().map(|e| e.id.to_string()).collect::<Vec<_>>();
    assert_eq!(
        (ids(Kind::Group), ids(Kind::Individual)),
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
    let (_journal, stored) = Journal::open(folder.path()).unwrap();
    let text = format!("{stored:?}");
    assert!(!text.contains(&key) && !text.contains("PRIVATE KEY"), "{text}");
}

#[tokio::test]
async fn while_too_much_waits_for_the_disk_the_control_plane_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let service = Service::new(Config { state: Some(folder.path().to_owned()), ..Config::default() }).unwrap();
    let journal = service.core().journal.clone().unwrap();
    // What it has taken already waits no more: only then all that comes does.
    let go = journal.stand_still();
    while !journal.is_full() {
        journal.record_then(Vec::new(), || {});
    }
    let management = Management::new(&service, b"");
    let (mut client, stream) = duplex(64 * 1024);
    let head = format!("Host: h\r\nConnection: close\r\nAuthorization: Bearer {}\r\n", management.token());
    let body = r#"{"attestation":{"type":"symmetricKey"}}"#;
    let request = format!("PUT /enrollments/x HTTP/1.1\r\n{head}Content-Length: {}\r\n\r\n{body}", body.len());
    client.write_all(request.as_bytes()).await.unwrap();
    management.serve_connection(stream).await;
    let mut answer = String::new();
    client.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 503 ") && answer.contains("Nothing was changed"), "{answer}");
    assert!(service.core().registry.enrollments.get(Kind::Individual, "x").is_none());
    go.send(()).unwrap();
}

#[test]
fn serial_numbers_are_forgotten_when_their_certificates_have_expired() {
    let (folder, now) = (tempfile::tempdir().unwrap(), SystemTime::now());
    let hour = Duration::from_secs(3600);
    let issued =
        |serial: u8, not_after| Change::Issued(Serial { serial: vec![serial], device_id: "d".into(), not_after });
    {
        let (journal, _) = Journal::open(folder.path()).unwrap();
        journal.record(issued(1, now - hour));
        journal.record(issued(2, now + hour));
    }
    drop(Journal::open(folder.path()).unwrap());
    let mut store = store::Store::open(folder.path()).unwrap();
    store.forget_serials(now + hour).unwrap();
    assert_eq!(store.serials(), ["s/02"], "it is good until its last moment");
    store.forget_serials(now + hour + Duration::from_nanos(1)).unwrap();
    assert!(store.serials().is_empty());
}

/// A disk that can be full.
#[derive(Debug)]
struct Disk {
    file: FileBackend,
    is_full: Arc<AtomicBool>,
}

impl Disk {
    fn room(&self) -> io::Result<()> {
        if self.is_full.load(Ordering::SeqCst) { Err(io::ErrorKind::StorageFull.into()) } else { Ok(()) }
    }
}

impl StorageBackend for Disk {
    fn len(&self) -> io::Result<u64> {
        self.file.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.file.read(offset, out)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.room()?;
        self.file.set_len(len)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.room()?;
        self.file.sync_data()
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.room()?;
        self.file.write(offset, data)
    }

    fn close(&self) -> io::Result<()> {
        self.file.close()
    }
}

#[test]
fn what_waited_for_a_full_disk_is_written_once_there_is_room() {
    let folder = tempfile::tempdir().unwrap();
    let (is_full, opened) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let (full, count) = (Arc::clone(&is_full), Arc::clone(&opened));
    let medium = move |file| {
        count.fetch_add(1, Ordering::SeqCst);
        let disk = Disk { file: FileBackend::new(file)?, is_full: Arc::clone(&full) };
        Database::builder().create_with_backend(disk)
    };
    let (journal, _) = Journal::begin(store::Store::open_on(folder.path(), medium).unwrap()).unwrap();
    let write = |serial: u8| {
        let not_after = SystemTime::now() + Duration::from_secs(3600);
        let issued = Change::Issued(Serial { serial: vec![serial], device_id: "d".into(), not_after });
        let (done, wait) = bounded(1);
        journal.record_then(vec![issued], move || done.send(()).unwrap());
        wait
    };
    write(1).recv().unwrap();
    assert_eq!(journal.failure(), None);
    is_full.store(true, Ordering::SeqCst);
    let (second, third) = (write(2), write(3));
    // However often it is tried, what is told is what is wrong, not that something was.
    for tries in 2..5 {
        while opened.load(Ordering::SeqCst) < tries {
            thread::sleep(Duration::from_millis(1));
        }
        let failure = journal.failure().unwrap();
        assert!(failure.contains("state.redb: ") && failure.contains("no storage space"), "{failure}");
    }
    assert!(second.is_empty() && third.is_empty());
    is_full.store(false, Ordering::SeqCst);
    second.recv().unwrap();
    third.recv().unwrap();
    assert_eq!(journal.failure(), None);
    drop(journal);
    assert_eq!(store::Store::open(folder.path()).unwrap().serials(), ["s/01", "s/02", "s/03"]);
}
