use std::fmt;
use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use zeroize::Zeroizing;

use crate::device::{DeviceAttestation, Endpoint, HubSettings, Settings, SourceAddresses, WallClock};
use crate::domain::{IdScope, Transport, without_byte_order_mark};
use crate::emulator::Service;
use crate::model::NetworkImpairment;
use crate::pki::bootstrap::Folder;
use crate::pki::chain::{ChainError, ChainVerifier};
use crate::pki::sas::SymmetricKey;
use crate::pki::store::{self, StoreError};
use crate::pki::tls::ClientTls;
use crate::rig::target::Connection;
use crate::rig::target::{TargetError, behaviour};
use crate::scenario::{self, DeviceClass, Fleet, Network, Scenario};

/// Environment variable with the enrollment group's key in base64. Never a flag: arguments are visible to every user of
/// the machine.
pub const GROUP_KEY_ENV: &str = "FLEETSTORM_GROUP_KEY";

/// What a device needs to know of its target.
#[derive(Debug, Clone)]
pub struct Access {
    /// Name of the DPS device endpoint.
    pub dps_host: String,
    /// Where DPS and hub speak MQTT.
    pub mqtt: Door,
    /// Where they speak HTTPS and MQTT over WebSocket, when they do.
    pub https: Option<Door>,
    /// Where hubs are, whatever name DPS assigns; goes before what the doors say.
    pub hub_address: Option<SocketAddr>,
    /// Id scope of the DPS instance.
    pub id_scope: IdScope,
    /// Key of the enrollment group, when a device class needs it.
    pub group_key: Option<SymmetricKey>,
    /// DER of the roots of the servers' TLS certificates.
    pub roots: Vec<Vec<u8>>,
    /// How the certificates that devices get are checked.
    pub verifier: Arc<ChainVerifier>,
    /// Addresses that devices connect from.
    pub source: SourceAddresses,
}

/// A way into a target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Door {
    /// Port of DPS.
    pub port: u16,
    /// Address of DPS and of the hub; `None` resolves their names.
    pub address: Option<SocketAddr>,
}

/// The enrollment group's key, when it was given beside files, as by the environment. Wiped from memory after use, redacted in `Debug`.
#[derive(Clone, Default)]
pub struct GivenKey(Option<Zeroizing<String>>);

impl GivenKey {
    /// In base64; blank counts as nothing.
    pub fn new(key: Option<Zeroizing<String>>) -> Self {
        Self(key.filter(|key| !key.trim().is_empty()))
    }
}

impl fmt::Debug for GivenKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "GivenKey(…)" } else { "GivenKey(none)" })
    }
}

impl Door {
    fn at(address: SocketAddr) -> Self {
        Self { port: address.port(), address: Some(address) }
    }

