use std::path::PathBuf;

use crate::cli::Explained;
use crate::domain::InvalidId;
use crate::pki::key::KeyError;
use crate::pki::store::StoreError;
use crate::report::units;

/// Why `fleetstorm pki` made nothing, or not all.
#[derive(Debug, thiserror::Error, miette::Diagnostic)]
pub(super) enum PkiError {
    #[error("{} of the files are there already, the first is {}", units::count(*count), first.display())]
    #[diagnostic(help("give another --dir, or overwrite them with --force: keys that are overwritten are lost"))]
    Exist { count: u64, first: PathBuf },
    #[error("{} of the files are there already, the first is {}", units::count(*count), first.display())]
    #[diagnostic(help(
        "make only the devices that are not there yet with --only-missing, or overwrite all with --force: keys that \
         are overwritten are lost"
    ))]
    DevicesExist { count: u64, first: PathBuf },
    #[error("the {name} authority cannot be used: {source}")]
    #[diagnostic(help("make it with `fleetstorm pki {name}`, or name its folder with --dir"))]
    Authority { name: &'static str, source: StoreError },
    #[error(transparent)]
    #[diagnostic(help("is --dir a folder that you may write to?"))]
    Store(#[from] StoreError),
    #[error("cannot make the certificate of {name}: {source}")]
    #[diagnostic(help("look at --name, --days, --code and --key-algorithm"))]
    Make { name: String, source: KeyError },
    #[error("`{id}` is no registration id: {source}")]
    #[diagnostic(help("letters, digits and - . _ : make an id, at most 64 of them in a certificate"))]
    Id { id: String, source: InvalidId },
    #[error("a certificate of {days} days would outlive the {name} authority, which ends in {left} days")]
    #[diagnostic(help("give at most --days {left}, or make a new authority"))]
    Outlives { days: u32, name: &'static str, left: u64 },
    #[error("PKCS#12 files need a password")]
    #[diagnostic(help(
        "write it into a file and give --password-file FILE, or set {}; a flag would show it to every user of the \
         machine",
        super::devices::PASSWORD_ENV
    ))]
    NoPassword,
    #[error("the password {origin} {reason}")]
    #[diagnostic(help("its first line is the password"))]
    Password { origin: String, reason: String },
    #[error("cannot start the threads that make keys: {0}")]
    #[diagnostic(help("is the number of processes of this user limited (`ulimit -u`)?"))]
    Threads(#[from] rayon::ThreadPoolBuildError),
}

impl Explained for PkiError {}
