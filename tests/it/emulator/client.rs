//! A device's end of a connection, written packet by packet.

use std::time::{Duration, SystemTime};

use base64::Engine as _;
use bytes::BytesMut;
use fleetstorm::domain::{CryptoProvider, KeyAlgorithm};
use fleetstorm::emulator::{Config, Counters, Event, Service};
use fleetstorm::pki::csr;
use fleetstorm::pki::key::DeviceKey;
use fleetstorm::pki::sas::SymmetricKey;
use fleetstorm::protocol::mqtt::{
    ConnAck, Connect, ConnectReturnCode, HUB_PACKET_LIMIT, Login, Packet, Protocol, PubAck, Publish, QoS, SubAck,
    Subscribe, SubscribeFilter, decode, encode,
};
use fleetstorm::protocol::topic::DPS_RESPONSES;
use rustls_pki_types::CertificateDer;
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, DuplexStream};
use tokio::task::JoinHandle;

pub(super) const SCOPE: &str = "0ne00000001";
pub(super) const API: &str = "2025-07-01-preview";
pub(super) const HUB_API: &str = "2025-08-01-preview";

/// An emulator without sockets.
pub(super) struct World {
    pub(super) service: Service,
}

impl World {
    pub(super) fn new() -> Self {
        Self::with(|_| {})
    }

    /// With other settings. Certificates are signed at once, as paused time does not wait for other threads.
    pub(super) fn with(change: impl FnOnce(&mut Config)) -> Self {
        let mut config = Config::default();
        config.adr.issue_inline = true;
        change(&mut config);
        Self { service: Service::new(config).unwrap() }
    }

    pub(super) fn count(&self, event: Event) -> u64 {
        let counters: Counters = self.service.counters();
        counters.get(event)
    }

    /// A connection as of a client without certificate.
    pub(super) fn open(&self) -> Peer {
        self.open_with(Vec::new())
    }

    /// A connection as of mutual TLS.
    pub(super) fn open_with(&self, certificates: Vec<Vec<u8>>) -> Peer {
        let (ours, theirs) = tokio::io::duplex(64 * 1024);
        let service = self.service.clone();
        let certificates = certificates.into_iter().map(CertificateDer::from).collect();
        let served = tokio::spawn(async move { service.serve_connection(theirs, certificates).await.to_string() });
        Peer::new(ours, served)
    }

    /// A connection of the HTTPS listener, as of mutual TLS, and the task that serves it.
    pub(super) fn open_https(&self, certificates: Vec<Vec<u8>>) -> (DuplexStream, JoinHandle<()>) {
        let (ours, theirs) = tokio::io::duplex(64 * 1024);
        let service = self.service.clone();
        let certificates = certificates.into_iter().map(CertificateDer::from).collect();
        (ours, tokio::spawn(async move { service.serve_https(theirs, certificates).await }))
    }

    /// Password for DPS of a device of the group.
    pub(super) fn token(&self, id: &str) -> String {
        let resource = format!("{SCOPE}/registrations/{id}");
        sas_at(self.service.now(), &self.service.group_key().derive(id), &resource, Some("registration"))
    }

    /// A device that is connected with DPS and subscribed.
    pub(super) async fn dps(&self, id: &str) -> Peer {
        self.dps_as(id, API, &self.token(id)).await
    }

    pub(super) async fn dps_as(&self, id: &str, api: &str, password: &str) -> Peer {
        let mut peer = self.open();
        assert_eq!(peer.connect(dps_connect(id, &dps_user(id, api), password)).await, accepted());
        peer.subscribe(DPS_RESPONSES, QoS::AtLeastOnce).await;
        peer
    }

    /// The whole registration; the chain in DER and the key.
    pub(super) async fn provision(&self, id: &str) -> (Vec<Vec<u8>>, DeviceKey) {
        let (key, csr) = key_and_csr(id);
        let mut peer = self.dps(id).await;
        let done = peer.register(&format!(r#"{{"registrationId":"{id}","csr":"{csr}"}}"#)).await;
        let state = &done["registrationState"];
        assert_eq!(state["status"], "assigned", "{done}");
        (decode_chain(state), key)
    }
}

/// The chain of a registration, in DER.
pub(super) fn decode_chain(registration_state: &Value) -> Vec<Vec<u8>> {
    let chain = registration_state["issuedCertificateChain"].as_array().expect("a chain");
    let decode = |text: &Value| base64::engine::general_purpose::STANDARD.decode(text.as_str().unwrap()).unwrap();
    chain.iter().map(decode).collect()
}

pub(super) fn sas(key: &SymmetricKey, resource: &str, key_name: Option<&str>) -> String {
    sas_at(SystemTime::now(), key, resource, key_name)
}

/// A token that is good for an hour from `now` on.
pub(super) fn sas_at(now: SystemTime, key: &SymmetricKey, resource: &str, key_name: Option<&str>) -> String {
    let now = now.duration_since(SystemTime::UNIX_EPOCH).unwrap();
    key.sign(resource, now.as_secs() + 3600, key_name).to_text()
}

pub(super) fn key_and_csr(common_name: &str) -> (DeviceKey, String) {
    let key = DeviceKey::generate(KeyAlgorithm::EcdsaP256, CryptoProvider::AwsLc).unwrap();
    let csr = csr::to_base64(&csr::build(&key, common_name).unwrap());
    (key, csr)
}

pub(super) fn dps_user(id: &str, api: &str) -> String {
    format!("{SCOPE}/registrations/{id}/api-version={api}&ClientVersion=test%2F1")
}

pub(super) fn dps_connect(client_id: &str, user: &str, password: &str) -> Connect {
    Connect {
        protocol: Protocol::V4,
        keep_alive: 60,
        client_id: client_id.to_owned(),
        clean_session: true,
        last_will: None,
        login: Some(Login { username: user.to_owned(), password: password.to_owned() }),
    }
}

pub(super) fn hub_connect(device_id: &str, password: &str) -> Connect {
    dps_connect(device_id, &format!("localhost/{device_id}/?api-version={HUB_API}"), password)
}

pub(super) fn accepted() -> Option<ConnAck> {
    Some(ConnAck { session_present: false, code: ConnectReturnCode::Success })
}

pub(super) fn refused(code: ConnectReturnCode) -> Option<ConnAck> {
    Some(ConnAck { session_present: false, code })
}

/// An answer of DPS or hub.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) topic: String,
    pub(super) qos: QoS,
    pub(super) body: String,
}

impl Answer {
    pub(super) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }
}

