use crate::device::attempt::{Attempt, Provisioned, attempt};
use crate::device::credential::Issued;
use crate::device::{Connector, Credential, HubSettings, PreparedRenewal, Settings};
use crate::domain::{Failure, FailureClass, Phase};
use crate::measure::PhaseTimes;
use crate::protocol::renewal_flow::{Renewal, RenewalRequest};

/// Connects to the hub with the old credential, gets a new one over that session, checks it, and connects with it as
/// [`reconnect`] does. `hub_tcp`, `hub_tls` and `hub_connack` count both connections.
pub async fn renew<C: Connector>(
    settings: &Settings,
    connector: &C,
    credential: &Credential,
    prepared: PreparedRenewal,
) -> Provisioned {
    attempt(settings, connector, prepared.phases(), async |attempt| attempt.renew(credential, prepared).await).await
}

/// Connects to the hub with a credential and sends telemetry, as far as `settings` ask for.
pub async fn reconnect<C: Connector>(settings: &Settings, connector: &C, credential: Credential) -> Provisioned {
    attempt(settings, connector, PhaseTimes::new(), async |attempt| {
        attempt.visit_hub(&credential).await?;
        Ok(credential)
    })
    .await
}

impl<C: Connector> Attempt<'_, C> {
    async fn renew(&mut self, old: &Credential, prepared: PreparedRenewal) -> Result<Credential, Failure> {
        let hub = self.settings.hub.as_ref().ok_or_else(|| {
            Failure::new(FailureClass::Generator, "certificates are renewed over the hub, which is switched off")
        })?;
        let chain = self.ask_for_chain(hub, old, &prepared).await?;
        let issued = Issued { hub: old.hub.clone(), device_id: old.device_id.clone(), chain };
        let renewed = self.verify(issued, &prepared.key, &old.device_id)?;
        self.visit_hub(&renewed).await?;
        Ok(renewed)
    }

    async fn ask_for_chain(
        &mut self,
        hub: &HubSettings,
        credential: &Credential,
        prepared: &PreparedRenewal,
    ) -> Result<Vec<Vec<u8>>, Failure> {
        let mut session = self.connect_hub(hub, credential).await?;
        let request = RenewalRequest {
            device_id: credential.device_id.clone(),
            csr: prepared.csr.clone(),
            packet_id: session.packet_id(),
            subscribed: false,
        };
        let mut flow = Renewal::new(request, self.settings.renewal, prepared.seed);
        let chain = session
            .converse(|input, now, out| match input {
                None => flow.begin(now, out),
                Some(input) => flow.handle(input, now, out),
            })
            .await;
        let times = flow.times();
        for (phase, time) in [(Phase::RenewAccept, times.accept), (Phase::RenewIssue, times.issue)] {
            if let Some(time) = time {
                self.phases.set(phase, time);
            }
        }
        self.throttled += flow.throttled();
        session.close(self.connector).await;
        chain
    }
}
