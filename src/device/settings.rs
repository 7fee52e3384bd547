use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use crate::device::{PeerAddress, SharedKey, SourceAddresses, SystemClock, WallClock};
use crate::domain::{CryptoProvider, FleetTime, IdScope, KeyAlgorithm, KeySource, TimeScale, Transport};
use crate::model::NetworkImpairment;
use crate::pki::bootstrap::Folder;
use crate::pki::chain::ChainVerifier;
use crate::pki::sas::SymmetricKey;
use crate::pki::tls::ClientTls;
use crate::protocol::registration_flow::RegistrationPolicy;
use crate::protocol::renewal_flow::RenewalPolicy;

/// What all devices of a run (or of one class of its fleet) share. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The DPS device endpoint, at the port of `transport`.
    pub dps: Endpoint,
    /// How devices talk to DPS.
    pub transport: Transport,
    /// Id scope of the DPS instance.
    pub id_scope: IdScope,
    /// How devices prove to DPS who they are.
    pub attestation: DeviceAttestation,
    /// Algorithm of the key that the CSR is made for.
    pub algorithm: KeyAlgorithm,
    /// Library that makes keys and CSRs.
    pub provider: CryptoProvider,
    /// Where keys come from.
    pub keys: KeySource,
    /// The key of all devices, when `keys` says that they share one.
    pub shared_key: SharedKey,
    /// Trusted roots, versions and provider of TLS, for DPS and hub.
    pub tls: ClientTls,
    /// Whether a device resumes the TLS sessions that it had before with DPS and with its hub. A new credential begins anew.
    pub tls_resumption: bool,
    /// Addresses that devices connect from.
    pub source: SourceAddresses,
    /// The network between devices and service, on top of the real one.
    pub network: NetworkImpairment,
    /// What an issued chain must lead to.
    pub chain: Arc<ChainVerifier>,
    /// DPS device API version; certificates need `2025-07-01-preview` or later.
    pub dps_api_version: String,
    /// Hub MQTT API version; renewal needs `2025-08-01-preview` or later.
    pub hub_api_version: String,
    /// `ClientVersion` in the user name, in plain text; `None` sends none.
    pub client_version: Option<String>,
    /// Keep-alive of CONNECT in seconds; 0 switches it off.
    pub keep_alive: u16,
    /// What is done with the certificate; `None` stops after registration and verification.
    pub hub: Option<HubSettings>,
    /// Time limits.
    pub timeouts: Timeouts,
    /// How the registration obeys retry-after and repeats.
    pub policy: RegistrationPolicy,
    /// How a renewal waits and repeats.
    pub renewal: RenewalPolicy,
    /// Seed of every device's random draws (jitter, seeded keys); the device's index selects the stream.
    pub seed: u64,
    /// How fast the fleet's life passes: how long the waits of a device really take.
    pub time_scale: TimeScale,
    /// Wall-clock time for tokens and certificates.
    pub clock: Arc<dyn WallClock>,
}

/// A host by the name that TLS checks and, when it is not to be resolved, its address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// Name in SNI and in the server's certificate, and the name to resolve.
    pub host: String,
    /// Port, normally that of the transport.
    pub port: u16,
    /// Where to connect instead of resolving `host` and using `port`.
    pub address: Option<SocketAddr>,
}

/// How devices prove to DPS who they are.
#[derive(Debug, Clone)]
pub enum DeviceAttestation {
    /// A key derived from the enrollment group's key signs a SAS token.
    SymmetricKey {
        /// Primary or secondary key of the enrollment group.
        group_key: SymmetricKey,
        /// Validity of a token, by the fleet's wall clock. Each attempt signs its own.
        token_life: FleetTime,
    },
    /// A bootstrap certificate in the TLS handshake, from the folder that `fleetstorm pki` made. Its key is another one
    /// than the CSR's.
    X509(Folder),
}

/// What a device does at its hub.
#[derive(Debug, Clone)]
pub struct HubSettings {
    /// Port at the assigned hub, normally 8883, with WebSocket 443.
    pub port: u16,
    /// MQTT over WebSocket instead of MQTT.
    pub web_socket: bool,
    /// Where to connect instead of resolving the assigned hub's name.
    pub address: Option<SocketAddr>,
    /// The message to send; `None` only connects.
    pub telemetry: Option<Telemetry>,
}

