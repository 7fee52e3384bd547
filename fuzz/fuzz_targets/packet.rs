//! Bytes as a peer sends them, cut anywhere: packets come out or an error, and what came out can be written and read
//! again.
#![no_main]

use bytes::BytesMut;
use fleetstorm::protocol::mqtt::{DPS_PACKET_LIMIT, HUB_PACKET_LIMIT, decode, encode};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Some((&first, bytes)) = data.split_first() else { return };
    let limit = match first % 3 {
        0 => DPS_PACKET_LIMIT,
        1 => HUB_PACKET_LIMIT,
        _ => usize::from(first),
    };
    // The bytes come in two pieces, as over TCP.
    let (one, two) = bytes.split_at(bytes.len().min(usize::from(first)));
    let mut buffer = BytesMut::new();
    for piece in [one, two] {
        buffer.extend_from_slice(piece);
        loop {
            let before = buffer.len();
            match decode(&mut buffer, limit) {
                Ok(Some(packet)) => {
                    assert!(before - buffer.len() <= limit, "a packet over the limit");
                    let mut written = BytesMut::new();
                    encode(&packet, &mut written).expect("what was read can be written");
                    let again = decode(&mut written, usize::MAX).expect("what was written can be read");
                    assert_eq!((again, written.len()), (Some(packet), 0));
                }
                Ok(None) => {
                    assert_eq!(buffer.len(), before, "half a packet was taken");
                    break;
                }
                Err(_) => return,
            }
        }
    }
});
