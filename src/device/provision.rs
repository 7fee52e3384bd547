use tokio::time::Instant;

use crate::device::attempt::{Attempt, Provisioned, attempt};
use crate::device::credential::Issued;
use crate::device::{Connector, Credential, Prepared, Settings};
use crate::domain::{Failure, Phase};
use crate::protocol::registration_flow::Assignment;

/// Registers with DPS, checks the issued chain, connects to the assigned hub with it and sends telemetry, as far as
/// `settings` ask for. The future may be dropped at any point.
pub async fn provision<C: Connector>(settings: &Settings, connector: &C, prepared: Prepared) -> Provisioned {
    attempt(settings, connector, prepared.phases(), async |attempt| attempt.provision(&prepared).await).await
}

impl<C: Connector> Attempt<'_, C> {
    async fn provision(&mut self, prepared: &Prepared) -> Result<Credential, Failure> {
        let (Assignment { hub, device_id, chain }, session) = self.register(prepared).await?;
        let issued = Issued { hub, device_id, chain };
        let verified = self.verify(issued, prepared.key(), prepared.registration_id().as_str());
        let closing = Instant::now();
        session.close(self.connector).await;
        self.phases.set(Phase::DpsClose, closing.elapsed());
        let credential = verified?;
        self.visit_hub(&credential).await?;
        Ok(credential)
    }
}
