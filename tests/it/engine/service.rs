//! A service in memory whose every duration comes from the test: DPS that really issues certificates, and a hub.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex};
use std::time::{Duration, SystemTime};

use bytes::BytesMut;
use fleetstorm::device::{DeviceAttestation, Endpoint, MemoryConnector, MemoryPeer, Settings, WallClock};
use fleetstorm::domain::{CryptoProvider, IdScope, TlsVersions};
use fleetstorm::pki::chain::ChainVerifier;
use fleetstorm::pki::csr;
use fleetstorm::pki::issuing_ca::{IssuingCa, RootCa};
use fleetstorm::pki::sas::SymmetricKey;
use fleetstorm::pki::tls::ClientTls;
use fleetstorm::protocol::mqtt::{
    ConnAck, ConnectReturnCode, Packet, PubAck, Publish, QoS, SubAck, SubscribeReasonCode, decode, encode,
};
use fleetstorm::protocol::payload::{
    OperationStatus, RegistrationRequest, RegistrationState, RegistrationStatus, decode_csr, encode_chain,
};
use fleetstorm::protocol::topic::{DpsRequest, DpsResponse, HubRequest};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::time::sleep;

/// What becomes of one device's registration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Answer {
    /// The certificate comes after this time.
    Issue(Duration),
    /// The certificate comes after this time, with the serial number that every other such one has.
    IssueSerialSeven(Duration),
    /// Refused after this time with status 401.
    Refuse(Duration),
    /// Refused after this time with status 401, in words that are others for every request.
    RefuseInOtherWords(Duration),
    /// The connection is closed after this time.
    Close(Duration),
    /// Nothing ever comes.
    Silence,
}

/// By index of the device.
pub(super) type Script = dyn Fn(u32) -> Answer + Send + Sync;

/// What the service does beside answering registrations.
#[derive(Default)]
pub(super) struct Habits {
    /// How CONNECT is answered: by host, and how many came there before. Who is not mentioned is let in.
    pub(super) answers: HashMap<(&'static str, usize), ConnectReturnCode>,
    /// How long the hub leaves a connection open; `None`: for ever.
    pub(super) hub_patience: Option<Duration>,
}

/// What came to the service, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Came {
    /// To that host.
    Connect(String),
    Disconnect(String),
    /// The connection ended without a word.
    Gone(String),
    /// Of a registration, with the key that a certificate is asked for.
    Registration(Vec<u8>),
    /// A certificate is asked for at the hub. It is refused.
    Renewal,
}

struct Service {
    script: Arc<Script>,
    habits: Habits,
    came: Arc<Mutex<Vec<Came>>>,
}

struct Authority {
    root: RootCa,
    issuing: IssuingCa,
}

static AUTHORITY: LazyLock<Authority> = LazyLock::new(|| {
    let root = RootCa::generate("root", now()).expect("a root");
    let issuing = root.issuing_ca("policy", now()).expect("an issuing authority");
    Authority { root, issuing }
});

fn now() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000)
}

#[derive(Debug)]
struct Fixed;

impl WallClock for Fixed {
    fn now(&self) -> SystemTime {
        now()
    }
}

/// Settings of devices that trust the service.
pub(super) fn settings() -> Settings {
    let root = AUTHORITY.root.der().to_vec();
    let tls = ClientTls::new(std::slice::from_ref(&root), TlsVersions::Any, CryptoProvider::default())
        .expect("a root is given");
    let attestation = DeviceAttestation::SymmetricKey {
        group_key: SymmetricKey::random(),
        token_life: fleetstorm::domain::FleetTime::from_secs(3_600),
    };
    let scope = IdScope::new("0ne00000001").expect("an id scope");
    let chain = Arc::new(ChainVerifier::new(&[root]).expect("a root is a certificate"));
    let mut settings = Settings::new(Endpoint::new("dps"), scope, attestation, tls, chain);
    settings.clock = Arc::new(Fixed);
    settings
}

/// A service that follows `script`, on the current runtime.
pub(super) fn start(script: Arc<Script>) -> Arc<MemoryConnector> {
    with_habits(script, Habits::default()).0
}

