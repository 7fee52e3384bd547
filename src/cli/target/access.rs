use std::fmt;
use std::fs;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;
use zeroize::Zeroizing;

use crate::cli::args::GROUP_KEY_ENV;
use crate::cli::connection::Connection;
use crate::cli::target::TargetError;
use crate::device::{Attestation, Endpoint, HubSettings, Settings};
use crate::domain::{IdScope, Transport};
use crate::pki::bootstrap::Folder;
use crate::pki::chain::{ChainError, ChainVerifier};
use crate::pki::sas::SymmetricKey;
use crate::pki::tls::ClientTls;
use crate::scenario::{self, Fleet, Scenario};

/// Validity of the SAS tokens that devices sign: long enough for any run, as one token serves one registration.
const TOKEN_LIFE: std::time::Duration = std::time::Duration::from_secs(3_600);

/// What a device needs to know of its target.
#[derive(Debug, Clone)]
pub struct Access {
    /// The DPS device endpoint.
    pub dps: Endpoint,
    /// Where hubs are, whatever name DPS assigns; `None` resolves that name.
    pub hub_address: Option<SocketAddr>,
    /// Id scope of the DPS instance.
    pub id_scope: IdScope,
    /// How devices prove to DPS who they are.
    pub attestation: Attestation,
    /// PEM roots of the servers' TLS certificates.
    pub ca_file: PathBuf,
    /// PEM of the authority that must have issued the certificates.
    pub issuing_root_file: Option<PathBuf>,
}

/// The enrollment group's key from the environment, when it is there. Wiped from memory after use, redacted in `Debug`.
pub struct GivenKey(Option<Zeroizing<String>>);

impl GivenKey {
    /// Reads `FLEETSTORM_GROUP_KEY`.
    pub fn from_environment() -> Self {
        Self(std::env::var(GROUP_KEY_ENV).ok().filter(|key| !key.trim().is_empty()).map(Zeroizing::new))
    }

    /// Nothing was given.
    pub const fn none() -> Self {
        Self(None)
    }
}

impl fmt::Debug for GivenKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "GivenKey(…)" } else { "GivenKey(none)" })
    }
}

impl Access {
    /// To an emulator that described itself. What the scenario says of the target goes before the description.
    ///
    /// # Errors
    /// A file that is named is unusable.
    pub fn of_connection(connection: &Connection, scenario: &Scenario, given: &GivenKey) -> Result<Self, TargetError> {
        let Connection {
            schema: _,
            id_scope,
            dps_host,
            hub_host: _,
            mqtt,
            https,
            management: _,
            group_id: _,
            group_key_file,
            ca_file,
            management_token_file: _,
            issuing_root_file,
        } = connection;
        let Scenario { target, fleet, .. } = scenario;
        let address = match fleet.classes[0].transport {
            Transport::Mqtt => *mqtt,
            Transport::MqttWebSocket | Transport::Https => {
                https.ok_or(TargetError::NoHttps(fleet.classes[0].transport))?
            }
        };
        let hub_address = if fleet.classes[0].transport == Transport::MqttWebSocket { address } else { *mqtt };
        let id_scope = match &target.id_scope {
            Some(id_scope) => id_scope.clone(),
            None => IdScope::new(id_scope).map_err(TargetError::ConnectionIdScope)?,
        };
        Ok(Self {
            dps: Endpoint { host: dps_host.clone(), port: address.port(), address: Some(address) },
            hub_address: Some(hub_address),
            id_scope,
            attestation: attestation(fleet, || {
                group_key(given, target.group_key_file.as_ref().unwrap_or(group_key_file))
            })?,
            ca_file: target.ca_file.as_ref().unwrap_or(ca_file).clone(),
            issuing_root_file: Some(target.issuing_root_file.as_ref().unwrap_or(issuing_root_file).clone()),
        })
    }

    /// To a DPS endpoint by name.
    ///
    /// # Errors
    /// Something is not given, or a file that is named is unusable.
    pub fn of_host(host: &str, port: u16, scenario: &Scenario, given: &GivenKey) -> Result<Self, TargetError> {
        let Scenario { target, fleet, .. } = scenario;
        let attestation = attestation(fleet, || match &target.group_key_file {
            Some(file) => group_key(given, file),
            None => given_key(given).unwrap_or(Err(TargetError::NoKey)),
        })?;
        Ok(Self {
            dps: Endpoint { host: host.to_owned(), port, address: None },
            hub_address: None,
            id_scope: target.id_scope.clone().ok_or(TargetError::NoIdScope)?,
            attestation,
            ca_file: target.ca_file.clone().ok_or(TargetError::NoCa)?,
            issuing_root_file: target.issuing_root_file.clone(),
        })
    }

