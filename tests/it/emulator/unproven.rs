//! Peers that have proved nothing, and keep nobody out.

use std::net::SocketAddr;
use std::time::Duration;

use fleetstorm::emulator::{Event, Port};
use fleetstorm::protocol::mqtt::HUB_PACKET_LIMIT;
use fleetstorm::protocol::websocket::WebSocketBytes;
use hyper::Method;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::client::{API, Peer, World, accepted, dps_connect, dps_user, hub_connect, sas};
use super::http_client::HttpPeer;
use super::sockets::{Running, whole_device};

async fn send(address: SocketAddr, bytes: &[u8]) -> TcpStream {
    let mut tcp = TcpStream::connect(address).await.unwrap();
    tcp.write_all(bytes).await.unwrap();
    tcp
}

/// What the control plane answers to a request for its counters.
async fn counters(emulator: &Running) -> String {
    let head = format!(
        "GET /counters HTTP/1.1\r\nHost: h\r\nConnection: close\r\nAuthorization: Bearer {}\r\n\r\n",
        emulator.management_token.as_ref().unwrap()
    );
    let mut tcp = send(emulator.endpoints.management.unwrap(), head.as_bytes()).await;
    let mut answer = String::new();
    tcp.read_to_string(&mut answer).await.unwrap();
    answer
}

#[tokio::test]
async fn slow_peers_without_the_token_do_not_close_the_control_plane() {
    let emulator = Running::start(|config| config.listen.management_port = Some(Port::At(0))).await;
    let management = emulator.endpoints.management.unwrap();
    // All that may be there at once, in every way to say little.
    let ways: [&[u8]; 4] = [
        b"",
        b"GET /counters HT",
        b"PUT /enrollments/x HTTP/1.1\r\nHost: h\r\nContent-Length: 99\r\n",
        b"GET /healthz HTTP/1.1\r\nHost: h\r\n\r\n",
    ];
    let mut slow = Vec::new();
    for i in 0..64 {
        slow.push(send(management, ways[i % ways.len()]).await);
    }
    for _ in 0..3 {
        let answer = counters(&emulator).await;
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    }
    let counted = emulator.stop().await;
    let out = counted.get(Event::TurnedOut);
    assert!((1..=3).contains(&out), "{out}: one for each that came, and no more than those");
}

impl Running {
    async fn tls(&self, address: SocketAddr) -> TlsStream<TcpStream> {
        let connector = TlsConnector::from(self.tls.anonymous());
        let tcp = TcpStream::connect(address).await.unwrap();
        connector.connect("localhost".try_into().unwrap(), tcp).await.unwrap()
    }

    /// Says something within TLS.
    async fn say(&self, address: SocketAddr, bytes: &[u8]) -> TlsStream<TcpStream> {
        let mut stream = self.tls(address).await;
        stream.write_all(bytes).await.unwrap();
        stream
    }
}

#[tokio::test]
async fn slow_peers_do_not_keep_devices_out_and_those_that_are_in_stay() {
    let emulator = Running::start(|config| {
        config.listen.https_port = Some(Port::At(0));
        (config.listen.max_connections, config.listen.unproven_patience_seconds) = (8, 1);
    })
    .await;
    let (mqtt, https) = (emulator.endpoints.mqtt, emulator.endpoints.https.unwrap());
    let settings = emulator.settings_of_every_transport();
    whole_device(&settings[0], 0).await;
    let key = emulator.service.group_key().derive("dev-0");
    let mut device = Peer::new(emulator.tls(mqtt).await, tokio::spawn(async { String::new() }));
    let password = sas(&key, "localhost/devices/dev-0", None);
    assert_eq!(device.connect(hub_connect("dev-0", &password)).await, accepted());

    let silent = [TcpStream::connect(mqtt).await.unwrap(), TcpStream::connect(https).await.unwrap()];
    let hello = send(mqtt, &[0x16, 0x03, 0x01, 0x02, 0x00, 0x01]).await;
    let no_connect = emulator.say(mqtt, &[0x10, 0x50]).await;
    let head = emulator.say(https, b"PUT /0ne00000001/registrations/x/reg").await;
    let body =
        format!("PUT /0ne00000001/registrations/x/register?api-version={API} HTTP/1.1\r\nContent-Length: 9\r\n\r\n{{");
    let body = emulator.say(https, body.as_bytes()).await;
    let upgraded =
        WebSocketBytes::connect(emulator.tls(https).await, "localhost", HUB_PACKET_LIMIT).await.map_err(drop).unwrap();

    for (index, settings) in (1..).zip(&settings) {
        whole_device(settings, index).await;
    }
    device.is_quiet().await;
    drop((silent, hello, no_connect, head, body, upgraded));
    let counted = emulator.stop().await;
    assert_eq!((counted.get(Event::Assigned), counted.get(Event::HubConnected)), (4, 5));
    assert!((1..=7).contains(&counted.get(Event::TurnedOut)), "{counted}");
}

