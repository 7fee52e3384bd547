use std::fs::{self, File, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use redb::backends::FileBackend;
use redb::{Database, DatabaseError, ReadTransaction, ReadableDatabase as _, TableDefinition};
use serde::de::DeserializeOwned;

use super::record::{CaRecord, DeviceRecord, EnrollmentRecord, RegistrationRecord, SerialRecord};
use crate::emulator::issuing::record::{AuthoritiesRecord, BrokenAuthority};
use crate::pki::store::create_folder;

/// Keys are a letter of [`StoreTable`] and an id, values are JSON.
const RECORDS: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("records");

/// What [`RECORDS`] means; another number is another meaning.
const SCHEMA: u64 = 1;
const SCHEMA_KEY: &str = "m/schema";
/// Authorities, what the hub trusts, the clock.
pub(super) const AUTHORITIES_KEY: &str = "m/authorities";

/// First part of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum StoreTable {
    Registration,
    Device,
    Individual,
    Group,
    Ca,
    Serial,
}

impl StoreTable {
    const fn prefix(self) -> &'static str {
        match self {
            Self::Registration => "r/",
            Self::Device => "d/",
            Self::Individual => "i/",
            Self::Group => "g/",
            Self::Ca => "c/",
            Self::Serial => "s/",
        }
    }

    pub(super) fn key(self, id: &str) -> String {
        format!("{}{id}", self.prefix())
    }
}

/// One record written, or deleted when it has no value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Write {
    pub(super) key: String,
    pub(super) value: Option<Vec<u8>>,
}

