//! What can be wrong with a service, and which class of failure it is.

use fleetstorm::domain::Transport;
use serde_json::{Value, json};

use super::reply::{Reply, assigning, publish_packet};
use super::wire::frame;

/// One device and what is done to it.
pub(super) struct Case {
    pub(super) name: String,
    pub(super) at: At,
    pub(super) act: Act,
    /// Classes of failure of which one is right; the empty one is success.
    pub(super) ends: &'static [&'static str],
}

/// Whose door a device is at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Door {
    Dps,
    Hub,
}

/// At which point a case is different, in the order in which devices come there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum At {
    Tls(Door),
    /// Handshake of a WebSocket.
    Upgrade(Door),
    Connack(Door),
    /// At the hub it is that of a renewal.
    Suback(Door),
    /// First answer to a registration.
    Registered,
    /// Answer to a poll.
    Assigned,
    /// That of telemetry.
    Puback,
    /// First answer to a renewal.
    Accepted,
    /// The other one.
    Issued,
    /// After CONNACK, in a stage in which devices stay connected and say nothing by themselves.
    Held,
}

impl At {
    /// The stage of the scenario in which devices come there.
    pub(super) const fn stage(self) -> &'static str {
        match self {
            Self::Suback(Door::Hub) | Self::Accepted | Self::Issued => "renew",
            Self::Held => "operate",
            _ => "storm",
        }
    }
}