    fn usual(transport: Transport) -> Self {
        Self { port: transport.port(), address: None }
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
            ipv6: _,
            group_id: _,
            group_key_file,
            ca_file,
            management_token_file: _,
            issuing_root_file,
        } = connection;
        let Scenario { target, fleet, .. } = scenario;
        let id_scope = match &target.id_scope {
            Some(id_scope) => id_scope.clone(),
            None => IdScope::new(id_scope).map_err(TargetError::ConnectionIdScope)?,
        };
        Ok(Self {
            dps_host: dps_host.clone(),
            mqtt: Door::at(*mqtt),
            https: https.map(Door::at),
            hub_address: None,
            id_scope,
            group_key: needed_key(fleet, || {
                group_key(given, target.group_key_file.as_ref().unwrap_or(group_key_file))
            })?,
            roots: certificates(target.ca_file.as_ref().unwrap_or(ca_file), CA_FILE)?,
            verifier: verifier(Some(target.issuing_root_file.as_ref().unwrap_or(issuing_root_file)))?,
            source: SourceAddresses::System,
        })
    }

    /// To a DPS endpoint by name. `port` is that of the transport of the fleet; in a fleet of several it is that of MQTT, if
    /// any device speaks it to DPS, and the others take their usual one.
    ///
    /// # Errors
    /// Something is not given, or a file that is named is unusable.
    pub fn of_host(host: &str, port: Option<u16>, scenario: &Scenario, given: &GivenKey) -> Result<Self, TargetError> {
        let Scenario { target, fleet, .. } = scenario;
        let group_key = needed_key(fleet, || match &target.group_key_file {
            Some(file) => group_key(given, file),
            None => given_key(given).unwrap_or(Err(TargetError::NoKey)),
        })?;
        let (mut mqtt, mut https) = (Door::usual(Transport::Mqtt), Door::usual(Transport::Https));
        let named = if fleet.any(|class| class.transport == Transport::Mqtt) { &mut mqtt } else { &mut https };
        named.port = port.unwrap_or(named.port);
        Ok(Self {
            dps_host: host.to_owned(),
            mqtt,
            https: Some(https),
            hub_address: None,
            id_scope: target.id_scope.clone().ok_or(TargetError::NoIdScope)?,
            group_key,
            roots: certificates(target.ca_file.as_ref().ok_or(TargetError::NoCa)?, CA_FILE)?,
            verifier: verifier(target.issuing_root_file.as_deref())?,
            source: SourceAddresses::System,
        })
    }

    /// To an emulator in this process.
    pub(super) fn in_memory(service: &Service, id_scope: IdScope) -> Result<Self, ChainError> {
        let root = service.issuing_root().to_vec();
        let verifier = Arc::new(ChainVerifier::new(std::slice::from_ref(&root))?);
        Ok(Self {
            dps_host: "dps".to_owned(),
            mqtt: Door::usual(Transport::Mqtt),
            https: Some(Door::usual(Transport::Https)),
            hub_address: None,
            id_scope,
            group_key: Some(service.group_key().clone()),
            // In memory there is no TLS, so that any will do.
            roots: vec![root],
            verifier,
            source: SourceAddresses::System,
        })
    }

    /// The way in for a transport.
    ///
    /// # Errors
    /// The target has none for it.
    pub fn door(&self, transport: Transport) -> Result<Door, TargetError> {
        match transport {
            Transport::Mqtt => Ok(self.mqtt),
            Transport::MqttWebSocket | Transport::Https => self.https.ok_or(TargetError::NoHttps(transport)),
        }
    }

    /// What the devices of each class share, by index of the class.
    ///
    /// # Errors
    /// TLS cannot be set up, or the target does not speak what a class does.
    pub fn device_settings(
        &self,
        scenario: &Scenario,
        seed: u64,
        clock: &Arc<dyn WallClock>,
    ) -> Result<Vec<Settings>, TargetError> {
        let of_class = |class: &DeviceClass| {
            let tls = ClientTls::new(&self.roots, class.tls, scenario.fleet.crypto_provider)?;
            let settings = self.class_settings(class, scenario, tls)?;
            Ok(Settings { seed, clock: Arc::clone(clock), ..settings })
        };
        scenario.fleet.classes.iter().map(of_class).collect()
    }

    fn class_settings(
        &self,
        class: &DeviceClass,
        scenario: &Scenario,
        tls: ClientTls,
    ) -> Result<Settings, TargetError> {
        let Scenario { fleet, time_scale, .. } = scenario;
        let attestation = match &class.attestation {
            scenario::Attestation::SymmetricKey => DeviceAttestation::SymmetricKey {
                group_key: self.group_key.clone().ok_or(TargetError::NoKey)?,
                token_life: fleet.token_life,
            },
            scenario::Attestation::X509 { bootstrap_dir } => DeviceAttestation::X509(Folder::new(bootstrap_dir)),
        };
        let Door { port, address } = self.door(class.transport)?;
        let dps = Endpoint { host: self.dps_host.clone(), port, address };
        // HTTPS ends at DPS: the hub is spoken to over MQTT all the same.
        let web_socket = class.transport == Transport::MqttWebSocket;
        let hub_transport = if web_socket { class.transport } else { Transport::Mqtt };
        let hub = HubSettings {
            port: hub_transport.port(),
            web_socket,
            address: self.hub_address.or(self.door(hub_transport)?.address),
            ..HubSettings::default()
        };
        let Network { latency, jitter, reset } = class.network;
        let mut settings = Settings {
            transport: class.transport,
            algorithm: class.key_algorithm,
            provider: fleet.crypto_provider,
            keys: class.keys,
            tls_resumption: class.tls_resumption,
            source: self.source.clone(),
            network: NetworkImpairment { latency, jitter, reset },
            time_scale: *time_scale,
            hub: Some(hub),
            ..Settings::new(dps, self.id_scope.clone(), attestation, tls, Arc::clone(&self.verifier))
        };
        behaviour::lay_over(&mut settings, &class.behaviour);
        Ok(settings)
    }
}

/// The group key, which is only looked for when devices need one.
fn needed_key(
    fleet: &Fleet,
    group_key: impl FnOnce() -> Result<SymmetricKey, TargetError>,
) -> Result<Option<SymmetricKey>, TargetError> {
    fleet.any(|class| class.attestation == scenario::Attestation::SymmetricKey).then(group_key).transpose()
}

/// The key of the environment when there is one, that of the file otherwise.
fn group_key(given: &GivenKey, file: &Path) -> Result<SymmetricKey, TargetError> {
    if let Some(key) = given_key(given) {
        return key;
    }
    let text = fs::read_to_string(file)
        .map(without_byte_order_mark)
        .map(Zeroizing::new)
        .map_err(|source| TargetError::Read { path: file.to_owned(), setting: "target.group_key_file", source })?;
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

fn verifier(issuing_root: Option<&Path>) -> Result<Arc<ChainVerifier>, TargetError> {
    const SETTING: &str = "target.issuing_root_file";
    let Some(path) = issuing_root else { return Ok(Arc::new(ChainVerifier::any_issuer())) };
    let unusable = |error: ChainError| TargetError::BadCertificates {
        path: path.to_owned(),
        setting: SETTING,
        reason: error.to_string(),
    };
    ChainVerifier::new(&certificates(path, SETTING)?).map(Arc::new).map_err(unusable)
}

/// The setting that names the roots of TLS.
const CA_FILE: &str = "target.ca_file";

fn certificates(path: &Path, setting: &'static str) -> Result<Vec<Vec<u8>>, TargetError> {
    store::read_certificates(path).map_err(|error| match error {
        StoreError::Io { source, .. } => TargetError::Read { path: path.to_owned(), setting, source },
        StoreError::NoCertificate { source, .. } => {
            TargetError::BadCertificates { path: path.to_owned(), setting, reason: source.to_string() }
        }
        other => TargetError::BadCertificates { path: path.to_owned(), setting, reason: other.to_string() },
    })
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
        for form in ["bom", "trusted", "x509label"] {
            let path = format!("{}/tests/data/pem-forms/{form}.pem", env!("CARGO_MANIFEST_DIR"));
            assert_eq!(certificates(path.as_ref(), "target.ca_file").unwrap().len(), 1, "{form}");
        }
    }
}
