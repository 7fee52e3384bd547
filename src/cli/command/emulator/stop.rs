use std::io::{self, Read as _};

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// A token that is cancelled by SIGINT, SIGTERM and, with `parent_pipe`, by the end of stdin.
pub(super) fn listen(parent_pipe: bool) -> io::Result<CancellationToken> {
    let stop = CancellationToken::new();
    for kind in [SignalKind::interrupt(), SignalKind::terminate()] {
        let (mut signals, stop) = (signal(kind)?, stop.clone());
        tokio::spawn(async move {
            signals.recv().await;
            stop.cancel();
        });
    }
    if parent_pipe {
        let stop = stop.clone();
        // A thread of its own, because nothing can interrupt a blocking read; it ends with the process.
        std::thread::Builder::new().name("parent-pipe".to_owned()).spawn(move || {
            let mut stdin = io::stdin().lock();
            let mut ignored = [0; 64];
            while !matches!(stdin.read(&mut ignored), Ok(0) | Err(_)) {}
            stop.cancel();
        })?;
    }
    Ok(stop)
}
