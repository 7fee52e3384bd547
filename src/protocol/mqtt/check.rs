//! What the codec does not check, before and after it reads a packet, and before it writes one.

use super::{Connect, Packet, PacketError, Protocol, QoS};

const CONNECT: u8 = 1;
const CONNACK: u8 = 2;
const PUBLISH: u8 = 3;
const PUBREL: u8 = 6;
const SUBSCRIBE: u8 = 8;
const UNSUBSCRIBE: u8 = 10;
const DISCONNECT: u8 = 14;

/// Protocol name and level of MQTT 3.1.1, as they begin the body of CONNECT.
const PROTOCOL: &[u8] = b"\x00\x04MQTT\x04";

/// Packet type and flags of the fixed header (MQTT 3.1.1, section 2.2).
pub(super) fn first_byte(byte: u8) -> Result<(), PacketError> {
    let flags = byte & 0x0f;
    let valid = match byte >> 4 {
        PUBLISH => flags & 0b0110 != 0b0110 && (flags & 0b0110 != 0 || flags & 0b1000 == 0),
        PUBREL | SUBSCRIBE | UNSUBSCRIBE => flags == 0b0010,
        CONNECT..=DISCONNECT => flags == 0,
        _ => false,
    };
    if valid { Ok(()) } else { bad("packet type or header flags") }
}

/// Bytes of the fixed header of a complete packet.
pub(super) fn header_length(packet: &[u8]) -> usize {
    2 + packet.iter().skip(1).take(3).take_while(|b| **b & 0x80 != 0).count()
}

/// Checks the body before the codec sees it; gives CONNECT's flags (0 for other packets).
pub(super) fn before(body: &[u8], first: u8) -> Result<u8, PacketError> {
    let flags = |index: usize| body.get(index).copied().unwrap_or_default();
    match first >> 4 {
        // Another version has another body: it must not be read as this one.
        CONNECT if body.starts_with(&PROTOCOL[..6]) && !body.starts_with(PROTOCOL) => Err(PacketError::ProtocolLevel),
        CONNECT if body.starts_with(PROTOCOL) => match flags(PROTOCOL.len()) {
            flags if flags & 0x01 != 0 => bad("reserved CONNECT flag"),
            flags if flags & 0xc0 == 0x40 => bad("password without user name"),
            flags => Ok(flags),
        },
        CONNACK if flags(0) & 0xfe != 0 => bad("reserved CONNACK flags"),
        SUBSCRIBE => subscribe_options(body),
        _ => Ok(0),
    }
}

/// The codec masks the upper six bits of a requested QoS, which are reserved (section 3.8.3.1).
fn subscribe_options(body: &[u8]) -> Result<u8, PacketError> {
    let mut rest = body.get(2..).unwrap_or_default();
    while let Some((length, tail)) = rest.split_first_chunk() {
        let Some((options, tail)) = tail.get(usize::from(u16::from_be_bytes(*length))..).and_then(<[u8]>::split_first)
        else {
            break; // the codec says what is wrong
        };
        if options & 0xfc != 0 {
            return bad("reserved bits of a subscription");
        }
        rest = tail;
    }
    Ok(0)
}

/// Checks what the codec made of a body of `length` bytes: nothing left over, no packet id 0, no forbidden text.
pub(super) fn after(packet: &Packet, length: usize, connect_flags: u8) -> Result<(), PacketError> {
    let fits = match packet {
        Packet::Connect(connect) => connect_length(connect, connect_flags) == length,
        other => other.size() == minimal_header(length) + length,
    };
    if !fits {
        return bad("length does not fit the fields");
    }
    content(packet)
}

/// Checks that hold for reading and writing.
fn content(packet: &Packet) -> Result<(), PacketError> {
    let id = match packet {
        Packet::Publish(p) => {
            text(&p.topic)?;
            if p.topic.is_empty() || p.topic.contains(['#', '+']) {
                return bad("topic of a PUBLISH");
            }
            if p.qos == QoS::AtMostOnce { 1 } else { p.pkid }
        }
        Packet::Connect(connect) => {
            text(&connect.client_id)?;
            if let Some(login) = &connect.login {
                text(&login.username)?;
            }
            if let Some(will) = &connect.last_will {
                text(&will.topic)?;
            }
            1
        }
        Packet::Subscribe(s) => {
            s.filters.iter().try_for_each(|f| text(&f.path))?;
            if s.filters.is_empty() {
                return bad("SUBSCRIBE without a filter");
            }
            s.pkid
        }
        Packet::Unsubscribe(u) => {
            u.topics.iter().try_for_each(|t| text(t))?;
            if u.topics.is_empty() {
                return bad("UNSUBSCRIBE without a filter");
            }
            u.pkid
        }
        Packet::PubAck(p) => p.pkid,
        Packet::PubRec(p) => p.pkid,
        Packet::PubRel(p) => p.pkid,
        Packet::PubComp(p) => p.pkid,
        Packet::SubAck(s) => s.pkid,
        Packet::UnsubAck(u) => u.pkid,
        Packet::ConnAck(_) | Packet::PingReq | Packet::PingResp | Packet::Disconnect => 1,
    };
    if id == 0 { bad("packet id 0") } else { Ok(()) }
}

/// Checks before writing: all of the above, and lengths that the codec would cut at 16 bits.
pub(super) fn writable(packet: &Packet) -> Result<(), PacketError> {
    content(packet)?;
    let fits = |length: usize| length <= usize::from(u16::MAX);
    let fit = match packet {
        Packet::Publish(p) => fits(p.topic.len()),
        Packet::Subscribe(s) => s.filters.iter().all(|f| fits(f.path.len())),
        Packet::Unsubscribe(u) => u.topics.iter().all(|t| fits(t.len())),
        Packet::Connect(c) => {
            if c.protocol != Protocol::V4 {
                return Err(PacketError::ProtocolLevel);
            }
            if c.login.as_ref().is_some_and(|l| l.username.is_empty() && !l.password.is_empty()) {
                return bad("password without user name");
            }
            fits(c.client_id.len())
                && c.login.as_ref().is_none_or(|l| fits(l.username.len()) && fits(l.password.len()))
                && c.last_will.as_ref().is_none_or(|w| fits(w.topic.len()) && fits(w.message.len()))
        }
        _ => true,
    };
    if fit { Ok(()) } else { bad("a field is longer than 65,535 bytes") }
}

/// Length of CONNECT's body; the codec drops an empty user name or password, which the flags still announce.
fn connect_length(connect: &Connect, flags: u8) -> usize {
    let will = connect.last_will.as_ref().map_or(0, |w| 4 + w.topic.len() + w.message.len());
    let login = |flag: u8, length: usize| if flags & flag != 0 { 2 + length } else { 0 };
    let (name, password) = connect.login.as_ref().map_or((0, 0), |l| (l.username.len(), l.password.len()));
    12 + connect.client_id.len() + will + login(0x80, name) + login(0x40, password)
}

/// Bytes of the shortest fixed header for a body of this length; a longer encoding is legal (section 2.2.3).
const fn minimal_header(length: usize) -> usize {
    match length {
        0..0x80 => 2,
        0x80..0x4000 => 3,
        0x4000..0x20_0000 => 4,
        _ => 5,
    }
}

/// Strings must not contain U+0000 (section 1.5.3).
fn text(text: &str) -> Result<(), PacketError> {
    if text.contains('\0') { bad("U+0000 in a text") } else { Ok(()) }
}

fn bad<T>(what: &str) -> Result<T, PacketError> {
    Err(PacketError::Malformed(what.to_owned()))
}
