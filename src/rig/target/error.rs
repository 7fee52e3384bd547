use std::net::SocketAddr;
use std::path::PathBuf;

use crate::domain::{Failure, InvalidId, Transport};
use crate::pki::sas::SymmetricKeyError;
use crate::pki::tls::TlsConfigError;
use crate::rig::target::ConnectionError;

/// The target cannot be used.
#[derive(Debug, thiserror::Error, miette::Diagnostic)]
pub enum TargetError {
    /// No key of the enrollment group.
    #[error("the target needs the enrollment group's key")]
    #[diagnostic(help(
        "give a file with it (base64) as --group-key-file FILE or `target.group_key_file`, or set FLEETSTORM_GROUP_KEY"
    ))]
    NoKey,
    /// The emulator does not speak it.
    #[error("the emulator has no HTTPS port, which transport = \"{0}\" needs")]
    #[diagnostic(help("start it with --https-port, or use fleet.transport = \"mqtt\""))]
    NoHttps(Transport),
    /// The key is not one.
    #[error("the enrollment group's key in {origin} is unusable: {source}")]
    #[diagnostic(help("copy the primary or secondary key of the enrollment group as it is, in base64"))]
    BadKey {
        /// File or environment variable.
        origin: String,
        /// Why.
        source: SymmetricKeyError,
    },
    /// No roots for TLS.
    #[error("the target needs the roots that its TLS certificate leads to")]
    #[diagnostic(help(
        "give a PEM file as --ca-file FILE or `target.ca_file`; for the service itself the system's bundle will do \
         (Debian: /etc/ssl/certs/ca-certificates.crt)"
    ))]
    NoCa,
    /// No id scope.
    #[error("the target needs the id scope of the DPS instance")]
    #[diagnostic(help("give it as --id-scope 0ne… or `target.id_scope`"))]
    NoIdScope,
    /// A file cannot be read.
    #[error("cannot read {} ({setting}): {source}", path.display())]
    #[diagnostic(help("name a file that you may read"))]
    Read {
        /// The file.
        path: PathBuf,
        /// The setting that named it.
        setting: &'static str,
        /// Why not.
        source: std::io::Error,
    },
    /// A file holds no certificate.
    #[error("{} ({setting}) holds no usable certificate: {reason}", path.display())]
    #[diagnostic(help("it must be PEM: -----BEGIN CERTIFICATE-----"))]
    BadCertificates {
        /// The file.
        path: PathBuf,
        /// The setting that named it.
        setting: &'static str,
        /// Why.
        reason: String,
    },
    /// TLS cannot be set up with it.
    #[error("cannot set up TLS: {0}")]
    #[diagnostic(help("look at `target.ca_file`, `fleet.tls` and `fleet.crypto_provider`"))]
    Tls(#[from] TlsConfigError),
    /// The emulator's description is unusable.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Connection(#[from] ConnectionError),
    /// The emulator's description names no id scope.
    #[error("the connection file has an unusable id scope: {0}")]
    #[diagnostic(help("write it again with `fleetstorm emulator --connection-file FILE`"))]
    ConnectionIdScope(InvalidId),
    /// A target that is not loopback was not confirmed.
    #[error("{host} is not on this machine, and the run would put it under load")]
    #[diagnostic(help("if that is what you want, repeat its id scope: --confirm-id-scope {id_scope}"))]
    NotConfirmed {
        /// The host.
        host: String,
        /// Its id scope.
        id_scope: String,
    },
    /// A hub that is not loopback was not confirmed.
    #[error("the hub {hub} is not on this machine, and the run would put it under load")]
    #[diagnostic(help(
        "if that is what you want, confirm it: --confirm-hub {hub} (once for each hub that DPS assigns); nothing was sent \
         to it"
    ))]
    HubNotConfirmed {
        /// Its name, or the address that was given for it.
        hub: String,
    },
    /// The host has no address.
    #[error("{host} cannot be resolved: {source}")]
    #[diagnostic(help("check the spelling of --target and the name server of this machine"))]
    Unresolvable {
        /// The host.
        host: String,
        /// Why.
        source: std::io::Error,
    },
    /// Nobody listens.
    #[error("{address} refuses connections")]
    #[diagnostic(help("is the target running, and is the port right (MQTT over TLS: 8883)?"))]
    Refused {
        /// Host and port.
        address: String,
    },
    /// No TCP connection.
    #[error("no TCP connection to {address}: {reason}")]
    #[diagnostic(help("is the target running, and does a firewall let port 8883 through?"))]
    Unreachable {
        /// Host and port.
        address: String,
        /// Why.
        reason: String,
    },
    /// The TLS handshake fails.
    #[error("no TLS with {address}: {reason}")]
    #[diagnostic(help(
        "does the server's certificate lead to a root in --ca-file (`target.ca_file`), and does it name the host?"
    ))]
    Handshake {
        /// Host and port.
        address: String,
        /// Why.
        reason: String,
    },
    /// The first device did not get through.
    #[error("the first device did not get through: {failure}")]
    #[diagnostic(help("{}", first_device_help(failure)))]
    FirstDevice {
        /// How it failed.
        failure: Failure,
    },
}

fn first_device_help(failure: &Failure) -> &'static str {
    use crate::domain::FailureClass;
    match failure.class {
        FailureClass::Rejected if matches!(failure.code, 401 | 401_000..=401_999 | 4 | 5) => {
            "it was refused as unauthorized: is this the key of the enrollment group (--group-key-file or \
             FLEETSTORM_GROUP_KEY), and the right --id-scope?"
        }
        FailureClass::Rejected => "the service refused it: look at the enrollment group and the hub it assigns",
        FailureClass::Tls => "look at --ca-file for DPS, and at the hub's trust in the issued certificate",
        FailureClass::Verification => {
            "the certificate that it got is not the right one; if another authority issued it than was expected, look at \
             --issuing-root-file (`target.issuing_root_file`)"
        }
        FailureClass::Timeout => "the target does not answer in time: is it overloaded, or is `timeout` too short?",
        FailureClass::Network => {
            "the connection broke or the assigned hub is out of reach: try --hub-address HOST:PORT"
        }
        FailureClass::Configuration => "put right what it names; nothing was measured",
        FailureClass::Throttled | FailureClass::Protocol | FailureClass::Generator | FailureClass::Cut => {
            "nothing was measured"
        }
    }
}

/// Host and port for messages.
pub(super) fn named(host: &str, port: u16, address: Option<SocketAddr>) -> String {
    match address {
        Some(address) => format!("{host} at {address}"),
        None => format!("{host}:{port}"),
    }
}
