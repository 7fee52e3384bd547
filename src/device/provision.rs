use std::sync::Arc;

use tokio::time::{Instant, timeout};

use crate::device::attempt::Attempt;
use crate::device::{Connector, Prepared, Settings};
use crate::domain::{Failure, FailureClass, Phase};
use crate::measure::PhaseTimes;
use crate::pki::chain::VerifiedLeaf;
use crate::pki::key::DeviceKey;
use crate::protocol::registration_flow::Assignment;

/// What a device owns once it was provisioned.
#[derive(Debug, Clone)]
pub struct Credential {
    /// Host name of the assigned hub.
    pub hub: String,
    /// Device id at the hub.
    pub device_id: String,
    /// The issued chain, leaf first, DER.
    pub chain: Arc<[Vec<u8>]>,
    /// The key of the leaf.
    pub key: Arc<DeviceKey>,
    /// Serial number and validity of the leaf.
    pub leaf: VerifiedLeaf,
}

impl Credential {
    /// What the device shows to the hub: leaf and intermediates. The root, which comes last, is the hub's own.
    pub fn presented_chain(&self) -> &[Vec<u8>] {
        match &*self.chain {
            [shown @ .., _root] if !shown.is_empty() => shown,
            all => all,
        }
    }
}

/// How an attempt went.
#[derive(Debug)]
pub struct Provisioned {
    /// Every phase that it had, those of [`Prepared`] included; `queued`, `total` and `total_raw` are the caller's.
    pub phases: PhaseTimes,
    /// Status polls sent.
    pub polls: u16,
    /// Answers 429 received.
    pub throttled: u16,
    /// The credential, or why there is none.
    pub result: Result<Credential, Failure>,
}

/// Registers with DPS, checks the issued chain, connects to the assigned hub with it and sends telemetry, as far as
/// `settings` ask for. The future may be dropped at any point.
pub async fn provision<C: Connector>(settings: &Settings, connector: &C, prepared: Prepared) -> Provisioned {
    let phases = prepared.phases();
    let mut attempt = Attempt { settings, connector, started: Instant::now(), phases, polls: 0, throttled: 0 };
    let limit = settings.timeouts.attempt;
    let result = timeout(limit, attempt.provision(prepared)).await.unwrap_or_else(|_| {
        let message = format!("the attempt took longer than {} s", limit.as_secs_f64());
        Err(Failure::new(FailureClass::Timeout, message))
    });
    let Attempt { phases, polls, throttled, .. } = attempt;
    Provisioned { phases, polls, throttled, result }
}

impl<C: Connector> Attempt<'_, C> {
    async fn provision(&mut self, prepared: Prepared) -> Result<Credential, Failure> {
        let (assignment, session) = self.register(&prepared).await?;
        let verified = self.verify(assignment, &prepared);
        let closing = Instant::now();
        session.close(self.connector).await;
        self.phases.set(Phase::DpsClose, closing.elapsed());
        let credential = verified?;
        if let Some(settings) = &self.settings.hub {
            let mut hub = self.connect_hub(settings, &credential).await?;
            let sent = match &settings.telemetry {
                Some(telemetry) => self.send_telemetry(&mut hub, &credential.device_id, telemetry).await,
                None => Ok(()),
            };
            hub.close(self.connector).await;
            sent?;
        }
        Ok(credential)
    }

    fn verify(&mut self, assignment: Assignment, prepared: &Prepared) -> Result<Credential, Failure> {
        let start = Instant::now();
        let Assignment { hub, device_id, chain } = assignment;
        let (key, now) = (prepared.key(), self.settings.clock.now());
        let wrong = |message| Failure::new(FailureClass::Verification, message);
        if chain.is_empty() {
            return Err(wrong("assigned without a certificate: link a credential policy to the enrollment".to_owned()));
        }
        let leaf = self.settings.chain.verify(&chain, key.spki_der(), prepared.registration_id().as_str(), now);
        self.phases.set(Phase::Verify, start.elapsed());
        let leaf = leaf.map_err(|error| wrong(error.to_string()))?;
        Ok(Credential { hub, device_id, chain: chain.into(), key: key.clone(), leaf })
    }
}
