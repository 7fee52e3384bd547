use std::fs::{self, DirBuilder, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use super::error::EmulatorError;
use crate::emulator::Emulator;
use crate::pki::store::{self, Existing, FileAccess, StoreError, certificates_to_pem};
use crate::rig::target::Connection;

/// The files that devices and their owners need. A folder that was made for them is removed when this is dropped.
#[derive(Debug)]
pub(super) struct Files {
    pub(super) group_key: PathBuf,
    pub(super) ca: PathBuf,
    pub(super) issuing_root: PathBuf,
    /// None when there is no control plane.
    pub(super) management_token: Option<PathBuf>,
    _temporary: Option<TempDir>,
}

impl Files {
    /// Writes them into `dir`, or into a fresh folder that only we can read.
    pub(super) fn write(dir: Option<PathBuf>, emulator: &Emulator) -> Result<Self, EmulatorError> {
        let failed = |path: &Path, error| EmulatorError::Write { flag: "--dir", path: path.to_owned(), error };
        let (dir, temporary) = match dir {
            Some(dir) => {
                DirBuilder::new().recursive(true).mode(0o700).create(&dir).map_err(|e| failed(&dir, e))?;
                (fs::canonicalize(&dir).map_err(|e| failed(&dir, e))?, None)
            }
            None => {
                let made = private_folder().map_err(|e| failed(&std::env::temp_dir(), e))?;
                (made.path().to_owned(), Some(made))
            }
        };
        let files = Self {
            group_key: dir.join("group.key"),
            ca: dir.join("ca.pem"),
            issuing_root: dir.join("issuing-root.pem"),
            management_token: emulator.management_token().map(|_| dir.join("management.token")),
            _temporary: temporary,
        };
        let service = emulator.service();
        let key = service.group_key().to_base64();
        let contents: [(&Path, FileAccess, &str); 3] = [
            (&files.group_key, FileAccess::Owner, &key),
            (&files.ca, FileAccess::Everybody, &certificates_to_pem(&[&emulator.endpoints().server_root])),
            (&files.issuing_root, FileAccess::Everybody, &certificates_to_pem(&[service.issuing_root()])),
        ];
        let token = files.management_token.as_deref().zip(emulator.management_token());
        let token = token.map(|(path, token)| (path, FileAccess::Owner, token));
        for (path, access, text) in contents.into_iter().chain(token) {
            replace(path, access, text).map_err(|e| failed(path, e))?;
        }
        Ok(files)
    }
}

/// A fresh folder that nobody else can look into, whatever the umask: the library leaves the mode to that.
fn private_folder() -> io::Result<TempDir> {
    let private = Permissions::from_mode(0o700);
    let made = tempfile::Builder::new().prefix("fleetstorm-emulator-").permissions(private.clone()).tempdir()?;
    // The umask took from it what it forbids, perhaps too much.
    fs::set_permissions(made.path(), private)?;
    Ok(made)
}

/// Writes the description of the endpoints for `run --target`.
pub(super) fn write_connection(file: &Path, connection: &Connection) -> Result<(), EmulatorError> {
    let write = || {
        let mut text = serde_json::to_string_pretty(connection)?;
        text.push('\n');
        replace(file, FileAccess::Everybody, &text)
    };
    write().map_err(|error| EmulatorError::Write { flag: "--connection-file", path: file.to_owned(), error })
}

/// Writes a file as a whole: readers see the old one or the new one, and its mode is right from the start.
fn replace(path: &Path, access: FileAccess, text: &str) -> io::Result<()> {
    store::write(path, text.as_bytes(), access, Existing::Replace).map_err(|error| match error {
        StoreError::Io { source, .. } => source,
        other => io::Error::other(other),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_replaced_with_its_mode() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("group.key");
        fs::write(&path, "old").unwrap();
        replace(&path, FileAccess::Owner, "new").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "new");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }
}
