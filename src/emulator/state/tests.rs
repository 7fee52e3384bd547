use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, SystemTime};

use crossbeam_channel::bounded;
use redb::backends::FileBackend;
use redb::{Database, StorageBackend};

use super::*;
use crate::emulator::issuing::adr::Serial;
use crate::emulator::registry::{Attested, Change, Registration, X509Proof, test_group};
use crate::pki::description::CertificateInfo;

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

#[test]
fn serial_numbers_are_forgotten_when_their_certificates_have_expired() {
    let (folder, now) = (tempfile::tempdir().unwrap(), SystemTime::now());
    let hour = Duration::from_secs(3600);
    let issued =
        |serial: u8, not_after| Change::Issued(Serial { serial: vec![serial], device_id: "d".into(), not_after });
    {
        let (journal, _) = open(folder.path()).unwrap();
        journal.record(issued(1, now - hour));
        journal.record(issued(2, now + hour));
    }
    drop(open(folder.path()).unwrap());
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
    let (journal, _) = writer::begin(store::Store::open_on(folder.path(), medium).unwrap()).unwrap();
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