/// A device-to-cloud message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Telemetry {
    /// The body. `{deviceId}` in it becomes the device's id.
    pub body: String,
    /// Properties in the topic, already percent-encoded, such as `$.ct=application%2Fjson&$.ce=utf-8`.
    pub properties: String,
}

/// Time limits of one attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeouts {
    /// For a TCP connection.
    pub connect: Duration,
    /// For a TLS handshake.
    pub handshake: Duration,
    /// For each answer.
    pub answer: Duration,
    /// For the whole attempt.
    pub attempt: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        let limit = Duration::from_secs(30);
        Self { connect: limit, handshake: limit, answer: limit, attempt: Duration::from_secs(300) }
    }
}

impl Default for Telemetry {
    fn default() -> Self {
        Self {
            body: r#"{"deviceId":"{deviceId}","temperature":21.5}"#.to_owned(),
            properties: "$.ct=application%2Fjson&$.ce=utf-8".to_owned(),
        }
    }
}

impl Default for HubSettings {
    fn default() -> Self {
        Self { port: Endpoint::MQTT_PORT, web_socket: false, address: None, telemetry: Some(Telemetry::default()) }
    }
}

impl Endpoint {
    /// Port of MQTT over TLS.
    pub const MQTT_PORT: u16 = 8883;

    /// `host` at the usual port, to be resolved.
    pub fn new(host: impl Into<String>) -> Self {
        Self { host: host.into(), port: Self::MQTT_PORT, address: None }
    }

    /// Where a connector connects.
    pub(super) fn target(&self) -> PeerAddress<'_> {
        PeerAddress { host: &self.host, port: self.port, address: self.address }
    }
}

impl Settings {
    /// Settings with everything else at its default: P-256, aws-lc-rs, the api-versions that know CSRs, hub connection
    /// and telemetry on.
    pub fn new(
        dps: Endpoint,
        id_scope: IdScope,
        attestation: DeviceAttestation,
        tls: ClientTls,
        chain: Arc<ChainVerifier>,
    ) -> Self {
        Self {
            dps,
            transport: Transport::default(),
            id_scope,
            attestation,
            algorithm: KeyAlgorithm::EcdsaP256,
            provider: CryptoProvider::default(),
            keys: KeySource::default(),
            shared_key: SharedKey::default(),
            tls,
            tls_resumption: false,
            source: SourceAddresses::default(),
            network: NetworkImpairment::default(),
            chain,
            dps_api_version: "2025-07-01-preview".to_owned(),
            hub_api_version: "2025-08-01-preview".to_owned(),
            client_version: Some(concat!("fleetstorm/", env!("CARGO_PKG_VERSION")).to_owned()),
            keep_alive: 60,
            hub: Some(HubSettings::default()),
            timeouts: Timeouts::default(),
            policy: RegistrationPolicy::default(),
            renewal: RenewalPolicy::default(),
            seed: 0,
            time_scale: TimeScale::REAL,
            clock: Arc::new(SystemClock),
        }
    }
}

#[cfg(test)]
impl Settings {
    /// Those of devices about which a test says no more than this. No service that there is can satisfy them.
    pub(crate) fn of_nobody() -> Self {
        let now = std::time::UNIX_EPOCH + Duration::from_secs(1_800_000_000);
        let root = crate::pki::issuing_ca::RootCa::generate("root", now).expect("a root").der().to_vec();
        let tls =
            ClientTls::new(std::slice::from_ref(&root), crate::domain::TlsVersions::Any, CryptoProvider::default());
        let key = DeviceAttestation::SymmetricKey {
            group_key: SymmetricKey::random(),
            token_life: FleetTime::from_secs(3_600),
        };
        let chain = ChainVerifier::new(&[root]).expect("a root is a certificate");
        let scope = IdScope::new("0ne00000001").expect("an id scope");
        Self::new(Endpoint::new("dps"), scope, key, tls.expect("a root is given"), Arc::new(chain))
    }
}
