//! The binary, killed in the middle of a storm: whoever was told that it is assigned, is.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::BytesMut;
use fleetstorm::device::{
    Credential, DeviceAttestation, Endpoint, LocalEnd, Settings, TcpConnector, prepare, provision,
};
use fleetstorm::domain::{CryptoProvider, IdScope, RegistrationId, TlsVersions};
use fleetstorm::pki::chain::ChainVerifier;
use fleetstorm::pki::sas::SymmetricKey;
use fleetstorm::pki::store::read_certificates;
use fleetstorm::pki::tls::ClientTls;
use fleetstorm::protocol::mqtt::{HUB_PACKET_LIMIT, Packet, Publish, QoS, Subscribe, SubscribeFilter, decode, encode};
use fleetstorm::protocol::topic::CREDENTIAL_RESPONSES;
use rustls_pki_types::ServerName;
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::super::client::{accepted, hub_connect, key_and_csr};
use super::super::process::Process;

/// A process of the emulator that keeps its state. It is killed when it is dropped.
struct Emulator(Process);

impl Emulator {
    fn start(folder: &Path) -> Self {
        let settings = folder.join("emulator.toml");
        fs::write(&settings, "[dps]\nretry_after_seconds = 0\n").unwrap();
        let mut command = Command::new(assert_cmd::cargo::cargo_bin!("fleetstorm"));
        command.args(["emulator", "--json", "--parent-pipe", "--mqtt-port", "0", "--https-port", "off", "--config"]);
        command.arg(settings).arg("--state").arg(folder.join("state"));
        Self(Process::start(command.stdin(Stdio::piped()).stderr(Stdio::null())))
    }

    fn file(&self, name: &str) -> &Path {
        Path::new(self.0.text(name))
    }

    fn settings(&self) -> Settings {
        let address: SocketAddr = self.0.text("mqtt").parse().unwrap();
        let group_key = SymmetricKey::from_base64(&fs::read_to_string(self.file("group_key_file")).unwrap()).unwrap();
        let tls = read_certificates(self.file("ca_file")).unwrap();
        let tls = ClientTls::new(&tls, TlsVersions::Any, CryptoProvider::AwsLc).unwrap();
        let chain = ChainVerifier::new(&read_certificates(self.file("issuing_root_file")).unwrap()).unwrap();
        let dps = Endpoint { address: Some(address), ..Endpoint::new("localhost") };
        let scope = IdScope::new(self.0.text("id_scope")).unwrap();
        let attestation =
            DeviceAttestation::SymmetricKey { group_key, token_life: fleetstorm::domain::FleetTime::from_secs(3600) };
        let mut settings = Settings::new(dps, scope, attestation, tls, Arc::new(chain));
        // Devices leave when they have their certificate: the emulator may be gone by then.
        settings.hub = None;
        settings
    }
}

/// One device; nothing when the emulator died before it was told.
async fn storm(settings: &Settings, index: u32, assigned: &AtomicUsize) -> Option<Credential> {
    let id = RegistrationId::new(&format!("dev-{index}")).unwrap();
    let prepared = prepare(settings, index, 1, &id).unwrap();
    let end = LocalEnd::new(settings, index);
    let credential = provision(settings, &TcpConnector::default(), &end, &prepared, false).await.result.ok()?;
    assigned.fetch_add(1, Ordering::Relaxed);
    Some(credential)
}

/// Connects with the hub; the stream after CONNACK.
async fn connect(settings: &Settings, credential: &Credential) -> TlsStream<TcpStream> {
    let tls = settings.tls.with_identity(&credential.chain, Arc::clone(&credential.key));
    let tcp = TcpStream::connect(settings.dps.address.unwrap()).await.unwrap();
    tcp.set_nodelay(true).unwrap();
    let name = ServerName::try_from("localhost").unwrap();
    let mut stream = TlsConnector::from(tls).connect(name, tcp).await.unwrap();
    send(&mut stream, Packet::Connect(hub_connect(&credential.device_id, ""))).await;
    let Packet::ConnAck(ack) = receive(&mut stream).await else { panic!("no CONNACK") };
    assert_eq!(Some(ack), accepted(), "{}", credential.device_id);
    stream
}

async fn send(stream: &mut TlsStream<TcpStream>, packet: Packet) {
    let mut bytes = BytesMut::new();
    encode(&packet, &mut bytes).unwrap();
    stream.write_all(&bytes).await.unwrap();
}

async fn receive(stream: &mut TlsStream<TcpStream>) -> Packet {
    let mut bytes = BytesMut::new();
    loop {
        // Byte by byte, so that nothing of the next packet is taken.
        bytes.extend_from_slice(&[stream.read_u8().await.unwrap()]);
        if let Some(packet) = decode(&mut bytes, HUB_PACKET_LIMIT).unwrap() {
            return packet;
        }
    }
}

#[tokio::test]
async fn whoever_was_told_that_it_is_assigned_is_assigned_after_a_kill() {
    let folder = tempfile::tempdir().unwrap();
    let mut told = Vec::new();
    let mut trusted = None;
    for round in 0..2_u32 {
        let emulator = Emulator::start(folder.path());
        // Authorities and TLS root are those of the first start.
        let roots =
            [fs::read(emulator.file("ca_file")), fs::read(emulator.file("issuing_root_file"))].map(Result::unwrap);
        assert_eq!(trusted.get_or_insert_with(|| roots.clone()), &roots);
        let settings = emulator.settings();
        let assigned = AtomicUsize::new(0);
        let devices = (0..150).map(|i| storm(&settings, round * 1000 + i, &assigned));
        let mut devices = std::pin::pin!(futures_util::future::join_all(devices));
        let mut emulator = Some(emulator);
        let credentials = loop {
            tokio::select! {
                credentials = &mut devices => break credentials,
                () = tokio::time::sleep(Duration::from_millis(1)), if emulator.is_some() => {
                    if assigned.load(Ordering::Relaxed) >= 20 {
                        emulator = None;
                    }
                }
            }
        };
        let before = told.len();
        told.extend(credentials.into_iter().flatten());
        assert!(told.len() - before >= 20, "{}", told.len());
    }
    let emulator = Emulator::start(folder.path());
    let settings = emulator.settings();
    for credential in &told {
        connect(&settings, credential).await;
    }

    // One of them renews.
    let credential = &told[0];
    let mut stream = connect(&settings, credential).await;
    let filters = vec![SubscribeFilter::new(CREDENTIAL_RESPONSES.to_owned(), QoS::AtMostOnce)];
    send(&mut stream, Packet::Subscribe(Subscribe { pkid: 1, filters })).await;
    assert!(matches!(receive(&mut stream).await, Packet::SubAck(_)));
    let id = &credential.device_id;
    let body = json!({"id": id, "csr": key_and_csr(id).1}).to_string();
    let request = Publish::new("$iothub/credentials/POST/issueCertificate/?$rid=rid-1", QoS::AtMostOnce, body);
    send(&mut stream, Packet::Publish(request)).await;
    for status in [202, 200] {
        let Packet::Publish(answer) = receive(&mut stream).await else { panic!("no answer") };
        assert_eq!(answer.topic, format!("$iothub/credentials/res/{status}/?$rid=rid-1"));
    }
}
