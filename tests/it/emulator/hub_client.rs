//! What tests of the hub's features need: devices that are connected with it.

use fleetstorm::protocol::mqtt::{ConnAck, Connect, ConnectReturnCode, Packet, PubAck, Publish, QoS};
use fleetstorm::protocol::topic::{
    CREDENTIAL_RESPONSES, METHOD_CALLS, TWIN_DESIRED, TWIN_RESPONSES, cloud_to_device_filter,
};

use super::client::{Answer, Peer, World, accepted, hub_connect};

/// A provisioned device and how it connects.
pub(super) struct Device {
    pub(super) id: &'static str,
    pub(super) chain: Vec<Vec<u8>>,
    pub(super) connect: Connect,
}

impl Device {
    pub(super) async fn new(world: &World, id: &'static str) -> Self {
        let (chain, _) = world.provision(id).await;
        Self { id, chain, connect: hub_connect(id, "") }
    }

    /// It wants a session that outlives the connection.
    pub(super) fn persistent(mut self) -> Self {
        self.connect.clean_session = false;
        self
    }

    /// A new session.
    pub(super) async fn connect(&self, world: &World) -> Peer {
        let mut peer = world.open_with(self.chain.clone());
        assert_eq!(peer.connect(self.connect.clone()).await, accepted(), "{}", self.id);
        peer
    }

    /// The session that it left.
    pub(super) async fn resume(&self, world: &World) -> Peer {
        let mut peer = world.open_with(self.chain.clone());
        let present = Some(ConnAck { session_present: true, code: ConnectReturnCode::Success });
        assert_eq!(peer.connect(self.connect.clone()).await, present, "{}", self.id);
        peer
    }
}

/// Filters of the hub's features.
pub(super) enum Feature {
    Twin,
    Desired,
    Methods,
    Messages(&'static str),
    Credentials,
}

impl Feature {
    fn filter(&self) -> String {
        match self {
            Self::Twin => TWIN_RESPONSES.to_owned(),
            Self::Desired => TWIN_DESIRED.to_owned(),
            Self::Methods => METHOD_CALLS.to_owned(),
            Self::Messages(id) => cloud_to_device_filter(id),
            Self::Credentials => CREDENTIAL_RESPONSES.to_owned(),
        }
    }
}

impl Peer {
    /// Subscribes at QoS 1.
    pub(super) async fn wants(&mut self, feature: Feature) {
        self.subscribe(&feature.filter(), QoS::AtLeastOnce).await;
    }

    /// Unsubscribes.
    pub(super) async fn wants_no_more(&mut self, feature: Feature) {
        let topics = vec![feature.filter()];
        self.send(Packet::Unsubscribe(fleetstorm::protocol::mqtt::Unsubscribe { pkid: 2, topics })).await;
        assert!(matches!(self.next().await, Some(Packet::UnsubAck(ack)) if ack.pkid == 2));
    }

    /// The next PUBLISH, unacknowledged.
    pub(super) async fn published(&mut self) -> Publish {
        match self.next().await {
            Some(Packet::Publish(publish)) => publish,
            other => panic!("{other:?}"),
        }
    }

    /// Acknowledges it.
    pub(super) async fn acknowledge(&mut self, publish: &Publish) {
        assert_eq!(publish.qos, QoS::AtLeastOnce);
        self.send(Packet::PubAck(PubAck { pkid: publish.pkid })).await;
    }

    /// Publishes at QoS 0; the answer.
    pub(super) async fn ask(&mut self, topic: &str, body: &str) -> Answer {
        self.publish(topic, QoS::AtMostOnce, body).await;
        self.answer().await
    }

    /// Closes without DISCONNECT and waits until the emulator has noticed; its word for it.
    pub(super) async fn vanish(mut self) -> String {
        use tokio::io::AsyncWriteExt as _;
        self.stream.shutdown().await.unwrap();
        self.ended().await
    }

    /// DISCONNECT.
    pub(super) async fn leave(mut self) {
        self.send(Packet::Disconnect).await;
        assert_eq!(self.ended().await, "the peer left");
    }
}
