use std::fmt;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, SystemTime};

use crossbeam_channel::{Receiver, Sender, unbounded};
use serde::Serialize;
use tokio::sync::oneshot;
use tokio::time::timeout;

use super::record::{AuthoritiesRecord, CaRecord, DeviceRecord, EnrollmentRecord, RegistrationRecord, SerialRecord};
use super::store::{AUTHORITIES_KEY, StateError, Store, Stored, Table, Write};
use crate::emulator::issuing::issuance::Busy;
use crate::emulator::registry::{CaCertificate, Device, Enrollment, Kind, Registration};
use crate::emulator::sharded::lock;

/// Something that is to be on the disk.
pub(crate) enum Change {
    /// A device registered.
    Registered(Registration, Arc<Device>),
    /// A registration was deleted.
    RegistrationDeleted(Arc<str>),
    /// A device of the hub changed.
    Device(Arc<Device>),
    /// A device of the hub was deleted.
    DeviceDeleted(Arc<str>),
    /// A certificate was issued.
    Issued(Serial),
    /// An enrollment is new or changed.
    Enrollment(Arc<Enrollment>),
    /// An enrollment was deleted.
    EnrollmentDeleted(Kind, Arc<str>),
    /// A CA certificate is new or changed.
    Ca(Box<CaCertificate>),
    /// A CA certificate was deleted.
    CaDeleted(Arc<str>),
    /// Authorities, what the hub trusts, or the clock changed.
    Authorities(Box<AuthoritiesRecord>),
}

/// An issued certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Serial {
    /// Serial number, big-endian.
    pub(crate) serial: Vec<u8>,
    /// Whose it is.
    pub(crate) device_id: Arc<str>,
    /// End of its validity.
    pub(crate) not_after: SystemTime,
}

/// Gives changes to the thread that writes. Cheap to clone; when the last one is dropped, all is written and the file
/// closed.
#[derive(Debug, Clone)]
pub(crate) struct Journal(Arc<Writer>);

#[derive(Debug)]
struct Writer {
    /// None once it is to end.
    queue: Option<Sender<Entry>>,
    thread: Option<JoinHandle<()>>,
    failure: Arc<Mutex<Option<String>>>,
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.queue = None;
        let thread = self.thread.take().filter(|thread| thread.thread().id() != thread::current().id());
        // A disk that takes nothing would hold us up for ever.
        if let Some(thread) = thread.filter(|_| lock(&self.failure).is_none()) {
            let _ = thread.join();
        }
    }
}

struct Entry {
    changes: Vec<Change>,
    /// What may be done once they are on the disk.
    then: Option<Box<dyn FnOnce() + Send>>,
}

impl fmt::Debug for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Entry").field("changes", &self.changes.len()).finish_non_exhaustive()
    }
}

impl Journal {
    /// When so many changes wait, registrations wait too, and changes by the control plane are
    /// refused; what follows from either is kept.
    const QUEUE: usize = 100_000;
    /// How often is looked whether fewer wait.
    const PAUSE: Duration = Duration::from_millis(1);
    /// Entries of one transaction at most.
    const BATCH: usize = 8192;
    /// So long is waited for the disk.
    const PATIENCE: Duration = Duration::from_secs(10);
    /// After a failure it is tried again so much later.
    const RETRY: Duration = if cfg!(test) { Duration::from_millis(1) } else { Duration::from_secs(1) };

    /// Opens the state in a folder, which is made if it is not there, and reads what it holds.
    pub(crate) fn open(folder: &Path) -> Result<(Self, Stored), StateError> {
        Self::begin(Store::open(folder)?)
    }

    /// The same with the state open.
    pub(super) fn begin(mut store: Store) -> Result<(Self, Stored), StateError> {
        let stored = store.read()?;
        let ahead = u64::try_from(stored.clock_offset_ms()).unwrap_or_default();
        store.forget_serials(SystemTime::now() + Duration::from_millis(ahead))?;
        let (file, (queue, entries)) = (store.file().to_owned(), unbounded());
        let failure = Arc::new(Mutex::new(None));
        let shared = Arc::clone(&failure);
        let thread = thread::Builder::new()
            .name("state".to_owned())
            .spawn(move || write_all(store, &entries, &shared))
            .map_err(|source| StateError::Open { file, source })?;
        let writer = Writer { queue: Some(queue), thread: Some(thread), failure };
        Ok((Self(Arc::new(writer)), stored))
    }

    /// Has a rare change written, some time soon.
    pub(crate) fn record(&self, change: Change) {
        self.push(Entry { changes: vec![change], then: None });
    }

    /// Has a device written that changed; changes that come before it was written are one.
    pub(crate) fn device(&self, device: &Arc<Device>) {
        if !device.with(|state| std::mem::replace(&mut state.unsaved, true)) {
            self.record(Change::Device(Arc::clone(device)));
        }
    }

    /// Has changes written, and then does `then`, on the thread that writes. Waits while too many wait already: for
    /// threads that sign.
    pub(crate) fn record_then(&self, changes: Vec<Change>, then: impl FnOnce() + Send + 'static) {
        while self.is_full() {
            thread::sleep(Self::PAUSE);
        }
        self.push(Entry { changes, then: Some(Box::new(then)) });
    }

