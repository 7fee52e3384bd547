//! Bootstrap certificates in bulk.

use std::fs;
use std::path::PathBuf;
use std::time::SystemTime;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use rayon::prelude::*;
use zeroize::Zeroizing;

use super::authorities::{AuthorityName, MAX_DAYS, load, outlives};
use super::error::PkiError;
use super::files::{self, FileKind, Written};
use super::{FolderArgs, KeyArgs};
use crate::cli::secrets::{NotText, secret};
use crate::cli::{CommandError, Terminal};
use crate::domain::{CryptoProvider, KeyAlgorithm, RegistrationId, without_byte_order_mark};
use crate::emulator;
use crate::pki::bootstrap::{self, BootstrapIdentity, DEVICE_DAYS, Folder};
use crate::pki::ca::CertificateAuthority;
use crate::pki::key::{DeviceKey, KeyError};
use crate::pki::pfx::{self, Protection};
use crate::pki::store::{self, Existing};
use crate::report::units;
use crate::scenario::{Fleet, IdPattern, Scenario};

/// Environment variable with the password of PKCS#12 files. Never a flag: arguments are visible to every user of the
/// machine.
pub(in crate::cli) const PASSWORD_ENV: &str = "FLEETSTORM_PFX_PASSWORD";

const EXAMPLES: &str = "\
Examples:
  fleetstorm pki devices --scenario scenarios/x509-fleet.toml
      one for each device of a scenario
  fleetstorm pki devices --count 10000 --pattern 'meter-{index:05}' --only-missing
      goes on where it was interrupted
  fleetstorm pki devices sensor-1 sensor-2 --export pfx --password-file password.txt
      PKCS#12 for two devices with names of their own
  fleetstorm pki devices sensor-3 --export pfx --pfx-cipher 3des --password-file password.txt
      PKCS#12 that Windows Server 2016 imports";

/// Arguments of `fleetstorm pki devices`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES, group = clap::ArgGroup::new("which").required(true).args(["ids", "count", "scenario"]))]
pub struct DevicesArgs {
    /// Registration ids
    #[arg(value_name = "ID")]
    pub ids: Vec<String>,
    /// Number of devices, named by --pattern
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=i64::from(Fleet::MAX_DEVICES)))]
    pub count: Option<u32>,
    /// How the registration ids of --count are made
    #[arg(long, value_name = "PATTERN", default_value = "device-{index:06}", value_parser = IdPattern::new, requires = "count")]
    pub pattern: IdPattern,
    /// Make the devices of a scenario file
    #[arg(long, value_name = "FILE")]
    pub scenario: Option<PathBuf>,
    /// Where they go, and where their authority is.
    #[command(flatten)]
    pub folder: FolderArgs,
    /// Make only devices that are not there yet, as after an interruption
    #[arg(long, conflicts_with = "force")]
    pub only_missing: bool,
    /// Their keys.
    #[command(flatten)]
    pub key: KeyArgs,
    /// Authority that signs them
    #[arg(long, value_name = "AUTHORITY", value_enum, default_value_t = AuthorityName::Intermediate)]
    pub by: AuthorityName,
    /// Days of validity
    #[arg(long, value_name = "DAYS", default_value_t = DEVICE_DAYS, value_parser = clap::value_parser!(u32).range(1..=MAX_DAYS))]
    pub days: u32,
    /// Form of the files: pem (certificate and key apart; what `fleetstorm run` reads) or pfx (PKCS#12)
    #[arg(long, value_name = "FORM", value_enum, default_value_t = Form::Pem)]
    pub export: Form,
    /// Protection of PKCS#12 files: aes-256, or 3des (Triple DES and SHA-1: weak, but all that Windows Server 2016 and other
    /// old programs import)
    #[arg(long, value_name = "CIPHER", value_enum, default_value_t = PfxCipher::Aes256)]
    pub pfx_cipher: PfxCipher,
    /// File with the password of PKCS#12 files [default: the environment variable FLEETSTORM_PFX_PASSWORD]
    #[arg(long, value_name = "FILE")]
    pub password_file: Option<PathBuf>,
}

