use std::cell::Cell;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use rand_chacha::rand_core::Rng as _;
use secrecy::{ExposeSecret, SecretString};
use tokio::time::Instant;
use zeroize::Zeroizing;

use crate::device::attempt::AttemptContext;
use crate::device::bootstrap::BootstrapIdentity;
use crate::device::{Connector, Credential, DeviceAttestation, Settings};
use crate::domain::{Failure, FailureClass, FleetTime, KeySource, Phase, RegistrationId, rng};
use crate::measure::PhaseTimes;
use crate::pki::csr;
use crate::pki::key::{DeviceKey, KeyError};
use crate::pki::sas::SymmetricKey;
use crate::protocol::payload::RegistrationRequest;
use crate::protocol::registration_flow::DpsSession;
use crate::protocol::topic::DpsUserName;

/// Everything of a registration or renewal that is computed ahead of need: key pair, CSR, what proves the device's
/// identity. Further attempts to reach the same use it again.
pub struct Prepared {
    registration_id: RegistrationId,
    evidence: Evidence,
    key: Arc<DeviceKey>,
    /// Base64.
    csr: String,
    seed: u64,
    /// Making the key and the CSR.
    made: PhaseTimes,
    /// Attempts that used it.
    attempts: Cell<u32>,
}

/// What proves to DPS who the device is.
enum Evidence {
    /// Signs the tokens. `derived`: how long deriving it took.
    Key {
        key: SymmetricKey,
        derived: Duration,
    },
    Certificate(BootstrapIdentity),
}

/// Derives the device's symmetric key (or reads its bootstrap certificate), makes a key pair and its CSR: CPU work without
/// waiting, for a pool of threads. `index` is the device's place in the fleet, `number` counts the keys of the device from
/// 1; together they select the random draws. Good for a registration and for a renewal.
pub fn prepare(
    settings: &Settings,
    index: u32,
    number: u32,
    registration_id: &RegistrationId,
) -> Result<Prepared, Failure> {
    let mut stopwatch = Stopwatch::start();
    let evidence = match &settings.attestation {
        DeviceAttestation::SymmetricKey { group_key, .. } => {
            let key = group_key.derive(registration_id.as_str());
            Evidence::Key { key, derived: stopwatch.lap(None) }
        }
        DeviceAttestation::X509(folder) => {
            Evidence::Certificate(BootstrapIdentity::read(folder, registration_id, settings.provider)?)
        }
    };
    stopwatch.lap(None);
    let stream = u64::from(index) | u64::from(number.saturating_sub(1)) << 32;
    let key = match settings.keys {
        KeySource::Shared => match settings.shared_key.get(settings)? {
            (key, true) => {
                stopwatch.lap(Some(Phase::Keygen));
                key
            }
            (key, false) => key,
        },
        KeySource::Fresh | KeySource::PreGenerated | KeySource::Seeded => {
            let key = make_key(settings, stream).map_err(|e| generator(&e))?;
            stopwatch.lap(Some(Phase::Keygen));
            Arc::new(key)
        }
    };
    let csr = base64_csr(&key, registration_id.as_str()).map_err(|e| generator(&e))?;
    stopwatch.lap(Some(Phase::Csr));
    Ok(Prepared {
        registration_id: registration_id.clone(),
        evidence,
        key,
        csr,
        seed: rng(settings.seed, "device", stream).next_u64(),
        made: stopwatch.phases,
        attempts: Cell::new(0),
    })
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

    /// Ends a phase, `None` for time that is not booked here, and gives its length.
    fn lap(&mut self, phase: Option<Phase>) -> Duration {
        let end = Instant::now();
        let spent = end - self.start;
        if let Some(phase) = phase {
            self.phases.set(phase, spent);
        }
        self.start = end;
        spent
    }
}

fn base64_csr(key: &DeviceKey, common_name: &str) -> Result<String, KeyError> {
    csr::build(key, common_name).map(|csr| csr::to_base64(&csr))
}

fn make_key(settings: &Settings, stream: u64) -> Result<DeviceKey, KeyError> {
    match settings.keys {
        KeySource::Fresh | KeySource::PreGenerated | KeySource::Shared => {
            DeviceKey::generate(settings.algorithm, settings.provider)
        }
        KeySource::Seeded => {
            let mut seed = Zeroizing::new([0; 32]);
            rng(settings.seed, "key", stream).fill_bytes(&mut *seed);
            DeviceKey::from_seed(settings.algorithm, settings.provider, &seed)
        }
    }
}

impl Prepared {
    /// Times of `keygen`, `csr` and, as far as it was done ahead, `sas`.
    pub fn phases(&self) -> PhaseTimes {
        let mut phases = self.made;
        if let Evidence::Key { derived, .. } = &self.evidence {
            phases.set(Phase::Sas, *derived);
        }
        phases
    }

