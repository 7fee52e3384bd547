//! The same registration over WebSocket and HTTPS, and with a bootstrap certificate.

use std::fs;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use fleetstorm::device::{DeviceAttestation, LocalEnd, MemoryConnector, TcpConnector, prepare, provision};
use fleetstorm::domain::{
    CryptoProvider, FailureClass, KeyAlgorithm, Phase, RegistrationId, SasToken, TlsVersions, Transport,
};
use fleetstorm::pki::bootstrap::Folder;
use fleetstorm::pki::csr;
use fleetstorm::pki::key::DeviceKey;
use fleetstorm::pki::store::{self, Existing, FileAccess};
use fleetstorm::pki::tls::server_config;
use fleetstorm::protocol::mqtt::{ConnectReturnCode, Packet, decode};
use fleetstorm::protocol::payload::{ErrorDetails, RegistrationRequest, decode_csr};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::io::AsyncReadExt;
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use super::failure;
use super::service::{Accept, World, assigned, assigning};

#[tokio::test(start_paused = true)]
async fn provisions_over_web_socket() {
    let mut world = World::new();
    world.settings.transport = Transport::MqttWebSocket;
    world.settings.dps.port = 443;
    let hub = world.settings.hub.as_mut().unwrap();
    (hub.web_socket, hub.port) = (true, 443);
    let provisioned = world
        .provision(async |mut accept: Accept| {
            let dps = accept.next().await;
            assert_eq!(dps.port, 443);
            dps.over_web_socket().await.assigns(|csr| world.issue(csr, "dev-1")).await;
            let mut hub = accept.next().await.over_web_socket().await;
            hub.accepts(ConnectReturnCode::Success).await;
            hub.is_asked().await;
            hub.hears_the_end().await;
        })
        .await;
    assert!(provisioned.result.is_ok(), "{:?}", provisioned.result);
    assert!(provisioned.facts.phases.get(Phase::TelemetryAck).is_some());
}

