use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::cli::Explained;

/// Ctrl-C, SIGTERM and a closed terminal.
#[derive(Debug)]
pub(super) struct Interrupts {
    interrupt: Signal,
    terminate: Signal,
    hangup: Signal,
}

/// Signals cannot be listened to.
#[derive(Debug, thiserror::Error, miette::Diagnostic)]
#[error("cannot listen to signals: {0}")]
#[diagnostic(help("is signalfd or sigaction forbidden by a sandbox?"))]
pub(super) struct SignalError(#[from] io::Error);

impl Explained for SignalError {}

impl Interrupts {
    /// From now on these signals do not end the process.
    pub(super) fn listen() -> Result<Self, SignalError> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }

    /// Waits for the next of them. May be dropped and called again.
    pub(super) async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
            _ = self.hangup.recv() => {}
        }
    }

    /// The result of `work`, or `None` when a signal came first.
    pub(super) async fn unless<T>(&mut self, work: impl Future<Output = T>) -> Option<T> {
        tokio::select! {
            done = work => Some(done),
            () = self.next() => None,
        }
    }
}
