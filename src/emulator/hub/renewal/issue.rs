use std::sync::Arc;

use tokio::time::{Instant, sleep_until};
use tokio_util::task::AbortOnDropHandle;
use uuid::Uuid;

use super::answer::RenewalRefusal;
use crate::emulator::core::Core;
use crate::emulator::counters::Event;
use crate::emulator::issuing::adr::{CertificateSubject, Chain, CredentialPolicy, IssuedCertificate};
use crate::emulator::registry::{Change, Device, DeviceState, Renewal};

/// The policy that signs the device's certificates: that of the enrollment it came by.
pub(super) fn policy(core: &Core, state: &DeviceState) -> Option<Arc<CredentialPolicy>> {
    state.registration.enrollment.credential_policy.as_deref().and_then(|name| core.adr.policy(name))
}

/// A CSR on its way to the authority.
pub(super) struct RenewalJob {
    device: Arc<Device>,
    correlation_id: Uuid,
    ready_at: Instant,
    policy: Arc<CredentialPolicy>,
    csr: Vec<u8>,
    subject: CertificateSubject,
    /// A fault: the authority signs nothing.
    away: bool,
}

impl RenewalJob {
    pub(super) fn new(
        device: &Arc<Device>,
        state: &DeviceState,
        policy: Arc<CredentialPolicy>,
        csr: Vec<u8>,
        renewal: &Renewal,
        away: bool,
    ) -> Self {
        let subject = CertificateSubject {
            csr_name: Arc::clone(&device.id),
            device_id: Arc::clone(&device.id),
            unique_id: state.unique_id,
        };
        let (correlation_id, ready_at) = (renewal.correlation_id, renewal.ready_at);
        Self { device: Arc::clone(device), correlation_id, ready_at, policy, csr, subject, away }
    }

    /// Gives it to the threads that sign. When they have too much to do, the operation is forgotten.
    pub(super) fn submit(self, core: &Arc<Core>) -> Result<(), RenewalRefusal> {
        let (shared, device, correlation_id) = (Arc::clone(core), Arc::clone(&self.device), self.correlation_id);
        if self.ready_at > Instant::now() {
            let alarm = wake_at(self.ready_at, &device);
            device.with(|state| {
                if let Some(renewal) = self.mine(state) {
                    renewal.set_alarm(alarm);
                }
            });
        }
        core.issuance.submit(move || self.run(&shared)).map_err(|_| {
            device.with(|state| state.renewal.take_if(|renewal| renewal.correlation_id == correlation_id));
            RenewalRefusal::Busy
        })
    }

    /// On one of those threads. An operation that was replaced meanwhile is not worth a signature.
    fn run(self, core: &Core) {
        if !self.device.with(|state| self.mine(state).is_some()) {
            return;
        }
        let result = if self.away {
            Err("the authority is not available".to_owned())
        } else {
            let issued = self.policy.issue(&self.csr, &self.subject, core.clock.now());
            core.tally.count(if issued.is_ok() { Event::Issued } else { Event::CsrRefused });
            issued.map_err(|error| error.to_string())
        };
        match (result, &core.journal) {
            (Ok(issued), None) => self.finish(Ok(issued.chain)),
            (Err(reason), _) => self.finish(Err(reason)),
            (Ok(IssuedCertificate { chain, serial }), Some(journal)) => {
                journal.record_then(vec![Change::Issued(serial)], move || self.finish(Ok(chain)));
            }
        }
    }

    /// Has the device told.
    fn finish(self, result: Result<Chain, String>) {
        self.device.with_session(|state| {
            if let Some(renewal) = self.mine(state) {
                renewal.finish(result);
            }
        });
    }

    fn mine<'a>(&self, state: &'a mut DeviceState) -> Option<&'a mut Renewal> {
        state.renewal.as_deref_mut().filter(|renewal| renewal.correlation_id == self.correlation_id)
    }
}

/// Makes the device's session look when a result that is held back is due.
fn wake_at(due: Instant, device: &Arc<Device>) -> AbortOnDropHandle<()> {
    let device = Arc::downgrade(device);
    AbortOnDropHandle::new(tokio::spawn(async move {
        sleep_until(due).await;
        if let Some(device) = device.upgrade() {
            device.with_session(|_| {});
        }
    }))
}
