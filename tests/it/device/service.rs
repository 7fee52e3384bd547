//! A scripted DPS and hub over connections in memory, written with the protocol's service side.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::BytesMut;
use fleetstorm::device::{
    Connector, DeviceAttestation, Done, Endpoint, LocalEnd, MemoryConnector, MemoryPeer, Prepared, Settings, prepare,
    provision,
};
use fleetstorm::domain::{CryptoProvider, IdScope, RegistrationId, SasToken, TlsVersions};
use fleetstorm::pki::chain::ChainVerifier;
use fleetstorm::pki::csr;
use fleetstorm::pki::issuing_ca::{IssuingCa, RootCa};
use fleetstorm::pki::sas::SymmetricKey;
use fleetstorm::pki::tls::ClientTls;
use fleetstorm::protocol::mqtt::{
    ConnAck, Connect, ConnectReturnCode, HUB_PACKET_LIMIT, Packet, PubAck, Publish, QoS, SubAck, SubscribeReasonCode,
    decode, encode,
};
use fleetstorm::protocol::payload::{
    OperationStatus, RegistrationRequest, RegistrationState, RegistrationStatus, decode_csr, encode_chain,
};
use fleetstorm::protocol::topic::{DpsRequest, DpsResponse};
use fleetstorm::protocol::websocket::{WebSocketBytes, choose_subprotocol};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::mpsc::UnboundedReceiver;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

use super::mutation::{Change, Changed};

pub(super) const GROUP_KEY: &str =
    "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8gISIjJCUmJygpKissLS4vMDEyMzQ1Njc4OTo7PD0+Pw==";
pub(super) const HUB: &str = "contoso.azure-devices.net";

/// Authorities and settings that fit each other.
pub(super) struct World {
    pub(super) root: RootCa,
    pub(super) issuing: IssuingCa,
    pub(super) settings: Settings,
}

impl World {
    pub(super) fn new() -> Self {
        let now = SystemTime::now();
        let root = RootCa::generate("root", now).unwrap();
        let issuing = root.issuing_ca("issuing", now).unwrap();
        let attestation = DeviceAttestation::SymmetricKey {
            group_key: SymmetricKey::from_base64(GROUP_KEY).unwrap(),
            token_life: fleetstorm::domain::FleetTime::from_secs(3600),
        };
        let tls = ClientTls::new(&[root.der().to_vec()], TlsVersions::Any, CryptoProvider::AwsLc).unwrap();
        let chain = Arc::new(ChainVerifier::new(&[root.der().to_vec()]).expect("a certificate"));
        let scope = IdScope::new("0ne00000001").unwrap();
        let settings = Settings::new(Endpoint::new("dps.example"), scope, attestation, tls, chain);
        Self { root, issuing, settings }
    }

    pub(super) fn device(&self) -> Prepared {
        prepare(&self.settings, 0, 1, &RegistrationId::new("Dev-1").unwrap()).unwrap()
    }

    /// Provisions one device, nothing is kept.
    pub(super) async fn attempt<C: Connector>(&self, connector: &C) -> Done<C::Stream> {
        let end = LocalEnd::new(&self.settings, 0);
        provision(&self.settings, connector, &end, &self.device(), false).await
    }

    /// Provisions one device against a script; the script's assertions count too.
    pub(super) async fn provision<F: Future<Output = ()>>(&self, script: impl FnOnce(Accept) -> F) -> MemoryDone {
        let (connector, peers) = MemoryConnector::new();
        let device = async move { self.attempt(&connector).await };
        let (provisioned, ()) = tokio::join!(device, script(Accept::new(peers)));
        provisioned
    }

    /// The chain for a CSR, as the service issues it.
    pub(super) fn issue(&self, csr: &[u8], common_name: &str) -> Vec<Vec<u8>> {
        let csr = csr::verify(csr).unwrap();
        let now = SystemTime::now();
        let day = Duration::from_secs(86_400);
        let leaf = self.issuing.issue(&csr, common_name, uuid::Uuid::nil(), now - day, now + day).unwrap();
        vec![leaf.der, self.issuing.der().to_vec(), self.root.der().to_vec()]
    }
}

/// What an attempt over memory finds out.
pub(super) type MemoryDone = Done<<MemoryConnector as Connector>::Stream>;

/// Connections that the device makes.
pub(super) struct Accept(UnboundedReceiver<MemoryPeer>, Option<Change>);

impl Accept {
    pub(super) const fn new(peers: UnboundedReceiver<MemoryPeer>) -> Self {
        Self(peers, None)
    }

    /// What the service says on each of them is changed.
    pub(super) const fn changed(peers: UnboundedReceiver<MemoryPeer>, change: Change) -> Self {
        Self(peers, Some(change))
    }

    pub(super) async fn next(&mut self) -> Service {
        self.next_or_end().await.expect("the device connects")
    }

