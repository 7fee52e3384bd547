use std::sync::Arc;

use tokio::time::{Instant, timeout};

use crate::device::failures::{from_handshake, from_io, late};
use crate::device::{Connector, Settings, Target};
use crate::domain::{Failure, Phase};
use crate::measure::PhaseTimes;

/// What an attempt uses and what it has found out so far; kept apart from the work, so that it survives a time-out.
pub(super) struct Attempt<'a, C> {
    pub(super) settings: &'a Settings,
    pub(super) connector: &'a C,
    /// When it began.
    pub(super) started: Instant,
    pub(super) phases: PhaseTimes,
    pub(super) polls: u16,
    pub(super) throttled: u16,
}

/// The two phases of making a connection, and the peer's name in failures.
pub(super) struct Leg {
    pub(super) service: &'static str,
    pub(super) tcp: Phase,
    pub(super) tls: Phase,
}

impl Leg {
    pub(super) const DPS: Self = Self { service: "DPS", tcp: Phase::Tcp, tls: Phase::Tls };
    pub(super) const HUB: Self = Self { service: "the hub", tcp: Phase::HubTcp, tls: Phase::HubTls };
}

impl<C: Connector> Attempt<'_, C> {
    /// Connects and makes TLS, timed apart.
    pub(super) async fn connect(
        &mut self,
        leg: &Leg,
        target: &Target<'_>,
        config: Arc<rustls::ClientConfig>,
    ) -> Result<C::Stream, Failure> {
        let (connector, limits) = (self.connector, self.settings.timeouts);
        let start = Instant::now();
        let opened = timeout(limits.connect, connector.open(target)).await;
        self.phases.set(leg.tcp, start.elapsed());
        let transport =
            opened.map_err(|_| late("connection", limits.connect))?.map_err(|error| from_io(leg.service, &error))?;
        let start = Instant::now();
        let secured = timeout(limits.handshake, connector.secure(transport, target, config)).await;
        self.phases.set(leg.tls, start.elapsed());
        secured
            .map_err(|_| late("end of the TLS handshake", limits.handshake))?
            .map_err(|error| from_handshake(leg.service, &error))
    }
}