    /// What all devices of a scenario share.
    ///
    /// # Errors
    /// A certificate file is unusable.
    pub fn device_settings(self, scenario: &Scenario, seed: u64) -> Result<Settings, TargetError> {
        let Self { dps, hub_address, id_scope, attestation, ca_file, issuing_root_file } = self;
        let fleet = &scenario.fleet;
        let roots = certificates(&ca_file, "target.ca_file")?;
        let tls = ClientTls::new(&roots, fleet.classes[0].tls, fleet.crypto_provider)?;
        let verifier = match issuing_root_file {
            Some(path) => {
                const SETTING: &str = "target.issuing_root_file";
                ChainVerifier::new(&certificates(&path, SETTING)?).map_err(|e: ChainError| {
                    TargetError::BadCertificates { path, setting: SETTING, reason: e.to_string() }
                })?
            }
            None => ChainVerifier::any_issuer(),
        };
        let mut settings = Settings::new(dps, id_scope, attestation, tls, Arc::new(verifier));
        settings.algorithm = fleet.classes[0].key_algorithm;
        settings.provider = fleet.crypto_provider;
        settings.keys = fleet.classes[0].keys;
        settings.transport = fleet.classes[0].transport;
        // HTTPS ends at DPS: the hub is spoken to over MQTT all the same.
        let web_socket = fleet.classes[0].transport == Transport::MqttWebSocket;
        let port = if web_socket { fleet.classes[0].transport } else { Transport::Mqtt }.port();
        settings.hub = Some(HubSettings { port, web_socket, address: hub_address, ..HubSettings::default() });
        settings.seed = seed;
        Ok(settings)
    }
}

/// Whether a host is on this machine: every address that it has is loopback.
///
/// # Errors
/// It cannot be resolved.
pub async fn is_loopback(host: &str, port: u16) -> Result<bool, TargetError> {
    if let Ok(address) = host.parse::<IpAddr>() {
        return Ok(address.is_loopback());
    }
    let unresolvable = |source| TargetError::Unresolvable { host: host.to_owned(), source };
    let mut addresses = tokio::net::lookup_host((host, port)).await.map_err(unresolvable)?.peekable();
    if addresses.peek().is_none() {
        return Err(unresolvable(std::io::Error::other("it has no address")));
    }
    Ok(addresses.all(|address| address.ip().is_loopback()))
}

/// What the fleet's devices prove who they are with; the group key is only looked for when they need one.
fn attestation(
    fleet: &Fleet,
    group_key: impl FnOnce() -> Result<SymmetricKey, TargetError>,
) -> Result<Attestation, TargetError> {
    Ok(match &fleet.classes[0].attestation {
        scenario::Attestation::SymmetricKey => {
            Attestation::SymmetricKey { group_key: group_key()?, token_life: TOKEN_LIFE }
        }
        scenario::Attestation::X509 { bootstrap_dir } => Attestation::X509(Folder::new(bootstrap_dir)),
    })
}

/// The key of the environment when there is one, that of the file otherwise.
fn group_key(given: &GivenKey, file: &Path) -> Result<SymmetricKey, TargetError> {
    if let Some(key) = given_key(given) {
        return key;
    }
    let text = fs::read_to_string(file).map(Zeroizing::new).map_err(|source| TargetError::Read {
        path: file.to_owned(),
        setting: "target.group_key_file",
        source,
    })?;
    SymmetricKey::from_base64(&text)
        .map_err(|source| TargetError::BadKey { origin: file.display().to_string(), source })
}

fn given_key(given: &GivenKey) -> Option<Result<SymmetricKey, TargetError>> {
    let key = given.0.as_ref()?;
    Some(
        SymmetricKey::from_base64(key)
            .map_err(|source| TargetError::BadKey { origin: GROUP_KEY_ENV.to_owned(), source }),
    )
}

fn certificates(path: &Path, setting: &'static str) -> Result<Vec<Vec<u8>>, TargetError> {
    let pem = fs::read(path).map_err(|source| TargetError::Read { path: path.to_owned(), setting, source })?;
    let unusable = |reason: String| TargetError::BadCertificates { path: path.to_owned(), setting, reason };
    let certificates: Vec<Vec<u8>> = CertificateDer::pem_slice_iter(&pem)
        .map(|certificate| certificate.map(|der| der.to_vec()))
        .collect::<Result<_, _>>()
        .map_err(|e| unusable(e.to_string()))?;
    if certificates.is_empty() { Err(unusable("none is in it".to_owned())) } else { Ok(certificates) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_given_key_is_redacted() {
        let given = GivenKey(Some(Zeroizing::new("c2VjcmV0".to_owned())));
        assert!(!format!("{given:?}").contains("c2VjcmV0"));
    }

    #[test]
    fn certificate_files_are_judged() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ca.pem");
        assert!(matches!(certificates(&path, "target.ca_file"), Err(TargetError::Read { .. })));
        fs::write(&path, "hello").unwrap();
        assert!(matches!(certificates(&path, "target.ca_file"), Err(TargetError::BadCertificates { .. })));
    }

    #[tokio::test]
    async fn loopback_is_told_from_the_address() {
        assert!(is_loopback("127.0.0.9", 1).await.unwrap());
        assert!(is_loopback("::1", 1).await.unwrap());
        assert!(!is_loopback("192.0.2.1", 1).await.unwrap());
        assert!(is_loopback("localhost", 1).await.unwrap());
        assert!(matches!(is_loopback("no.such.host.invalid", 1).await, Err(TargetError::Unresolvable { .. })));
    }
}
