use std::path::Path;
use std::sync::Mutex;
use std::thread;
use std::time::{Duration, SystemTime};

use crossbeam_channel::Receiver;
use serde::Serialize;

use super::record::{CaRecord, DeviceRecord, EnrollmentRecord, RegistrationRecord, SerialRecord};
use super::store::{AUTHORITIES_KEY, StateError, Store, StoreTable, Stored, Write};
use crate::emulator::issuing::adr::Serial;
use crate::emulator::registry::{Change, EnrollmentKind, Journal, JournalEntry};
use crate::emulator::sharded::lock;

/// Entries of one transaction at most.
const BATCH: usize = 8192;
/// After a failure it is tried again so much later.
const RETRY: Duration = if cfg!(test) { Duration::from_millis(1) } else { Duration::from_secs(1) };

/// Opens the state in a folder, which is made if it is not there, and reads what it holds. What the journal is given from
/// now on is written there.
pub(crate) fn open(folder: &Path) -> Result<(Journal, Stored), StateError> {
    begin(Store::open(folder)?)
}

/// As [`open`] does, with a store that is open.
pub(super) fn begin(mut store: Store) -> Result<(Journal, Stored), StateError> {
    let stored = store.read()?;
    let ahead = u64::try_from(stored.clock_offset_ms()).unwrap_or_default();
    store.forget_serials(SystemTime::now() + Duration::from_millis(ahead))?;
    let file = store.file().to_owned();
    let journal = Journal::start(move |entries, failure| write_all(store, entries, failure));
    Ok((journal.map_err(|source| StateError::Open { file, source })?, stored))
}

/// The thread that writes, until the last journal is dropped.
fn write_all(mut store: Store, entries: &Receiver<JournalEntry>, failure: &Mutex<Option<String>>) {
    while let Ok(first) = entries.recv() {
        let (mut writes, mut then) = (Vec::new(), Vec::new());
        for entry in std::iter::once(first).chain(entries.try_iter()).take(BATCH) {
            entry.changes.into_iter().for_each(|change| add(change, &mut writes));
            then.extend(entry.then);
        }
        while let Err(error) = if writes.is_empty() { Ok(()) } else { store.write(&writes) } {
            *lock(failure) = Some(error.to_string());
            thread::sleep(RETRY);
        }
        *lock(failure) = None;
        then.into_iter().for_each(|then| then());
    }
}

fn add(change: Change, writes: &mut Vec<Write>) {
    match change {
        Change::Registered(registration, device) => {
            let record = RegistrationRecord::of(&registration);
            put(writes, StoreTable::Registration.key(&record.registration_id), &record);
            add(Change::Device(device), writes);
        }
        Change::Device(device) => {
            // A deleted one has a change of its own, which comes later.
            if let Some(record) = DeviceRecord::of(&device) {
                put(writes, StoreTable::Device.key(&device.id), &record);
            }
        }
        Change::Issued(Serial { serial, device_id, not_after }) => {
            let id: String = serial.iter().map(|byte| format!("{byte:02x}")).collect();
            put(writes, StoreTable::Serial.key(&id), &SerialRecord { device_id: device_id.to_string(), not_after });
        }
        Change::Enrollment(enrollment) => {
            let record = EnrollmentRecord::of(&enrollment);
            put(writes, enrollment_key(record.name.group, &record.name.id), &record);
        }
        Change::Ca(ca) => put(writes, StoreTable::Ca.key(&ca.name), &CaRecord::of(&ca)),
        Change::Authorities(record) => put(writes, AUTHORITIES_KEY.to_owned(), &record),
        Change::RegistrationDeleted(id) => delete(writes, StoreTable::Registration.key(&id)),
        Change::DeviceDeleted(id) => delete(writes, StoreTable::Device.key(&id)),
        Change::EnrollmentDeleted(kind, id) => delete(writes, enrollment_key(kind == EnrollmentKind::Group, &id)),
        Change::CaDeleted(name) => delete(writes, StoreTable::Ca.key(&name)),
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
        true => StoreTable::Group.key(&id.to_ascii_lowercase()),
        false => StoreTable::Individual.key(id),
    }
}