/// Form of a device's files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Form {
    /// Certificate with chain, and private key, in two files.
    Pem,
    /// Everything in one encrypted file.
    Pfx,
}

/// Protection of a PKCS#12 file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum PfxCipher {
    /// PBES2 with AES-256, HMAC-SHA-256.
    #[value(name = "aes-256")]
    Aes256,
    /// PBE with SHA-1 and Triple DES, HMAC-SHA-1.
    #[value(name = "3des")]
    TripleDes,
}

impl From<PfxCipher> for Protection {
    fn from(cipher: PfxCipher) -> Self {
        match cipher {
            PfxCipher::Aes256 => Self::Aes256,
            PfxCipher::TripleDes => Self::TripleDes,
        }
    }
}

/// What all devices of one call share.
struct Maker {
    folder: Folder,
    existing: Existing,
    only_missing: bool,
    authority: CertificateAuthority,
    /// What a device presents after its own certificate.
    above: Vec<Vec<u8>>,
    algorithm: KeyAlgorithm,
    days: u32,
    now: SystemTime,
    password: Option<Zeroizing<String>>,
    protection: Protection,
}

pub(super) fn run(args: DevicesArgs, terminal: &Terminal) -> Result<(), CommandError> {
    let DevicesArgs {
        ids,
        count,
        pattern,
        scenario,
        folder,
        only_missing,
        key,
        by,
        days,
        export,
        pfx_cipher,
        password_file,
    } = args;
    let mut ids = match (count, scenario) {
        (Some(count), _) => of_pattern(&pattern, count)?,
        (None, Some(file)) => {
            let fleet = Scenario::load(&file, &[], emulator::read_within)?.fleet;
            of_pattern(&fleet.registration_id, fleet.devices)?
        }
        (None, None) => given(ids)?,
    };
    let (folder, existing) = folder.resolve();
    let asked = ids.len();
    ids = missing(&folder, ids, export, existing, only_missing)?;
    let now = SystemTime::now();
    let authority = load(&folder, by)?;
    outlives(&authority, by, days, now)?;
    let above = match by {
        AuthorityName::Root => Vec::new(),
        AuthorityName::Intermediate => vec![authority.der().to_vec()],
    };
    let password = match export {
        Form::Pem => None,
        Form::Pfx => Some(password(password_file)?),
    };
    store::create_folder(&folder.devices()).map_err(PkiError::from)?;
    let KeyArgs { key_algorithm: algorithm } = key;
    let protection = pfx_cipher.into();
    let maker = Maker { folder, existing, only_missing, authority, above, algorithm, days, now, password, protection };
    let progress = progress(terminal, ids.len() as u64);
    // All cores, apart from any other pool of the process.
    let pool = rayon::ThreadPoolBuilder::new().build().map_err(PkiError::from)?;
    let made: Result<Vec<Vec<Written>>, PkiError> =
        pool.install(|| ids.par_iter().map(|id| maker.make(id).inspect(|_| progress.inc(1))).collect());
    progress.finish_and_clear();
    let written: Vec<Written> = made?.into_iter().flatten().collect();
    let text = format!(
        "{} of {} certificates made in {}\n",
        units::count(ids.len() as u64),
        units::count(asked as u64),
        maker.folder.devices().display()
    );
    files::list(&written, &text, terminal)
}

