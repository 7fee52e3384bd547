use std::io;
use std::sync::Arc;

use tokio::time::{Instant, timeout};

use crate::device::channel::Channel;
use crate::device::failures::{broke, from_handshake, from_io, late};
use crate::device::{Connector, Credential, HubSession, LocalEnd, PeerAddress, Settings};
use crate::domain::{AttemptFacts, Failure, FailureClass, Phase, PhaseTimes, Transport};
use crate::protocol::websocket::{HandshakeError, WebSocketBytes};

/// What an attempt of any kind found out.
#[derive(Debug)]
pub struct Done<S> {
    /// With every phase that it had, those of its preparation included when it was the first to use it; `queued`, `backoff`,
    /// `recover`, `total` and `total_raw` are the caller's.
    pub facts: AttemptFacts,
    /// The credential, or why there is none.
    pub result: Result<Credential, Failure>,
    /// The credential that a failed attempt got nevertheless: only the hub could not be reached with it.
    pub obtained: Option<Credential>,
    /// The session with the hub, when it was to be kept and lives: the new one after a success, the one that was there
    /// before after a failure.
    pub session: Option<HubSession<S>>,
}

/// Does `work` within the time of an attempt. `keep`: a session stays open at the end.
pub(super) async fn attempt<C, W>(mut attempt: AttemptContext<'_, C>, keep: bool, work: W) -> Done<C::Stream>
where
    C: Connector,
    W: AsyncFnOnce(&mut AttemptContext<'_, C>) -> Result<Credential, Failure>,
{
    let (settings, connector, end) = (attempt.settings, attempt.connector, attempt.end);
    end.begins(&attempt.facts);
    let limit = settings.timeouts.attempt;
    let result = timeout(limit, work(&mut attempt)).await;
    // Asked for in any case, as the attempt is at its end.
    let told = end.interrupted();
    let result = result.unwrap_or_else(|_| {
        attempt.facts = told;
        let message = format!("the attempt took longer than {} s", limit.as_secs_f64());
        Err(Failure::new(FailureClass::Timeout, message))
    });
    let AttemptContext { facts, obtained, session, .. } = attempt;
    let session = match session.filter(HubSession::is_alive) {
        Some(session) if !keep => {
            session.close(connector).await;
            None
        }
        session => session,
    };
    let obtained = obtained.filter(|_| result.is_err());
    Done { facts, result, obtained, session }
}

/// What an attempt uses and what it has found out so far; kept apart from the work, so that it survives a time-out.
pub(super) struct AttemptContext<'a, C: Connector> {
    pub(super) settings: &'a Settings,
    pub(super) connector: &'a C,
    pub(super) end: &'a LocalEnd,
    /// When it began.
    pub(super) started: Instant,
    pub(super) facts: AttemptFacts,
    /// A new credential, once it was checked.
    pub(super) obtained: Option<Credential>,
    pub(super) session: Option<HubSession<C::Stream>>,
}

/// The phases of making a connection, and the peer's name in failures.
pub(super) struct Leg {
    pub(super) service: &'static str,
    pub(super) tcp: Phase,
    pub(super) tls: Phase,
    pub(super) connack: Phase,
}

impl Leg {
    pub(super) const DPS: Self = Self { service: "DPS", tcp: Phase::Tcp, tls: Phase::Tls, connack: Phase::Connack };
    pub(super) const HUB: Self =
        Self { service: "the hub", tcp: Phase::HubTcp, tls: Phase::HubTls, connack: Phase::HubConnack };
    /// With the certificate that is about to be replaced, to ask for the new one.
    pub(super) const RENEWAL: Self =
        Self { service: "the hub", tcp: Phase::RenewTcp, tls: Phase::RenewTls, connack: Phase::RenewConnack };
}

impl<'a, C: Connector> AttemptContext<'a, C> {
    /// Of an attempt that begins now, with the phases of its preparation and, if there is one, a session from before.
    pub(super) fn new(
        settings: &'a Settings,
        connector: &'a C,
        end: &'a LocalEnd,
        phases: PhaseTimes,
        session: Option<HubSession<C::Stream>>,
    ) -> Self {
        let facts = AttemptFacts { phases, ..AttemptFacts::default() };
        Self { settings, connector, end, started: Instant::now(), facts, obtained: None, session }
    }

    /// It is in this phase from now on.
    pub(super) fn enters(&self, phase: Phase) {
        self.end.tells(phase, &self.facts);
    }

    /// Connects for MQTT. A WebSocket's handshake counts as part of TLS: it belongs to the way, not to MQTT. Frames of more
    /// than `limit` bytes are not taken.
    pub(super) async fn connect_mqtt(
        &mut self,
        leg: &Leg,
        target: &PeerAddress<'_>,
        config: Arc<rustls::ClientConfig>,
        web_socket: bool,
        limit: usize,
    ) -> Result<Channel<C::Stream>, Failure> {
        let stream = self.connect(leg, target, config).await?;
        if !web_socket {
            return Ok(Channel::Direct(stream));
        }
        let handshake = self.settings.timeouts.handshake;
        let host = target.authority(Transport::MqttWebSocket.port());
        let start = Instant::now();
        let result = timeout(handshake, Box::pin(WebSocketBytes::connect(stream, &host, limit))).await;
        self.facts.phases.add(leg.tls, start.elapsed());
        match result {
            Ok(Ok(stream)) => Ok(Channel::WebSocket(Box::new(stream))),
            Ok(Err(HandshakeError::Io(error))) => Err(from_io(leg.service, &error)),
            Ok(Err(HandshakeError::Refused(status))) => {
                Err(Failure::rejected(status.into(), format!("{} refused the WebSocket", leg.service)))
            }
            Ok(Err(HandshakeError::Invalid(reason))) => Err(broke(leg.service, "the WebSocket handshake", reason)),
            Err(_) => Err(late(&format!("end of the WebSocket handshake with {}", leg.service), handshake)),
        }
    }

    /// Connects and makes TLS, timed apart; added to what an earlier connection of the attempt took.
    pub(super) async fn connect(
        &mut self,
        leg: &Leg,
        target: &PeerAddress<'_>,
        config: Arc<rustls::ClientConfig>,
    ) -> Result<C::Stream, Failure> {
        let Self { connector, settings, end, .. } = *self;
        let limits = settings.timeouts;
        self.enters(leg.tcp);
        let start = Instant::now();
        let opened = timeout(limits.connect, async {
            let transport = connector.open(target, end.source(settings)).await?;
            let mut link = end.link(settings, transport);
            link.round_trip().await;
            Ok(link)
        });
        let opened = opened.await;
        self.facts.phases.add(leg.tcp, start.elapsed());
        let link = opened
            .map_err(|_| late(&format!("TCP connection with {}", leg.service), limits.connect))?
            .map_err(|error: io::Error| from_io(leg.service, &error))?;
        self.enters(leg.tls);
        let start = Instant::now();
        let secured = timeout(limits.handshake, connector.secure(link, target, config)).await;
        self.facts.phases.add(leg.tls, start.elapsed());
        secured
            .map_err(|_| late(&format!("end of the TLS handshake with {}", leg.service), limits.handshake))?
            .map_err(|error| from_handshake(leg.service, &error))
    }
}
