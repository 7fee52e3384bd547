//! Key and certificate files: PEM, written whole or not at all, private ones for their owner alone.

use std::fs::{self, Permissions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use crate::domain::CryptoProvider;
use crate::pki::key::{DeviceKey, KeyError};
use crate::pki::pem_text::{self, PemError};

/// Largest file that is read, in bytes: bundles of web roots have 300 KB.
const MAX_FILE_LENGTH: u64 = 4 * 1024 * 1024;

/// Who may read a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileAccess {
    /// Its owner (mode 0600): private keys.
    Owner,
    /// Everybody, as the umask has it (mode 0644): certificates.
    Everybody,
}

/// What to do with a file that is there already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Existing {
    /// Leave it alone and fail: a key that is overwritten is lost.
    Keep,
    /// Replace it.
    Replace,
}

/// A file that could not be written or read.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The system refused.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It is there already.
    #[error("{} is there already", .0.display())]
    Exists(PathBuf),
    /// Too large for a PEM file.
    #[error("{} is larger than 4 MiB: is it a PEM file?", .0.display())]
    TooLarge(PathBuf),
    /// No certificate in it, or a damaged one.
    #[error("{} holds no usable certificate (PEM): {source}", path.display())]
    NoCertificate {
        /// The file.
        path: PathBuf,
        /// Why.
        source: PemError,
    },
    /// No usable private key in it.
    #[error("{}: {source}", path.display())]
    Key {
        /// The file.
        path: PathBuf,
        /// Why.
        source: KeyError,
    },
}

impl StoreError {
    fn io(action: &'static str, path: &Path, source: io::Error) -> Self {
        Self::Io { action, path: path.to_owned(), source }
    }
}

/// Makes a folder that only its owner can enter, with those above it; one that exists stays as it is.
///
/// # Errors
/// [`StoreError::Io`].
pub fn create_folder(path: &Path) -> Result<(), StoreError> {
    let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(path);
    made.map_err(|source| StoreError::io("make the folder", path, source))
}

/// Writes a file: under another name first, so that nobody ever sees half of it. It has its final mode from the start.
///
/// # Errors
/// [`StoreError::Exists`] when it is there and shall be kept, [`StoreError::Io`].
pub fn write(path: &Path, content: &[u8], access: FileAccess, existing: Existing) -> Result<(), StoreError> {
    let failed = |source| StoreError::io("write", path, source);
    // Beside it, so that both are on one file system; a name alone is in the empty path, which is the present folder.
    let folder = path.parent().unwrap_or(path);
    let mode = match access {
        FileAccess::Owner => 0o600,
        FileAccess::Everybody => 0o644,
    };
    let mut file = tempfile::Builder::new()
        .prefix(".fleetstorm-")
        .permissions(Permissions::from_mode(mode))
        .tempfile_in(folder)
        .map_err(failed)?;
    file.write_all(content).map_err(failed)?;
    let kept = match existing {
        Existing::Keep => file.persist_noclobber(path),
        Existing::Replace => file.persist(path),
    };
    match kept {
        Ok(_) => Ok(()),
        Err(error) if error.error.kind() == io::ErrorKind::AlreadyExists => Err(StoreError::Exists(path.to_owned())),
        Err(error) => Err(failed(error.error)),
    }
}

/// Certificates as PEM, in the order given.
pub fn certificates_to_pem<D: AsRef<[u8]>>(ders: &[D]) -> String {
    let config = pem::EncodeConfig::new().set_line_ending(pem::LineEnding::LF);
    ders.iter().map(|der| pem::encode_config(&pem::Pem::new("CERTIFICATE", der.as_ref()), config)).collect()
}

/// Reads all certificates of a PEM file as DER, in their order; other blocks are ignored.
///
/// # Errors
/// [`StoreError::NoCertificate`] when there is none or one is broken, [`StoreError::Io`], [`StoreError::TooLarge`].
pub fn read_certificates(path: &Path) -> Result<Vec<Vec<u8>>, StoreError> {
    let text = read(path)?;
    pem_text::certificates(&text).map_err(|source| StoreError::NoCertificate { path: path.to_owned(), source })
}

