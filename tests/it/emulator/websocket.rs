//! MQTT over WebSocket: the same sessions behind frames of any size.

use bytes::{Bytes, BytesMut};
use fleetstorm::emulator::Event;
use fleetstorm::protocol::mqtt::{ConnectReturnCode, HUB_PACKET_LIMIT, Packet, Publish, QoS, decode, encode};
use fleetstorm::protocol::topic::DPS_RESPONSES;
use fleetstorm::protocol::websocket::WebSocketBytes;
use futures_util::{SinkExt as _, StreamExt as _};
use hyper::header::{HeaderValue, SEC_WEBSOCKET_EXTENSIONS, SEC_WEBSOCKET_PROTOCOL};
use tokio::io::DuplexStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::handshake::client::Response;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{WebSocketStream, client_async};

use super::client::{API, Peer, World, accepted, dps_connect, dps_user, hub_connect, key_and_csr, refused, sas};

impl World {
    /// A device on a WebSocket.
    async fn websocket(&self, certificates: Vec<Vec<u8>>) -> Peer<WebSocketBytes<DuplexStream>> {
        let (stream, served) = self.open_https(certificates);
        let served = tokio::spawn(async move { served.await.map(|()| String::new()).unwrap() });
        Peer::new(WebSocketBytes::connect(stream, "hub.example", HUB_PACKET_LIMIT).await.unwrap(), served)
    }

    /// The frames themselves, after a handshake on `path` that offers `protocol` and compression.
    async fn frames(&self, path: &str, protocol: &str) -> Result<(WebSocketStream<DuplexStream>, Response), Error> {
        let (stream, _) = self.open_https(Vec::new());
        let mut request = format!("wss://dps.example{path}").into_client_request().unwrap();
        let headers = request.headers_mut();
        headers.insert(SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_str(protocol).unwrap());
        headers.insert(SEC_WEBSOCKET_EXTENSIONS, HeaderValue::from_static("permessage-deflate"));
        headers.insert("origin", HeaderValue::from_static("https://localhost:443"));
        client_async(request, stream).await
    }
}