    /// The device's registration id.
    pub const fn registration_id(&self) -> &RegistrationId {
        &self.registration_id
    }

    /// An attempt to register begins. Gives the phases that it had already: those of the preparation, when it is the first
    /// attempt to use it.
    pub(super) fn begin_registration(&self) -> PhaseTimes {
        if self.begin() { self.phases() } else { PhaseTimes::new() }
    }

    /// Phases that the next attempt to renew begins with: those of making the key and CSR with the first one. It needs no token.
    pub(super) fn begin_renewal(&self) -> PhaseTimes {
        if self.begin() { self.made } else { PhaseTimes::new() }
    }

    /// Whether it is the first attempt.
    fn begin(&self) -> bool {
        let before = self.attempts.get();
        self.attempts.set(before.saturating_add(1));
        before == 0
    }

    /// The key of the CSR.
    pub(super) const fn key(&self) -> &Arc<DeviceKey> {
        &self.key
    }

    /// Decides the random draws of the present attempt.
    pub(super) fn draws_seed(&self) -> u64 {
        match self.attempts.get() {
            0 | 1 => self.seed,
            attempt => rng(self.seed, "attempt", attempt.into()).next_u64(),
        }
    }

    /// Body of the registration.
    pub(super) fn body(&self) -> Bytes {
        let request = RegistrationRequest {
            registration_id: Some(self.registration_id.as_str().into()),
            csr: Some(self.csr.as_str().into()),
            ..RegistrationRequest::default()
        };
        request.to_body().into()
    }

    /// What the device shows to DPS in TLS, when that is how it attests.
    pub(super) const fn bootstrap(&self) -> Option<&BootstrapIdentity> {
        match &self.evidence {
            Evidence::Key { .. } => None,
            Evidence::Certificate(identity) => Some(identity),
        }
    }
}

impl<C: Connector> AttemptContext<'_, C> {
    /// A fresh SAS token, when the device has a key for it. Signed in the attempt, so that none is ever an old one.
    pub(super) fn sign_token(&mut self, prepared: &Prepared) -> Option<SecretString> {
        let (DeviceAttestation::SymmetricKey { token_life, .. }, Evidence::Key { key, .. }) =
            (&self.settings.attestation, &prepared.evidence)
        else {
            return None;
        };
        let start = Instant::now();
        let resource = format!("{}/registrations/{}", self.settings.id_scope, prepared.registration_id);
        let expiry = unix_seconds(self.settings.clock.now(), *token_life);
        let token = key.sign(&resource, expiry, Some("registration")).to_text().into();
        self.facts.phases.add(Phase::Sas, start.elapsed());
        Some(token)
    }

    /// What the device says to DPS over MQTT.
    pub(super) fn dps_session(&mut self, prepared: &Prepared) -> DpsSession {
        let token = self.sign_token(prepared);
        let settings = self.settings;
        let user_name = DpsUserName {
            id_scope: settings.id_scope.as_str(),
            registration_id: prepared.registration_id.as_str(),
            api_version: Some(&settings.dps_api_version),
            client_version: settings.client_version.as_deref(),
        };
        DpsSession {
            registration_id: prepared.registration_id.as_str().to_owned(),
            user_name: user_name.to_string(),
            password: token.map(|token| token.expose_secret().to_owned()).unwrap_or_default(),
            keep_alive: settings.keep_alive,
            body: prepared.body(),
        }
    }

    /// Base64 of the CSR that asks for a new certificate in place of the credential's: the prepared one, unless the device
    /// has another name at its hub.
    pub(super) fn renewal_csr(&mut self, credential: &Credential, prepared: &Prepared) -> Result<String, Failure> {
        if credential.device_id == prepared.registration_id.as_str() {
            return Ok(prepared.csr.clone());
        }
        let start = Instant::now();
        let csr = base64_csr(&prepared.key, &credential.device_id);
        self.facts.phases.add(Phase::Csr, start.elapsed());
        csr.map_err(|error| match error {
            KeyError::CommonName(_) => {
                let message = format!("the device id that DPS assigned can be in no CSR: {error}");
                Failure::new(FailureClass::Protocol, message)
            }
            error => generator(&error),
        })
    }
}

impl fmt::Debug for Prepared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Prepared").field("registration_id", &self.registration_id).finish_non_exhaustive()
    }
}

fn unix_seconds(now: SystemTime, later: FleetTime) -> u64 {
    (FleetTime::between(UNIX_EPOCH, now) + later).as_secs()
}

pub(super) fn generator(error: &KeyError) -> Failure {
    Failure::new(FailureClass::Generator, error.to_string())
}
