//! The files that a command writes, checked before the work and listed after it.

use std::path::PathBuf;

use serde::Serialize;

use super::error::PkiError;
use crate::cli::{CommandError, Terminal};
use crate::pki::ca::CertificateAuthority;
use crate::pki::key::KeyError;
use crate::pki::store::{self, Existing, FileAccess, StoreError};

/// A file that was written.
#[derive(Debug, Serialize)]
pub(super) struct Written {
    pub(super) kind: FileKind,
    pub(super) path: PathBuf,
    /// Registration id, for a device's files.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) device: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum FileKind {
    Certificate,
    PrivateKey,
    Chain,
    Proof,
    Pkcs12,
}

/// What `--json` prints.
#[derive(Serialize)]
struct List<'a> {
    schema: u32,
    files: &'a [Written],
}

/// Writes one file and says what it was.
pub(super) fn write(
    kind: FileKind,
    path: PathBuf,
    content: &[u8],
    existing: Existing,
    device: Option<String>,
) -> Result<Written, StoreError> {
    let access = match kind {
        FileKind::PrivateKey | FileKind::Pkcs12 => FileAccess::Owner,
        FileKind::Certificate | FileKind::Chain | FileKind::Proof => FileAccess::Everybody,
    };
    store::write(&path, content, access, existing)?;
    Ok(Written { kind, path, device })
}

/// Certificate and key of an authority.
pub(super) fn write_authority(
    authority: &CertificateAuthority,
    certificate: PathBuf,
    key: PathBuf,
    existing: Existing,
) -> Result<Vec<Written>, PkiError> {
    let name = certificate.display().to_string();
    let pem = authority.key().to_pem().map_err(|source: KeyError| PkiError::Make { name, source })?;
    Ok(vec![
        write(FileKind::PrivateKey, key, pem.as_bytes(), existing, None)?,
        write(
            FileKind::Certificate,
            certificate,
            store::certificates_to_pem(&[authority.der()]).as_bytes(),
            existing,
            None,
        )?,
    ])
}

/// Fails before any work when one of the files is there and shall be kept.
pub(super) fn check(paths: &[PathBuf], existing: Existing) -> Result<(), PkiError> {
    if existing == Existing::Replace {
        return Ok(());
    }
    match present(paths) {
        (_, None) => Ok(()),
        (count, Some(first)) => Err(PkiError::Exist { count, first }),
    }
}

/// How many of the files are there, and the first that is.
pub(super) fn present(paths: &[PathBuf]) -> (u64, Option<PathBuf>) {
    let mut there = paths.iter().filter(|path| path.symlink_metadata().is_ok());
    let first = there.next().cloned();
    (u64::from(first.is_some()) + there.count() as u64, first)
}

/// Lists the files on stdout: all as JSON, or `text`.
pub(super) fn list(files: &[Written], text: &str, terminal: &Terminal) -> Result<(), CommandError> {
    if terminal.json {
        terminal.print_json(&List { schema: 1, files })?;
    } else {
        terminal.print(text)?;
    }
    Ok(())
}

/// One line per file.
pub(super) fn lines(files: &[Written]) -> String {
    files.iter().map(|file| format!("{}\n", file.path.display())).collect()
}
