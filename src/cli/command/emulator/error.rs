use std::io;
use std::path::PathBuf;

use crate::cli::secrets::NotText;
use crate::cli::{Exit, Explained};
use crate::emulator::{Address, ConfigError, ListenError, StartError, StateError};
use crate::pki::sas::SymmetricKeyError;
use crate::pki::store::StoreError;
use crate::rig::target::GROUP_KEY_ENV;
use crate::settings::Problems;

/// Why the emulator did not start.
#[derive(Debug, thiserror::Error, miette::Diagnostic)]
pub(super) enum EmulatorError {
    #[error("cannot read {}: {error}", file.display())]
    #[diagnostic(help("{flag} names it"))]
    Read { flag: &'static str, file: PathBuf, error: io::Error },
    #[error(transparent)]
    #[diagnostic(transparent)]
    Settings(Problems),
    #[error(transparent)]
    #[diagnostic(help("change it in the file of --config, or with the flag of that name"))]
    Config(ConfigError),
    #[error("the group key in {origin}: {error}")]
    #[diagnostic(help(
        "give base64 of 16 to 64 bytes with --group-key-file FILE or in {GROUP_KEY_ENV}, or leave both away for a random key"
    ))]
    GroupKey { origin: String, error: SymmetricKeyError },
    #[error(transparent)]
    #[diagnostic(transparent)]
    NotText(#[from] NotText),
    #[error("{error}")]
    #[diagnostic(help("`{setting}` in the file of --config names it"))]
    Certificate { setting: &'static str, error: StoreError },
    #[error("{address} can be reached from other machines")]
    #[diagnostic(help("add --allow-remote if that is meant: the emulator is no safe server"))]
    Remote { address: Address },
    #[error(transparent)]
    #[diagnostic(help("--state names the folder; one emulator at a time can use it"))]
    State(StateError),
    #[error("the state could not be written: {0}")]
    #[diagnostic(help("what was acknowledged before is in the folder of --state"))]
    NotStored(String),
    #[error(transparent)]
    Start(StartError),
    #[error("cannot listen on {address}: it is in use")]
    #[diagnostic(help("end whoever listens there, or choose other ports: --mqtt-port 0 takes free ones"))]
    InUse { address: std::net::SocketAddr },
    #[error("cannot listen on {address}: {error}")]
    #[diagnostic(help(
        "--listen, --management-listen and the port flags name the address; ports below 1024 need privileges"
    ))]
    Listen { address: std::net::SocketAddr, error: io::Error },
    #[error("cannot write {}: {error}", path.display())]
    #[diagnostic(help("{flag} says where"))]
    Write { flag: &'static str, path: PathBuf, error: io::Error },
    #[error("the system refuses what the emulator needs: {0}")]
    Runtime(io::Error),
}

impl From<StartError> for EmulatorError {
    fn from(error: StartError) -> Self {
        match error {
            StartError::Config(error) => Self::Config(error),
            StartError::Listen(ListenError { address, source }) if source.kind() == io::ErrorKind::AddrInUse => {
                Self::InUse { address }
            }
            StartError::Listen(ListenError { address, source }) => Self::Listen { address, error: source },
            StartError::State(error) => Self::State(error),
            other => Self::Start(other),
        }
    }
}

impl Explained for EmulatorError {
    fn exit(&self) -> Exit {
        match self {
            Self::Read { .. }
            | Self::Settings(_)
            | Self::Config(_)
            | Self::GroupKey { .. }
            | Self::NotText(_)
            | Self::Certificate { .. }
            | Self::Remote { .. } => Exit::Usage,
            Self::InUse { .. } | Self::Listen { .. } => Exit::Unreachable,
            Self::State(_) | Self::NotStored(_) | Self::Start(_) | Self::Write { .. } | Self::Runtime(_) => {
                Exit::Unexpected
            }
        }
    }
}
