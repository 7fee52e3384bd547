//! MQTT packets: no bytes may panic the decoder or leave it without progress, and what it takes can be sent again.
#![no_main]

use bytes::BytesMut;
use fleetstorm::protocol::mqtt::{decode, encode};
use libfuzzer_sys::fuzz_target;

const LIMIT: usize = 4096;

fuzz_target!(|bytes: &[u8]| {
    let mut buffer = BytesMut::from(bytes);
    loop {
        let before = buffer.len();
        match decode(&mut buffer, LIMIT) {
            Ok(Some(packet)) => {
                assert!(buffer.len() < before, "a packet takes bytes");
                let mut again = BytesMut::new();
                encode(&packet, &mut again).expect("what was read can be written");
                let second = decode(&mut again, 2 * LIMIT).expect("what was written can be read");
                assert_eq!(second, Some(packet));
            }
            Ok(None) | Err(_) => break,
        }
    }
});
