//! What a service does that a protocol does not allow is told as such, over every transport; what ends a connection is not.

use std::time::Duration;

use fleetstorm::device::HoldEnd;
use fleetstorm::domain::{Failure, FailureClass, Transport};
use fleetstorm::pki::csr;
use fleetstorm::protocol::mqtt::{
    ConnAck, ConnectReturnCode, Packet, PubAck, Publish, QoS, SubAck, SubscribeReasonCode,
};
use fleetstorm::protocol::unasked::Unasked;
use rcgen::{
    CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
    SerialNumber, SubjectPublicKeyInfo,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{Instant, timeout};

use super::service::{Accept, Service, World, assigning};
use super::session::Life;

/// How an attempt ends whose first connection is served so.
async fn ends(world: &World, serve: impl AsyncFnOnce(&mut Service)) -> Failure {
    let script = async |mut accept: Accept| {
        serve(&mut accept.next().await).await;
        while accept.next_or_end().await.is_some() {}
    };
    world.provision(script).await.result.unwrap_err()
}

/// How a registration over HTTPS ends that is answered so, in pieces, after which the connection is closed or kept open.
async fn answered(pieces: &[&[u8]], closes: bool) -> Failure {
    let mut world = World::new();
    (world.settings.transport, world.settings.dps.port) = (Transport::Https, 443);
    ends(&world, async |dps: &mut Service| {
        let mut request = vec![0; 4096];
        assert!(dps.stream.read(&mut request).await.unwrap() > 0);
        for piece in pieces {
            dps.says_bytes(piece).await;
        }
        if !closes {
            let _ = dps.stream.read_to_end(&mut request).await;
        }
    })
    .await
}

#[tokio::test(start_paused = true)]
async fn breaches_of_http_are_told_from_ends_of_the_connection() {
    const CHUNKED: &str = "HTTP/1.1 202 Accepted\r\nTransfer-Encoding: chunked\r\n\r\n";
    let long = "x".repeat(20_000);
    let many = "X: y\r\n".repeat(101);
    let huge = " ".repeat(200_000);
    for answer in [
        "\u{1} not HTTP at all\r\n\r\n",
        "HTTP/1.1 9x9 What\r\n\r\n",
        "HTTP/1.1 20\r\n\r\n",
        "HTTP/1.1 202 So\r\nno header\r\n\r\n",
        "HTTP/1.1 202 So\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
        "HTTP/1.1 202 So\r\nContent-Length: -1\r\n\r\n",
        "HTTP/1.1 202 So\r\nContent-Length: 99999999999999999999999\r\n\r\n",
        "HTTP/1.1 101 Switching\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
        &format!("HTTP/1.1 202 So\r\nX: {long}\r\n\r\n"),
        &format!("HTTP/1.1 202 So\r\n{many}\r\n"),
        &format!("HTTP/1.1 202 So\r\nContent-Length: 200000\r\n\r\n{huge}"),
        &format!("{CHUNKED}xyz\r\nhello\r\n0\r\n\r\n"),
        &format!("{CHUNKED}ffffffffffffffffff\r\n"),
        &format!("{CHUNKED}5\r\nhello!!!\r\n0\r\n\r\n"),
        &format!("{CHUNKED}5;{long}\r\nhello\r\n0\r\n\r\n"),
        &format!("{CHUNKED}0\r\nX: {long}\r\n\r\n"),
        // An answer, and what nobody asked for.
        "HTTP/1.1 202 So\r\nRetry-After: 3\r\nContent-Length: 0\r\n\r\nHTTP/1.1 200 So\r\n\r\n",
    ] {
        let failure = answered(&[answer.as_bytes()], false).await;
        assert_eq!(failure.class, FailureClass::Protocol, "{:.60}: {failure}", answer);
        assert!(failure.message.len() < 300, "{failure}");
    }
    let lost: [&[&[u8]]; 5] = [
        &[],
        &[b"HTTP/1.1 2"],
        &[b"HTTP/1.1 202 So\r\nContent-Le"],
        &[b"HTTP/1.1 202 So\r\nContent-Length: 50\r\n\r\nhello"],
        &[CHUNKED.as_bytes(), b"5\r\nhel"],
    ];
    for pieces in lost {
        let failure = answered(pieces, true).await;
        assert_eq!(failure.class, FailureClass::Network, "{pieces:?}: {failure}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_answer_over_https_that_comes_twice_is_noticed_in_the_pause() {
    let body = assigning();
    let answer = format!("HTTP/1.1 202 So\r\nRetry-After: 3\r\nContent-Length: {}\r\n\r\n", body.len());
    let answer = [answer.as_bytes(), &body].concat();
    let failure = answered(&[&answer, &answer], false).await;
    assert_eq!(failure.to_string(), "protocol: DPS broke HTTP: received unexpected message from connection");
}

#[tokio::test(start_paused = true)]
async fn words_before_the_answer_keep_nobody_beyond_the_time_limit() {
    let mut world = World::new();
    (world.settings.transport, world.settings.dps.port) = (Transport::Https, 443);
    for flood in [&b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n"[..], b"x"] {
        let start = Instant::now();
        let failure = ends(&world, async |dps: &mut Service| {
            assert!(dps.stream.read(&mut [0; 4096]).await.unwrap() > 0);
            if flood == b"x" {
                dps.says_bytes(b"HTTP/1.1 202 So\r\nContent-Length: 90000\r\n\r\n").await;
            }
            while dps.stream.write_all(flood).await.is_ok() {
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        })
        .await;
        assert_eq!(failure.to_string(), "timeout: no answer to the registration within 30 s");
        assert!((30..34).contains(&start.elapsed().as_secs()), "{:?}", start.elapsed());
    }
}

#[tokio::test(start_paused = true)]
async fn breaches_of_the_web_socket_are_not_called_network() {
    let mut world = World::new();
    (world.settings.transport, world.settings.dps.port) = (Transport::MqttWebSocket, 443);
    for (bytes, expected) in [
        (&b"\x82\x81\0\0\0\0x"[..], "protocol: DPS broke the protocol: received a masked frame from server"),
        (b"\x81\x01x", "protocol: DPS broke the protocol: a text frame cannot carry MQTT"),
        (b"\x82\x02\xf0\x00", "protocol: DPS: malformed packet: packet type or header flags"),
        (b"\x88\x02\x03\xf3", "network: DPS closed the WebSocket with code 1011"),
        (b"\x88\x02\x03\xe8", "network: DPS closed the connection"),
        (b"\x82\x05ab", "network: DPS closed the connection without saying why"),
    ] {
        let failure = ends(&world, async |dps: &mut Service| {
            dps.shakes_hands("mqtt").await;
            dps.says_bytes(bytes).await;
            let _ = timeout(Duration::from_secs(1), dps.stream.read_to_end(&mut Vec::new())).await;
        })
        .await;
        assert_eq!(failure.to_string(), expected);
    }
    let failure = ends(&world, async |dps: &mut Service| dps.shakes_hands("amqp").await).await;
    assert_eq!(
        failure.to_string(),
        "protocol: DPS broke the WebSocket handshake: subProtocol error: Server sent an invalid subprotocol"
    );
    let failure = ends(&world, async |dps: &mut Service| {
        let _ = dps.stream.read(&mut [0; 4096]).await;
        dps.says_bytes(b"HTTP/1.1 101 Switching Protocols\r\nUpgr").await;
    })
    .await;
    assert_eq!(failure.to_string(), "network: DPS closed the connection without saying why");
}

/// A chain whose leaf has a serial number of so many bytes.
fn with_serial(world: &World, csr: &[u8], length: usize) -> Vec<Vec<u8>> {
    let key = KeyPair::from_pem(&world.issuing.key_pem().unwrap()).unwrap();
    let issuer = Issuer::from_ca_cert_der(&world.issuing.der().into(), key).unwrap();
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, "dev-1");
    params.serial_number = Some(SerialNumber::from_slice(&vec![1; length]));
    params.is_ca = IsCa::ExplicitNoCa;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    let key = SubjectPublicKeyInfo::from_der(&csr::verify(csr).unwrap().spki_der).unwrap();
    let leaf = params.signed_by(&key, &issuer).unwrap();
    vec![leaf.der().to_vec(), world.issuing.der().to_vec(), world.root.der().to_vec()]
}

#[tokio::test(start_paused = true)]
async fn a_serial_number_that_is_longer_than_any_is_a_wrong_certificate() {
    let mut world = World::new();
    world.settings.hub = None;
    for (length, good) in [(20, true), (22, false), (3_000, false)] {
        let script =
            async |mut accept: Accept| accept.next().await.assigns(|csr| with_serial(&world, csr, length)).await;
        match world.provision(script).await.result {
            Ok(credential) => assert!(good && credential.leaf.serial.len() == length, "{length}"),
            Err(failure) => assert!(!good && failure.class == FailureClass::Verification, "{length}: {failure}"),
        }
    }
}

fn message(qos: QoS) -> Packet {
    let pkid = u16::from(qos != QoS::AtMostOnce);
    Packet::Publish(Publish { pkid, ..Publish::new("devices/dev-1/messages/devicebound/", qos, "x") })
}

#[tokio::test(start_paused = true)]
async fn a_hub_that_breaks_mqtt_while_it_is_held_loses_the_connection_with_the_reason() {
    let connack = Packet::ConnAck(ConnAck::new(ConnectReturnCode::Success, false));
    let suback = Packet::SubAck(SubAck::new(1, vec![SubscribeReasonCode::Success(QoS::AtLeastOnce)]));
    for (packet, expected) in [
        (connack, "the hub sent CONNACK out of turn"),
        (suback, "the hub acknowledged a packet that was never sent"),
        (Packet::PubAck(PubAck::new(7)), "the hub acknowledged a packet that was never sent"),
        (Packet::PingReq, "the hub sent PINGREQ out of turn"),
        (message(QoS::ExactlyOnce), "the hub published with QoS 2, to which nobody subscribed"),
    ] {
        let Life { mut session, mut hub, .. } = Life::connected().await;
        let packets = [packet];
        let (held, ()) = tokio::join!(session.hold(None), hub.says(&packets));
        assert_eq!(held, HoldEnd::Lost(Failure::new(FailureClass::Protocol, expected)));
    }
}

#[tokio::test(start_paused = true)]
async fn floods_of_packets_end_a_held_connection() {
    let Life { mut session, hub, .. } = Life::connected().await;
    let (mut from, mut to) = tokio::io::split(hub.stream);
    for (packet, count) in [(message(QoS::AtLeastOnce), Unasked::MOST), (message(QoS::AtMostOnce), 1)] {
        let mut bytes = bytes::BytesMut::new();
        for _ in 0..count {
            fleetstorm::protocol::mqtt::encode(&packet, &mut bytes).unwrap();
        }
        let until = Instant::now() + Duration::from_secs(5);
        let mut nowhere = tokio::io::sink();
        let (held, _) = tokio::join!(session.hold(Some(until)), async {
            to.write_all(&bytes).await.unwrap();
            timeout(Duration::from_secs(1), tokio::io::copy(&mut from, &mut nowhere)).await
        });
        let flood = "the hub sent more than 1000 packets that nobody asked for";
        let lost = HoldEnd::Lost(Failure::new(FailureClass::Protocol, flood));
        assert_eq!(held, if count == 1 { lost } else { HoldEnd::Until });
    }
}

#[tokio::test(start_paused = true)]
async fn a_packet_that_is_never_whole_ends_the_session_although_nothing_is_pinged() {
    let mut life = Life::connected().await;
    // Without a keep-alive nothing else would.
    life.world.settings.keep_alive = 0;
    let Life { world, credential, connector, mut accept, session, .. } = life;
    session.close(&connector).await;
    let end = fleetstorm::device::LocalEnd::new(&world.settings, 0);
    let (done, mut hub) =
        tokio::join!(fleetstorm::device::reconnect(&world.settings, &connector, &end, &credential, true), async {
            let mut hub = accept.next().await;
            hub.accepts(ConnectReturnCode::Success).await;
            hub
        });
    let mut session = done.session.unwrap();
    let start = Instant::now();
    let trickle = async {
        hub.says_bytes(&[0x30, 0xff, 0xff, 0x03]).await;
        while hub.stream.write_all(b"a").await.is_ok() {
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    };
    let held = tokio::select! {
        held = session.hold(None) => held,
        () = trickle => panic!("the device closes last"),
    };
    let HoldEnd::Lost(failure) = held else { panic!("{held:?}") };
    assert_eq!(failure.to_string(), "timeout: no end of a packet of the hub within 30 s");
    assert_eq!(start.elapsed().as_secs(), 30);
}
