//! Connection to the assigned hub.

use std::fmt;
use std::time::Duration;

use bytes::BytesMut;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::Instant;

use crate::device::attempt::{AttemptContext, Leg};
use crate::device::channel::Channel;
use crate::device::failures::late;
use crate::device::session::{Peer, Session};
use crate::device::{Connector, Credential, HubSettings, PeerAddress, Settings, Telemetry};
use crate::domain::{Failure, FailureClass, Phase};
use crate::protocol::flow::{Input, packet_name};
use crate::protocol::mqtt::{Connect, HUB_PACKET_LIMIT, Login, Packet, Protocol, PubAck, Publish, QoS, SubAck};
use crate::protocol::packet_ids::PacketIds;
use crate::protocol::renewal_flow::{IssuedChain, RenewalFlow};
use crate::protocol::topic::{HubRequest, HubUserName};
use crate::protocol::unasked::Unasked;
use crate::protocol::words::connack_failure;

/// A session with the hub that outlives the attempt which made it.
pub struct HubSession<S> {
    session: Session<Channel<S>>,
    /// Packet ids used.
    packet_ids: PacketIds,
    unasked: Unasked,
    /// Whether it is subscribed to the answers to renewals.
    subscribed: bool,
    /// Longest time for an answer.
    answer: Duration,
}

/// How holding a session ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HoldEnd {
    /// The time was up; the session lives.
    Until,
    /// The session is of no more use.
    Lost(Failure),
}

