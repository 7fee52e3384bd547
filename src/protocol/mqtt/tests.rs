use super::*;
use bytes::Bytes;
use proptest::prelude::*;

const LIMIT: usize = 1024;

fn read(bytes: &[u8]) -> Result<Option<Packet>, PacketError> {
    decode(&mut BytesMut::from(bytes), LIMIT)
}

fn written(packet: &Packet) -> BytesMut {
    let mut buffer = BytesMut::new();
    encode(packet, &mut buffer).unwrap();
    buffer
}

fn connect() -> Connect {
    Connect { protocol: Protocol::V4, login: None, ..Connect::new("dev1") }
}

/// CONNECT as bytes: flags, then the payload after keep-alive 30.
fn raw_connect(flags: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0x10, u8::try_from(10 + payload.len()).unwrap()];
    bytes.extend(b"\x00\x04MQTT\x04");
    bytes.extend([flags, 0, 30]);
    bytes.extend(payload);
    bytes
}

fn publish(qos: QoS, pkid: u16, topic: &str, payload: &'static [u8]) -> Packet {
    Packet::Publish(Publish { pkid, ..Publish::from_bytes(topic, qos, Bytes::from_static(payload)) })
}

#[test]
fn every_packet_round_trips_behind_other_bytes() {
    let mut full = connect();
    full.login = Some(Login::new("user", "password"));
    full.last_will = Some(LastWill::new("will", "bye", QoS::AtLeastOnce, true));
    let packets = [
        Packet::Connect(connect()),
        Packet::Connect(full),
        Packet::ConnAck(ConnAck::new(ConnectReturnCode::NotAuthorized, true)),
        publish(QoS::AtMostOnce, 0, "a/b", b""),
        publish(QoS::AtLeastOnce, 7, "$dps/registrations/res/202/?$rid=1", b"{}"),
        Packet::PubAck(PubAck::new(7)),
        Packet::Subscribe(Subscribe { pkid: 1, ..Subscribe::new("$dps/registrations/res/#", QoS::AtLeastOnce) }),
        Packet::SubAck(SubAck::new(1, vec![SubscribeReasonCode::Success(QoS::AtLeastOnce)])),
        Packet::Unsubscribe(Unsubscribe { pkid: 2, ..Unsubscribe::new("a/#") }),
        Packet::UnsubAck(UnsubAck::new(2)),
        Packet::PingReq,
        Packet::PingResp,
        Packet::Disconnect,
    ];
    let mut buffer = BytesMut::new();
    for packet in &packets {
        encode(packet, &mut buffer).unwrap();
    }
    for packet in packets {
        assert_eq!(decode(&mut buffer, LIMIT), Ok(Some(packet)));
    }
    assert!(buffer.is_empty());
}

#[test]
fn a_packet_cut_anywhere_asks_for_more_and_reserves_nothing() {
    let whole = written(&publish(QoS::AtLeastOnce, 7, "topic", &[b'x'; 300]));
    for length in 0..whole.len() {
        let mut buffer = BytesMut::from(&whole[..length]);
        assert_eq!(decode(&mut buffer, LIMIT), Ok(None), "{length} bytes");
        assert_eq!(buffer.len(), length);
    }
    let mut announced = BytesMut::from(&b"\x30\xff\xff\x03"[..]);
    assert_eq!(decode(&mut announced, 1 << 20), Ok(None));
    assert!(announced.capacity() < 100);
}

#[test]
fn the_limit_counts_the_whole_packet_and_speaks_before_the_body_came() {
    let whole = written(&publish(QoS::AtMostOnce, 0, "topic", &[b'x'; 200]));
    let too_large = |limit| Err(PacketError::TooLarge { size: whole.len(), limit });
    assert!(matches!(decode(&mut whole.clone(), whole.len()), Ok(Some(_))));
    assert_eq!(decode(&mut whole.clone(), whole.len() - 1), too_large(whole.len() - 1));
    assert_eq!(decode(&mut BytesMut::from(&whole[..3]), whole.len() - 1), too_large(whole.len() - 1));
    assert!(matches!(read(b"\x10\xff\xff\xff\x7f"), Err(PacketError::TooLarge { .. })));
}

#[test]
fn dps_and_hub_take_packets_of_their_documented_size() {
    for (limit, largest) in [(DPS_PACKET_LIMIT, 98_304), (HUB_PACKET_LIMIT, 262_144 + 65_535)] {
        let of_size = |size: usize| {
            // Type and length have four bytes, the topic seven.
            let whole = written(&Packet::Publish(Publish::new("topic", QoS::AtMostOnce, vec![0; size - 11])));
            assert_eq!(whole.len(), size);
            whole
        };
        assert!(matches!(decode(&mut of_size(largest), limit), Ok(Some(Packet::Publish(_)))), "{largest}");
        let size = largest + 1;
        assert_eq!(decode(&mut of_size(size), limit), Err(PacketError::TooLarge { size, limit: largest }));
    }
}