/// Reads the first certificate of a PEM file as DER.
///
/// # Errors
/// As [`read_certificates`].
pub fn read_certificate(path: &Path) -> Result<Vec<u8>, StoreError> {
    let absent = || StoreError::NoCertificate { path: path.to_owned(), source: PemError::Absent };
    read_certificates(path)?.into_iter().next().ok_or_else(absent)
}

/// Reads the private key of a PEM file.
///
/// # Errors
/// [`StoreError::Key`], [`StoreError::Io`], [`StoreError::TooLarge`].
pub fn read_key(path: &Path, provider: CryptoProvider) -> Result<DeviceKey, StoreError> {
    let text = read(path)?;
    let key = |source| StoreError::Key { path: path.to_owned(), source };
    DeviceKey::from_pem(&text, provider).map_err(key)
}

fn read(path: &Path) -> Result<Zeroizing<Vec<u8>>, StoreError> {
    let failed = |source| StoreError::io("read", path, source);
    let length = fs::metadata(path).map_err(failed)?.len();
    if length > MAX_FILE_LENGTH {
        return Err(StoreError::TooLarge(path.to_owned()));
    }
    fs::read(path).map(Zeroizing::new).map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pki::test_support::{Adr, key};

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn files_are_written_once_with_their_mode() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("device.key.pem");
        write(&path, b"one", FileAccess::Owner, Existing::Keep).unwrap();
        assert_eq!(mode(&path), 0o600);
        let again = write(&path, b"two", FileAccess::Owner, Existing::Keep);
        assert!(matches!(again, Err(StoreError::Exists(_))));
        assert_eq!(fs::read(&path).unwrap(), b"one");
        write(&path, b"three", FileAccess::Everybody, Existing::Replace).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"three");
        assert_eq!(mode(&path) & 0o600, 0o600);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "nothing is left behind");
    }

    #[test]
    fn folders_are_private() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a/b");
        create_folder(&path).unwrap();
        create_folder(&path).unwrap();
        assert_eq!(mode(&path), 0o700);
    }

    #[test]
    fn certificates_and_keys_come_back() {
        let folder = tempfile::tempdir().unwrap();
        let (adr, key) = (Adr::new(), key());
        let chain = adr.chain(&key, "device-0001");
        let (certificates, private) = (folder.path().join("a.pem"), folder.path().join("a.key.pem"));
        write(&certificates, certificates_to_pem(&chain).as_bytes(), FileAccess::Everybody, Existing::Keep).unwrap();
        write(&private, key.to_pem().unwrap().as_bytes(), FileAccess::Owner, Existing::Keep).unwrap();
        assert_eq!(read_certificates(&certificates).unwrap(), chain);
        assert_eq!(read_key(&private, CryptoProvider::Ring).unwrap().spki_der(), key.spki_der());
        assert!(matches!(read_certificates(&private), Err(StoreError::NoCertificate { source: PemError::Absent, .. })));
        assert!(matches!(read_key(&certificates, CryptoProvider::AwsLc), Err(StoreError::Key { .. })));
    }

    #[test]
    fn what_cannot_be_read_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("absent.pem");
        let error = read_certificates(&path).unwrap_err().to_string();
        assert!(error.contains("absent.pem"), "{error}");
        let nowhere = folder.path().join("absent/file.pem");
        assert!(matches!(write(&nowhere, b"", FileAccess::Owner, Existing::Keep), Err(StoreError::Io { .. })));
        let onto_a_folder = write(folder.path(), b"", FileAccess::Owner, Existing::Replace);
        assert!(matches!(onto_a_folder, Err(StoreError::Io { .. })), "it is there, but that is not what is wrong");
    }

    #[test]
    fn files_of_up_to_4_mib_are_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("large.pem");
        let file = fs::File::create(&path).unwrap();
        file.set_len(4 * 1024 * 1024).unwrap();
        assert_eq!(read(&path).unwrap().len(), 4 * 1024 * 1024);
        file.set_len(4 * 1024 * 1024 + 1).unwrap();
        assert!(matches!(read_certificates(&path), Err(StoreError::TooLarge(_))));
    }
}
