use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use rand_chacha::rand_core::Rng as _;
use secrecy::{ExposeSecret, SecretString};
use tokio::time::Instant;
use zeroize::Zeroizing;

use crate::device::{Attestation, Settings};
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
    /// The SAS token, empty with X.509 attestation.
    token: SecretString,
    key: Arc<DeviceKey>,
    body: Bytes,
    seed: u64,
    phases: PhaseTimes,
}

/// Derives and signs the SAS token, makes a key pair and its CSR: CPU work without waiting, for a pool of threads.
/// `index` is the device's place in the fleet and selects its random draws.
pub fn prepare(settings: &Settings, index: u32, registration_id: &RegistrationId) -> Result<Prepared, Failure> {
    let mut phases = PhaseTimes::new();
    let mut timed = {
        let mut start = Instant::now();
        move |phase, phases: &mut PhaseTimes| {
            let end = Instant::now();
            phases.set(phase, end - start);
            start = end;
        }
    };
    let id = registration_id.as_str();
    let token = match &settings.attestation {
        Attestation::SymmetricKey { group_key, token_life } => {
            let resource = format!("{}/registrations/{id}", settings.id_scope);
            let expiry = unix_seconds(settings.clock.now(), *token_life);
            group_key.derive(id).sign(&resource, expiry, Some("registration")).to_text()
        }
    };
    timed(Phase::Sas, &mut phases);
    let key = make_key(settings, index).map_err(|e| generator(&e))?;
    timed(Phase::Keygen, &mut phases);
    let csr = csr::build(&key, id).map_err(|e| generator(&e))?;
    let request = RegistrationRequest {
        registration_id: Some(id.into()),
        csr: Some(csr::to_base64(&csr).into()),
        ..RegistrationRequest::default()
    };
    let body = Bytes::from(request.to_body());
    timed(Phase::Csr, &mut phases);
    Ok(Prepared {
        registration_id: registration_id.clone(),
        token: token.into(),
        key: Arc::new(key),
        body,
        seed: rng(settings.seed, "device", u64::from(index)).next_u64(),
        phases,
    })
}

fn make_key(settings: &Settings, index: u32) -> Result<DeviceKey, KeyError> {
    match settings.keys {
        KeySource::Fresh => DeviceKey::generate(settings.algorithm, settings.provider),
        KeySource::Seeded => {
            let mut seed = Zeroizing::new([0; 32]);
            rng(settings.seed, "key", u64::from(index)).fill_bytes(&mut *seed);
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

    /// What the device says to DPS. The token and the body are handed over.
    pub(super) fn dps_session(&mut self, settings: &Settings) -> DpsSession {
        let user_name = DpsUserName {
            id_scope: settings.id_scope.as_str(),
            registration_id: self.registration_id.as_str(),
            api_version: Some(&settings.dps_api_version),
            client_version: settings.client_version.as_deref(),
        };
        DpsSession {
            registration_id: self.registration_id.as_str().to_owned(),
            user_name: user_name.to_string(),
            password: self.token.expose_secret().to_owned(),
            keep_alive: settings.keep_alive,
            body: std::mem::take(&mut self.body),
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
