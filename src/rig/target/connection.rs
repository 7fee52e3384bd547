//! How a running emulator describes itself: one line of JSON on its stdout, or a file that `run --target FILE` reads.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::domain::without_byte_order_mark;
use crate::emulator::Ipv6Endpoints;

/// Everything that a device needs to know of an emulator. Secrets stay in the files named here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Connection {
    /// Version of this description.
    pub schema: u32,
    /// Id scope of the emulated DPS.
    pub id_scope: String,
    /// Name of the DPS endpoint in TLS.
    pub dps_host: String,
    /// Name of the hub that devices are assigned to, in TLS.
    pub hub_host: String,
    /// Address of MQTT over TLS, for DPS and hub.
    pub mqtt: SocketAddr,
    /// Address of HTTPS and MQTT over WebSocket.
    pub https: Option<SocketAddr>,
    /// Address of the control plane.
    pub management: Option<SocketAddr>,
    /// Its ports at ::1, where it listens there too.
    #[serde(default)]
    pub ipv6: Ipv6Endpoints,
    /// File with the token that opens the control plane.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub management_token_file: Option<PathBuf>,
    /// Enrollment group that accepts any registration id.
    pub group_id: String,
    /// File with the group's primary key in base64.
    pub group_key_file: PathBuf,
    /// PEM roots of the TLS server certificate.
    pub ca_file: PathBuf,
    /// PEM root of the authorities that issue operational certificates.
    pub issuing_root_file: PathBuf,
}

impl Connection {
    /// The version that this build reads and writes.
    pub const SCHEMA: u32 = 1;

    /// Reads one from its JSON.
    ///
    /// # Errors
    /// Not JSON, a key is missing, or a newer version.
    pub fn parse(json: &str) -> Result<Self, ConnectionError> {
        /// Only the version, so that a newer file is refused for the right reason.
        #[derive(Deserialize)]
        struct Version {
            schema: u32,
        }
        let Version { schema } = serde_json::from_str(json)?;
        if schema != Self::SCHEMA {
            return Err(ConnectionError::Schema(schema));
        }
        Ok(serde_json::from_str(json)?)
    }

    /// Reads the file that `fleetstorm emulator --connection-file` wrote.
    ///
    /// # Errors
    /// As [`Self::parse`], or the file cannot be read.
    pub fn read(file: &Path) -> Result<Self, ConnectionError> {
        let json =
            std::fs::read_to_string(file).map_err(|source| ConnectionError::Read { file: file.to_owned(), source })?;
        Self::parse(&without_byte_order_mark(json))
    }
}

/// A connection file is unusable.
#[derive(Debug, thiserror::Error, miette::Diagnostic)]
pub enum ConnectionError {
    /// It cannot be read.
    #[error("cannot read the connection file {}: {source}", file.display())]
    #[diagnostic(help("write one with `fleetstorm emulator --connection-file FILE`"))]
    Read {
        /// The file.
        file: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// It is not what the emulator writes.
    #[error("this does not describe an emulator: {0}")]
    #[diagnostic(help("write one with `fleetstorm emulator --connection-file FILE`"))]
    Malformed(#[from] serde_json::Error),
    /// It was written by another version.
    #[error("the connection file has schema {0}, this version of fleetstorm reads schema {supported}", supported = Connection::SCHEMA)]
    #[diagnostic(help("use the same version of fleetstorm on both sides"))]
    Schema(u32),
}

#[cfg(test)]
mod tests {
    use super::*;

    const JSON: &str = r#"{"schema":1,"id_scope":"0ne00000001","dps_host":"localhost","hub_host":"localhost",
        "mqtt":"127.0.0.1:8883","https":null,"management":"127.0.0.1:8081","group_id":"fleet",
        "group_key_file":"k","ca_file":"c","issuing_root_file":"r"}"#;

    #[test]
    fn a_connection_survives_its_json() {
        let connection = Connection::parse(JSON).unwrap();
        assert_eq!(connection.mqtt, SocketAddr::from(([127, 0, 0, 1], 8883)));
        assert_eq!(Connection::parse(&serde_json::to_string(&connection).unwrap()).unwrap(), connection);
    }

    #[test]
    fn a_newer_schema_is_refused_for_that_reason() {
        let newer = r#"{"schema":2,"everything":"else"}"#;
        assert!(matches!(Connection::parse(newer), Err(ConnectionError::Schema(2))));
        assert!(matches!(Connection::parse("hello"), Err(ConnectionError::Malformed(_))));
    }
}
