//! Root, intermediate, proof of possession.

use std::time::SystemTime;

use super::error::PkiError;
use super::files::{self, FileKind};
use super::{FolderArgs, KeyArgs};
use crate::cli::{CommandError, Terminal};
use crate::pki::bootstrap::{self, Folder, INTERMEDIATE_DAYS, PROOF_DAYS, ROOT_DAYS};
use crate::pki::ca::{CertificateAuthority, Validity};
use crate::pki::store;

/// Longest validity that can be asked for: a hundred years.
pub(super) const MAX_DAYS: i64 = 36_500;

const ROOT_EXAMPLES: &str = "\
Examples:
  fleetstorm pki root
      pki/root.pem and its key pki/root.key.pem: everything else in the folder is made under it
  fleetstorm pki root --dir test-pki --name 'Contoso test root' --key-algorithm ecdsa-p384 --days 730
      elsewhere, with another name, key and life";

const INTERMEDIATE_EXAMPLES: &str = "\
Examples:
  fleetstorm pki intermediate
      pki/intermediate.pem, its key, and pki/chain.pem with it and the root in one file
  fleetstorm pki intermediate --force --days 90
      a new one in the place of the old; devices have to be made anew";

const PROOF_EXAMPLES: &str = "\
Examples:
  az iot dps certificate generate-verification-code … --query properties.verificationCode
      the code, after the authority was uploaded
  fleetstorm pki proof --code 0123456789ABCDEF
      the certificate to upload with `az iot dps certificate verify`";

/// Arguments of `fleetstorm pki root`.
#[derive(Debug, clap::Args)]
#[command(after_help = ROOT_EXAMPLES)]
pub struct RootArgs {
    /// Where it goes.
    #[command(flatten)]
    pub folder: FolderArgs,
    /// Its key.
    #[command(flatten)]
    pub key: KeyArgs,
    /// Common name, 1 to 64 characters
    #[arg(long, value_name = "NAME", default_value = "Fleet root")]
    pub name: String,
    /// Days of validity
    #[arg(long, value_name = "DAYS", default_value_t = ROOT_DAYS, value_parser = clap::value_parser!(u32).range(1..=MAX_DAYS))]
    pub days: u32,
}

/// Arguments of `fleetstorm pki intermediate`.
#[derive(Debug, clap::Args)]
#[command(after_help = INTERMEDIATE_EXAMPLES)]
pub struct IntermediateArgs {
    /// Where it goes, and where the root is.
    #[command(flatten)]
    pub folder: FolderArgs,
    /// Its key.
    #[command(flatten)]
    pub key: KeyArgs,
    /// Common name, 1 to 64 characters
    #[arg(long, value_name = "NAME", default_value = "Fleet intermediate")]
    pub name: String,
    /// Days of validity
    #[arg(long, value_name = "DAYS", default_value_t = INTERMEDIATE_DAYS, value_parser = clap::value_parser!(u32).range(1..=MAX_DAYS))]
    pub days: u32,
}

/// Arguments of `fleetstorm pki proof`.
#[derive(Debug, clap::Args)]
#[command(after_help = PROOF_EXAMPLES)]
pub struct ProofArgs {
    /// Where the authority is, and where the proof goes.
    #[command(flatten)]
    pub folder: FolderArgs,
    /// Verification code that DPS generated for the uploaded authority
    #[arg(long, value_name = "CODE")]
    pub code: String,
    /// Authority that was uploaded
    #[arg(long, value_name = "AUTHORITY", value_enum, default_value_t = AuthorityName::Intermediate)]
    pub of: AuthorityName,
    /// Days of validity
    #[arg(long, value_name = "DAYS", default_value_t = PROOF_DAYS, value_parser = clap::value_parser!(u32).range(1..=MAX_DAYS))]
    pub days: u32,
}

/// An authority by its file name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum AuthorityName {
    /// root.pem
    Root,
    /// intermediate.pem
    Intermediate,
}

impl AuthorityName {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Root => "root",
            Self::Intermediate => "intermediate",
        }
    }
}

pub(super) fn root(args: RootArgs, terminal: &Terminal) -> Result<(), CommandError> {
    let RootArgs { folder, key, name, days } = args;
    let (folder, existing) = folder.resolve();
    let (certificate, key_file) = (folder.certificate("root"), folder.key("root"));
    files::check(&[certificate.clone(), key_file.clone()], existing)?;
    let root = bootstrap::root(&name, key.key_algorithm, days, SystemTime::now())
        .map_err(|source| PkiError::Make { name, source })?;
    store::create_folder(folder.path()).map_err(PkiError::from)?;
    let written = files::write_authority(&root, certificate, key_file, existing)?;
    if folder.certificate("intermediate").exists() {
        terminal.note("pki: the intermediate and the devices in this folder belong to the old root: make them anew");
    }
    files::list(&written, &files::lines(&written), terminal)
}

pub(super) fn intermediate(args: IntermediateArgs, terminal: &Terminal) -> Result<(), CommandError> {
    let IntermediateArgs { folder, key, name, days } = args;
    let (folder, existing) = folder.resolve();
    let (certificate, key_file) = (folder.certificate("intermediate"), folder.key("intermediate"));
    files::check(&[certificate.clone(), key_file.clone(), folder.chain()], existing)?;
    let now = SystemTime::now();
    let root = load(&folder, AuthorityName::Root)?;
    outlives(&root, AuthorityName::Root, days, now)?;
    let intermediate = bootstrap::intermediate(&root, &name, key.key_algorithm, days, now)
        .map_err(|source| PkiError::Make { name, source })?;
    let mut written = files::write_authority(&intermediate, certificate, key_file, existing)?;
    let chain = store::certificates_to_pem(&[intermediate.der(), root.der()]);
    written
        .push(files::write(FileKind::Chain, folder.chain(), chain.as_bytes(), existing, None).map_err(PkiError::from)?);
    files::list(&written, &files::lines(&written), terminal)
}

pub(super) fn proof(args: ProofArgs, terminal: &Terminal) -> Result<(), CommandError> {
    let ProofArgs { folder, code, of, days } = args;
    let (folder, existing) = folder.resolve();
    let path = folder.path().join(format!("{}.proof.pem", of.name()));
    files::check(std::slice::from_ref(&path), existing)?;
    let now = SystemTime::now();
    let authority = load(&folder, of)?;
    outlives(&authority, of, days, now)?;
    let der = bootstrap::proof_of_possession(&authority, code.trim(), days, now)
        .map_err(|source| PkiError::Make { name: format!("the code {code}"), source })?;
    let pem = store::certificates_to_pem(&[der]);
    let written = files::write(FileKind::Proof, path, pem.as_bytes(), existing, None).map_err(PkiError::from)?;
    let written = [written];
    files::list(&written, &files::lines(&written), terminal)
}

pub(super) fn load(folder: &Folder, authority: AuthorityName) -> Result<CertificateAuthority, PkiError> {
    let name = authority.name();
    folder.authority(name).map_err(|source| PkiError::Authority { name, source })
}

/// Refuses a certificate that would be valid when its issuer no longer is.
pub(super) fn outlives(
    authority: &CertificateAuthority,
    name: AuthorityName,
    days: u32,
    now: SystemTime,
) -> Result<(), PkiError> {
    let end = authority.validity().not_after;
    // The authority may have been made a moment ago for the same number of days.
    if Validity::days(days, now).not_after <= end + std::time::Duration::from_secs(24 * 60 * 60) {
        return Ok(());
    }
    let left = end.duration_since(now).unwrap_or_default().as_secs() / (24 * 60 * 60);
    Err(PkiError::Outlives { days, name: name.name(), left })
}
