//! How errors of the layers below end the process. All that is not named here is unexpected.

use crate::cli::{Exit, Explained};
use crate::report::FolderError;
use crate::rig::defect::Defect;
use crate::rig::machine::{OpenFilesError, clock::WrongClock};
use crate::rig::metrics::{MetricsError, otlp::OtlpError};
use crate::rig::rows::RowsError;
use crate::rig::target::{EmulatorConfigError, TargetError};
use crate::rig::{OpenError, RunError};
use crate::settings::Problems;

impl Explained for FolderError {}
impl Explained for Defect {}
impl Explained for OpenFilesError {}
impl Explained for WrongClock {}
impl Explained for RowsError {}

impl Explained for Problems {
    fn exit(&self) -> Exit {
        Exit::ScenarioInvalid
    }
}

impl Explained for MetricsError {
    fn exit(&self) -> Exit {
        Exit::Usage
    }
}

impl Explained for OtlpError {
    fn exit(&self) -> Exit {
        Exit::Usage
    }
}

impl Explained for OpenError {
    fn exit(&self) -> Exit {
        match self {
            Self::Target(error) => error.exit(),
            Self::EmulatorConfig(error) => error.exit(),
            Self::NotEmbedded(_) | Self::NotOurs(_) | Self::AboveQuota(_) => Exit::Usage,
            Self::BootstrapFiles(_) | Self::Embedded(_) | Self::InProcess(_) => Exit::Unexpected,
        }
    }
}

impl Explained for RunError {
    fn exit(&self) -> Exit {
        match self {
            Self::Target(error) => error.exit(),
            Self::Metrics(error) => error.exit(),
            Self::Stopped => Exit::Interrupted,
            Self::Engine(_) | Self::Defect(_) | Self::Pipe(_) | Self::OpenFiles(_) => Exit::Unexpected,
        }
    }
}

impl Explained for EmulatorConfigError {
    fn exit(&self) -> Exit {
        match self {
            Self::Scenario { .. } => Exit::ScenarioInvalid,
            Self::Read { .. } | Self::File { .. } => Exit::Usage,
            Self::NoAuthority { .. } | Self::Write(_) => Exit::Unexpected,
        }
    }
}

impl Explained for TargetError {
    /// What is typed wrong is usage, what does not answer is unreachable.
    fn exit(&self) -> Exit {
        match self {
            Self::NoKey
            | Self::NoHttps(_)
            | Self::BadKey { .. }
            | Self::NoCa
            | Self::NoIdScope
            | Self::Read { .. }
            | Self::BadCertificates { .. }
            | Self::Tls(_)
            | Self::Connection(_)
            | Self::ConnectionIdScope(_)
            | Self::NotConfirmed { .. }
            | Self::HubNotConfirmed { .. } => Exit::Usage,
            Self::Unresolvable { .. }
            | Self::Refused { .. }
            | Self::Unreachable { .. }
            | Self::Handshake { .. }
            | Self::FirstDevice { .. } => Exit::Unreachable,
        }
    }
}