    pub(super) async fn next_or_end(&mut self) -> Option<Service> {
        let MemoryPeer { host, port, certificates, stream } = self.0.recv().await?;
        let stream: Box<dyn ByteStream> = match self.1 {
            None => Box::new(stream),
            Some(change) => Box::new(Changed::new(stream, change)),
        };
        Some(Service { host, port, certificates, stream, incoming: BytesMut::new() })
    }

    pub(super) async fn is_over(&mut self) -> bool {
        self.next_or_end().await.is_none()
    }
}

/// Whatever carries bytes.
pub(super) trait ByteStream: AsyncRead + AsyncWrite + Unpin {}

impl<S: AsyncRead + AsyncWrite + Unpin> ByteStream for S {}

/// The service's end of a connection.
pub(super) struct Service {
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) certificates: Vec<Vec<u8>>,
    pub(super) stream: Box<dyn ByteStream>,
    incoming: BytesMut,
}

impl Service {
    /// Makes the server's WebSocket handshake.
    pub(super) async fn over_web_socket(mut self) -> Self {
        self.shakes_hands("mqtt").await;
        self.stream = Box::new(WebSocketBytes::upgraded(self.stream, Vec::new(), HUB_PACKET_LIMIT).await);
        self
    }

    /// The handshake alone, with a subprotocol.
    pub(super) async fn shakes_hands(&mut self, subprotocol: &str) {
        let mut request = Vec::new();
        while !request.ends_with(b"\r\n\r\n") {
            request.push(self.stream.read_u8().await.unwrap());
        }
        let request = String::from_utf8(request).unwrap();
        assert!(request.starts_with("GET /$iothub/websocket HTTP/1.1\r\n"), "{request}");
        let header = |name: &str| {
            let line = request.lines().find(|line| line.to_ascii_lowercase().starts_with(name)).expect("the header");
            line.split_once(": ").unwrap().1.to_owned()
        };
        assert_eq!(choose_subprotocol(&header("sec-websocket-protocol")), Some("mqtt"));
        let accept = derive_accept_key(header("sec-websocket-key").as_bytes());
        let answer = format!(
            "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Protocol: {subprotocol}\r\nSec-WebSocket-Accept: {accept}\r\n\r\n"
        );
        self.says_bytes(answer.as_bytes()).await;
    }

    /// The next packet, `None` at the end of the connection.
    pub(super) async fn hears(&mut self) -> Option<Packet> {
        let packet = self.hears_if_there().await;
        assert!(packet.is_some() || self.incoming.is_empty(), "half a packet");
        packet
    }

    /// The same, and half a packet at the end is as good as none.
    async fn hears_if_there(&mut self) -> Option<Packet> {
        loop {
            if let Some(packet) = decode(&mut self.incoming, HUB_PACKET_LIMIT).unwrap() {
                return Some(packet);
            }
            // A device that goes without taking leave is gone, too.
            if self.stream.read_buf(&mut self.incoming).await.unwrap_or(0) == 0 {
                return None;
            }
        }
    }

    pub(super) async fn says(&mut self, packets: &[Packet]) {
        let mut bytes = BytesMut::new();
        for packet in packets {
            encode(packet, &mut bytes).unwrap();
        }
        self.says_bytes(&bytes).await;
    }

    pub(super) async fn says_bytes(&mut self, bytes: &[u8]) {
        // The device may be gone already.
        let _ = self.stream.write_all(bytes).await;
        let _ = self.stream.flush().await;
    }

    /// Reads CONNECT and answers.
    pub(super) async fn accepts(&mut self, code: ConnectReturnCode) -> Connect {
        let Some(Packet::Connect(connect)) = self.hears().await else { panic!("no CONNECT") };
        self.says(&[Packet::ConnAck(ConnAck::new(code, false))]).await;
        connect
    }

    /// CONNECT, SUBSCRIBE and the registration's PUBLISH with their acknowledgements. Gives the CSR.
    pub(super) async fn registers(&mut self) -> Vec<u8> {
        let connect = self.accepts(ConnectReturnCode::Success).await;
        assert_eq!((connect.client_id.as_str(), connect.clean_session), ("dev-1", true));
        let login = connect.login.unwrap();
        let version = concat!("fleetstorm%2F", env!("CARGO_PKG_VERSION"));
        assert_eq!(
            login.username,
            format!("0ne00000001/registrations/dev-1/api-version=2025-07-01-preview&ClientVersion={version}")
        );
        let token = SasToken::parse(&login.password).unwrap();
        assert_eq!(token.resource().as_deref(), Some("0ne00000001/registrations/dev-1"));
        assert_eq!(token.skn.as_deref(), Some("registration"));
        assert!(SymmetricKey::from_base64(GROUP_KEY).unwrap().derive("dev-1").verifies(&token));

        let Some(Packet::Subscribe(subscribe)) = self.hears().await else { panic!("no SUBSCRIBE") };
        assert_eq!(subscribe.filters[0].path, "$dps/registrations/res/#");
        let granted = vec![SubscribeReasonCode::Success(QoS::AtLeastOnce)];
        self.says(&[Packet::SubAck(SubAck::new(subscribe.pkid, granted))]).await;

        let publish = self.is_asked().await;
        assert_eq!(publish.topic, DpsRequest::Register { rid: "1" }.to_string());
        let request = RegistrationRequest::parse(&publish.payload).unwrap();
        assert_eq!(request.registration_id.as_deref(), Some("dev-1"));
        decode_csr(&request.csr.unwrap()).unwrap()
    }

