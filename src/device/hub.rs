//! Connection to the assigned hub.

use std::time::Duration;

use bytes::BytesMut;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::Instant;

use crate::device::attempt::{Attempt, Leg};
use crate::device::channel::Channel;
use crate::device::failures::late;
use crate::device::session::{Peer, Session};
use crate::device::{Connector, Credential, HubSettings, Target, Telemetry};
use crate::domain::{Failure, FailureClass, Phase};
use crate::protocol::flow::{Input, Next};
use crate::protocol::mqtt::{Connect, HUB_PACKET_LIMIT, Login, Packet, Protocol, PubAck, Publish, QoS};
use crate::protocol::topic::{HubRequest, HubUserName};
use crate::protocol::words::connack_failure;

/// A session with the hub.
pub(super) struct HubSession<S> {
    session: Session<Channel<S>>,
    packet_id: u16,
    answer: Duration,
}

impl<C: Connector> Attempt<'_, C> {
    /// Connects with a credential and sends telemetry, as far as the settings ask for.
    pub(super) async fn visit_hub(&mut self, credential: &Credential) -> Result<(), Failure> {
        let Some(settings) = &self.settings.hub else { return Ok(()) };
        let mut hub = self.connect_hub(settings, credential).await?;
        let sent = match &settings.telemetry {
            Some(telemetry) => self.send_telemetry(&mut hub, &credential.device_id, telemetry).await,
            None => Ok(()),
        };
        hub.close(self.connector).await;
        sent
    }

    /// Mutual TLS with the issued certificate, then CONNECT.
    pub(super) async fn connect_hub(
        &mut self,
        hub: &HubSettings,
        credential: &Credential,
    ) -> Result<HubSession<C::Stream>, Failure> {
        let settings = self.settings;
        let target = Target { host: &credential.hub, port: hub.port, address: hub.address };
        let config = settings.tls.with_identity(credential.presented_chain(), credential.key.clone());
        let channel = self.connect_mqtt(&Leg::HUB, &target, config, hub.web_socket, HUB_PACKET_LIMIT).await?;
        let peer = Peer { service: Leg::HUB.service, limit: HUB_PACKET_LIMIT, keep_alive: settings.keep_alive };
        let mut hub =
            HubSession { session: Session::new(channel, peer), packet_id: 0, answer: settings.timeouts.answer };
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
        let start = Instant::now();
        let result = hub.connect(connect).await;
        self.phases.add(Phase::HubConnack, start.elapsed());
        match result {
            Ok(()) => Ok(hub),
            Err(failure) => {
                hub.close(self.connector).await;
                Err(failure)
            }
        }
    }

    /// Sends one message and waits until the hub has it.
    pub(super) async fn send_telemetry<S: AsyncRead + AsyncWrite + Unpin>(
        &mut self,
        hub: &mut HubSession<S>,
        device_id: &str,
        telemetry: &Telemetry,
    ) -> Result<(), Failure> {
        let start = Instant::now();
        let result = hub.send(device_id, telemetry).await;
        self.phases.add(Phase::TelemetryAck, start.elapsed());
        result
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> HubSession<S> {
    async fn connect(&mut self, connect: Connect) -> Result<(), Failure> {
        self.session.put(&Packet::Connect(connect))?;
        match self.read("CONNACK of the hub").await? {
            Packet::ConnAck(connack) => connack_failure(Leg::HUB.service, connack.code).map_or(Ok(()), Err),
            _ => Err(Failure::new(FailureClass::Protocol, "the hub sent another packet before CONNACK")),
        }
    }

    async fn send(&mut self, device_id: &str, telemetry: &Telemetry) -> Result<(), Failure> {
        self.packet_id = self.packet_id.checked_add(1).unwrap_or(1);
        let topic = HubRequest::Telemetry { device_id, properties: &telemetry.properties }.to_string();
        let publish = Publish {
            pkid: self.packet_id,
            ..Publish::new(topic, QoS::AtLeastOnce, telemetry.body.replace("{deviceId}", device_id))
        };
        self.session.put(&Packet::Publish(publish))?;
        loop {
            match self.read("PUBACK of the telemetry").await? {
                Packet::PubAck(puback) if puback.pkid == self.packet_id => return Ok(()),
                packet => self.attend(&packet)?,
            }
        }
    }

    /// Acknowledges what the hub sends on its own account.
    fn attend(&mut self, packet: &Packet) -> Result<(), Failure> {
        match packet {
            Packet::Publish(publish) if publish.qos == QoS::AtLeastOnce => {
                self.session.put(&Packet::PubAck(PubAck::new(publish.pkid)))
            }
            Packet::Publish(_) | Packet::PubAck(_) | Packet::PingResp => Ok(()),
            _ => Err(Failure::new(FailureClass::Protocol, "the hub sent a packet out of turn")),
        }
    }

    async fn read(&mut self, what: &str) -> Result<Packet, Failure> {
        match self.session.input(Instant::now().checked_add(self.answer)).await {
            Input::Packet(packet) => Ok(packet),
            Input::Wake => Err(late(what, self.answer)),
            Input::Lost(failure) => Err(failure),
        }
    }

    /// Carries a conversation over the session. Its packet ids go on from [`Self::packet_id`].
    pub(super) async fn converse<T>(
        &mut self,
        step: impl FnMut(Option<Input>, Duration, &mut BytesMut) -> Next<T>,
    ) -> Result<T, Failure> {
        self.session.converse(step).await
    }

    /// Last packet id used.
    pub(super) const fn packet_id(&self) -> u16 {
        self.packet_id
    }

    /// DISCONNECT and close.
    pub(super) async fn close<C: Connector<Stream = S>>(self, connector: &C) {
        self.session.close(connector).await;
    }
}
