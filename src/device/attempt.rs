use std::sync::Arc;

use tokio::time::{Instant, timeout};

use crate::device::channel::Channel;
use crate::device::failures::{from_handshake, from_io, late};
use crate::device::{Connector, Credential, Settings, Target};
use crate::domain::{Failure, FailureClass, Phase, Transport};
use crate::measure::PhaseTimes;
use crate::protocol::websocket::{HandshakeError, WebSocketBytes};

/// How an attempt went.
#[derive(Debug)]
pub struct Provisioned {
    /// Every phase that it had, those of its preparation included; `queued`, `total` and `total_raw` are the caller's.
    pub phases: PhaseTimes,
    /// Status polls sent.
    pub polls: u16,
    /// Answers 429 received.
    pub throttled: u16,
    /// The credential, or why there is none.
    pub result: Result<Credential, Failure>,
}

/// Does `work` within the time of an attempt. `phases` are those of its preparation.
pub(super) async fn attempt<C, W>(settings: &Settings, connector: &C, phases: PhaseTimes, work: W) -> Provisioned
where
    W: AsyncFnOnce(&mut Attempt<'_, C>) -> Result<Credential, Failure>,
{
    let mut attempt = Attempt { settings, connector, started: Instant::now(), phases, polls: 0, throttled: 0 };
    let limit = settings.timeouts.attempt;
    let result = timeout(limit, work(&mut attempt)).await.unwrap_or_else(|_| {
        let message = format!("the attempt took longer than {} s", limit.as_secs_f64());
        Err(Failure::new(FailureClass::Timeout, message))
    });
    let Attempt { phases, polls, throttled, .. } = attempt;
    Provisioned { phases, polls, throttled, result }
}

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
    /// Connects for MQTT. A WebSocket's handshake counts as part of TLS: it belongs to the way, not to MQTT. Frames of more
    /// than `limit` bytes are not taken.
    pub(super) async fn connect_mqtt(
        &mut self,
        leg: &Leg,
        target: &Target<'_>,
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
        self.phases.add(leg.tls, start.elapsed());
        match result {
            Ok(Ok(stream)) => Ok(Channel::WebSocket(Box::new(stream))),
            Ok(Err(HandshakeError::Io(error))) => Err(from_io(leg.service, &error)),
            Ok(Err(HandshakeError::Refused(status))) => {
                Err(Failure::rejected(status.into(), format!("{} refused the WebSocket", leg.service)))
            }
            Ok(Err(HandshakeError::Invalid(reason))) => {
                Err(Failure::new(FailureClass::Protocol, format!("{}: {reason}", leg.service)))
            }
            Err(_) => Err(late(&format!("end of the WebSocket handshake with {}", leg.service), handshake)),
        }
    }

    /// Connects and makes TLS, timed apart; added to what an earlier connection of the attempt took.
    pub(super) async fn connect(
        &mut self,
        leg: &Leg,
        target: &Target<'_>,
        config: Arc<rustls::ClientConfig>,
    ) -> Result<C::Stream, Failure> {
        let (connector, limits) = (self.connector, self.settings.timeouts);
        let start = Instant::now();
        let opened = timeout(limits.connect, connector.open(target)).await;
        self.phases.add(leg.tcp, start.elapsed());
        let transport = opened
            .map_err(|_| late(&format!("TCP connection with {}", leg.service), limits.connect))?
            .map_err(|error| from_io(leg.service, &error))?;
        let start = Instant::now();
        let secured = timeout(limits.handshake, connector.secure(transport, target, config)).await;
        self.phases.add(leg.tls, start.elapsed());
        secured
            .map_err(|_| late(&format!("end of the TLS handshake with {}", leg.service), limits.handshake))?
            .map_err(|error| from_handshake(leg.service, &error))
    }
}