    /// The same for threads that serve connections: never waits.
    pub(crate) fn try_record_then(
        &self,
        changes: Vec<Change>,
        then: impl FnOnce() + Send + 'static,
    ) -> Result<(), Busy> {
        if self.is_full() {
            return Err(Busy);
        }
        self.push(Entry { changes, then: Some(Box::new(then)) });
        Ok(())
    }

    /// Waits until everything is on the disk that was given to it before; false when that cannot be had.
    pub(crate) async fn durable(&self) -> bool {
        let (done, wait) = oneshot::channel();
        // Nobody may wait for the answer any more.
        let then: Box<dyn FnOnce() + Send> = Box::new(move || {
            let _ = done.send(());
        });
        self.push(Entry { changes: Vec::new(), then: Some(then) });
        matches!(timeout(Self::PATIENCE, wait).await, Ok(Ok(())))
    }

    /// Whether more waits for the disk than should: what is not urgent had better not be changed.
    pub(crate) fn is_full(&self) -> bool {
        self.waiting() >= Self::QUEUE
    }

    /// Why nothing is written at present.
    pub(crate) fn failure(&self) -> Option<String> {
        lock(&self.0.failure).clone()
    }

    /// Has the thread that writes stand still, from now on until something is sent or nobody can send any more.
    #[cfg(test)]
    pub(crate) fn stand_still(&self) -> Sender<()> {
        let (begun, begins) = unbounded();
        let (go, wait) = unbounded::<()>();
        self.record_then(Vec::new(), move || {
            begun.send(()).unwrap();
            let _ = wait.recv();
        });
        begins.recv().unwrap();
        go
    }

    /// Has it look as if nothing could be written.
    #[cfg(test)]
    pub(crate) fn fail(&self, why: &str) {
        *lock(&self.0.failure) = Some(why.to_owned());
    }

    fn waiting(&self) -> usize {
        self.0.queue.as_ref().map_or(0, Sender::len)
    }

    fn push(&self, entry: Entry) {
        if let Some(queue) = &self.0.queue {
            // The thread lives as long as the journal does.
            let _ = queue.send(entry);
        }
    }
}

/// The thread that writes, until the last journal is dropped.
fn write_all(mut store: Store, entries: &Receiver<Entry>, failure: &Mutex<Option<String>>) {
    while let Ok(first) = entries.recv() {
        let (mut writes, mut then) = (Vec::new(), Vec::new());
        for entry in std::iter::once(first).chain(entries.try_iter()).take(Journal::BATCH) {
            entry.changes.into_iter().for_each(|change| change.add_to(&mut writes));
            then.extend(entry.then);
        }
        while let Err(error) = if writes.is_empty() { Ok(()) } else { store.write(&writes) } {
            *lock(failure) = Some(error.to_string());
            thread::sleep(Journal::RETRY);
        }
        *lock(failure) = None;
        then.into_iter().for_each(|then| then());
    }
}

impl Change {
    fn add_to(self, writes: &mut Vec<Write>) {
        match self {
            Self::Registered(registration, device) => {
                let record = RegistrationRecord::of(&registration);
                put(writes, Table::Registration.key(&record.registration_id), &record);
                Self::Device(device).add_to(writes);
            }
            Self::Device(device) => {
                // A deleted one has a change of its own, which comes later.
                if let Some(record) = DeviceRecord::of(&device) {
                    put(writes, Table::Device.key(&device.id), &record);
                }
            }
            Self::Issued(Serial { serial, device_id, not_after }) => {
                let id: String = serial.iter().map(|byte| format!("{byte:02x}")).collect();
                put(writes, Table::Serial.key(&id), &SerialRecord { device_id: device_id.to_string(), not_after });
            }
            Self::Enrollment(enrollment) => {
                let record = EnrollmentRecord::of(&enrollment);
                put(writes, enrollment_key(record.name.group, &record.name.id), &record);
            }
            Self::Ca(ca) => put(writes, Table::Ca.key(&ca.name), &CaRecord::of(&ca)),
            Self::Authorities(record) => put(writes, AUTHORITIES_KEY.to_owned(), &record),
            Self::RegistrationDeleted(id) => delete(writes, Table::Registration.key(&id)),
            Self::DeviceDeleted(id) => delete(writes, Table::Device.key(&id)),
            Self::EnrollmentDeleted(kind, id) => delete(writes, enrollment_key(kind == Kind::Group, &id)),
            Self::CaDeleted(name) => delete(writes, Table::Ca.key(&name)),
        }
    }
}

/// What JSON cannot say is left as it was: a moment before 1970, at which no clock of ours stands.
fn put(writes: &mut Vec<Write>, key: String, record: &impl Serialize) {
    if let Ok(value) = serde_json::to_vec(record) {
        writes.push(Write { key, value: Some(value) });
    }
}

fn delete(writes: &mut Vec<Write>, key: String) {
    writes.push(Write { key, value: None });
}

/// Ids of groups have no case.
fn enrollment_key(group: bool, id: &str) -> String {
    match group {
        true => Table::Group.key(&id.to_ascii_lowercase()),
        false => Table::Individual.key(id),
    }
}
