//! Packets that break MQTT 3.1.1 or the rules of the services, from strangers and from devices that are let in, over TLS and
//! in frames of a WebSocket.

use bytes::BytesMut;
use fleetstorm::protocol::mqtt::{Connect, LastWill, Packet, QoS, Subscribe, SubscribeFilter, encode};

use super::tool::{Case, Door, Step, Victim, cut_at_every_byte};
use super::websocket::frame;
use crate::emulator::client::{API, SCOPE, dps_connect, dps_user, hub_connect, sas};

/// Number of the first device of the hub that is hostile.
const FIRST: u32 = 1000;

fn bytes(packet: &Packet) -> Vec<u8> {
    let mut bytes = BytesMut::new();
    encode(packet, &mut bytes).unwrap();
    bytes.to_vec()
}

/// A PUBLISH with any flags, topic and payload, with a packet id if its QoS has one.
fn publish(flags: u8, topic: &[u8], payload: &[u8]) -> Vec<u8> {
    let mut rest = u16::try_from(topic.len()).unwrap().to_be_bytes().to_vec();
    rest.extend(topic);
    if flags & 0b0110 != 0 {
        rest.extend([0, 7]);
    }
    rest.extend(payload);
    packet(0x30 | flags, &rest)
}

/// A packet with the length that it has.
fn packet(first: u8, rest: &[u8]) -> Vec<u8> {
    let mut packet = vec![first];
    let mut length = rest.len();
    loop {
        let more = if length > 127 { 0x80 } else { 0 };
        packet.push(u8::try_from(length % 128).unwrap() | more);
        length /= 128;
        if length == 0 {
            break;
        }
    }
    packet.extend(rest);
    packet
}

fn subscribe(filters: &[&str]) -> Vec<u8> {
    let filters = filters.iter().map(|path| SubscribeFilter::new((*path).to_owned(), QoS::AtLeastOnce)).collect();
    bytes(&Packet::Subscribe(Subscribe { pkid: 1, filters }))
}

/// From strangers: the first packets, whole or not.
fn of_strangers(good: &Connect) -> Vec<Vec<Step>> {
    let whole = bytes(&Packet::Connect(good.clone()));
    let changed = |at: usize, value: u8| {
        let mut bytes = whole.clone();
        bytes[at] = value;
        bytes
    };
    // After the fixed header: 00 04 M Q T T level flags.
    let body = whole.iter().position(|byte| *byte == b'M').unwrap() - 2;
    let will = LastWill::new("devices/x/messages/events/", vec![0; 60_000], QoS::AtLeastOnce, false);
    let long = Connect { last_will: Some(will), ..good.clone() };
    let sent = [
        vec![0xc0, 0],
        vec![0xe0, 0],
        publish(0, b"t", b""),
        subscribe(&["#"]),
        // Types and flags that are reserved, CONNACK from a client.
        vec![0x00, 0],
        vec![0xf0, 0],
        vec![0x20, 2, 0, 0],
        changed(0, 0x1f),
        // Lengths: five bytes of it, a quarter of a gigabyte, too short, too long.
        vec![0x10, 0xff, 0xff, 0xff, 0xff, 0x01],
        vec![0x10, 0xff, 0xff, 0xff, 0x7f],
        changed(1, 10),
        [&whole[..], &[0; 5]].concat(),
        // Protocol names and levels, reserved and contradicting flags.
        changed(body + 3, b'X'),
        changed(body + 6, 3),
        changed(body + 6, 5),
        changed(body + 7, 0xc3),
        changed(body + 7, 0x42),
        changed(body + 7, 0xda),
        changed(body + 7, 0xc6),
        // Texts that are none.
        changed(body + 12, 0xff),
        changed(body + 12, 0x00),
        packet(0x10, b"\x00\x04MQTT\x04\x02\x00\x3c\xff\xffabc"),
        bytes(&Packet::Connect(long)),
        bytes(&Packet::Connect(Connect { client_id: "y".repeat(65_000), ..good.clone() })),
    ];
    let cut = whole[..whole.len() - 1].to_vec();
    sent.into_iter()
        .map(|bytes| vec![Step::Send(bytes)])
        .chain([
            vec![Step::Send(cut.clone())],
            vec![Step::Send(cut), Step::HalfClose],
            vec![Step::Crumbs(whole)],
            vec![Step::Send(vec![0x10, 0xf0, 0x7f]), Step::Flood(vec![b'x'; 1000], 200)],
        ])
        .collect()
}

