//! Frames that break RFC 6455.

use super::tool::{Case, Door, Step};

/// A frame with a mask of zeroes, which changes nothing; `first` has the flags and the opcode.
pub(super) fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![first];
    match payload.len() {
        length @ 0..126 => frame.push(0x80 | u8::try_from(length).unwrap()),
        length @ 126..=0xffff => {
            frame.push(0x80 | 126);
            frame.extend(u16::try_from(length).unwrap().to_be_bytes());
        }
        length => {
            frame.push(0x80 | 127);
            frame.extend((length as u64).to_be_bytes());
        }
    }
    frame.extend([0; 4]);
    frame.extend(payload);
    frame
}

pub(super) fn cases() -> Vec<Case> {
    const BINARY: u8 = 0x82;
    const PING: u8 = 0x89;
    let half_connect = b"\x10\x7f\x00\x04MQTT\x04\x02";
    let cases: Vec<Vec<Step>> = vec![
        vec![],
        vec![Step::HalfClose],
        // Unmasked, reserved bits, reserved opcodes.
        vec![Step::Send([&[BINARY, 4][..], b"\x10\x02\x00\x04"].concat())],
        vec![Step::Send(frame(0xc2, half_connect))],
        vec![Step::Send(frame(0xa2, half_connect))],
        vec![Step::Send(frame(0x92, half_connect))],
        vec![Step::Send(frame(0x83, half_connect))],
        vec![Step::Send(frame(0x8b, b""))],
        // Text, good and bad.
        vec![Step::Send(frame(0x81, b"hello"))],
        vec![Step::Send(frame(0x81, b"\xff\xfe"))],
        // A continuation of nothing, a message in a message, control frames in pieces or too long.
        vec![Step::Send(frame(0x80, half_connect))],
        vec![Step::Send([frame(0x02, b"\x10"), frame(0x02, b"\x10")].concat())],
        vec![Step::Send([frame(0x09, b"a"), frame(0x80, b"b")].concat())],
        vec![Step::Send(frame(PING, &[0; 126]))],
        // Lengths: more than there may be, more than there is, not the shortest form, negative.
        vec![Step::Send([&[BINARY, 0xff][..], &[0x7f; 8], &[0; 4]].concat())],
        vec![Step::Send([&[BINARY, 0xff][..], &[0xff; 8], &[0; 4]].concat())],
        vec![Step::Send([&[BINARY, 0xff][..], &300_000_u64.to_be_bytes(), &[0; 4], half_connect].concat())],
        vec![Step::Send([&[BINARY, 0xfe, 0, 4, 0, 0, 0, 0][..], b"\x10\x02\x00\x04"].concat())],
        vec![Step::Send(frame(BINARY, &vec![0; 400_000]))],
        // Closing: half a code, codes that may not be, more after it, twice.
        vec![Step::Send(frame(0x88, b"\x03"))],
        vec![Step::Send(frame(0x88, &999_u16.to_be_bytes()))],
        vec![Step::Send([frame(0x88, &1000_u16.to_be_bytes()), frame(BINARY, half_connect)].concat())],
        vec![Step::Send(frame(0x88, b"").repeat(3))],
        // Without end: pings whose answers nobody reads, frames of nothing, pieces of one byte.
        vec![Step::Flood(frame(PING, &[7; 125]), 500_000)],
        vec![Step::Flood(frame(0x8a, &[7; 125]), 20_000)],
        vec![Step::Flood(frame(BINARY, b""), 50_000)],
        vec![Step::Send(frame(0x02, b"\x10")), Step::Flood(frame(0x00, b"\xff"), 400_000)],
        vec![Step::Crumbs(frame(BINARY, half_connect))],
    ];
    cases.into_iter().map(|steps| Case::new(Door::WebSocket, steps)).collect()
}
