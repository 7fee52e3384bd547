//! TCP and TLS for real: what goes wrong there has its class and names the remedy.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::SystemTime;

use fleetstorm::device::TcpConnector;
use fleetstorm::domain::{Failure, FailureClass, Phase, TlsVersions};
use fleetstorm::pki::issuing_ca::RootCa;
use fleetstorm::pki::tls::server_config;
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use super::service::World;

/// Provisions one device against what listens at `address`.
async fn failure_at(world: &mut World, address: SocketAddr) -> (Failure, bool) {
    world.settings.dps.address = Some(address);
    let provisioned = world.attempt(&TcpConnector::new()).await;
    let had_tls = provisioned.facts.phases.get(Phase::Tls).is_some();
    (provisioned.result.unwrap_err(), had_tls)
}

/// A server with a certificate of `root` for `name` that makes one handshake and goes away.
async fn one_handshake(root: &RootCa, name: &str) -> SocketAddr {
    let (certificate, key) = root.server_certificate(&[name.to_owned()], SystemTime::now()).unwrap();
    let acceptor = TlsAcceptor::from(server_config(certificate, key, TlsVersions::Any).unwrap());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        // It fails in most of these tests.
        let _ = acceptor.accept(stream).await;
    });
    address
}

#[tokio::test]
async fn nobody_listens() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let (failure, had_tls) = failure_at(&mut World::new(), address).await;
    let expected = "network: DPS refused the connection: is it running at that address and port?";
    assert_eq!((failure.to_string().as_str(), had_tls), (expected, false));
}

#[tokio::test]
async fn the_peer_does_not_speak_tls() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let server = async {
        let (stream, _) = listener.accept().await.unwrap();
        stream.readable().await.unwrap();
        stream.try_write(b"220 mail.example ESMTP\r\n").unwrap();
        stream
    };
    let mut world = World::new();
    let ((failure, had_tls), _stream) = tokio::join!(failure_at(&mut world, address), server);
    assert_eq!((failure.class, had_tls), (FailureClass::Tls, true), "{failure}");
}

#[tokio::test]
async fn the_peer_closes_in_the_handshake() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let server = async {
        use tokio::io::AsyncReadExt;
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut hello = [0; 4096];
        assert!(stream.read(&mut hello).await.unwrap() > 0);
    };
    let mut world = World::new();
    let ((failure, _), ()) = tokio::join!(failure_at(&mut world, address), server);
    assert_eq!(failure.to_string(), "tls: DPS closed the connection during the TLS handshake");
}

#[tokio::test]
async fn the_certificate_is_of_an_unknown_ca_or_for_another_host() {
    let mut world = World::new();
    let stranger = RootCa::generate("stranger", SystemTime::now()).unwrap();
    let address = one_handshake(&stranger, "dps.example").await;
    let (failure, _) = failure_at(&mut world, address).await;
    let expected = "tls: the certificate of DPS does not lead to a trusted CA: is `ca_file` the right one?";
    assert_eq!(failure.to_string(), expected);

    let address = one_handshake(&world.root, "other.example").await;
    let (failure, _) = failure_at(&mut world, address).await;
    assert_eq!(failure.to_string(), "tls: the certificate of DPS is for another host name");

    let address = one_handshake(&world.root, "dps.example").await;
    let (failure, _) = failure_at(&mut world, address).await;
    assert_eq!(failure.class, FailureClass::Network, "the handshake is good, then the server goes: {failure}");
}

#[tokio::test]
async fn hosts_are_resolved_when_no_address_is_given() {
    let mut world = World::new();
    world.settings.dps.host = "localhost".to_owned();
    let address = one_handshake(&world.root, "localhost").await;
    world.settings.dps.port = address.port();
    let connector = Arc::new(TcpConnector::new());
    let provisioned = world.attempt(&*connector).await;
    assert!(provisioned.facts.phases.get(Phase::Connack).is_some(), "{:?}", provisioned.result);
}