    /// Reads a PUBLISH and acknowledges it, not minding acknowledgements before it.
    pub(super) async fn is_asked(&mut self) -> Publish {
        loop {
            match self.hears().await {
                Some(Packet::Publish(publish)) => {
                    self.says(&[Packet::PubAck(PubAck::new(publish.pkid))]).await;
                    return publish;
                }
                Some(Packet::PubAck(_)) => {}
                other => panic!("{other:?}"),
            }
        }
    }

    pub(super) async fn answers(&mut self, status: u16, rid: &str, retry_after: Option<u32>, body: Vec<u8>) {
        let topic = DpsResponse { status, rid, retry_after }.to_string();
        self.says(&[Packet::Publish(Publish { pkid: 1, ..Publish::new(topic, QoS::AtLeastOnce, body) })]).await;
    }

    /// The registration up to `assigned` with a chain, then DISCONNECT and the end of the connection.
    pub(super) async fn assigns(&mut self, chain: impl FnOnce(&[u8]) -> Vec<Vec<u8>>) {
        let csr = self.registers().await;
        self.answers(202, "1", Some(3), assigning()).await;
        let poll = self.is_asked().await;
        assert_eq!(poll.topic, DpsRequest::OperationStatus { rid: "2", operation_id: "5.a.b" }.to_string());
        assert!(poll.payload.is_empty());
        self.answers(200, "2", None, assigned(&chain(&csr))).await;
        self.hears_the_end().await;
    }

    /// The same for a device whose connection may break at any point.
    pub(super) async fn assigns_or_is_left(&mut self, chain: impl FnOnce(&[u8]) -> Vec<Vec<u8>>) {
        let mut chain = Some(chain);
        let mut csr = Vec::new();
        while let Some(packet) = self.hears_if_there().await {
            match packet {
                Packet::Connect(_) => {
                    self.says(&[Packet::ConnAck(ConnAck::new(ConnectReturnCode::Success, false))]).await;
                }
                Packet::Subscribe(subscribe) => {
                    let granted = vec![SubscribeReasonCode::Success(QoS::AtLeastOnce)];
                    self.says(&[Packet::SubAck(SubAck::new(subscribe.pkid, granted))]).await;
                }
                Packet::Publish(publish) if csr.is_empty() => {
                    let request = RegistrationRequest::parse(&publish.payload).unwrap();
                    csr = decode_csr(&request.csr.unwrap()).unwrap();
                    self.answers(202, "1", Some(3), assigning()).await;
                }
                Packet::Publish(_) => {
                    let Some(chain) = chain.take() else { continue };
                    self.answers(200, "2", None, assigned(&chain(&csr))).await;
                }
                _ => {}
            }
        }
    }

    /// A hub that takes whatever the device says, for as long as it is there.
    pub(super) async fn takes_everything(&mut self) {
        while let Some(packet) = self.hears_if_there().await {
            let answer = match packet {
                Packet::Connect(_) => Packet::ConnAck(ConnAck::new(ConnectReturnCode::Success, false)),
                Packet::Publish(publish) => Packet::PubAck(PubAck::new(publish.pkid)),
                _ => continue,
            };
            self.says(&[answer]).await;
        }
    }

    /// Acknowledgements, DISCONNECT, the end.
    pub(super) async fn hears_the_end(&mut self) {
        let mut last = None;
        while let Some(packet) = self.hears().await {
            last = Some(packet);
        }
        assert_eq!(last, Some(Packet::Disconnect));
    }
}

pub(super) fn assigning() -> Vec<u8> {
    OperationStatus { operation_id: "5.a.b".into(), status: RegistrationStatus::Assigning, registration_state: None }
        .to_body()
}

pub(super) fn assigned(chain: &[Vec<u8>]) -> Vec<u8> {
    let state = RegistrationState {
        registration_id: Some("dev-1".into()),
        assigned_hub: Some(HUB.into()),
        device_id: Some("dev-1".into()),
        status: RegistrationStatus::Assigned,
        issued_certificate_chain: (!chain.is_empty()).then(|| encode_chain(chain)),
        ..RegistrationState::default()
    };
    OperationStatus {
        operation_id: "5.a.b".into(),
        status: RegistrationStatus::Assigned,
        registration_state: Some(state),
    }
    .to_body()
}