/// From devices that DPS or hub let in.
fn of_devices(id: &str) -> Vec<Vec<Step>> {
    let register = "$dps/registrations/PUT/iotdps-register/?$rid=1";
    let report = b"$iothub/twin/PATCH/properties/reported/?$rid=1";
    let events = format!("devices/{id}/messages/events/");
    let filters = [
        "$dps/registrations/res/#",
        "$iothub/twin/res/#",
        "$iothub/methods/POST/#",
        "$iothub/twin/PATCH/properties/desired/#",
    ];
    let twins = subscribe(&filters[1..]);
    let sent = [
        publish(0b0100, events.as_bytes(), b"{}"),
        publish(0b0110, events.as_bytes(), b"{}"),
        publish(0b1010, events.as_bytes(), b"{}"),
        publish(0, b"", b""),
        publish(0, b"devices/+/messages/events/", b""),
        publish(0, b"a\xffb", b""),
        publish(0, b"devices/somebody/messages/events/", b"{}"),
        publish(0, events.as_bytes(), &vec![b'x'; 300_000]),
        packet(0x32, b"\x00\x01t\x00\x00"),
        // Only brokers send these, or only QoS 2 has them.
        vec![0x50, 2, 0, 1],
        vec![0x62, 2, 0, 1],
        vec![0x70, 2, 0, 1],
        vec![0x90, 2, 0, 1],
        vec![0xd0, 0],
        vec![0xe0, 1, 0],
        vec![0xe0, 0, 0xc0, 0],
        vec![0xc0, 1, 0],
        // SUBSCRIBE: without filters, reserved flags, QoS 3, wildcards where they may not be.
        packet(0x82, &[0, 1]),
        packet(0x80, b"\x00\x01\x00\x01#\x00"),
        packet(0x82, b"\x00\x01\x00\x01#\x03"),
        packet(0x82, b"\x00\x00\x00\x01#\x00"),
        packet(0xa2, &[0, 1]),
        subscribe(&["$iothub/twin/res/#/x", "$dps/registrations/#res"]),
        subscribe(&["$iothub/twin/res/#"; 9000]),
        subscribe(&[&format!("$iothub/methods/POST/{}", "x".repeat(65_000))]),
        // JSON that is deep, wide, or none.
        publish(0, report, "[".repeat(90_000).as_bytes()),
        publish(0, report, format!("{{\"a\":{}{}}}", "{\"a\":".repeat(40_000), "}".repeat(40_000)).as_bytes()),
        publish(0, report, format!("{{\"a\":[{}null]}}", "null,".repeat(18_000)).as_bytes()),
        publish(0, report, b"\xff"),
        publish(0, register.as_bytes(), "{\"payload\":".repeat(8000).as_bytes()),
    ];
    let endless = |i: usize| format!("$iothub/methods/POST/{i}/#");
    let many = (0..2000).flat_map(|i| subscribe(&[&endless(i)])).collect();
    let wide = format!("{{\"a\":[{}null]}}", "[],".repeat(20_000));
    sent.into_iter()
        .map(|bytes| vec![Step::Send(bytes)])
        .chain([
            vec![Step::HalfClose],
            vec![Step::Send(many)],
            // Answers that nobody reads or acknowledges.
            vec![Step::Flood(vec![0xc0, 0], 500_000)],
            vec![Step::Send(twins.clone()), Step::Flood(publish(0, b"$iothub/twin/GET/?$rid=1", b""), 50_000)],
            vec![Step::Send(twins), Step::Flood(publish(0, report, wide.as_bytes()), 20)],
            vec![
                Step::Send(subscribe(&filters[..1])),
                Step::Flood(
                    publish(0b0010, b"$dps/registrations/GET/iotdps-get-operationstatus/?$rid=1&operationId=x", b""),
                    2000,
                ),
            ],
            vec![Step::Flood(vec![0x40, 2, 0, 1], 50_000)],
            vec![Step::Flood(subscribe(&["$iothub/twin/res/#"]), 20_000)],
            vec![Step::Flood(packet(0xa2, b"\x00\x01\x00\x01a"), 20_000)],
            vec![Step::Send(vec![0x30, 0xff, 0x7f]), Step::Flood(vec![b'x'; 1000], 300)],
        ])
        .collect()
}

/// `devices` gets the numbers of devices that the hub must know.
pub(super) fn cases(victim: &Victim, devices: &mut Vec<u32>) -> Vec<Case> {
    let sign = |id: &str, resource: &str| sas(&victim.group_key.derive(id), resource, None);
    let dps = |id: &str| dps_connect(id, &dps_user(id, API), &sign(id, &format!("{SCOPE}/registrations/{id}")));
    let hub = |id: &str| hub_connect(id, &sign(id, &format!("localhost/devices/{id}")));
    let mut cases = Vec::new();
    for (door, in_frames) in [(Door::Mqtt, false), (Door::WebSocket, true)] {
        let mut add = |steps: &[Step]| {
            let steps = if in_frames { steps.iter().map(framed).collect() } else { steps.to_vec() };
            cases.push(Case::new(door, steps));
        };
        of_strangers(&dps("stranger")).iter().for_each(|steps| add(steps));
        // Each is a client of its own, as a client has one session.
        for case in 0..of_devices("").len() {
            let number = FIRST + u32::try_from(devices.len()).unwrap();
            devices.push(number);
            let id = format!("dev-{number}");
            for connect in [dps(&format!("hostile-{number}")), hub(&id)] {
                let before = [Step::Send(bytes(&Packet::Connect(connect))), Step::Read];
                add(&[&before[..], &of_devices(&id)[case]].concat());
            }
        }
    }
    cases.extend(cut_at_every_byte(Door::Mqtt, &bytes(&Packet::Connect(dps("cut")))));
    cases
}

/// The same in a WebSocket: one frame, or one for each byte.
fn framed(step: &Step) -> Step {
    match step {
        Step::Send(bytes) => Step::Send(frame(0x82, bytes)),
        Step::Crumbs(bytes) => Step::Crumbs(bytes.iter().flat_map(|byte| frame(0x82, &[*byte])).collect()),
        Step::Flood(bytes, times) => Step::Flood(frame(0x82, bytes), *times),
        Step::Read => Step::Read,
        Step::HalfClose => Step::HalfClose,
    }
}