impl Maker {
    fn make(&self, id: &RegistrationId) -> Result<Vec<Written>, PkiError> {
        let failed = |source: KeyError| PkiError::Make { name: id.to_string(), source };
        let write = |kind, path, content: &[u8]| files::write(kind, path, content, self.existing, Some(id.to_string()));
        let mut written = Vec::with_capacity(2);
        let kept = self.folder.device_key(id);
        let key = if self.only_missing && kept.exists() {
            // A key without a certificate: the last call was interrupted between the two.
            store::read_key(&kept, CryptoProvider::AwsLc)?
        } else {
            let key = DeviceKey::generate(self.algorithm, CryptoProvider::AwsLc).map_err(failed)?;
            if self.password.is_none() {
                written.push(write(FileKind::PrivateKey, kept, key.to_pem().map_err(failed)?.as_bytes())?);
            }
            key
        };
        let BootstrapIdentity { chain, key } =
            bootstrap::device(&self.authority, &self.above, id, key, self.days, self.now).map_err(failed)?;
        written.push(match &self.password {
            Some(password) => {
                let document = pfx::encode(id.as_str(), &chain, &key, password, self.protection).map_err(failed)?;
                write(FileKind::Pkcs12, self.folder.device_pfx(id), &document)?
            }
            None => {
                let certificate = store::certificates_to_pem(&chain);
                write(FileKind::Certificate, self.folder.device_certificate(id), certificate.as_bytes())?
            }
        });
        Ok(written)
    }
}

fn of_pattern(pattern: &IdPattern, count: u32) -> Result<Vec<RegistrationId>, PkiError> {
    (0..count)
        .map(|index| {
            pattern.registration_id(index).map_err(|source| PkiError::Id { id: format!("device {index}"), source })
        })
        .collect()
}

/// Ids as typed, each once.
fn given(ids: Vec<String>) -> Result<Vec<RegistrationId>, PkiError> {
    let mut ids = ids
        .into_iter()
        .map(|id| RegistrationId::new(&id).map_err(|source| PkiError::Id { id, source }))
        .collect::<Result<Vec<_>, _>>()?;
    ids.sort();
    ids.dedup();
    Ok(ids)
}

/// The devices to make: all of them, or those that have no certificate yet.
fn missing(
    folder: &Folder,
    ids: Vec<RegistrationId>,
    form: Form,
    existing: Existing,
    only_missing: bool,
) -> Result<Vec<RegistrationId>, PkiError> {
    if existing == Existing::Replace {
        return Ok(ids);
    }
    if only_missing {
        let certificate = |id: &RegistrationId| match form {
            Form::Pem => folder.device_certificate(id),
            Form::Pfx => folder.device_pfx(id),
        };
        return Ok(ids.into_iter().filter(|id| certificate(id).symlink_metadata().is_err()).collect());
    }
    let files = ids.iter().flat_map(|id| match form {
        Form::Pem => vec![folder.device_key(id), folder.device_certificate(id)],
        Form::Pfx => vec![folder.device_pfx(id)],
    });
    match files::present(&files.collect::<Vec<_>>()) {
        (_, None) => Ok(ids),
        (count, Some(first)) => Err(PkiError::DevicesExist { count, first }),
    }
}

/// The password of PKCS#12 files, from a file or the environment.
fn password(file: Option<PathBuf>) -> Result<Zeroizing<String>, PkiError> {
    let (text, origin) = match file {
        Some(path) => {
            let origin = format!("file {}", path.display());
            match fs::read_to_string(&path) {
                Ok(text) => (Zeroizing::new(without_byte_order_mark(text)), origin),
                Err(error) => return Err(PkiError::Password { origin, reason: format!("cannot be read: {error}") }),
            }
        }
        None => match secret(PASSWORD_ENV) {
            Ok(Some(text)) => (text, format!("in {PASSWORD_ENV}")),
            Ok(None) => return Err(PkiError::NoPassword),
            Err(NotText(_)) => {
                let (origin, reason) = (format!("in {PASSWORD_ENV}"), "is not UTF-8".to_owned());
                return Err(PkiError::Password { origin, reason });
            }
        },
    };
    match text.lines().next() {
        Some(line) if !line.is_empty() => Ok(Zeroizing::new(line.to_owned())),
        _ => Err(PkiError::Password { origin, reason: "is empty".to_owned() }),
    }
}

fn progress(terminal: &Terminal, count: u64) -> ProgressBar {
    if terminal.quiet || !terminal.interactive {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::with_draw_target(Some(count), ProgressDrawTarget::stderr_with_hz(10));
    let template = "certificates {bar:40} {human_pos}/{human_len} {per_sec} eta {eta}";
    // The template is a constant that the tests draw once.
    bar.set_style(ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar()));
    bar
}
