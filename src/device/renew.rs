use crate::device::attempt::{AttemptContext, Done, Leg, attempt};
use crate::device::credential::UncheckedCredential;
use crate::device::{Connector, Credential, HubSession, LocalEnd, Prepared, Settings};
use crate::domain::{Failure, FailureClass, PhaseTimes};
use crate::protocol::renewal_flow::{RenewalFlow, RenewalRequest};

/// Gets a new credential over `session`, checks it, takes leave of the hub (the last PUBACK, DISCONNECT; until the hub has closed) and connects with
/// the new one, as [`reconnect`] does: a hub has one connection of a device, and a second one would take the first one over.
/// Without a session it first connects with the old credential, in phases of its own (`renew_tcp`, `renew_tls`,
/// `renew_connack`). `keep`: a session stays open, the new one, or the old one if it lives and no new credential came. The
/// future is small and may be dropped at any point.
pub async fn renew<C: Connector>(
    settings: &Settings,
    connector: &C,
    end: &LocalEnd,
    credential: &Credential,
    session: Option<HubSession<C::Stream>>,
    prepared: &Prepared,
    keep: bool,
) -> Done<C::Stream> {
    let context = AttemptContext::new(settings, connector, end, prepared.begin_renewal(), session);
    Box::pin(attempt(context, keep, async |attempt| attempt.renew(credential, prepared).await)).await
}

/// Connects to the hub with a credential and sends telemetry, as far as `settings` ask for. `keep`: the session stays
/// open. The future is small and may be dropped at any point.
pub async fn reconnect<C: Connector>(
    settings: &Settings,
    connector: &C,
    end: &LocalEnd,
    credential: &Credential,
    keep: bool,
) -> Done<C::Stream> {
    let context = AttemptContext::new(settings, connector, end, PhaseTimes::new(), None);
    let work = async |attempt: &mut AttemptContext<'_, C>| {
        attempt.session = attempt.visit_hub(credential).await?;
        Ok(credential.clone())
    };
    Box::pin(attempt(context, keep, work)).await
}

impl<C: Connector> AttemptContext<'_, C> {
    async fn renew(&mut self, old: &Credential, prepared: &Prepared) -> Result<Credential, Failure> {
        let hub = self.settings.hub.as_ref().ok_or_else(|| {
            Failure::new(FailureClass::Configuration, "certificates are renewed over the hub, which is switched off")
        })?;
        let csr = self.renewal_csr(old, prepared)?;
        let session = match self.session.take() {
            Some(session) => session,
            None => self.connect_hub(&Leg::RENEWAL, hub, old).await?,
        };
        let deadline = self.settings.timeouts.attempt.saturating_sub(self.started.elapsed());
        let request = RenewalRequest {
            device_id: old.device_id.clone(),
            csr,
            packet_ids: session.packet_ids(),
            subscribed: session.is_subscribed(),
        };
        let mut flow =
            RenewalFlow::new(request, self.settings.renewal, deadline, self.settings.time_scale, prepared.draws_seed());
        let session = self.session.insert(session);
        let (end, before) = (self.end, self.facts);
        let tell = |flow: &mut RenewalFlow| {
            end.tells(flow.phase(), &before.and(flow.facts()));
            end.did(flow.take_late());
        };
        let chain = session.renew(&mut flow, tell).await;
        self.facts = before.and(flow.facts());
        let issued = UncheckedCredential { hub: old.hub.clone(), device_id: old.device_id.clone(), chain: chain? };
        let renewed = self.verify(issued, prepared.key(), &old.device_id)?;
        self.obtained = Some(renewed.clone());
        if let Some(old) = self.session.take() {
            old.leave(self.connector).await;
        }
        self.session = self.visit_hub(&renewed).await?;
        Ok(renewed)
    }
}
