use std::future::Future;
use std::io;
use std::sync::Arc;
use std::time::Duration;

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
        let open = connector.open(target);
        let transport = self.timed(leg.tcp, limits.connect, open).await;
        let transport = transport
            .map_err(|error| error.map_or_else(|| late("connection", limits.connect), |e| from_io(leg.service, &e)))?;
        let secure = connector.secure(transport, target, config);
        let stream = self.timed(leg.tls, limits.handshake, secure).await;
        stream.map_err(|error| {
            error
                .map_or_else(|| late("end of the TLS handshake", limits.handshake), |e| from_handshake(leg.service, &e))
        })
    }

    /// Runs a step of at most `limit` and records its time, also when it fails; `Err(None)` when it took too long.
    async fn timed<T>(
        &mut self,
        phase: Phase,
        limit: Duration,
        step: impl Future<Output = io::Result<T>>,
    ) -> Result<T, Option<io::Error>> {
        let start = Instant::now();
        let result = timeout(limit, step).await;
        self.phases.set(phase, start.elapsed());
        match result {
            Ok(result) => result.map_err(Some),
            Err(_) => Err(None),
        }
    }
}