/// The same with habits, and what came to it.
pub(super) fn with_habits(script: Arc<Script>, habits: Habits) -> (Arc<MemoryConnector>, Arc<Mutex<Vec<Came>>>) {
    let (connector, mut peers) = MemoryConnector::new();
    let came = Arc::default();
    let service = Arc::new(Service { script, habits, came: Arc::clone(&came) });
    tokio::spawn(async move {
        while let Some(peer) = peers.recv().await {
            let service = Arc::clone(&service);
            tokio::spawn(async move {
                let host = peer.host.clone();
                // An error is a device that has gone.
                if !service.serve(peer).await.unwrap_or(false) {
                    service.comes(Came::Gone(host));
                }
            });
        }
    });
    (Arc::new(connector), came)
}

/// A service that is not there.
pub(super) fn absent() -> Arc<MemoryConnector> {
    Arc::new(MemoryConnector::new().0)
}

impl Service {
    fn comes(&self, what: Came) {
        self.came.lock().unwrap().push(what);
    }

    /// How the next CONNECT at that host is answered.
    fn lets_in(&self, host: &str) -> ConnectReturnCode {
        let mut came = self.came.lock().unwrap();
        let connect = Came::Connect(host.to_owned());
        let before = came.iter().filter(|came| **came == connect).count();
        came.push(connect);
        let answer = self.habits.answers.iter().find(|((at, number), _)| *at == host && *number == before);
        answer.map_or(ConnectReturnCode::Success, |(_, code)| *code)
    }

    /// Whether it ended with a word of one of both sides.
    async fn serve(&self, peer: MemoryPeer) -> std::io::Result<bool> {
        let MemoryPeer { host, mut stream, .. } = peer;
        let mut buffer = BytesMut::new();
        let patience = self.habits.hub_patience.filter(|_| host == "hub").unwrap_or(Duration::from_secs(1 << 30));
        let ends = tokio::time::Instant::now() + patience;
        loop {
            while let Some(packet) = decode(&mut buffer, 1 << 20).expect("devices send packets") {
                let answer = match packet {
                    Packet::Connect(_) => match self.lets_in(&host) {
                        ConnectReturnCode::Success => Packet::ConnAck(ConnAck::new(ConnectReturnCode::Success, false)),
                        refusal => {
                            send(&mut stream, &Packet::ConnAck(ConnAck::new(refusal, false))).await?;
                            return Ok(true);
                        }
                    },
                    Packet::Subscribe(s) => {
                        let granted = s.filters.iter().map(|f| SubscribeReasonCode::Success(f.qos)).collect();
                        Packet::SubAck(SubAck::new(s.pkid, granted))
                    }
                    Packet::Publish(publish) => {
                        if publish.qos == QoS::AtLeastOnce {
                            send(&mut stream, &Packet::PubAck(PubAck::new(publish.pkid))).await?;
                        }
                        match self.asked(&publish).await {
                            Some(Some(answer)) => answer,
                            Some(None) => continue,
                            None => return Ok(true),
                        }
                    }
                    Packet::Disconnect => {
                        self.comes(Came::Disconnect(host));
                        return Ok(true);
                    }
                    _ => return Ok(true),
                };
                send(&mut stream, &answer).await?;
            }
            match tokio::time::timeout_at(ends, stream.read_buf(&mut buffer)).await {
                Err(_) => return Ok(true),
                Ok(Ok(0)) => return Ok(false),
                Ok(read) => read.map(drop)?,
            }
        }
    }

    /// The answer to a message, if it is one that is answered; `None` closes the connection.
    async fn asked(&self, publish: &Publish) -> Option<Option<Packet>> {
        if let Ok(request) = DpsRequest::parse(&publish.topic) {
            let (csr, answer) = register(request.rid(), &publish.payload, &*self.script);
            self.comes(Came::Registration(csr));
            return answer.await.map(Some);
        }
        let Ok(HubRequest::IssueCertificate { rid: Some(rid) }) = HubRequest::parse(&publish.topic) else {
            return Some(None);
        };
        self.comes(Came::Renewal);
        let body = br#"{"errorCode":400004,"trackingId":"t","message":"not now"}"#.to_vec();
        Some(Some(Packet::Publish(Publish::new(
            format!("$iothub/credentials/res/400/?$rid={rid}"),
            QoS::AtMostOnce,
            body,
        ))))
    }
}

async fn send(stream: &mut DuplexStream, packet: &Packet) -> std::io::Result<()> {
    let mut bytes = BytesMut::new();
    encode(packet, &mut bytes).expect("a valid packet");
    stream.write_all(&bytes).await
}