#[tokio::test(start_paused = true)]
async fn a_refused_web_socket_has_its_status() {
    let mut world = World::new();
    world.settings.transport = Transport::MqttWebSocket;
    let provisioned = world
        .provision(async |mut accept: Accept| {
            let mut dps = accept.next().await;
            dps.says_bytes(b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n").await;
            let _ = dps.stream.read(&mut [0; 1024]).await;
        })
        .await;
    assert_eq!(failure(provisioned), "rejected 503: DPS refused the WebSocket");
}

/// An answer of the service: status, retry-after, body.
pub(super) type Reply = (u16, Option<&'static str>, Vec<u8>);

/// When the service believes to live. The device does not.
const DATE: &str = "Sun, 06 Nov 1994 08:49:31 GMT";

fn https_world() -> World {
    let mut world = World::new();
    world.settings.transport = Transport::Https;
    world.settings.dps.port = 443;
    world.settings.hub = None;
    world
}

/// Serves HTTP on every connection of the device: `answer` gets the number of the request and the request.
pub(super) async fn serve(mut accept: Accept, keep_alive: bool, answer: impl Fn(u16, Request<Bytes>) -> Reply) {
    let requests = AtomicU16::new(0);
    while let Some(peer) = accept.next_or_end().await {
        let service = service_fn(async |request: Request<Incoming>| {
            let (parts, body) = request.into_parts();
            let body = body.collect().await?.to_bytes();
            let number = requests.fetch_add(1, Ordering::Relaxed);
            let (status, retry_after, body) = answer(number, Request::from_parts(parts, body));
            let mut response = Response::builder().status(status).header("Date", DATE);
            if let Some(wait) = retry_after {
                response = response.header("Retry-After", wait);
            }
            Ok::<_, hyper::Error>(response.body(Full::new(Bytes::from(body))).unwrap())
        });
        let connection = hyper::server::conn::http1::Builder::new()
            .keep_alive(keep_alive)
            .serve_connection(TokioIo::new(peer.stream), service);
        // The device may close first.
        let _ = connection.await;
    }
}

#[tokio::test(start_paused = true)]
async fn registers_over_https() {
    for keep_alive in [true, false] {
        let world = https_world();
        let provisioned = world
            .provision(async |accept: Accept| {
                let csr = std::sync::Mutex::new(Vec::new());
                serve(accept, keep_alive, |number, request| {
                    let token = request.headers()["authorization"].to_str().unwrap();
                    assert!(SasToken::parse(token).is_ok());
                    assert_eq!(request.headers()["host"], "dps.example");
                    let target = request.uri().to_string();
                    if number == 0 {
                        assert_eq!(request.method(), "PUT");
                        assert_eq!(target, "/0ne00000001/registrations/dev-1/register?api-version=2025-07-01-preview");
                        let body = RegistrationRequest::parse(request.body()).unwrap();
                        *csr.lock().unwrap() = decode_csr(&body.csr.unwrap()).unwrap();
                        return (202, Some("3"), assigning());
                    }
                    assert_eq!(request.method(), "GET");
                    assert_eq!(
                        target,
                        "/0ne00000001/registrations/dev-1/operations/5.a.b?api-version=2025-07-01-preview"
                    );
                    match number {
                        // Seven seconds after its own date, and three seconds when rounded up.
                        1 => (429, Some("Sunday, 06-Nov-94 08:49:38 GMT"), Vec::new()),
                        2 => (202, Some("2.5"), assigning()),
                        _ => (200, None, assigned(&world.issue(&csr.lock().unwrap(), "dev-1"))),
                    }
                })
                .await;
            })
            .await;
        assert!(provisioned.result.is_ok(), "{:?}", provisioned.result);
        assert_eq!((provisioned.facts.polls, provisioned.facts.throttled), (3, 1));
        assert_eq!(provisioned.facts.phases.get(Phase::PollWait), Some(Duration::from_secs(13)));
        let had: Vec<_> = provisioned.facts.phases.present().map(|(phase, _)| phase).collect();
        // How late the polls were is told of every one.
        let expected = [
            Phase::Late,
            Phase::Keygen,
            Phase::Csr,
            Phase::Sas,
            Phase::Tcp,
            Phase::Tls,
            Phase::Register,
            Phase::PollWait,
            Phase::Assign,
            Phase::Verify,
            Phase::DpsClose,
        ];
        assert_eq!(had, expected);
    }
}

#[tokio::test(start_paused = true)]
async fn https_failures_have_their_class() {
    let world = https_world();
    let refused = world
        .provision(async |accept: Accept| {
            let details =
                ErrorDetails { error_code: 401_002, message: "Unauthorized".into(), ..ErrorDetails::default() };
            serve(accept, true, |_, _| (401, None, details.to_body())).await;
        })
        .await;
    assert_eq!(failure(refused), "rejected 401002: Unauthorized");

    let silent = world
        .provision(async |mut accept: Accept| {
            let mut dps = accept.next().await;
            let _ = dps.stream.read_to_end(&mut Vec::new()).await;
        })
        .await;
    assert_eq!(failure(silent), "timeout: no answer to the registration within 30 s");

    let closed = world.provision(async |mut accept: Accept| drop(accept.next().await)).await;
    assert_eq!(closed.result.unwrap_err().class, FailureClass::Network);

    let garbage = world
        .provision(async |mut accept: Accept| {
            let mut dps = accept.next().await;
            dps.says_bytes(b"\x20\x02\x00\x00 not HTTP at all\r\n\r\n").await;
            let _ = dps.stream.read_to_end(&mut Vec::new()).await;
        })
        .await;
    assert_eq!(garbage.result.unwrap_err().class, FailureClass::Protocol);

    let endless = world
        .provision(async |accept: Accept| {
            serve(accept, true, |_, _| (200, None, vec![b' '; 200_000])).await;
        })
        .await;
    assert_eq!(endless.result.unwrap_err().class, FailureClass::Protocol);
}

#[tokio::test]
async fn a_bootstrap_certificate_attests_in_the_handshake() {
    let mut world = World::new();
    let folder = tempfile::tempdir().unwrap();
    let key = DeviceKey::generate(KeyAlgorithm::EcdsaP384, CryptoProvider::AwsLc).unwrap();
    let chain = world.issue(&csr::build(&key, "dev-1").unwrap(), "dev-1");
    let files = Folder::new(folder.path());
    let id = RegistrationId::new("dev-1").unwrap();
    store::create_folder(&files.devices()).unwrap();
    let certificates = store::certificates_to_pem(&chain[..2]);
    store::write(&files.device_certificate(&id), certificates.as_bytes(), FileAccess::Everybody, Existing::Keep)
        .unwrap();
    let private = key.to_pem().unwrap();
    store::write(&files.device_key(&id), private.as_bytes(), FileAccess::Owner, Existing::Keep).unwrap();
    world.settings.attestation = DeviceAttestation::X509(Folder::new(folder.path()));
    world.settings.hub = None;

    let (certificate, server_key) =
        world.root.server_certificate(&["dps.example".to_owned()], SystemTime::now()).unwrap();
    let acceptor = TlsAcceptor::from(server_config(certificate, server_key, TlsVersions::Any).unwrap());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    world.settings.dps.address = Some(listener.local_addr().unwrap());
    let device = async {
        let prepared = world.device();
        assert_eq!(prepared.phases().get(Phase::Sas), None);
        let end = LocalEnd::new(&world.settings, 0);
        provision(&world.settings, &TcpConnector::new(), &end, &prepared, false).await
    };
    let service = async {
        let (stream, _) = listener.accept().await.unwrap();
        let mut stream = acceptor.accept(stream).await.unwrap();
        let presented = stream.get_ref().1.peer_certificates().unwrap();
        assert_eq!(presented.iter().map(|c| c.to_vec()).collect::<Vec<_>>(), chain[..2]);
        let mut bytes = bytes::BytesMut::new();
        loop {
            stream.read_buf(&mut bytes).await.unwrap();
            if let Some(packet) = decode(&mut bytes, 10_000).unwrap() {
                break packet;
            }
        }
    };
    let (_, packet) = tokio::join!(device, service);
    let Packet::Connect(connect) = packet else { panic!("{packet:?}") };
    assert_eq!(connect.login.unwrap().password, "");
}

#[test]
fn missing_bootstrap_files_name_the_remedy() {
    let mut world = World::new();
    let folder = tempfile::tempdir().unwrap();
    world.settings.attestation = DeviceAttestation::X509(Folder::new(folder.path()));
    let prepare = || prepare(&world.settings, 0, 1, &RegistrationId::new("dev-1").unwrap()).unwrap_err().to_string();
    let expected = "configuration: the bootstrap certificate of a device cannot be used: it is not there: make it with `fleetstorm pki devices`";
    assert_eq!(prepare(), expected);
    fs::create_dir(folder.path().join("devices")).unwrap();
    fs::write(folder.path().join("devices/dev-1.pem"), "nothing").unwrap();
    let expected = "configuration: the bootstrap certificate of a device cannot be used: its file has no certificate: \
                    there is no -----BEGIN CERTIFICATE----- in it";
    assert_eq!(prepare(), expected);
}

#[tokio::test(start_paused = true)]
async fn nobody_there_over_https() {
    let world = https_world();
    let (connector, peers) = MemoryConnector::new();
    drop(peers);
    let provisioned = world.attempt(&connector).await;
    assert_eq!(provisioned.result.unwrap_err().class, FailureClass::Network);
}