#[test]
fn other_protocols_are_told_apart_from_broken_packets() {
    let level = Err(PacketError::ProtocolLevel);
    assert_eq!(read(b"\x10\x0e\x00\x06MQIsdp\x03\x02\x00\x3c\x00\x00"), level);
    assert_eq!(read(b"\x10\x0d\x00\x04MQTT\x05\x02\x00\x3c\x00\x00\x00"), level);
    assert_eq!(read(b"\x10\x0c\x00\x04MQTT\x84\x02\x00\x3c\x00\x00"), level);
    assert_eq!(read(b"\x10\x06\x00\x04MQTT"), level);
}

#[test]
fn connect_without_password_or_with_an_empty_one_is_a_login_without_password() {
    let login = |flags, payload: &[u8]| match read(&raw_connect(flags, payload)) {
        Ok(Some(Packet::Connect(connect))) => connect.login,
        other => panic!("{other:?}"),
    };
    assert_eq!(login(0x82, b"\x00\x01d\x00\x01u"), Some(Login::new("u", "")));
    assert_eq!(login(0xc2, b"\x00\x01d\x00\x01u\x00\x00"), Some(Login::new("u", "")));
    assert_eq!(login(0xc2, b"\x00\x01d\x00\x01u\x00\x01p"), Some(Login::new("u", "p")));
    assert_eq!(login(0x82, b"\x00\x01d\x00\x00"), None);
    let encoded = written(&Packet::Connect(Connect { login: Some(Login::new("u", "")), ..connect() }));
    assert_eq!(encoded[9], 0x82, "an absent password has no flag");
}

#[test]
fn malformed_packets_are_refused() {
    let cases: [(&str, Vec<u8>); 28] = [
        ("type 0", vec![0x00, 0]),
        ("type 15", vec![0xf0, 0]),
        ("flags of CONNECT", vec![0x11, 0]),
        ("empty CONNECT", vec![0x10, 0]),
        ("five length bytes", vec![0x30, 0x80, 0x80, 0x80, 0x80, 0x01]),
        ("reserved CONNECT flag", raw_connect(0x03, b"\x00\x01d")),
        ("password without user name", raw_connect(0x42, b"\x00\x01d\x00\x01p")),
        ("announced user name missing", raw_connect(0x82, b"\x00\x01d")),
        ("announced password missing", raw_connect(0xc2, b"\x00\x01d\x00\x01u")),
        ("will with QoS 3", raw_connect(0x1e, b"\x00\x01d\x00\x01w\x00\x01m")),
        ("will flags without will", raw_connect(0x22, b"\x00\x01d")),
        ("bytes after CONNECT", raw_connect(0x02, b"\x00\x01dx")),
        ("client id not UTF-8", raw_connect(0x02, b"\x00\x01\xff")),
        ("client id with U+0000", raw_connect(0x02, b"\x00\x01\x00")),
        ("reserved CONNACK flags", vec![0x20, 2, 2, 0]),
        ("unknown CONNACK code", vec![0x20, 2, 0, 6]),
        ("PUBLISH with QoS 3", vec![0x36, 5, 0, 1, b'a', 0, 1]),
        ("DUP with QoS 0", vec![0x38, 3, 0, 1, b'a']),
        ("PUBLISH with packet id 0", vec![0x32, 5, 0, 1, b'a', 0, 0]),
        ("PUBLISH without packet id", vec![0x32, 3, 0, 1, b'a']),
        ("PUBLISH to a wildcard", vec![0x30, 3, 0, 1, b'#']),
        ("topic longer than the packet", vec![0x30, 3, 0, 9, b'a']),
        ("PUBACK of one byte", vec![0x40, 1, 0]),
        ("PUBACK with packet id 0", vec![0x40, 2, 0, 0]),
        ("bytes after PUBACK", vec![0x40, 3, 0, 1, 0]),
        ("SUBSCRIBE without filter", vec![0x82, 2, 0, 1]),
        ("PINGREQ with a body", vec![0xc0, 1, 0]),
        ("DISCONNECT with a body", vec![0xe0, 1, 0]),
    ];
    for (name, bytes) in cases {
        assert!(matches!(read(&bytes), Err(PacketError::Malformed(_))), "{name}: {:?}", read(&bytes));
    }
    for bytes in [
        &[0x82, 6, 0, 1, 0, 1, b'a', 3][..], // QoS 3
        &[0x82, 6, 0, 1, 0, 1, b'a', 4],     // reserved bits
        &[0x80, 6, 0, 1, 0, 1, b'a', 1],     // header flags
        &[0x82, 6, 0, 0, 0, 1, b'a', 1],     // packet id 0
        &[0xa2, 1, 0],                       // cut packet id
        &[0xa2, 2, 0, 1],                    // UNSUBSCRIBE without filter
        &[0xa2, 5, 0, 1, 0, 9, b'a'],        // filter longer than the packet
        &[0x90, 2, 0, 1],                    // SUBACK without codes
        &[0x90, 3, 0, 1, 3],                 // unknown code
    ] {
        assert!(matches!(read(bytes), Err(PacketError::Malformed(_))), "{bytes:?}: {:?}", read(bytes));
    }
}

