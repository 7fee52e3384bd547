//! Real TLS on loopback: clients that we did not write, and peers that mean no good.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use fleetstorm::device::{
    DeviceAttestation, Endpoint, HubSettings, LocalEnd, Settings, TcpConnector, prepare, provision,
};
use fleetstorm::domain::{CryptoProvider, IdScope, RegistrationId, TlsVersions, Transport as Carrier};
use fleetstorm::emulator::{
    Config, Counters, Emulator, Endpoints, Event, Faults, Listen, ListenError, Pause, Port, Service, StartError,
};
use fleetstorm::pki::chain::ChainVerifier;
use fleetstorm::pki::tls::ClientTls;
use rumqttc::{AsyncClient, Event as Mqtt, MqttOptions, Packet, QoS, TlsConfiguration, Transport};
use rustls::client::Resumption;
use rustls::{ClientConfig, HandshakeKind};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_rustls::TlsConnector;
use tokio_util::sync::CancellationToken;

use super::client::{API, Peer, SCOPE, World, accepted, dps_user, hub_connect, key_and_csr, sas};

/// An emulator on a free port, and what a device needs to know of it.
pub(super) struct Running {
    pub(super) service: Service,
    address: SocketAddr,
    pub(super) endpoints: Endpoints,
    pub(super) management_token: Option<String>,
    pub(super) tls: ClientTls,
    shutdown: CancellationToken,
    counters: JoinHandle<Counters>,
}

impl Running {
    pub(super) async fn start(change: impl FnOnce(&mut Config)) -> Self {
        let mut config = Config::default();
        config.listen.mqtt_port = 0;
        config.dps.retry_after_seconds = 0;
        change(&mut config);
        let emulator = Emulator::bind(config).await.unwrap();
        let (service, endpoints) = (emulator.service().clone(), emulator.endpoints().clone());
        let tls = ClientTls::new(std::slice::from_ref(&endpoints.server_root), TlsVersions::Any, CryptoProvider::AwsLc)
            .unwrap();
        let management_token = emulator.management_token().map(str::to_owned);
        let shutdown = CancellationToken::new();
        let counters = tokio::spawn(emulator.run(shutdown.clone()));
        Self { service, address: endpoints.mqtt, endpoints, management_token, tls, shutdown, counters }
    }

    pub(super) async fn stop(self) -> Counters {
        self.shutdown.cancel();
        self.counters.await.unwrap()
    }

    pub(super) fn settings(&self) -> Settings {
        let attestation = DeviceAttestation::SymmetricKey {
            group_key: self.service.group_key().clone(),
            token_life: fleetstorm::domain::FleetTime::from_secs(3600),
        };
        let chain = ChainVerifier::new(&[self.service.issuing_root().to_vec()]).unwrap();
        let dps = Endpoint { address: Some(self.address), ..Endpoint::new("localhost") };
        let scope = IdScope::new(SCOPE).unwrap();
        let mut settings = Settings::new(dps, scope, attestation, self.tls.clone(), Arc::new(chain));
        settings.hub = Some(HubSettings { address: Some(self.address), ..HubSettings::default() });
        settings
    }

    /// Devices over MQTT, over MQTT in WebSockets, and over HTTPS.
    pub(super) fn settings_of_every_transport(&self) -> [Settings; 3] {
        [Carrier::Mqtt, Carrier::MqttWebSocket, Carrier::Https].map(|transport| {
            let mut settings = self.settings();
            settings.transport = transport;
            if transport != Carrier::Mqtt {
                settings.dps.address = self.endpoints.https;
            }
            if transport == Carrier::MqttWebSocket {
                let address = self.endpoints.https;
                settings.hub = Some(HubSettings { web_socket: true, address, ..HubSettings::default() });
            }
            settings
        })
    }
}

/// Provisions device `index` and sends its telemetry.
pub(super) async fn whole_device(settings: &Settings, index: u32) {
    let id = RegistrationId::new(&format!("dev-{index}")).unwrap();
    let prepared = prepare(settings, index, 1, &id).unwrap();
    let provisioned =
        provision(settings, &TcpConnector::default(), &LocalEnd::new(settings, index), &prepared, false).await;
    provisioned.result.unwrap();
}