/// The key of a registration, and the answer to it; `None` closes the connection.
fn register(rid: &str, body: &[u8], script: &Script) -> (Vec<u8>, impl Future<Output = Option<Packet>> + use<>) {
    let request = RegistrationRequest::parse(body).expect("a registration");
    let id = request.registration_id.as_deref().expect("a registration id");
    let index = id.rsplit('-').next().and_then(|n| n.parse().ok()).expect("an index");
    let csr = decode_csr(request.csr.as_deref().expect("a csr")).expect("base64");
    let key = csr::verify(&csr).expect("a good csr").spki_der;
    (key, answered(rid.to_owned(), id.to_owned(), index, csr, script(index)))
}

async fn answered(rid: String, id: String, index: u32, csr: Vec<u8>, answer: Answer) -> Option<Packet> {
    match answer {
        Answer::Issue(after)
        | Answer::IssueSerialSeven(after)
        | Answer::Refuse(after)
        | Answer::RefuseInOtherWords(after)
        | Answer::Close(after) => sleep(after).await,
        Answer::Silence => std::future::pending().await,
    }
    let body = match answer {
        Answer::Close(_) => return None,
        Answer::Refuse(_) => br#"{"errorCode":401002,"trackingId":"t","message":"Unauthorized"}"#.to_vec(),
        Answer::RefuseInOtherWords(_) => {
            let guid = uuid::Uuid::from_u128(u128::from(index) << 64 | 0xfeed);
            let (minute, port) = (index % 60, 40_000 + index);
            let words = format!(
                "{id} at 127.0.0.1:{port} unknown, trace {guid}, 2026-11-28T01:{minute:02}:25.{index:07}Z, job {:08x}f1",
                index
            );
            format!(r#"{{"errorCode":401002,"trackingId":"t","message":"{words}"}}"#).into_bytes()
        }
        _ => assigned(&id, &csr, matches!(answer, Answer::IssueSerialSeven(_))),
    };
    let refuses = matches!(answer, Answer::Refuse(_) | Answer::RefuseInOtherWords(_));
    let status = if refuses { 401 } else { 200 };
    let topic = DpsResponse { status, rid: &rid, retry_after: None }.to_string();
    Some(Packet::Publish(Publish::new(topic, QoS::AtMostOnce, body)))
}

fn assigned(id: &str, csr: &[u8], serial_seven: bool) -> Vec<u8> {
    let leaf = if serial_seven { issue_serial_seven(csr) } else { issue(id, csr) };
    let chain = [leaf, AUTHORITY.issuing.der().to_vec(), AUTHORITY.root.der().to_vec()];
    OperationStatus {
        operation_id: "4.op".into(),
        status: RegistrationStatus::Assigned,
        registration_state: Some(RegistrationState {
            registration_id: Some(id.into()),
            assigned_hub: Some("hub".into()),
            device_id: Some(id.into()),
            status: RegistrationStatus::Assigned,
            issued_certificate_chain: Some(encode_chain(&chain)),
            ..RegistrationState::default()
        }),
    }
    .to_body()
}

fn issue(id: &str, csr: &[u8]) -> Vec<u8> {
    let csr = csr::verify(csr).expect("a good csr");
    let (begin, end) = (now() - Duration::from_secs(60), now() + Duration::from_secs(86_400));
    AUTHORITY.issuing.issue(&csr, id, uuid::Uuid::from_u128(1), begin, end).expect("a certificate").der
}

fn issue_serial_seven(csr: &[u8]) -> Vec<u8> {
    let key = rcgen::KeyPair::from_pem(&AUTHORITY.issuing.key_pem().expect("its key")).expect("a key");
    let issuer = rcgen::Issuer::from_ca_cert_der(&AUTHORITY.issuing.der().to_vec().into(), key).expect("an issuer");
    let mut request = rcgen::CertificateSigningRequestParams::from_der(&csr.to_vec().into()).expect("a good csr");
    request.params.serial_number = Some(7.into());
    request.params.not_before = (now() - Duration::from_secs(60)).into();
    request.params.not_after = (now() + Duration::from_secs(86_400)).into();
    request.signed_by(&issuer).expect("a certificate").der().to_vec()
}
