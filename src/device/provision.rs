use tokio::time::Instant;

use crate::device::attempt::{AttemptContext, Done, attempt};
use crate::device::credential::UncheckedCredential;
use crate::device::{Connector, Credential, LocalEnd, Prepared, Settings};
use crate::domain::{Failure, Phase};
use crate::protocol::registration_flow::Assignment;

/// Registers with DPS, checks the issued chain, connects to the assigned hub with it and sends telemetry, as far as
/// `settings` ask for. `keep`: the session with the hub stays open. The future is small and may be dropped at any point.
pub async fn provision<C: Connector>(
    settings: &Settings,
    connector: &C,
    end: &LocalEnd,
    prepared: &Prepared,
    keep: bool,
) -> Done<C::Stream> {
    let context = AttemptContext::new(settings, connector, end, prepared.begin_registration(), None);
    Box::pin(attempt(context, keep, async |attempt| attempt.provision(prepared).await)).await
}

impl<C: Connector> AttemptContext<'_, C> {
    async fn provision(&mut self, prepared: &Prepared) -> Result<Credential, Failure> {
        let (Assignment { hub, device_id, chain }, session) = self.register(prepared).await?;
        let issued = UncheckedCredential { hub, device_id, chain };
        let verified = self.verify(issued, prepared.key(), prepared.registration_id().as_str());
        self.enters(Phase::DpsClose);
        let closing = Instant::now();
        session.close(self.connector).await;
        self.facts.phases.set(Phase::DpsClose, closing.elapsed());
        let credential = verified?;
        self.obtained = Some(credential.clone());
        self.session = self.visit_hub(&credential).await?;
        Ok(credential)
    }
}