#[tokio::test(start_paused = true)]
async fn a_device_registers_and_connects_to_the_hub_with_its_certificate() {
    let world = World::new();
    let mut dps = world.websocket(Vec::new()).await;
    assert_eq!(dps.connect(dps_connect("dev1", &dps_user("dev1", API), &world.token("dev1"))).await, accepted());
    dps.subscribe(DPS_RESPONSES, QoS::AtLeastOnce).await;
    let done = dps.register(&format!(r#"{{"csr":"{}"}}"#, key_and_csr("dev1").1)).await;
    assert_eq!(done["registrationState"]["status"], "assigned", "{done}");
    dps.send(Packet::Disconnect).await;
    dps.ended().await;

    let (chain, _) = world.provision("dev2").await;
    let mut hub = world.websocket(chain).await;
    assert_eq!(hub.connect(hub_connect("dev2", "")).await, accepted());
    hub.publish("devices/dev2/messages/events/", QoS::AtLeastOnce, &"x".repeat(200_000)).await;
    assert!(matches!(hub.next().await, Some(Packet::PubAck(_))));
    hub.is_quiet().await;
    assert_eq!((world.count(Event::WebSocket), world.count(Event::Telemetry)), (2, 1));
}

#[tokio::test(start_paused = true)]
async fn a_refused_connect_is_answered_before_the_end() {
    let world = World::new();
    let mut hub = world.websocket(Vec::new()).await;
    assert_eq!(hub.connect(hub_connect("dev1", "")).await, refused(ConnectReturnCode::NotAuthorized));
    hub.ended().await;
}

#[tokio::test(start_paused = true)]
async fn packets_and_frames_have_nothing_to_do_with_each_other() {
    let world = World::new();
    let (mut frames, _) = world.frames("/$iothub/websocket", "mqtt").await.unwrap();
    let mut bytes = BytesMut::new();
    let connect = dps_connect("dev1", &dps_user("dev1", API), &world.token("dev1"));
    encode(&Packet::Connect(connect), &mut bytes).unwrap();
    let (first, rest) = bytes.split_at(5);
    for byte in first {
        frames.send(Message::Binary(Bytes::copy_from_slice(&[*byte]))).await.unwrap();
    }
    // Three packets end in one frame.
    let mut last = BytesMut::from(rest);
    encode(&Packet::PingReq, &mut last).unwrap();
    encode(&Packet::PingReq, &mut last).unwrap();
    frames.send(Message::Binary(last.freeze())).await.unwrap();
    let mut answers = BytesMut::new();
    let mut packets = Vec::new();
    while packets.len() < 3 {
        let Some(Ok(Message::Binary(frame))) = frames.next().await else { panic!("no answer") };
        answers.extend_from_slice(&frame);
        while let Some(packet) = decode(&mut answers, HUB_PACKET_LIMIT).unwrap() {
            packets.push(packet);
        }
    }
    assert_eq!(packets[0], Packet::ConnAck(accepted().unwrap()));
    assert_eq!(packets[1..], [Packet::PingResp, Packet::PingResp]);
}

#[tokio::test(start_paused = true)]
async fn handshakes_of_real_clients_are_taken_and_others_refused() {
    let world = World::new();
    for (path, offer, chosen) in [
        ("/$iothub/websocket", "mqtt", "mqtt"),
        ("/$iothub/websocket?iothub-no-client-cert=true", "MQTT", "MQTT"),
        ("/", "AMQPWSB10, mqtt", "mqtt"),
    ] {
        let (_, response) = world.frames(path, offer).await.unwrap();
        assert_eq!(response.headers()[SEC_WEBSOCKET_PROTOCOL], chosen);
        assert!(!response.headers().contains_key(SEC_WEBSOCKET_EXTENSIONS), "no compression");
    }
    for (path, offer, status) in [("/$iothub/websocket", "AMQPWSB10", 400), ("/elsewhere", "mqtt", 404)] {
        let Err(Error::Http(response)) = world.frames(path, offer).await else { panic!("{path} {offer}") };
        assert_eq!(response.status().as_u16(), status);
    }
}

#[tokio::test(start_paused = true)]
async fn frames_that_carry_no_mqtt_end_the_connection() {
    let world = World::new();
    for message in [
        Message::Text("hello".into()),
        Message::Binary(Bytes::from_static(b"\xff\xff\xff\xff\xff")),
        Message::Binary(vec![0; HUB_PACKET_LIMIT + 5000].into()),
    ] {
        let (mut frames, _) = world.frames("/", "mqtt").await.unwrap();
        // The emulator may close before it has taken everything.
        let _ = frames.send(message).await;
        while let Some(Ok(message)) = frames.next().await {
            assert!(matches!(message, Message::Close(_)), "{message}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_frame_may_have_the_longest_packet_and_4_kib() {
    const LIMIT: usize = HUB_PACKET_LIMIT + 4096;
    let world = World::new();
    world.provision("dev1").await;
    let token = sas(&world.service.group_key().derive("dev1"), "localhost/devices/dev1", None);
    for (length, taken) in [(LIMIT, true), (LIMIT + 1, false)] {
        let (mut frames, _) = world.frames("/", "mqtt").await.unwrap();
        let mut bytes = BytesMut::new();
        encode(&Packet::Connect(hub_connect("dev1", &token)), &mut bytes).unwrap();
        frames.send(Message::Binary(bytes.split().freeze())).await.unwrap();
        let publish = |bytes: &mut BytesMut, length: usize| {
            let message = Publish::new("devices/dev1/messages/events/", QoS::AtMostOnce, vec![b'x'; length]);
            encode(&Packet::Publish(message), bytes).unwrap();
        };
        publish(&mut bytes, 200_000);
        // Packets of this length differ in nothing but their payload.
        let mut other = BytesMut::new();
        publish(&mut other, 100_000);
        let payload = length - bytes.len() - (other.len() - 100_000);
        publish(&mut bytes, payload);
        assert_eq!(bytes.len(), length);
        let before = world.count(Event::Telemetry);
        // The emulator may close before it has taken everything.
        let _ = frames.send(Message::Binary(bytes.split().freeze())).await;
        encode(&Packet::PingReq, &mut bytes).unwrap();
        let _ = frames.send(Message::Binary(bytes.freeze())).await;
        let mut answers = BytesMut::new();
        while let Some(Ok(Message::Binary(frame))) = frames.next().await {
            answers.extend_from_slice(&frame);
            if answers.ends_with(&[0xd0, 0]) {
                break;
            }
        }
        assert_eq!(answers.ends_with(&[0xd0, 0]), taken, "{length}: PINGRESP");
        assert_eq!(world.count(Event::Telemetry) - before, if taken { 2 } else { 0 });
    }
}

/// With paused time every limit is reached at once when nothing else happens.
#[tokio::test(start_paused = true)]
async fn a_websocket_that_says_nothing_is_cut() {
    let world = World::new();
    let (mut frames, _) = world.frames("/", "mqtt").await.unwrap();
    assert!(!matches!(frames.next().await, Some(Ok(Message::Binary(_)))));
    assert_eq!(world.count(Event::TimedOut), 1);
}