/// With paused time, and everything in memory.
#[tokio::test(start_paused = true)]
async fn a_connection_on_which_nobody_proves_who_he_is_ends_whatever_it_asks_for() {
    let world = World::new();
    // A registration and the lookup of it.
    for (method, path, good) in [(Method::PUT, "/register", 202), (Method::POST, "", 200)] {
        let uri = format!("/0ne00000001/registrations/dev1{path}?api-version={API}");
        let (stream, served) = world.open_https(Vec::new());
        let mut peer = HttpPeer::new(stream).await;
        let mut served = std::pin::pin!(served);
        for _ in 0..5 {
            assert_eq!(peer.send(method.clone(), &uri, "", "{}").await.status, 401);
            assert!(tokio::time::timeout(Duration::from_secs(11), served.as_mut()).await.is_err());
        }
        tokio::time::timeout(Duration::from_secs(6), served).await.expect("after 60 s").unwrap();

        let (stream, served) = world.open_https(Vec::new());
        let mut peer = HttpPeer::new(stream).await;
        for _ in 0..10 {
            assert_eq!(peer.send(method.clone(), &uri, &world.token("dev1"), "{}").await.status, good);
            tokio::time::sleep(Duration::from_secs(11)).await;
        }
        assert!(!served.is_finished(), "{method}: who proved it may stay");
    }
}

#[tokio::test(start_paused = true)]
async fn a_session_that_was_proved_and_is_over_protects_no_client_id() {
    let world = World::new();
    let mut proved = world.dps("dev1").await;
    proved.register("{}").await;
    proved.leave().await;
    let unproven = world.dps_as("dev1", API, &world.token("dev2")).await;
    let mut last = world.dps_as("dev1", API, &world.token("dev2")).await;
    assert_eq!(unproven.ended().await, "its device connected again");
    last.is_quiet().await;
}

#[tokio::test(start_paused = true)]
async fn a_client_id_ends_nobodys_session_unless_it_is_proved() {
    let world = World::new();
    let mut first = world.dps("dev1").await;
    first.register("{}").await;
    // With a token of another device: CONNECT is taken, as at the service, and the registration refused.
    let mut other = world.dps_as("dev1", API, &world.token("dev2")).await;
    let refused = other.request("$dps/registrations/PUT/iotdps-register/?$rid=1", "{}").await;
    assert_eq!(refused.topic, "$dps/registrations/res/401/?$rid=1");
    first.is_quiet().await;
    let mut same = world.dps("dev1").await;
    first.is_quiet().await;
    same.register("{}").await;
    assert_eq!(first.ended().await, "its device connected again");
    same.is_quiet().await;
    other.is_quiet().await;
    assert_eq!(world.count(Event::TakenOver), 1);
    // Before anybody proved anything, the last one counts.
    let unproven = world.dps_as("dev3", API, &world.token("dev2")).await;
    let mut last = world.open();
    assert_eq!(last.connect(dps_connect("dev3", &dps_user("dev3", API), &world.token("dev3"))).await, accepted());
    assert_eq!(unproven.ended().await, "its device connected again");
}

#[tokio::test(start_paused = true)]
async fn who_is_not_let_in_uses_up_no_quota_of_the_hub() {
    let world = World::with(|config| config.quotas.hub_connections_per_second = Some(1));
    let (chain, _) = world.provision("dev1").await;
    for _ in 0..50 {
        let mut stranger = world.open();
        let refused = stranger.connect(hub_connect("dev1", "")).await.unwrap();
        assert_eq!(refused.code, fleetstorm::protocol::mqtt::ConnectReturnCode::NotAuthorized);
    }
    let mut device = world.open_with(chain);
    assert_eq!(device.connect(hub_connect("dev1", "")).await, accepted());
    assert_eq!(world.count(Event::Throttled), 0);
}
