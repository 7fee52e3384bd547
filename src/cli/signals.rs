//! Signals that ask a command to end: Ctrl-C, SIGTERM, and SIGHUP of a terminal that is closed.

use std::fs;
use std::future::poll_fn;
use std::io;
use std::task::Poll;

use tokio::runtime::Builder;
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::cli::Explained;

/// The signals that end a command in order. Those that were ignored when the process began, as `nohup` and `trap '' INT`
/// have it, stay ignored: somebody meant that.
#[derive(Debug)]
pub struct StopSignals(Vec<Signal>);

/// Signals cannot be listened to.
#[derive(Debug, thiserror::Error, miette::Diagnostic)]
#[error("cannot listen to signals: {0}")]
#[diagnostic(help("is signalfd or sigaction forbidden by a sandbox?"))]
pub struct SignalError(#[from] io::Error);

impl Explained for SignalError {}

impl StopSignals {
    /// From now on these signals do not end the process. Must be inside a runtime.
    ///
    /// # Errors
    /// The system does not allow it.
    pub fn listen() -> Result<Self, SignalError> {
        let ignored = Ignored::of_process();
        let kinds = [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()];
        let heeded = kinds.into_iter().filter(|kind| !ignored.has(*kind));
        Ok(Self(heeded.map(signal).collect::<io::Result<_>>()?))
    }

    /// Waits for the next of them. May be dropped and called again.
    pub async fn next(&mut self) {
        poll_fn(|cx| match self.0.iter_mut().any(|signal| signal.poll_recv(cx).is_ready()) {
            true => Poll::Ready(()),
            false => Poll::Pending,
        })
        .await;
    }

    /// The result of `work`, or `None` when a signal came first.
    pub async fn unless<T>(&mut self, work: impl Future<Output = T>) -> Option<T> {
        tokio::select! {
            done = work => Some(done),
            () = self.next() => None,
        }
    }
}

/// From now on a file that grows beyond the limit on its size (`ulimit -f`) is an error of whoever writes it, as a full disk is, where
/// the system would end the process with SIGXFSZ and everything that was measured. Where signals cannot be listened to, it stays as
/// it is.
pub fn outlive_file_size_limit() {
    let Ok(runtime) = Builder::new_current_thread().enable_io().build() else { return };
    let _within = runtime.enter();
    // Nobody looks whether it came: that it is listened to once takes its effect away for good.
    let _ = signal(SignalKind::from_raw(nix::sys::signal::Signal::SIGXFSZ as i32));
}

/// Signals that a process ignores, one bit for each. Asked of /proc, as sigaction(2) would need unsafe code; where there is
/// none, no signal counts as ignored. Those that are listened to are not ignored, so that it can be asked again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Ignored(u64);

impl Ignored {
    fn of_process() -> Self {
        fs::read_to_string("/proc/self/status").ok().and_then(|status| Self::parse(&status)).unwrap_or(Self(0))
    }

    /// `SigIgn` of proc_pid_status(5).
    fn parse(status: &str) -> Option<Self> {
        let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"))?;
        u64::from_str_radix(mask.trim(), 16).ok().map(Self)
    }

    fn has(self, kind: SignalKind) -> bool {
        let bit = u32::try_from(kind.as_raw_value()).ok().and_then(|number| number.checked_sub(1));
        bit.and_then(|bit| self.0.checked_shr(bit)).is_some_and(|mask| mask & 1 == 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mask_of_ignored_signals_is_read() {
        let ignored = Ignored::parse("Name:\tx\nSigBlk:\t0000000000004000\nSigIgn:\t0000000000001003\n").unwrap();
        assert!(ignored.has(SignalKind::hangup()) && ignored.has(SignalKind::interrupt()));
        assert!(!ignored.has(SignalKind::terminate()) && !ignored.has(SignalKind::from_raw(0)));
        assert!(!ignored.has(SignalKind::from_raw(65)));
        assert_eq!([Ignored::parse(""), Ignored::parse("SigIgn:\tx\n")], [None, None]);
    }
}
