//! TLS sessions are resumed per device, and only when that is asked for.

use std::sync::Arc;
use std::time::SystemTime;

use bytes::BytesMut;
use fleetstorm::device::{Credential, LocalEnd, TcpConnector, provision, reconnect, renew};
use fleetstorm::domain::{CryptoProvider, TlsVersions};
use fleetstorm::pki::tls::{ClientTls, server_config};
use fleetstorm::protocol::mqtt::{ConnAck, ConnectReturnCode, Packet, decode, encode};
use rustls::HandshakeKind;
use rustls::server::ServerSessionMemoryCache;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use super::emulator::{Target, tls};
use super::renew::provisioned;
use super::service::{HUB, World};

/// A hub that lets everybody in and resumes sessions.
struct Hub {
    listener: TcpListener,
    acceptor: TlsAcceptor,
}

impl Hub {
    async fn start(world: &mut World) -> Self {
        let (certificate, key) = world.root.server_certificate(&[HUB.to_owned()], SystemTime::now()).unwrap();
        let mut config = rustls::ServerConfig::clone(&server_config(certificate, key, TlsVersions::Any).unwrap());
        config.session_storage = ServerSessionMemoryCache::new(100);
        config.send_tls13_tickets = 2;
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let hub = world.settings.hub.as_mut().unwrap();
        (hub.address, hub.telemetry) = (Some(listener.local_addr().unwrap()), None);
        Self { listener, acceptor: TlsAcceptor::from(Arc::new(config)) }
    }

    /// Serves one connection. Gives the kind of its handshake and how many certificates the device is known by.
    async fn serve(&self) -> (HandshakeKind, usize) {
        let (stream, _) = self.listener.accept().await.unwrap();
        let mut stream = self.acceptor.accept(stream).await.unwrap();
        let tls = stream.get_ref().1;
        let seen = (tls.handshake_kind().unwrap(), tls.peer_certificates().map_or(0, <[_]>::len));
        let mut bytes = BytesMut::new();
        while decode(&mut bytes, 10_000).unwrap().is_none() {
            assert_ne!(stream.read_buf(&mut bytes).await.unwrap(), 0);
        }
        bytes.clear();
        encode(&Packet::ConnAck(ConnAck::new(ConnectReturnCode::Success, false)), &mut bytes).unwrap();
        stream.write_all(&bytes).await.unwrap();
        // DISCONNECT and the end.
        while stream.read_buf(&mut bytes).await.is_ok_and(|read| read > 0) {}
        seen
    }

    async fn visited(&self, world: &World, end: &LocalEnd, credential: &Credential) -> HandshakeKind {
        let connector = TcpConnector::new();
        let device = reconnect(&world.settings, &connector, end, credential, false);
        let (done, (kind, certificates)) = tokio::join!(device, self.serve());
        done.result.unwrap();
        assert_eq!(certificates, 2, "a resumed session is of the same device");
        kind
    }
}

#[tokio::test]
async fn a_device_resumes_its_own_sessions_until_its_credential_changes() {
    let mut world = World::new();
    let (first, second) = (provisioned(&mut world).await, provisioned(&mut world).await);
    let hub = Hub::start(&mut world).await;
    for versions in [TlsVersions::Tls12, TlsVersions::Tls13] {
        world.settings.tls = ClientTls::new(&[world.root.der().to_vec()], versions, CryptoProvider::AwsLc).unwrap();
        world.settings.tls_resumption = true;
        let (end, other) = (LocalEnd::new(&world.settings, 0), LocalEnd::new(&world.settings, 1));
        assert_eq!(hub.visited(&world, &end, &first).await, HandshakeKind::Full);
        assert_eq!(hub.visited(&world, &end, &first).await, HandshakeKind::Resumed);
        assert_eq!(hub.visited(&world, &end, &first.clone()).await, HandshakeKind::Resumed);
        assert_eq!(hub.visited(&world, &other, &first).await, HandshakeKind::Full, "another device");
        assert_eq!(hub.visited(&world, &end, &second).await, HandshakeKind::Full, "another certificate");
        assert_eq!(hub.visited(&world, &end, &second).await, HandshakeKind::Resumed);
        assert_eq!(hub.visited(&world, &end, &first).await, HandshakeKind::Full, "the old one was forgotten");
        end.forget_sessions();
        assert_eq!(hub.visited(&world, &end, &first).await, HandshakeKind::Full);
        world.settings.tls_resumption = false;
        for _ in 0..2 {
            assert_eq!(hub.visited(&world, &end, &first).await, HandshakeKind::Full);
        }
    }
}

#[tokio::test]
async fn the_emulator_knows_a_device_by_its_resumed_session() {
    for versions in [TlsVersions::Tls12, TlsVersions::Tls13] {
        let mut target = Target::start(|config| config.listen.tls_resumption = true).await;
        target.settings.tls = tls(&target.server_root, versions);
        target.settings.tls_resumption = true;
        let (connector, end, prepared) = (TcpConnector::new(), LocalEnd::new(&target.settings, 0), target.prepared(0));
        let settings = &target.settings;
        let mut credential = provision(settings, &connector, &end, &prepared, false).await.result.unwrap();
        for _ in 0..2 {
            let done = reconnect(settings, &connector, &end, &credential, true).await;
            done.result.unwrap();
            let prepared = target.prepared(0);
            let renewed = renew(settings, &connector, &end, &credential, done.session, &prepared, false).await;
            credential = renewed.result.unwrap();
        }
    }
}