#[test]
fn what_cannot_be_written_leaves_the_buffer_as_it_was() {
    let long = "x".repeat(70_000);
    let packets = [
        publish(QoS::AtLeastOnce, 0, "a", b""),
        publish(QoS::AtMostOnce, 0, &long, b""),
        publish(QoS::AtMostOnce, 0, "a/#", b""),
        Packet::Connect(Connect { protocol: Protocol::V5, ..connect() }),
        Packet::Connect(Connect { login: Some(Login::new("", "password")), ..connect() }),
        Packet::Connect(Connect { login: Some(Login::new("user", &*long)), ..connect() }),
        // One of the two is enough to be too long.
        Packet::Connect(Connect { login: Some(Login::new(&*long, "password")), ..connect() }),
        Packet::Connect(Connect { last_will: Some(LastWill::new(&*long, "bye", QoS::AtMostOnce, false)), ..connect() }),
        Packet::Connect(Connect {
            last_will: Some(LastWill::new("will", &*long, QoS::AtMostOnce, false)),
            ..connect()
        }),
        Packet::Connect(Connect { client_id: long.clone(), ..connect() }),
        Packet::Subscribe(Subscribe { pkid: 1, ..Subscribe::new(&*long, QoS::AtMostOnce) }),
        Packet::Unsubscribe(Unsubscribe { pkid: 2, ..Unsubscribe::new(&*long) }),
        Packet::Subscribe(Subscribe { pkid: 1, filters: Vec::new() }),
        Packet::PubAck(PubAck::new(0)),
    ];
    let mut buffer = BytesMut::from(&b"before"[..]);
    for packet in packets {
        assert!(encode(&packet, &mut buffer).is_err());
        assert_eq!(buffer, b"before"[..]);
    }
}

/// Decodes until the buffer is used up or out of step.
fn drain(bytes: &[u8]) -> usize {
    let mut buffer = BytesMut::from(bytes);
    let mut packets = 0;
    while let Ok(Some(packet)) = decode(&mut buffer, LIMIT) {
        if !matches!(packet, Packet::Connect(_)) {
            let mut again = BytesMut::new();
            encode(&packet, &mut again).expect("what was read can be written");
        }
        packets += 1;
    }
    assert!(buffer.len() <= bytes.len());
    packets
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        drain(&bytes);
    }

    #[test]
    fn arbitrary_bodies_of_every_type_never_panic(
        kind in 1_u8..15,
        flags in prop_oneof![Just(0_u8), Just(2), 0_u8..16],
        body in proptest::collection::vec(any::<u8>(), 0..100),
    ) {
        let mut bytes = vec![kind << 4 | flags, u8::try_from(body.len()).unwrap()];
        bytes.extend(body);
        drain(&bytes);
    }

    #[test]
    fn mutated_packets_never_panic(
        which in 0_usize..3,
        changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
    ) {
        let mut full = connect();
        full.login = Some(Login::new("user", "password"));
        full.last_will = Some(LastWill::new("will", "bye", QoS::AtLeastOnce, true));
        let mut bytes = written(&match which {
            0 => Packet::Connect(full),
            1 => publish(QoS::AtLeastOnce, 7, "$dps/registrations/res/202/?$rid=1", b"{}"),
            _ => Packet::Subscribe(Subscribe { pkid: 1, ..Subscribe::new("a/#", QoS::AtLeastOnce) }),
        });
        for (index, value) in changes {
            let index = index.index(bytes.len());
            bytes[index] = value;
        }
        drain(&bytes);
    }

    #[test]
    fn packets_split_anywhere_come_out_whole(payload in proptest::collection::vec(any::<u8>(), 0..400), cut in 0_usize..400) {
        let packet = Packet::Publish(Publish { pkid: 3, ..Publish::new("a/b", QoS::AtLeastOnce, payload) });
        let bytes = written(&packet);
        let cut = cut.min(bytes.len() - 1);
        let mut buffer = BytesMut::from(&bytes[..cut]);
        prop_assert_eq!(decode(&mut buffer, LIMIT), Ok(None));
        buffer.extend_from_slice(&bytes[cut..]);
        prop_assert_eq!(decode(&mut buffer, LIMIT), Ok(Some(packet)));
    }
}
