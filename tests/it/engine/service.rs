//! A service in memory whose every duration comes from the test: DPS that really issues certificates, and a hub.

use std::sync::{Arc, LazyLock};
use std::time::{Duration, SystemTime};

use bytes::BytesMut;
use fleetstorm::device::{Attestation, Endpoint, MemoryConnector, MemoryPeer, Settings, WallClock};
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
use fleetstorm::protocol::topic::{DpsRequest, DpsResponse};
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
    let attestation =
        Attestation::SymmetricKey { group_key: SymmetricKey::random(), token_life: Duration::from_secs(3_600) };
    let scope = IdScope::new("0ne00000001").expect("an id scope");
    let chain = Arc::new(ChainVerifier::new(&[root]).expect("a root is a certificate"));
    let mut settings = Settings::new(Endpoint::new("dps"), scope, attestation, tls, chain);
    settings.clock = Arc::new(Fixed);
    settings
}

/// A service that follows `script`, on the current runtime.
pub(super) fn start(script: Arc<Script>) -> Arc<MemoryConnector> {
    let (connector, mut peers) = MemoryConnector::new();
    tokio::spawn(async move {
        while let Some(peer) = peers.recv().await {
            let script = Arc::clone(&script);
            // An error is a device that has gone.
            tokio::spawn(async move { serve(peer, &*script).await.ok() });
        }
    });
    Arc::new(connector)
}

/// A service that is not there.
pub(super) fn absent() -> Arc<MemoryConnector> {
    Arc::new(MemoryConnector::new().0)
}

async fn serve(peer: MemoryPeer, script: &Script) -> std::io::Result<()> {
    let mut stream = peer.stream;
    let mut buffer = BytesMut::new();
    loop {
        while let Some(packet) = decode(&mut buffer, 1 << 20).expect("devices send packets") {
            let answer = match packet {
                Packet::Connect(_) => Packet::ConnAck(ConnAck::new(ConnectReturnCode::Success, false)),
                Packet::Subscribe(s) => {
                    let granted = s.filters.iter().map(|f| SubscribeReasonCode::Success(f.qos)).collect();
                    Packet::SubAck(SubAck::new(s.pkid, granted))
                }
                Packet::Publish(publish) => {
                    if publish.qos == QoS::AtLeastOnce {
                        send(&mut stream, &Packet::PubAck(PubAck::new(publish.pkid))).await?;
                    }
                    match DpsRequest::parse(&publish.topic) {
                        Ok(request) => match register(request.rid(), &publish.payload, script).await {
                            Some(answer) => answer,
                            None => return Ok(()),
                        },
                        Err(_) => continue,
                    }
                }
                _ => return Ok(()),
            };
            send(&mut stream, &answer).await?;
        }
        if stream.read_buf(&mut buffer).await? == 0 {
            return Ok(());
        }
    }
}

async fn send(stream: &mut DuplexStream, packet: &Packet) -> std::io::Result<()> {
    let mut bytes = BytesMut::new();
    encode(packet, &mut bytes).expect("a valid packet");
    stream.write_all(&bytes).await
}

/// `None` closes the connection.
async fn register(rid: &str, body: &[u8], script: &Script) -> Option<Packet> {
    let request = RegistrationRequest::parse(body).expect("a registration");
    let id = request.registration_id.as_deref().expect("a registration id");
    let index = id.rsplit('-').next().and_then(|n| n.parse().ok()).expect("an index");
    let answer = script(index);
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
        _ => {
            let csr = decode_csr(request.csr.as_deref().expect("a csr")).expect("base64");
            assigned(id, &csr, matches!(answer, Answer::IssueSerialSeven(_)))
        }
    };
    let refuses = matches!(answer, Answer::Refuse(_) | Answer::RefuseInOtherWords(_));
    let status = if refuses { 401 } else { 200 };
    let topic = DpsResponse { status, rid, retry_after: None }.to_string();
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
