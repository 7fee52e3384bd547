use std::net::IpAddr;

use crate::emulator::StartError;
use crate::rig::target::bootstrap_files::BootstrapFilesError;
use crate::rig::target::{AboveQuota, EmbeddedError, EmulatorConfigError, TargetError};

/// A target cannot be put under load.
#[derive(Debug, thiserror::Error, miette::Diagnostic)]
pub enum OpenError {
    /// It cannot be used, or is not the one that is wanted.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Target(#[from] TargetError),
    /// Something that only the embedded emulator does.
    #[error(transparent)]
    #[diagnostic(transparent)]
    NotEmbedded(#[from] NotEmbedded),
    /// The settings of the embedded emulator are none.
    #[error(transparent)]
    #[diagnostic(transparent)]
    EmulatorConfig(#[from] EmulatorConfigError),
    /// Devices cannot attest.
    #[error(transparent)]
    #[diagnostic(transparent)]
    BootstrapFiles(#[from] BootstrapFilesError),
    /// The embedded emulator does not start.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Embedded(#[from] EmbeddedError),
    /// Devices cannot connect from there.
    #[error(transparent)]
    #[diagnostic(transparent)]
    NotOurs(#[from] NotOurs),
    /// The run asks for more than a target elsewhere gives.
    #[error(transparent)]
    #[diagnostic(transparent)]
    AboveQuota(#[from] AboveQuota),
    /// The emulator in this process does not start.
    #[error("the emulator does not start: {0}")]
    InProcess(#[from] StartError),
}

/// Something is asked of a target that only the embedded emulator does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error, miette::Diagnostic)]
pub enum NotEmbedded {
    /// Settings of its own.
    #[error("--emulator-config changes the embedded emulator, but the target is another one")]
    #[diagnostic(help("leave it away, or give it to `fleetstorm emulator --config FILE`"))]
    Config,
    /// Time that passes faster, or not as it was opened for.
    #[error("`time_scale` compresses time, but the target is not the embedded emulator, whose clock follows the run's")]
    #[diagnostic(help("run it with --target embedded, or with --set time_scale=\"1s = 1s\""))]
    TimeScale,
}

/// Nothing can be sent from there.
#[derive(Debug, thiserror::Error, miette::Diagnostic)]
#[error("--source-address {address} cannot be used: {source}")]
#[diagnostic(help("name addresses of this machine, as `ip address` lists them"))]
pub struct NotOurs {
    pub(super) address: IpAddr,
    pub(super) source: std::io::Error,
}