#[tokio::test]
async fn a_storm_loses_no_device_while_peers_mean_no_good_at_every_port() {
    let emulator = Running::start(|config| {
        config.listen.https_port = Some(Port::At(0));
        config.listen.management_port = Some(Port::At(0));
    })
    .await;
    let Endpoints { mqtt, https, management, .. } = emulator.endpoints.clone();
    let (https, management) = (https.unwrap(), management.unwrap());
    let mut half_open = Vec::new();
    for i in 0..120_u8 {
        let mut tcp = TcpStream::connect([mqtt, https, management][usize::from(i % 3)]).await.unwrap();
        let bytes: Vec<u8> = match (i / 3) % 4 {
            0 => Vec::new(),
            1 => vec![0x16, 0x03, 0x01, 0x02, 0x00, 0x01],
            2 => b"PUT /enrollments/x HTTP/1.1\r\nContent-Length: 99\r\n\r\n{".to_vec(),
            _ => (0..i).collect(),
        };
        // The emulator may have closed already.
        let _ = tcp.write_all(&bytes).await;
        half_open.push(tcp);
    }
    let settings = emulator.settings_of_every_transport();
    let devices = (0..60).map(|index| whole_device(&settings[index as usize % 3], index));
    futures_util::future::join_all(devices).await;
    let counters = emulator.stop().await;
    assert_eq!((counters.get(Event::Assigned), counters.get(Event::Telemetry)), (60, 60));
    assert_eq!((counters.get(Event::Issued), counters.get(Event::HubConnected)), (60, 60));
    assert!(counters.get(Event::WebSocket) >= 40 && counters.get(Event::HttpRequest) >= 40);
}

/// The next packet that the service sends.
async fn incoming(events: &mut rumqttc::EventLoop) -> Packet {
    loop {
        if let Mqtt::Incoming(packet) = events.poll().await.unwrap() {
            return packet;
        }
    }
}