/// Why there is no state.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// The folder cannot be made.
    #[error(transparent)]
    Folder(#[from] crate::pki::store::StoreError),
    /// The file cannot be opened.
    #[error("cannot open {}: {source}", file.display())]
    Open {
        /// The file.
        file: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// Another emulator has it.
    #[error("{} is in use by another emulator", .0.display())]
    InUse(PathBuf),
    /// It is broken, or of another program.
    #[error("{}: {problem}", file.display())]
    Database {
        /// The file.
        file: PathBuf,
        /// What is wrong.
        problem: String,
    },
    /// It cannot be written.
    #[error("the state cannot be written: {0}")]
    Write(String),
    /// A record cannot be used.
    #[error("the state is broken: {0} cannot be used")]
    Record(String),
    /// Made by a version of this program with another form.
    #[error("{} has the form {found}, this version knows {SCHEMA} only", file.display())]
    Schema {
        /// The file.
        file: PathBuf,
        /// Its form.
        found: u64,
    },
}

impl From<BrokenAuthority> for StateError {
    fn from(broken: BrokenAuthority) -> Self {
        Self::Record(broken.to_string())
    }
}

/// Everything that was stored.
#[derive(Debug, Default)]
pub(crate) struct Stored {
    pub(crate) authorities: Option<AuthoritiesRecord>,
    pub(super) registrations: Vec<RegistrationRecord>,
    pub(super) devices: Vec<DeviceRecord>,
    pub(super) enrollments: Vec<EnrollmentRecord>,
    pub(super) cas: Vec<CaRecord>,
}

/// The file with the state: an embedded database that is whole after a crash.
pub(super) struct Store {
    /// None after a failure: the library takes nothing more then, until the file is opened anew.
    database: Option<Database>,
    file: PathBuf,
    on: Medium,
}

/// Makes a database of an open file.
type Medium = Box<dyn Fn(File) -> Result<Database, DatabaseError> + Send>;

impl Store {
    /// Name of the file in the folder of the state.
    const FILE: &str = "state.redb";

    /// Opens or makes the file, for its owner alone. Both folder and file stay private.
    pub(super) fn open(folder: &Path) -> Result<Self, StateError> {
        Self::open_on(folder, |file| Database::builder().create_with_backend(FileBackend::new(file)?))
    }

    /// Opens or makes the file on any medium.
    pub(super) fn open_on(
        folder: &Path,
        medium: impl Fn(File) -> Result<Database, DatabaseError> + Send + 'static,
    ) -> Result<Self, StateError> {
        create_folder(folder)?;
        let mut store = Self { database: None, file: folder.join(Self::FILE), on: Box::new(medium) };
        store.database = Some(store.open_database()?);
        store.check_schema()?;
        Ok(store)
    }

    /// The file.
    pub(super) fn file(&self) -> &Path {
        &self.file
    }

    fn open_database(&self) -> Result<Database, StateError> {
        let failed = |source| StateError::Open { file: self.file.clone(), source };
        let handle =
            OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(&self.file);
        let handle = handle.map_err(failed)?;
        fs::set_permissions(&self.file, Permissions::from_mode(0o600)).map_err(failed)?;
        (self.on)(handle).map_err(|error| match error {
            DatabaseError::DatabaseAlreadyOpen => StateError::InUse(self.file.clone()),
            error => self.broken(error),
        })
    }

    /// Writes all or nothing; on return it is on the disk. It may be tried again after a failure, and each says what is wrong at
    /// present.
    pub(super) fn write(&mut self, writes: &[Write]) -> Result<(), StateError> {
        let database = match self.database.take() {
            Some(database) => database,
            None => self.open_database()?,
        };
        attempt(&database, writes).map_err(|error| self.broken(error))?;
        self.database = Some(database);
        Ok(())
    }

    /// Everything that is there, but for the serial numbers.
    pub(super) fn read(&self) -> Result<Stored, StateError> {
        let authorities = self.get(AUTHORITIES_KEY)?.map(|bytes| self.parse(AUTHORITIES_KEY, &bytes)).transpose()?;
        Ok(Stored {
            authorities,
            registrations: self.all(StoreTable::Registration)?,
            devices: self.all(StoreTable::Device)?,
            enrollments: [self.all(StoreTable::Group)?, self.all(StoreTable::Individual)?].concat(),
            cas: self.all(StoreTable::Ca)?,
        })
    }

    /// Forgets the serial numbers of certificates that have expired by `now`: without that the file would grow for as long as
    /// the fleet lives.
    pub(super) fn forget_serials(&mut self, now: SystemTime) -> Result<(), StateError> {
        let serials = self.entries::<SerialRecord>(StoreTable::Serial)?.into_iter();
        let expired = serials.filter(|(_, record)| record.not_after < now);
        let deletions: Vec<Write> = expired.map(|(key, _)| Write { key, value: None }).collect();
        match deletions.is_empty() {
            true => Ok(()),
            false => self.write(&deletions),
        }
    }

    fn check_schema(&mut self) -> Result<(), StateError> {
        match self.get(SCHEMA_KEY)? {
            Some(bytes) => match self.parse(SCHEMA_KEY, &bytes)? {
                SCHEMA => Ok(()),
                found => Err(StateError::Schema { file: self.file.clone(), found }),
            },
            None => self.write(&[Write { key: SCHEMA_KEY.to_owned(), value: Some(SCHEMA.to_string().into_bytes()) }]),
        }
    }

    fn begin_read(&self) -> Result<ReadTransaction, redb::Error> {
        Ok(self.database.as_ref().ok_or(redb::Error::DatabaseClosed)?.begin_read()?)
    }

    fn get(&self, key: &str) -> Result<Option<Vec<u8>>, StateError> {
        let read = || {
            let transaction = self.begin_read()?;
            match transaction.open_table(RECORDS) {
                Ok(table) => Ok(table.get(key)?.map(|value| value.value().to_vec())),
                Err(redb::TableError::TableDoesNotExist(_)) => Ok(None),
                Err(error) => Err(error.into()),
            }
        };
        read().map_err(|error: redb::Error| self.broken(error))
    }

    fn all<T: DeserializeOwned>(&self, of: StoreTable) -> Result<Vec<T>, StateError> {
        Ok(self.entries(of)?.into_iter().map(|(_, record)| record).collect())
    }

    /// Records with their keys.
    fn entries<T: DeserializeOwned>(&self, of: StoreTable) -> Result<Vec<(String, T)>, StateError> {
        let broken = |error: redb::Error| self.broken(error);
        let transaction = self.begin_read().map_err(broken)?;
        let table = transaction.open_table(RECORDS).map_err(|error| broken(error.into()))?;
        let prefix = of.prefix();
        let mut records = Vec::new();
        for entry in table.range(prefix..).map_err(|error| broken(error.into()))? {
            let (key, value) = entry.map_err(|error| broken(error.into()))?;
            if !key.value().starts_with(prefix) {
                break;
            }
            records.push((key.value().to_owned(), self.parse(key.value(), value.value())?));
        }
        Ok(records)
    }

    fn parse<T: DeserializeOwned>(&self, key: &str, bytes: &[u8]) -> Result<T, StateError> {
        serde_json::from_slice(bytes).map_err(|error| StateError::Database {
            file: self.file.clone(),
            problem: format!("record {key:?}: {error}"),
        })
    }

    /// Keys of the serial numbers that are kept.
    #[cfg(test)]
    pub(super) fn serials(&self) -> Vec<String> {
        self.entries::<SerialRecord>(StoreTable::Serial).unwrap().into_iter().map(|(key, _)| key).collect()
    }

    fn broken(&self, error: impl std::fmt::Display) -> StateError {
        StateError::Database { file: self.file.clone(), problem: error.to_string() }
    }
}

fn attempt(database: &Database, writes: &[Write]) -> Result<(), redb::Error> {
    // The default durability: `commit` returns when the data is on the disk.
    let transaction = database.begin_write()?;
    {
        let mut table = transaction.open_table(RECORDS)?;
        for Write { key, value } in writes {
            match value {
                Some(value) => drop(table.insert(key.as_str(), value.as_slice())?),
                None => drop(table.remove(key.as_str())?),
            }
        }
    }
    transaction.commit()?;
    Ok(())
}
