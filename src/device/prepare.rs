use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use rand_chacha::rand_core::Rng as _;
use secrecy::{ExposeSecret, SecretString};
use tokio::time::Instant;
use zeroize::Zeroizing;

use crate::device::bootstrap::BootstrapIdentity;
use crate::device::{Attestation, Credential, Settings};
use crate::domain::{Failure, FailureClass, KeySource, Phase, RegistrationId, rng};
use crate::measure::PhaseTimes;
use crate::pki::csr;
use crate::pki::key::{DeviceKey, KeyError};
use crate::protocol::payload::RegistrationRequest;
use crate::protocol::registration_flow::DpsSession;
use crate::protocol::topic::DpsUserName;

/// Everything of an attempt that is computed ahead of need: SAS token, key pair, CSR.
pub struct Prepared {
    registration_id: RegistrationId,
    attestation: Evidence,
    key: Arc<DeviceKey>,
    body: Bytes,
    seed: u64,
    phases: PhaseTimes,
}

/// What proves to DPS who the device is.
enum Evidence {
    Token(SecretString),
    Certificate(BootstrapIdentity),
}

/// Derives and signs the SAS token (or reads the bootstrap certificate), makes a key pair and its CSR: CPU work without
/// waiting, for a pool of threads. `index` is the device's place in the fleet and selects its random draws.
pub fn prepare(settings: &Settings, index: u32, registration_id: &RegistrationId) -> Result<Prepared, Failure> {
    let mut stopwatch = Stopwatch::start();
    let id = registration_id.as_str();
    let attestation = match &settings.attestation {
        Attestation::SymmetricKey { group_key, token_life } => {
            let resource = format!("{}/registrations/{id}", settings.id_scope);
            let expiry = unix_seconds(settings.clock.now(), *token_life);
            Evidence::Token(group_key.derive(id).sign(&resource, expiry, Some("registration")).to_text().into())
        }
        Attestation::X509(folder) => {
            Evidence::Certificate(BootstrapIdentity::read(folder, registration_id, settings.provider)?)
        }
    };
    stopwatch.lap(matches!(attestation, Evidence::Token(_)).then_some(Phase::Sas));
    let (key, csr) = key_and_csr(settings, "key", index, id, &mut stopwatch)?;
    let request = RegistrationRequest {
        registration_id: Some(id.into()),
        csr: Some(csr.into()),
        ..RegistrationRequest::default()
    };
    let body = Bytes::from(request.to_body());
    stopwatch.lap(Some(Phase::Csr));
    Ok(Prepared {
        registration_id: registration_id.clone(),
        attestation,
        key,
        body,
        seed: rng(settings.seed, "device", u64::from(index)).next_u64(),
        phases: stopwatch.phases,
    })
}

/// Makes the key and CSR of a renewal: CPU work without waiting, for a pool of threads. `index` is the device's place in
/// the fleet, `number` counts its renewals from 1.
pub fn prepare_renewal(
    settings: &Settings,
    index: u32,
    number: u32,
    credential: &Credential,
) -> Result<PreparedRenewal, Failure> {
    let mut stopwatch = Stopwatch::start();
    let stream = u64::from(index) | u64::from(number) << 32;
    let (key, csr) = key_and_csr(settings, "renewal-key", stream, &credential.device_id, &mut stopwatch)?;
    stopwatch.lap(Some(Phase::Csr));
    Ok(PreparedRenewal { key, csr, seed: rng(settings.seed, "renewal", stream).next_u64(), phases: stopwatch.phases })
}

/// Everything of a renewal that is computed ahead of need.
pub struct PreparedRenewal {
    pub(super) key: Arc<DeviceKey>,
    /// Base64 of the CSR.
    pub(super) csr: String,
    pub(super) seed: u64,
    phases: PhaseTimes,
}

impl PreparedRenewal {
    /// Times of `keygen` and `csr`.
    pub const fn phases(&self) -> PhaseTimes {
        self.phases
    }
}

impl fmt::Debug for PreparedRenewal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PreparedRenewal").finish_non_exhaustive()
    }
}