#[tokio::test]
async fn an_independent_client_registers_and_connects_to_the_hub() {
    let emulator = Running::start(|_| {}).await;
    let key = emulator.service.group_key().derive("dev1");
    let transport = || Transport::tls_with_config(TlsConfiguration::Rustls(emulator.tls.anonymous()));
    let mut options = MqttOptions::new("dev1", "127.0.0.1", emulator.address.port());
    options.set_credentials(dps_user("dev1", API), sas(&key, &format!("{SCOPE}/registrations/dev1"), None));
    options.set_transport(transport());
    let (client, mut events) = AsyncClient::new(options, 10);
    client.subscribe("$dps/registrations/res/#", QoS::AtLeastOnce).await.unwrap();
    assert!(matches!(incoming(&mut events).await, Packet::ConnAck(_)));
    assert!(matches!(incoming(&mut events).await, Packet::SubAck(_)));
    let body = format!(r#"{{"csr":"{}"}}"#, key_and_csr("dev1").1);
    let register = "$dps/registrations/PUT/iotdps-register/?$rid=1";
    client.publish(register, QoS::AtLeastOnce, false, body).await.unwrap();
    assert!(matches!(incoming(&mut events).await, Packet::PubAck(_)));
    let Packet::Publish(accepted) = incoming(&mut events).await else { panic!("no answer") };
    assert_eq!(accepted.topic, "$dps/registrations/res/202/?$rid=1&retry-after=0");
    let accepted: serde_json::Value = serde_json::from_slice(&accepted.payload).unwrap();
    let operation = accepted["operationId"].as_str().unwrap();
    let poll = format!("$dps/registrations/GET/iotdps-get-operationstatus/?$rid=2&operationId={operation}");
    let done = loop {
        client.publish(&poll, QoS::AtMostOnce, false, "").await.unwrap();
        let Packet::Publish(answer) = incoming(&mut events).await else { panic!("no answer") };
        let answer: serde_json::Value = serde_json::from_slice(&answer.payload).unwrap();
        if answer["status"] != "assigning" {
            break answer;
        }
    };
    assert_eq!(done["registrationState"]["issuedCertificateChain"].as_array().unwrap().len(), 3, "{done}");

    let mut options = MqttOptions::new("dev1", "127.0.0.1", emulator.address.port());
    options.set_credentials("localhost/dev1/?api-version=2021-04-12", sas(&key, "localhost/devices/dev1", None));
    options.set_transport(transport());
    let (client, mut events) = AsyncClient::new(options, 10);
    client.publish("devices/dev1/messages/events/", QoS::AtLeastOnce, false, "{}").await.unwrap();
    assert!(matches!(incoming(&mut events).await, Packet::ConnAck(_)));
    assert!(matches!(incoming(&mut events).await, Packet::PubAck(_)));
    assert_eq!(emulator.stop().await.get(Event::Telemetry), 1);
}

#[tokio::test]
async fn a_port_in_use_is_said_so() {
    let emulator = Running::start(|_| {}).await;
    let mut config = Config::default();
    config.listen.mqtt_port = emulator.address.port();
    let refused = async |config| {
        let Err(StartError::Listen(ListenError { address, source })) = Emulator::bind(config).await else {
            panic!("it started")
        };
        assert_eq!((address, source.kind()), (emulator.address, std::io::ErrorKind::AddrInUse));
    };
    refused(config).await;
    let taken = Some(Port::At(emulator.address.port()));
    for (https_port, management_port) in [(taken, None), (None, taken)] {
        let mut config = Config::default();
        config.listen = Listen { mqtt_port: 0, https_port, management_port, ..config.listen };
        refused(config).await;
    }
}

/// Clients that are told `localhost` try ::1 first, and not all try the other address afterwards.
#[tokio::test]
async fn localhost_is_served_at_both_of_its_addresses() {
    let has_ipv6 = std::net::TcpListener::bind("[::1]:0").is_ok();
    let emulator = Running::start(|config| {
        config.listen.https_port = Some(Port::At(0));
        config.listen.management_port = Some(Port::At(0));
    })
    .await;
    let Endpoints { mqtt, https, management, ipv6, .. } = emulator.endpoints.clone();
    for (first, second) in [(mqtt, ipv6.mqtt), (https.unwrap(), ipv6.https), (management.unwrap(), ipv6.management)] {
        assert_eq!(first.ip().to_string(), "127.0.0.1");
        assert_eq!(second, has_ipv6.then(|| SocketAddr::new("::1".parse().unwrap(), first.port())));
    }
    let mut settings = emulator.settings();
    for (index, address) in [Some(mqtt), ipv6.mqtt].into_iter().flatten().enumerate() {
        settings.dps = Endpoint { address: Some(address), ..Endpoint::new(address.ip().to_string()) };
        settings.hub = Some(HubSettings { address: Some(address), ..HubSettings::default() });
        whole_device(&settings, u32::try_from(index).unwrap()).await;
    }
    for address in [management, ipv6.management].into_iter().flatten() {
        let mut tcp = TcpStream::connect(address).await.unwrap();
        tcp.write_all(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").await.unwrap();
        let mut answer = String::new();
        tcp.read_to_string(&mut answer).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 200 ") && answer.ends_with("ok\n"), "{answer}");
    }
    assert_eq!(emulator.stop().await.get(Event::Assigned), 1 + u64::from(has_ipv6));
}

#[tokio::test]
async fn an_address_that_is_named_is_the_only_one() {
    for address in ["127.0.0.1", "127.0.0.2"] {
        let emulator = Running::start(|config| config.listen.address = address.parse().unwrap()).await;
        assert_eq!((emulator.address.ip().to_string().as_str(), emulator.endpoints.ipv6.mqtt), (address, None));
    }
}

#[tokio::test]
async fn connections_over_the_limit_wait_for_their_turn() {
    let emulator = Running::start(|config| config.listen.max_connections = 1).await;
    let holder = TcpStream::connect(emulator.address).await.unwrap();
    let settings = emulator.settings();
    let mut device = std::pin::pin!(whole_device(&settings, 0));
    // It gets as far as the kernel's queue, where nobody answers it.
    assert!(futures_util::poll!(device.as_mut()).is_pending());
    drop(holder);
    device.await;
}

/// With paused time every limit is reached at once when nothing else happens.
#[tokio::test(start_paused = true)]
async fn half_open_handshakes_are_cut() {
    let emulator = Running::start(|_| {}).await;
    let mut tcp = TcpStream::connect(emulator.address).await.unwrap();
    let mut end = Vec::new();
    tcp.read_to_end(&mut end).await.unwrap();
    assert!(end.is_empty());
    assert_eq!(emulator.stop().await.get(Event::HandshakeFailed), 1);
}

/// Only a lower bound of real time is asserted: nobody is through before the pause ends, on a new connection or an old one.
#[tokio::test]
async fn a_pause_holds_up_handshakes_and_sessions_on_sockets() {
    const PAUSE: Duration = Duration::from_millis(300);
    let emulator = Running::start(|config| config.listen.https_port = Some(Port::At(0))).await;
    let settings = emulator.settings();
    whole_device(&settings, 0).await;
    let key = emulator.service.group_key().derive("dev-0");
    let mut options = MqttOptions::new("dev-0", "127.0.0.1", emulator.address.port());
    options.set_credentials("localhost/dev-0/?api-version=2021-04-12", sas(&key, "localhost/devices/dev-0", None));
    options.set_transport(Transport::tls_with_config(TlsConfiguration::Rustls(emulator.tls.anonymous())));
    let (client, mut events) = AsyncClient::new(options, 10);
    assert!(matches!(incoming(&mut events).await, Packet::ConnAck(_)));

    let pause = Pause { from_seconds: 0.0, for_seconds: PAUSE.as_secs_f64() };
    emulator.service.set_faults(Faults { pause, ..Faults::default() }).unwrap();
    let begun = Instant::now();
    let mut over_https = emulator.settings();
    over_https.transport = Carrier::Https;
    over_https.dps.address = emulator.endpoints.https;
    over_https.hub = None;
    let telemetry = async {
        client.publish("devices/dev-0/messages/events/", QoS::AtLeastOnce, false, "{}").await.unwrap();
        assert!(matches!(incoming(&mut events).await, Packet::PubAck(_)));
        begun.elapsed()
    };
    let device = async |settings: &Settings, index| {
        whole_device(settings, index).await;
        begun.elapsed()
    };
    let (a, b, c) = tokio::join!(telemetry, device(&settings, 1), device(&over_https, 2));
    assert!([a, b, c].into_iter().all(|elapsed| elapsed >= PAUSE), "{a:?} {b:?} {c:?}");
    let counters = emulator.stop().await;
    assert_eq!((counters.get(Event::FaultPaused), counters.get(Event::Assigned)), (3, 3));
}

#[tokio::test]
async fn a_resumed_session_is_the_devices_whose_certificate_began_it() {
    for resumes in [true, false] {
        let emulator = Running::start(|config| {
            config.listen.tls_resumption = resumes;
            config.adr.issue_inline = true;
            config.dps.retry_after_seconds = 3;
        })
        .await;
        let (chain, key) = World { service: emulator.service.clone() }.provision("dev1").await;
        let mut tls = ClientConfig::clone(&emulator.tls.with_identity(&chain, Arc::new(key)));
        tls.resumption = Resumption::in_memory_sessions(4);
        let connector = TlsConnector::from(Arc::new(tls));
        let mut kinds = Vec::new();
        for _ in 0..2 {
            let tcp = TcpStream::connect(emulator.address).await.unwrap();
            let stream = connector.connect("localhost".try_into().unwrap(), tcp).await.unwrap();
            let mut peer = Peer::new(stream, tokio::spawn(async { String::new() }));
            assert_eq!(peer.connect(hub_connect("dev1", "")).await, accepted());
            kinds.push(peer.stream.get_ref().1.handshake_kind().unwrap());
        }
        let second = if resumes { HandshakeKind::Resumed } else { HandshakeKind::Full };
        assert_eq!(kinds, [HandshakeKind::Full, second]);
        let counters = emulator.stop().await;
        let seen = [Event::HubConnected, Event::Handshake, Event::Resumed].map(|event| counters.get(event));
        assert_eq!(seen, [2, 2, u64::from(resumes)]);
    }
}