pub(super) struct Peer<S = DuplexStream> {
    pub(super) stream: S,
    incoming: BytesMut,
    served: JoinHandle<String>,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Peer<S> {
    /// The device's end of what `served` serves until it ends for a reason.
    pub(super) fn new(stream: S, served: JoinHandle<String>) -> Self {
        Self { stream, incoming: BytesMut::new(), served }
    }

    pub(super) async fn send(&mut self, packet: Packet) {
        let mut bytes = BytesMut::new();
        encode(&packet, &mut bytes).unwrap();
        self.send_bytes(&bytes).await;
    }

    pub(super) async fn send_bytes(&mut self, bytes: &[u8]) {
        // A peer that has closed already is what some tests are about.
        let _ = self.stream.write_all(bytes).await;
        let _ = self.stream.flush().await;
    }

    /// The next packet, `None` when the connection was closed.
    pub(super) async fn next(&mut self) -> Option<Packet> {
        loop {
            if let Some(packet) = decode(&mut self.incoming, HUB_PACKET_LIMIT).unwrap() {
                return Some(packet);
            }
            if self.stream.read_buf(&mut self.incoming).await.unwrap() == 0 {
                assert!(self.incoming.is_empty(), "half a packet");
                return None;
            }
        }
    }

    /// Sends CONNECT; the answer, `None` when the connection was closed instead.
    pub(super) async fn connect(&mut self, connect: Connect) -> Option<ConnAck> {
        self.send(Packet::Connect(connect)).await;
        match self.next().await {
            Some(Packet::ConnAck(ack)) => Some(ack),
            None => None,
            other => panic!("{other:?}"),
        }
    }

    pub(super) async fn subscribe(&mut self, filter: &str, qos: QoS) -> SubAck {
        let filters = vec![SubscribeFilter::new(filter.to_owned(), qos)];
        self.send(Packet::Subscribe(Subscribe { pkid: 1, filters })).await;
        match self.next().await {
            Some(Packet::SubAck(ack)) => ack,
            other => panic!("{other:?}"),
        }
    }

    pub(super) async fn publish(&mut self, topic: &str, qos: QoS, body: &str) {
        let mut publish = Publish::new(topic, qos, body);
        publish.pkid = if qos == QoS::AtMostOnce { 0 } else { 7 };
        self.send(Packet::Publish(publish)).await;
    }

    /// Publishes at QoS 1; asserts that PUBACK comes first and gives the answer.
    pub(super) async fn request(&mut self, topic: &str, body: &str) -> Answer {
        self.publish(topic, QoS::AtLeastOnce, body).await;
        assert_eq!(self.next().await, Some(Packet::PubAck(PubAck { pkid: 7 })));
        self.answer().await
    }

    pub(super) async fn answer(&mut self) -> Answer {
        match self.next().await {
            Some(Packet::Publish(publish)) => {
                assert_eq!(publish.qos == QoS::AtMostOnce, publish.pkid == 0);
                Answer {
                    topic: publish.topic,
                    qos: publish.qos,
                    body: String::from_utf8(publish.payload.to_vec()).unwrap(),
                }
            }
            other => panic!("{other:?}"),
        }
    }

    /// Registers and asks once for the result, which must be final.
    pub(super) async fn register(&mut self, body: &str) -> Value {
        let accepted = self.request("$dps/registrations/PUT/iotdps-register/?$rid=1", body).await;
        assert_eq!(accepted.topic, "$dps/registrations/res/202/?$rid=1&retry-after=3", "{}", accepted.body);
        let done = self.poll(accepted.json()["operationId"].as_str().unwrap()).await;
        assert_eq!(done.topic, "$dps/registrations/res/200/?$rid=2", "{}", done.body);
        done.json()
    }

    pub(super) async fn poll(&mut self, operation: &str) -> Answer {
        let topic = format!("$dps/registrations/GET/iotdps-get-operationstatus/?$rid=2&operationId={operation}");
        self.request(&topic, " ").await
    }

    /// Asserts that nothing more comes than the end of the connection; why it ended, in the emulator's words.
    pub(super) async fn ended(mut self) -> String {
        assert_eq!(self.next().await, None);
        self.served.await.unwrap()
    }

    /// Asserts that the connection is alive and that nothing else was sent.
    pub(super) async fn is_quiet(&mut self) {
        self.send(Packet::PingReq).await;
        assert_eq!(self.next().await, Some(Packet::PingResp));
    }
}

pub(super) const SECOND: Duration = Duration::from_secs(1);
