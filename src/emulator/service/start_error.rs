use std::io;

use crate::emulator::config::ConfigError;
use crate::emulator::core::CoreError;
use crate::emulator::listening::listeners::ListenError;
use crate::emulator::service_model::HistogramError;
use crate::emulator::state::StateError;
use crate::pki::chain::ChainError;
use crate::pki::key::KeyError;
use crate::pki::tls::TlsConfigError;

/// Why the emulator does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A value of the configuration cannot be.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// Somebody else listens there, or the address is not ours.
    #[error(transparent)]
    Listen(#[from] ListenError),
    /// Authorities could not be made.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The hub cannot use the issuing CA.
    #[error("the hub cannot use the issuing CA: {0}")]
    Authority(#[source] ChainError),
    /// A histogram of latencies cannot be used.
    #[error("`model`: {0}")]
    Histogram(#[from] HistogramError),
    /// The state cannot be kept.
    #[error(transparent)]
    State(#[from] StateError),
    /// The TLS server could not be made.
    #[error(transparent)]
    Tls(#[from] TlsConfigError),
    /// The system refused threads.
    #[error("cannot start the threads that sign certificates: {0}")]
    Threads(#[source] io::Error),
}

impl From<CoreError> for StartError {
    fn from(error: CoreError) -> Self {
        match error {
            CoreError::Config(error) => Self::Config(error),
            CoreError::Key(error) => Self::Key(error),
            CoreError::Authority(error) => Self::Authority(error),
            CoreError::Histogram(error) => Self::Histogram(error),
            CoreError::State(error) => Self::State(error),
            CoreError::Threads(error) => Self::Threads(error),
        }
    }
}
