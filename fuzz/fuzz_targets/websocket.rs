//! Frames of a WebSocket, of a server or a client, cut anywhere: bytes come out or an error, never more than came in.
#![no_main]

use std::sync::LazyLock;

use fleetstorm::protocol::websocket::WebSocketBytes;
use libfuzzer_sys::fuzz_target;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::runtime::{Builder, Runtime};

static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| Builder::new_current_thread().build().unwrap());
/// Largest frame that is taken.
const LIMIT: usize = 4096;

fuzz_target!(|data: &[u8]| {
    let Some((&first, bytes)) = data.split_first() else { return };
    RUNTIME.block_on(async {
        let (mut peer, ours) = tokio::io::duplex(1024 * 1024);
        peer.write_all(bytes).await.expect("there is room");
        peer.shutdown().await.expect("the other side is there");
        let mut stream = match first % 2 {
            0 => match WebSocketBytes::connect(ours, "localhost", LIMIT).await {
                Ok(stream) => stream,
                Err(_) => return,
            },
            _ => WebSocketBytes::upgraded(ours, Vec::new(), LIMIT).await,
        };
        let mut read = Vec::new();
        // A violation is an error; what came before it counts.
        let _ = stream.read_to_end(&mut read).await;
        assert!(read.len() <= bytes.len());
    });
});