impl<C: Connector> AttemptContext<'_, C> {
    /// Connects with a credential and sends telemetry, as far as the settings ask for.
    pub(super) async fn visit_hub(
        &mut self,
        credential: &Credential,
    ) -> Result<Option<HubSession<C::Stream>>, Failure> {
        let Some(settings) = &self.settings.hub else { return Ok(None) };
        let connected = self.connect_hub(&Leg::HUB, settings, credential).await;
        let mut hub = connected.map_err(|failure| self.told_of_clocks(failure, credential))?;
        if let Some(telemetry) = &settings.telemetry {
            self.enters(Phase::TelemetryAck);
            let start = Instant::now();
            let sent = hub.send(&credential.device_id, telemetry).await;
            self.facts.phases.add(Phase::TelemetryAck, start.elapsed());
            if let Err(failure) = sent {
                hub.close(self.connector).await;
                return Err(failure);
            }
        }
        Ok(Some(hub))
    }

    /// A hub that refuses a certificate which is not valid yet may be right: then the clocks are at fault.
    fn told_of_clocks(&self, mut failure: Failure, credential: &Credential) -> Failure {
        let refused = matches!(failure.class, FailureClass::Tls | FailureClass::Rejected);
        let leaf = &credential.leaf;
        if refused && !leaf.early_by.is_zero() && leaf.not_before > self.settings.clock.now() {
            failure.message.push_str(
                " (by this machine's clock the certificate is not valid yet: compare the clocks of this machine, the \
                 authority and the hub)",
            );
        }
        failure
    }

    /// Mutual TLS with the issued certificate, then CONNECT.
    pub(super) async fn connect_hub(
        &mut self,
        leg: &Leg,
        hub: &HubSettings,
        credential: &Credential,
    ) -> Result<HubSession<C::Stream>, Failure> {
        let settings = self.settings;
        let target = PeerAddress { host: &credential.hub, port: hub.port, address: hub.address };
        let config = self.end.hub_tls(settings, credential);
        let channel = self.connect_mqtt(leg, &target, config, hub.web_socket, HUB_PACKET_LIMIT).await?;
        let answer = settings.timeouts.answer;
        let peer = Peer { service: leg.service, limit: HUB_PACKET_LIMIT, keep_alive: settings.keep_alive, answer };
        let session = Session::new(channel, peer);
        let mut hub = HubSession {
            session,
            packet_ids: PacketIds::default(),
            unasked: Unasked::default(),
            subscribed: false,
            answer,
        };
        let user_name = HubUserName {
            host: &credential.hub,
            device_id: &credential.device_id,
            api_version: Some(&settings.hub_api_version),
            client_type: settings.client_version.as_deref(),
        };
        let connect = Connect {
            protocol: Protocol::V4,
            keep_alive: settings.keep_alive,
            client_id: credential.device_id.clone(),
            clean_session: true,
            last_will: None,
            login: Some(Login::new(user_name.to_string(), "")),
        };
        self.enters(leg.connack);
        let start = Instant::now();
        let result = hub.connect(connect).await;
        self.facts.phases.add(leg.connack, start.elapsed());
        match result {
            Ok(()) => Ok(hub),
            Err(failure) => {
                hub.close(self.connector).await;
                Err(failure)
            }
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> HubSession<S> {
    /// Keeps the connection alive (pings by keep-alive, acknowledges what the hub sends) until `until`; `None`: without end.
    /// May be dropped at any point and called again.
    pub async fn hold(&mut self, until: Option<Instant>) -> HoldEnd {
        loop {
            match self.session.input(until).await {
                Input::Packet(packet) => {
                    if let Err(failure) = self.attend(&packet) {
                        return HoldEnd::Lost(failure);
                    }
                }
                Input::Wake => return HoldEnd::Until,
                Input::Lost(failure) => return HoldEnd::Lost(failure),
            }
        }
    }

    /// Sends the message of the settings, or the default one, and waits until the hub has it. Gives the time until PUBACK.
    ///
    /// # Errors
    /// Why it is not known to have arrived. After [`FailureClass::Timeout`] the session may still live.
    pub async fn send_telemetry(&mut self, settings: &Settings, credential: &Credential) -> Result<Duration, Failure> {
        let start = Instant::now();
        let telemetry = settings.hub.as_ref().and_then(|hub| hub.telemetry.as_ref());
        // Boxed: a task that mostly holds the session need not keep room for it.
        match telemetry {
            Some(telemetry) => Box::pin(self.send(&credential.device_id, telemetry)).await,
            None => Box::pin(self.send(&credential.device_id, &Telemetry::default())).await,
        }?;
        Ok(start.elapsed())
    }

    /// DISCONNECT, the end of TLS, the end of the connection.
    pub async fn close<C: Connector<Stream = S>>(self, connector: &C) {
        Box::pin(self.session.close(connector)).await;
    }

    /// Takes leave, and waits until the hub has closed too, for the case that the device connects again at once.
    pub async fn leave<C: Connector<Stream = S>>(self, connector: &C) {
        Box::pin(self.session.leave(connector)).await;
    }

    async fn connect(&mut self, connect: Connect) -> Result<(), Failure> {
        self.session.put(&Packet::Connect(connect))?;
        match self.read("CONNACK of the hub").await? {
            Packet::ConnAck(connack) => connack_failure(Leg::HUB.service, connack.code).map_or(Ok(()), Err),
            packet => Err(breach(format!("the hub sent {} before CONNACK", packet_name(&packet)))),
        }
    }

    async fn send(&mut self, device_id: &str, telemetry: &Telemetry) -> Result<(), Failure> {
        let pkid = self.packet_ids.advance();
        let topic = HubRequest::Telemetry { device_id, properties: &telemetry.properties }.to_string();
        let publish =
            Publish { pkid, ..Publish::new(topic, QoS::AtLeastOnce, telemetry.body.replace("{deviceId}", device_id)) };
        self.session.put(&Packet::Publish(publish))?;
        self.unasked.clear();
        let until = Instant::now().checked_add(self.answer);
        loop {
            match self.session.input(until).await {
                Input::Packet(Packet::PubAck(puback)) if puback.pkid == pkid => return Ok(()),
                Input::Packet(packet) => self.attend(&packet)?,
                Input::Wake => return Err(late("PUBACK of the telemetry", self.answer)),
                Input::Lost(failure) => return Err(failure),
            }
        }
    }

    /// Carries a renewal over the session. `tell` is called at every step.
    pub(super) async fn renew(
        &mut self,
        flow: &mut RenewalFlow,
        mut tell: impl FnMut(&mut RenewalFlow),
    ) -> Result<IssuedChain, Failure> {
        let Self { session, packet_ids, subscribed, .. } = self;
        let step = |input: Option<Input>, now, out: &mut BytesMut| {
            let next = match input {
                None => flow.begin(now, out),
                Some(input) => flow.handle(input, now, out),
            };
            // At every step, as it may be the last one before the future is dropped.
            (*packet_ids, *subscribed) = (flow.packet_ids(), flow.is_subscribed());
            tell(flow);
            next
        };
        session.converse(step).await
    }

    /// Acknowledges what the hub sends on its own account.
    fn attend(&mut self, packet: &Packet) -> Result<(), Failure> {
        let attended = match packet {
            Packet::Publish(Publish { qos: QoS::ExactlyOnce, .. }) => {
                Err(breach("the hub published with QoS 2, to which nobody subscribed"))
            }
            Packet::Publish(publish) if publish.qos == QoS::AtLeastOnce => {
                self.session.put(&Packet::PubAck(PubAck::new(publish.pkid)))
            }
            Packet::Publish(_) | Packet::PingResp => Ok(()),
            Packet::PubAck(PubAck { pkid }) | Packet::SubAck(SubAck { pkid, .. })
                if self.packet_ids.has_used(*pkid) =>
            {
                Ok(())
            }
            Packet::PubAck(_) | Packet::SubAck(_) => Err(breach("the hub acknowledged a packet that was never sent")),
            packet => Err(breach(format!("the hub sent {} out of turn", packet_name(packet)))),
        };
        let attended = attended.and_then(|()| self.unasked.count(Leg::HUB.service));
        if attended.is_err() {
            self.session.give_up();
        }
        attended
    }

    async fn read(&mut self, what: &str) -> Result<Packet, Failure> {
        match self.session.input(Instant::now().checked_add(self.answer)).await {
            Input::Packet(packet) => Ok(packet),
            Input::Wake => Err(late(what, self.answer)),
            Input::Lost(failure) => Err(failure),
        }
    }
}

impl<S> HubSession<S> {
    /// Whether nothing speaks against using it further.
    pub(super) const fn is_alive(&self) -> bool {
        self.session.is_alive()
    }

    /// Packet ids used.
    pub(super) const fn packet_ids(&self) -> PacketIds {
        self.packet_ids
    }

    /// Whether it is subscribed to the answers to renewals.
    pub(super) const fn is_subscribed(&self) -> bool {
        self.subscribed
    }
}

/// The hub did what the protocol does not allow.
fn breach(what: impl Into<String>) -> Failure {
    Failure::new(FailureClass::Protocol, what)
}

impl<S> fmt::Debug for HubSession<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HubSession").field("alive", &self.is_alive()).finish_non_exhaustive()
    }
}