/// Times one phase after the other.
struct Stopwatch {
    start: Instant,
    phases: PhaseTimes,
}

impl Stopwatch {
    fn start() -> Self {
        Self { start: Instant::now(), phases: PhaseTimes::new() }
    }

    /// Ends a phase; `None` for time that is none's.
    fn lap(&mut self, phase: Option<Phase>) {
        let end = Instant::now();
        if let Some(phase) = phase {
            self.phases.set(phase, end - self.start);
        }
        self.start = end;
    }
}

/// A key and the base64 of its CSR. `name` and `stream` decide the key, when keys come from the seed.
fn key_and_csr(
    settings: &Settings,
    name: &str,
    stream: impl Into<u64>,
    common_name: &str,
    stopwatch: &mut Stopwatch,
) -> Result<(Arc<DeviceKey>, String), Failure> {
    let key = make_key(settings, name, stream.into()).map_err(|e| generator(&e))?;
    stopwatch.lap(Some(Phase::Keygen));
    let csr = csr::build(&key, common_name).map_err(|e| generator(&e))?;
    Ok((Arc::new(key), csr::to_base64(&csr)))
}

fn make_key(settings: &Settings, name: &str, stream: u64) -> Result<DeviceKey, KeyError> {
    match settings.keys {
        KeySource::Fresh | KeySource::PreGenerated | KeySource::Shared => {
            DeviceKey::generate(settings.algorithm, settings.provider)
        }
        KeySource::Seeded => {
            let mut seed = Zeroizing::new([0; 32]);
            rng(settings.seed, name, stream).fill_bytes(&mut *seed);
            DeviceKey::from_seed(settings.algorithm, settings.provider, &seed)
        }
    }
}

impl Prepared {
    /// Times of `sas`, `keygen` and `csr`.
    pub const fn phases(&self) -> PhaseTimes {
        self.phases
    }

    /// The device's registration id.
    pub const fn registration_id(&self) -> &RegistrationId {
        &self.registration_id
    }

    /// The key of the CSR.
    pub(super) const fn key(&self) -> &Arc<DeviceKey> {
        &self.key
    }

    /// Decides the device's random draws.
    pub(super) const fn seed(&self) -> u64 {
        self.seed
    }

    /// The SAS token, when the device has one.
    pub(super) fn token(&self) -> Option<&str> {
        match &self.attestation {
            Evidence::Token(token) => Some(token.expose_secret()),
            Evidence::Certificate(_) => None,
        }
    }

    /// Body of the registration.
    pub(super) const fn body(&self) -> &Bytes {
        &self.body
    }

    /// TLS with DPS: with the bootstrap certificate, when the device has one.
    pub(super) fn dps_tls(&self, settings: &Settings) -> Arc<rustls::ClientConfig> {
        match &self.attestation {
            Evidence::Token(_) => settings.tls.anonymous(),
            Evidence::Certificate(identity) => settings.tls.with_identity(&identity.chain, identity.key.clone()),
        }
    }

    /// What the device says to DPS over MQTT.
    pub(super) fn dps_session(&self, settings: &Settings) -> DpsSession {
        let user_name = DpsUserName {
            id_scope: settings.id_scope.as_str(),
            registration_id: self.registration_id.as_str(),
            api_version: Some(&settings.dps_api_version),
            client_version: settings.client_version.as_deref(),
        };
        DpsSession {
            registration_id: self.registration_id.as_str().to_owned(),
            user_name: user_name.to_string(),
            password: self.token().unwrap_or_default().to_owned(),
            keep_alive: settings.keep_alive,
            body: self.body.clone(),
        }
    }
}

impl fmt::Debug for Prepared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Prepared").field("registration_id", &self.registration_id).finish_non_exhaustive()
    }
}

fn unix_seconds(now: SystemTime, later: Duration) -> u64 {
    now.duration_since(UNIX_EPOCH).unwrap_or_default().saturating_add(later).as_secs()
}

fn generator(error: &KeyError) -> Failure {
    Failure::new(FailureClass::Generator, error.to_string())
}
