//! Bytes that no device sends, over connections in memory.

use bytes::BytesMut;
use fleetstorm::protocol::mqtt::{Packet, encode};
use proptest::prelude::*;
use tokio::io::AsyncWriteExt as _;

use super::client::{API, World, dps_connect, dps_user, hub_connect};

fn run<F: Future>(future: F) -> F::Output {
    tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap().block_on(future)
}

/// Sends `bytes`, closes, and waits for the emulator to do the same.
async fn throw(world: &World, bytes: &[u8]) {
    let mut peer = world.open();
    peer.send_bytes(bytes).await;
    let _ = peer.stream.shutdown().await;
    while peer.next().await.is_some() {}
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn random_bytes_end_in_a_closed_connection(bytes in proptest::collection::vec(any::<u8>(), 0..512)) {
        run(async { throw(&World::new(), &bytes).await; });
    }

    #[test]
    fn changed_packets_end_in_an_answer_or_a_closed_connection(
        at in any::<proptest::sample::Index>(),
        value in any::<u8>(),
        hub in any::<bool>(),
    ) {
        run(async {
            let world = World::new();
            let connect = match hub {
                true => hub_connect("dev1", &world.token("dev1")),
                false => dps_connect("dev1", &dps_user("dev1", API), &world.token("dev1")),
            };
            let mut bytes = BytesMut::new();
            encode(&Packet::Connect(connect), &mut bytes).unwrap();
            let at = at.index(bytes.len());
            bytes[at] = value;
            throw(&world, &bytes).await;
        });
    }
}

#[tokio::test(start_paused = true)]
async fn every_truncation_of_a_conversation_is_survived() {
    let world = World::new();
    let mut bytes = BytesMut::new();
    encode(&Packet::Connect(dps_connect("dev1", &dps_user("dev1", API), &world.token("dev1"))), &mut bytes).unwrap();
    encode(&Packet::PingReq, &mut bytes).unwrap();
    encode(&Packet::Disconnect, &mut bytes).unwrap();
    for end in 0..bytes.len() {
        throw(&world, &bytes[..end]).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_packet_that_is_announced_too_large_is_not_waited_for() {
    let world = World::new();
    let mut peer = world.open();
    peer.send_bytes(&[0x10, 0xff, 0xff, 0xff, 0x7f]).await;
    assert_eq!(peer.ended().await, "the peer broke a rule of the protocol");

    // 96 KB at DPS.
    let mut peer = world.dps("dev1").await;
    peer.send_bytes(&[0x30, 0x80, 0x80, 0x06]).await;
    assert_eq!(peer.ended().await, "the peer broke a rule of the protocol");
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_never_reads_is_cut() {
    let world = World::new();
    let mut peer = world.dps("dev1").await;
    let mut pings = BytesMut::new();
    for _ in 0..1024 {
        encode(&Packet::PingReq, &mut pings).unwrap();
    }
    // The stream in memory holds 64 KiB: answers no longer fit when nobody reads them.
    while tokio::time::timeout(std::time::Duration::from_secs(300), peer.stream.write_all(&pings))
        .await
        .expect("cut before that")
        .is_ok()
    {}
}
