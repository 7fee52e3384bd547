use std::path::PathBuf;

use crate::domain::IdScope;
use crate::scenario::Rate;

/// Whom the load goes to. Secrets are never here, only the files that hold them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// Where it is.
    pub address: TargetAddress,
    /// Id scope of the DPS instance. Known from the emulator or the connection file otherwise.
    pub id_scope: Option<IdScope>,
    /// File with the enrollment group's key in base64.
    pub group_key_file: Option<PathBuf>,
    /// PEM roots that the servers' TLS certificates must lead to.
    pub ca_file: Option<PathBuf>,
    /// PEM root or issuing CA that issued certificates must come from; none: any consistent chain is taken.
    pub issuing_root_file: Option<PathBuf>,
    /// Declared quota: registrations that the DPS instance takes per time (Microsoft Learn: 1,000 per minute).
    pub registrations: Option<Rate>,
}

/// Where the target is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TargetAddress {
    /// The built-in emulator, started and stopped with the run.
    Embedded,
    /// A running emulator, described by the JSON file that it wrote.
    ConnectionFile(PathBuf),
    /// Host name of a DPS endpoint with its port.
    Host {
        /// DNS name or IP address.
        host: String,
        /// TCP port of MQTT over TLS, normally 8883.
        port: u16,
    },
}
