use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;
use std::{fmt, io};

use crossbeam_channel::{Receiver, Sender, unbounded};
use tokio::sync::oneshot;
use tokio::time::timeout;

use super::ca_certificate::CaCertificate;
use super::device::Device;
use super::enrollment::Enrollment;
use super::enrollments::EnrollmentKind;
use super::registration::Registration;
use crate::emulator::issuing::adr::Serial;
use crate::emulator::issuing::issuance::Busy;
use crate::emulator::issuing::record::AuthoritiesRecord;
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
    EnrollmentDeleted(EnrollmentKind, Arc<str>),
    /// A CA certificate is new or changed.
    Ca(Box<CaCertificate>),
    /// A CA certificate was deleted.
    CaDeleted(Arc<str>),
    /// Authorities, what the hub trusts, or the clock changed.
    Authorities(Box<AuthoritiesRecord>),
}

/// Gives changes to the thread that writes. Cheap to clone; when the last one is dropped, all is written and the file
/// closed.
#[derive(Debug, Clone)]
pub(crate) struct Journal(Arc<Writer>);

#[derive(Debug)]
struct Writer {
    /// None once it is to end.
    queue: Option<Sender<JournalEntry>>,
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

/// What is to be written together.
pub(crate) struct JournalEntry {
    pub(crate) changes: Vec<Change>,
    /// What may be done once they are on the disk.
    pub(crate) then: Option<Box<dyn FnOnce() + Send>>,
}

impl fmt::Debug for JournalEntry {
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
    /// So long is waited for the disk.
    const PATIENCE: Duration = Duration::from_secs(10);

    /// Has a thread write, with what changes and where it says what fails; it ends when nothing comes any more.
    pub(crate) fn start(
        write: impl FnOnce(&Receiver<JournalEntry>, &Mutex<Option<String>>) + Send + 'static,
    ) -> io::Result<Self> {
        let (queue, entries) = unbounded();
        let failure = Arc::new(Mutex::new(None));
        let shared = Arc::clone(&failure);
        let thread = thread::Builder::new().name("state".to_owned()).spawn(move || write(&entries, &shared))?;
        Ok(Self(Arc::new(Writer { queue: Some(queue), thread: Some(thread), failure })))
    }

    /// Has a rare change written, some time soon.
    pub(crate) fn record(&self, change: Change) {
        self.push(JournalEntry { changes: vec![change], then: None });
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
        self.push(JournalEntry { changes, then: Some(Box::new(then)) });
    }

    /// Has changes written, and then does `then`, on the thread that writes. Never waits, for threads that serve connections:
    /// refuses instead.
    pub(crate) fn try_record_then(
        &self,
        changes: Vec<Change>,
        then: impl FnOnce() + Send + 'static,
    ) -> Result<(), Busy> {
        if self.is_full() {
            return Err(Busy);
        }
        self.push(JournalEntry { changes, then: Some(Box::new(then)) });
        Ok(())
    }

    /// Waits until everything is on the disk that was given to it before; false when that cannot be had.
    pub(crate) async fn durable(&self) -> bool {
        let (done, wait) = oneshot::channel();
        // Nobody may wait for the answer any more.
        let then: Box<dyn FnOnce() + Send> = Box::new(move || {
            let _ = done.send(());
        });
        self.push(JournalEntry { changes: Vec::new(), then: Some(then) });
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

    fn push(&self, entry: JournalEntry) {
        if let Some(queue) = &self.0.queue {
            // The thread lives as long as the journal does.
            let _ = queue.send(entry);
        }
    }
}