/// What is done instead of what is right.
pub(super) enum Act {
    Tls(TlsFault),
    /// All that is right, every byte in a segment of its own.
    SingleBytes,
    /// Nothing any more.
    Silence,
    Closes,
    /// So many bytes of what is right, then it closes.
    CutAt(usize),
    /// What is right, and once more.
    Twice,
    /// An answer that is right but for one part.
    Reply(fn(&mut Reply)),
    /// These bytes, where packets are expected.
    Says(Vec<u8>),
    /// These bytes below whatever frames packets come in.
    Raw(Vec<u8>),
    /// These bytes without end, in the same ways, while nothing is read.
    Floods(Vec<u8>),
    FloodsRaw(Vec<u8>),
    /// The first bytes, then the others again and again, slowly.
    Trickles(Vec<u8>, Vec<u8>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TlsFault {
    WrongName,
    Expired,
    UnknownCa,
    Silent,
    Closes,
    /// In place of a handshake.
    Says(&'static [u8]),
    /// After it.
    GarbageAfter,
    /// So many, right behind the handshake. Some are no fault.
    Tickets(usize),
}

const GOOD: &[&str] = &[""];
const NETWORK: &[&str] = &["network"];
const TLS: &[&str] = &["tls"];
const PROTOCOL: &[&str] = &["protocol"];
const TIMEOUT: &[&str] = &["timeout"];
const REJECTED: &[&str] = &["rejected"];
const THROTTLED: &[&str] = &["throttled"];
const VERIFICATION: &[&str] = &["verification"];

fn case(name: impl Into<String>, at: At, act: Act, ends: &'static [&'static str]) -> Case {
    Case { name: name.into(), at, act, ends }
}

/// Everything that can be wrong over a transport, one device for each.
pub(super) fn cases(transport: Transport) -> Vec<Case> {
    // The first device tries the target before the run.
    let mut cases = vec![case("nothing is wrong", At::Tls(Door::Dps), Act::Twice, GOOD)];
    cases.extend(of_tls(Door::Dps));
    cases.extend(of_answers());
    match transport {
        Transport::Mqtt => {
            cases.extend(of_tls(Door::Hub));
            cases.extend(of_mqtt());
        }
        Transport::MqttWebSocket => {
            cases.extend(of_mqtt());
            cases.extend(of_web_socket(Door::Dps));
            cases.extend(of_web_socket(Door::Hub));
        }
        Transport::Https => cases.extend(of_http()),
    }
    cases
}

fn of_tls(door: Door) -> Vec<Case> {
    [
        ("wrong name", TlsFault::WrongName, TLS),
        ("expired", TlsFault::Expired, TLS),
        ("unknown CA", TlsFault::UnknownCa, TLS),
        ("silent", TlsFault::Silent, TIMEOUT),
        ("closes", TlsFault::Closes, TLS),
        ("plain text", TlsFault::Says(b"220 mail.example ESMTP\r\n"), TLS),
        ("alert", TlsFault::Says(b"\x15\x03\x03\x00\x02\x02\x28"), TLS),
        ("record of 64 KiB", TlsFault::Says(b"\x16\x03\x03\xff\xff"), TLS),
        ("half a record", TlsFault::Says(b"\x16\x03\x03\x00\x40\x02"), TIMEOUT),
        ("garbage after the handshake", TlsFault::GarbageAfter, TLS),
        ("ten tickets", TlsFault::Tickets(10), GOOD),
        // As many as fit into the memory that TLS has for them.
        ("thousands of tickets", TlsFault::Tickets(2_000), &["", "protocol"]),
    ]
    .map(|(name, fault, ends)| case(format!("TLS of {door:?}: {name}"), At::Tls(door), Act::Tls(fault), ends))
    .into()
}

/// A part of the first answer's JSON is another.
macro_rules! with {
    ($($path:literal)/+ = $value:expr) => {
        |reply: &mut Reply| reply.edit(|body| body$([$path])+ = json!($value))
    };
}

/// A part of an answer that is wrong.
type Wrong = (&'static str, fn(&mut Reply), &'static [&'static str]);

/// What is the same whether an answer comes in a packet or over HTTP.
fn of_answers() -> Vec<Case> {
    let registered: [Wrong; 27] = [
        ("empty", |reply| reply.body.clear(), PROTOCOL),
        ("no JSON", |reply| reply.body = b"hello".to_vec(), PROTOCOL),
        ("an array", |reply| reply.body = b"[]".to_vec(), PROTOCOL),
        ("deep JSON", |reply| reply.body = [&br#"{"x":"#[..], &[b'['; 50_000]].concat(), PROTOCOL),
        ("not UTF-8", |reply| reply.body = b"{\"operationId\":\"\xff\",\"status\":\"assigning\"}".to_vec(), PROTOCOL),
        ("a huge number", |reply| reply.body = br#"{"operationId":"5","status":1e999}"#.to_vec(), PROTOCOL),
        ("200 kB", |reply| reply.body = vec![b' '; 200_000], PROTOCOL),
        ("unknown status", with!("status" = "thinking"), PROTOCOL),
        ("no operation", with!("operationId" = ""), PROTOCOL),
        ("operation of 10 kB", with!("operationId" = "5".repeat(10_000)), PROTOCOL),
        ("operation with U+0000", with!("operationId" = "5\0"), PROTOCOL),
        ("operation with wildcards", with!("operationId" = "5/#"), PROTOCOL),
        ("status 101", |reply| reply.status = "101".to_owned(), PROTOCOL),
        ("status 2000", |reply| reply.status = "2000".to_owned(), PROTOCOL),
        ("status 302", |reply| reply.status = "302".to_owned(), REJECTED),
        ("status 401", |reply| reply.status = "401".to_owned(), REJECTED),
        ("status 999", |reply| reply.status = "999".to_owned(), REJECTED),
        ("429 for ever", |reply| reply.status = "429".to_owned(), THROTTLED),
        ("503 for ever", |reply| reply.status = "503".to_owned(), REJECTED),
        ("disabled", with!("status" = "disabled"), REJECTED),
        ("failed", with!("status" = "failed"), REJECTED),
        ("assigned, but where", with!("status" = "assigned"), PROTOCOL),
        ("retry-after of 2^64", |reply| reply.retry_after = Some("18446744073709551616".to_owned()), TIMEOUT),
        ("negative retry-after", |reply| reply.retry_after = Some("-7".to_owned()), GOOD),
        ("retry-after of no time", |reply| reply.retry_after = Some("1e-300".to_owned()), GOOD),
        ("retry-after that is no number", |reply| reply.retry_after = Some("NaN".to_owned()), GOOD),
        ("retry-after of 10 kB", |reply| reply.retry_after = Some("9".repeat(10_000)), TIMEOUT),
    ];
    let assigned: [Wrong; 19] = [
        ("assigning for ever", |reply| reply.body = assigning().to_string().into_bytes(), TIMEOUT),
        ("no state", |reply| reply.body = br#"{"operationId":"5","status":"assigned"}"#.to_vec(), PROTOCOL),
        ("no hub", with!("registrationState" / "assignedHub" = ""), PROTOCOL),
        ("hub with control characters", with!("registrationState" / "assignedHub" = "\u{1b}[2Jhub"), PROTOCOL),
        ("hub of 10 kB", with!("registrationState" / "assignedHub" = "h".repeat(10_000)), PROTOCOL),
        ("hub with a port", with!("registrationState" / "assignedHub" = "hub.example:22"), PROTOCOL),
        ("hub with a path", with!("registrationState" / "assignedHub" = "hub.example/x"), PROTOCOL),
        ("another hub", with!("registrationState" / "assignedHub" = "stranger.example"), TLS),
        ("hub by address", with!("registrationState" / "assignedHub" = "192.0.2.7"), TLS),
        ("no device", with!("registrationState" / "deviceId" = ""), PROTOCOL),
        ("device with wildcards", with!("registrationState" / "deviceId" = "a/+/#"), PROTOCOL),
        ("device of 10 kB", with!("registrationState" / "deviceId" = "d".repeat(10_000)), PROTOCOL),
        ("chain of numbers", |reply| reply.rechain(|chain| *chain = vec![json!(1), json!(2)]), PROTOCOL),
        ("no chain", |reply| reply.rechain(Vec::clear), VERIFICATION),
        ("chain that is no base64", |reply| reply.rechain(|chain| chain[0] = json!("*")), VERIFICATION),
        (
            "chain of PEM without an end",
            |reply| reply.rechain(|chain| chain[0] = json!("-----BEGIN CERTIFICATE-----\nAQID")),
            VERIFICATION,
        ),
        ("chain of other bytes", |reply| reply.rechain(|chain| chain[0] = json!("AQID")), VERIFICATION),
        ("somebody else's key", |reply| reply.rechain(|chain| chain[0] = chain[1].clone()), VERIFICATION),
        ("chain of 17", |reply| reply.rechain(|chain| *chain = vec![Value::from("AQID"); 17]), VERIFICATION),
    ];
    let mut cases: Vec<Case> = Vec::new();
    for (at, name, change, ends) in registered
        .map(|(name, change, ends)| (At::Registered, name, change, ends))
        .into_iter()
        .chain(assigned.map(|(name, change, ends)| (At::Assigned, name, change, ends)))
    {
        cases.push(case(format!("{at:?}: {name}"), at, Act::Reply(change), ends));
    }
    for at in [At::Registered, At::Assigned] {
        cases.push(case(format!("{at:?}: silence"), at, Act::Silence, TIMEOUT));
        cases.push(case(format!("{at:?}: closes"), at, Act::Closes, NETWORK));
        for length in [1, 5, 20, 60, usize::MAX] {
            cases.push(case(format!("{at:?}: cut at {length}"), at, Act::CutAt(length), NETWORK));
        }
    }
    cases.push(case("everything in single bytes", At::Tls(Door::Dps), Act::SingleBytes, GOOD));
    cases
}

/// What is wrong with packets, whatever carries them.
fn of_mqtt() -> Vec<Case> {
    let message = |first| publish_packet(first, b"devices/x/messages/devicebound/", b"hello");
    let mut cases = vec![
        case("SUBACK for another packet", At::Suback(Door::Dps), Act::Says(b"\x90\x03\0\x07\x01".to_vec()), PROTOCOL),
        case("SUBACK with two codes", At::Suback(Door::Dps), Act::Says(b"\x90\x04\0\x01\x01\x01".to_vec()), PROTOCOL),
        case("SUBACK with code 3", At::Suback(Door::Dps), Act::Says(b"\x90\x03\0\x01\x03".to_vec()), PROTOCOL),
        case("SUBACK that refuses", At::Suback(Door::Dps), Act::Says(b"\x90\x03\0\x01\x80".to_vec()), REJECTED),
        case("SUBACK twice", At::Suback(Door::Dps), Act::Twice, PROTOCOL),
        case("answer twice", At::Registered, Act::Twice, GOOD),
        case("answer to nobody", At::Registered, Act::Reply(|reply| reply.rid = "77".to_owned()), TIMEOUT),
        case("answer without a request", At::Registered, Act::Reply(|reply| reply.rid = "\u{1}".to_owned()), TIMEOUT),
        case("QoS 2", At::Registered, Act::Reply(|reply| reply.publish = 0x34), PROTOCOL),
        case("QoS 3", At::Registered, Act::Reply(|reply| reply.publish = 0x36), PROTOCOL),
        case("QoS 0", At::Registered, Act::Reply(|reply| reply.publish = 0x30), GOOD),
        case("a topic that is not UTF-8", At::Registered, Act::Says(b"\x30\x03\0\x01\xff".to_vec()), PROTOCOL),
        case("a topic that is longer than all", At::Registered, Act::Says(b"\x30\x03\0\x7fa".to_vec()), PROTOCOL),
        case("a length of five bytes", At::Registered, Act::Says(b"\x30\xff\xff\xff\xff\x01".to_vec()), PROTOCOL),
        case("256 MB are announced", At::Registered, Act::Says(b"\x30\xff\xff\xff\x7f".to_vec()), PROTOCOL),
        case("packet id 0", At::Registered, Act::Says(b"\x32\x05\0\x01a\0\0".to_vec()), PROTOCOL),
        case("PUBACK of nothing", At::Registered, Act::Says(b"\x40\x02\0\x63".to_vec()), PROTOCOL),
        case("packet type 0", At::Registered, Act::Says(b"\0\0".to_vec()), PROTOCOL),
        case("packet type 15", At::Registered, Act::Says(b"\xf0\0".to_vec()), PROTOCOL),
        case("a client's packet", At::Registered, Act::Says(b"\xc0\0".to_vec()), PROTOCOL),
        case("flood of messages", At::Registered, Act::Floods(message(0x30)), PROTOCOL),
        case("flood of messages to acknowledge", At::Registered, Act::Floods(message(0x32)), PROTOCOL),
        case("flood of PUBACK", At::Registered, Act::Floods(b"\x40\x02\0\x01".to_vec()), PROTOCOL),
        case("flood of PINGRESP", At::Registered, Act::Floods(b"\xd0\0".to_vec()), PROTOCOL),
        case(
            "a packet that is never whole",
            At::Registered,
            Act::Trickles(b"\x30\xff\x7f".to_vec(), b"a".to_vec()),
            TIMEOUT,
        ),
        case("PUBACK of another message", At::Puback, Act::Says(b"\x40\x02\0\x63".to_vec()), PROTOCOL),
        case("silence about a message", At::Puback, Act::Silence, TIMEOUT),
        case("closes after a message", At::Puback, Act::Closes, NETWORK),
        case("flood of messages in place of PUBACK", At::Puback, Act::Floods(message(0x32)), PROTOCOL),
        case(
            "renewal: SUBACK for another packet",
            At::Suback(Door::Hub),
            Act::Says(b"\x90\x03\0\x63\x01".to_vec()),
            PROTOCOL,
        ),
        case(
            "renewal: SUBACK that refuses",
            At::Suback(Door::Hub),
            Act::Says(b"\x90\x03\0\x01\x80".to_vec()),
            REJECTED,
        ),
        case("renewal: silence", At::Accepted, Act::Silence, TIMEOUT),
        case("renewal: closes", At::Accepted, Act::Closes, NETWORK),
        case("renewal: twice accepted", At::Accepted, Act::Twice, GOOD),
        case("renewal: refused", At::Accepted, Act::Reply(|reply| reply.status = "403".to_owned()), REJECTED),
        case("renewal: status 101", At::Accepted, Act::Reply(|reply| reply.status = "101".to_owned()), PROTOCOL),
        case("renewal: another request", At::Accepted, Act::Reply(|reply| reply.rid = "77".to_owned()), GOOD),
        case("renewal: QoS 2", At::Accepted, Act::Reply(|reply| reply.publish = 0x34), PROTOCOL),
        case("renewal: flood", At::Accepted, Act::Floods(message(0x30)), PROTOCOL),
        case("renewal: no chain ever", At::Issued, Act::Silence, TIMEOUT),
        case("renewal: no JSON", At::Issued, Act::Reply(|reply| reply.body = b"hello".to_vec()), PROTOCOL),
        case("renewal: 400 kB", At::Issued, Act::Reply(|reply| reply.body = vec![b' '; 400_000]), PROTOCOL),
        case("renewal: empty chain", At::Issued, Act::Reply(|reply| reply.rechain(Vec::clear)), VERIFICATION),
        case(
            "renewal: somebody else's key",
            At::Issued,
            Act::Reply(|reply| reply.rechain(|chain| chain[0] = chain[1].clone())),
            VERIFICATION,
        ),
        case("held: closes", At::Held, Act::Closes, GOOD),
        case("held: garbage", At::Held, Act::Says(b"\xf0\0".to_vec()), GOOD),
        case("held: flood", At::Held, Act::Floods(message(0x32)), GOOD),
        case("held: never whole", At::Held, Act::Trickles(b"\x30\xff\x7f".to_vec(), b"a".to_vec()), GOOD),
    ];
    for door in [Door::Dps, Door::Hub] {
        let at = At::Connack(door);
        let of = |name: &str, act, ends| case(format!("CONNACK of {door:?}: {name}"), at, act, ends);
        cases.extend([
            of("silence", Act::Silence, TIMEOUT),
            of("closes", Act::Closes, NETWORK),
            of("twice", Act::Twice, PROTOCOL),
            of("refused", Act::Says(b"\x20\x02\0\x05".to_vec()), REJECTED),
            of("code 9", Act::Says(b"\x20\x02\0\x09".to_vec()), PROTOCOL),
            of("reserved flags", Act::Says(b"\x20\x02\xfe\0".to_vec()), PROTOCOL),
            of("header flags", Act::Says(b"\x2f\x02\0\0".to_vec()), PROTOCOL),
            of("three bytes", Act::Says(b"\x20\x03\0\0\0".to_vec()), PROTOCOL),
            of("SUBACK before it", Act::Says(b"\x90\x03\0\x01\x01".to_vec()), PROTOCOL),
            of("PINGRESP before it", Act::Says(b"\xd0\0".to_vec()), PROTOCOL),
            of("a message before it", Act::Says(message(0x30)), PROTOCOL),
            of("flood", Act::Floods(b"\x20\x02\0\0".to_vec()), PROTOCOL),
            of("never whole", Act::Trickles(b"\x20".to_vec(), Vec::new()), TIMEOUT),
        ]);
        for length in 1..4 {
            cases.push(of(&format!("cut at {length}"), Act::CutAt(length), NETWORK));
        }
    }
    cases
}

/// What is wrong with the frames around packets, and with the handshake before them.
fn of_web_socket(door: Door) -> Vec<Case> {
    let text = |text: &str| text.replace('\n', "\r\n").into_bytes();
    let upgrade: [(&str, Act, &[&str]); 11] = [
        ("silence", Act::Silence, TIMEOUT),
        ("closes", Act::Closes, NETWORK),
        ("cut", Act::CutAt(40), NETWORK),
        ("403", Act::Raw(text("HTTP/1.1 403 No\nContent-Length: 0\n\n")), REJECTED),
        ("103", Act::Raw(text("HTTP/1.1 103 Early Hints\n\n")), PROTOCOL),
        ("garbage", Act::Raw(text("\u{1}\u{2}\u{3}\n\n")), PROTOCOL),
        ("without headers", Act::Raw(text("HTTP/1.1 101 So\n\n")), PROTOCOL),
        (
            "wrong key",
            Act::Raw(text(
                "HTTP/1.1 101 So\nConnection: Upgrade\nUpgrade: websocket\nSec-WebSocket-Protocol: mqtt\n\
                 Sec-WebSocket-Accept: AAAA\n\n",
            )),
            PROTOCOL,
        ),
        ("endless head", Act::FloodsRaw(text("X: y\n")), PROTOCOL),
        ("never whole", Act::Trickles(text("HTTP/1.1 101 So\n"), text("X: y\n")), TIMEOUT),
        ("twice", Act::Twice, PROTOCOL),
    ];
    let frames: [(&str, Vec<u8>, &[&str]); 13] = [
        ("masked", b"\x82\x81\0\0\0\0x".to_vec(), PROTOCOL),
        ("reserved bits", b"\xf2\x01x".to_vec(), PROTOCOL),
        ("unknown kind", b"\x83\x01x".to_vec(), PROTOCOL),
        ("unknown control", b"\x8f\0".to_vec(), PROTOCOL),
        ("text", frame(0x81, b"x"), PROTOCOL),
        ("text that is not UTF-8", frame(0x81, b"\xff"), PROTOCOL),
        ("a ping in parts", frame(0x09, b"x"), PROTOCOL),
        ("a ping of 126 bytes", frame(0x89, &[7; 126]), PROTOCOL),
        ("a part of nothing", frame(0x80, b"x"), PROTOCOL),
        ("2^63 bytes are announced", b"\x82\x7f\xff\xff\xff\xff\xff\xff\xff\xff".to_vec(), PROTOCOL),
        ("closes with code 1005", frame(0x88, b"\x03\xed"), PROTOCOL),
        ("closes in words that are none", frame(0x88, b"\x03\xe8\xff"), PROTOCOL),
        ("closes with code 1011", frame(0x88, b"\x03\xf3"), NETWORK),
    ];
    let upgrade = upgrade
        .into_iter()
        .map(|(name, act, ends)| case(format!("upgrade of {door:?}: {name}"), At::Upgrade(door), act, ends));
    let framed = frames.into_iter().map(|(name, bytes, ends)| {
        case(format!("frame of {door:?}: {name}"), At::Connack(door), Act::Raw(bytes), ends)
    });
    let floods = [("pings", frame(0x89, &[7; 125])), ("pongs", frame(0x8a, b"")), ("empty frames", frame(0x82, b""))]
        .into_iter()
        .map(|(name, bytes)| {
            case(format!("flood of {name} by {door:?}"), At::Connack(door), Act::FloodsRaw(bytes), PROTOCOL)
        });
    upgrade.chain(framed).chain(floods).collect()
}

/// What is wrong with HTTP.
fn of_http() -> Vec<Case> {
    let text = |text: &str| text.replace('\n', "\r\n").into_bytes();
    const CHUNKED: &str = "HTTP/1.1 202 So\nTransfer-Encoding: chunked\n\n";
    let long = "x".repeat(30_000);
    let wrong = [
        ("garbage", text("\u{1}\u{2} not HTTP\n\n")),
        ("another version", text("HTTP/7.5 202 So\n\n")),
        ("a status that is none", text("HTTP/1.1 2x2 So\n\n")),
        ("a header that is none", text("HTTP/1.1 202 So\nno header\n\n")),
        ("two lengths", text("HTTP/1.1 202 So\nContent-Length: 1\nContent-Length: 2\n\nhello")),
        ("a negative length", text("HTTP/1.1 202 So\nContent-Length: -1\n\n")),
        ("a long head", text(&format!("HTTP/1.1 202 So\nX: {long}\n\n"))),
        ("many headers", text(&format!("HTTP/1.1 202 So\n{}\n", "X: y\n".repeat(200)))),
        ("a chunk that is none", text(&format!("{CHUNKED}xyz\nhello\n0\n\n"))),
        ("a chunk that is longer", text(&format!("{CHUNKED}3\nhello\n0\n\n"))),
        ("a chunk of 2^70 bytes", text(&format!("{CHUNKED}fffffffffffffffff\n"))),
        ("long extensions", text(&format!("{CHUNKED}5;{long}\nhello\n0\n\n"))),
        ("long trailers", text(&format!("{CHUNKED}0\nX: {long}\n\n"))),
    ];
    let wrong = wrong.map(|(name, bytes)| case(format!("HTTP: {name}"), At::Registered, Act::Raw(bytes), PROTOCOL));
    let early = text("HTTP/1.1 103 Early Hints\n\n");
    let others = [
        case("HTTP: hints without end", At::Registered, Act::Trickles(early.clone(), early), TIMEOUT),
        case("HTTP: an endless head", At::Registered, Act::FloodsRaw(text("X: y\n")), PROTOCOL),
        case(
            "HTTP: a body that is never whole",
            At::Registered,
            Act::Trickles(text("HTTP/1.1 202 So\nContent-Length: 90000\n\n"), b" ".to_vec()),
            TIMEOUT,
        ),
        case("HTTP: a body without end", At::Registered, Act::FloodsRaw(text("HTTP/1.1 202 So\n\n")), PROTOCOL),
        case(
            "HTTP: twice",
            At::Registered,
            Act::Raw(text(&"HTTP/1.1 429 So\nRetry-After: 1\nContent-Length: 0\n\n".repeat(2))),
            PROTOCOL,
        ),
    ];
    wrong.into_iter().chain(others).collect()
}
