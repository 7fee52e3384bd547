use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::emulator::counters::{Event, Tally};
use crate::emulator::fault::FaultInjector;

/// The stream of a connection, below TLS: while the fault of a pause lasts, nothing is read from it and nothing written
/// to it, so that no handshake ends, no packet is seen and nobody is answered. Peers notice nothing else.
pub(crate) struct PausableStream<S> {
    inner: S,
    faults: Arc<FaultInjector>,
    tally: Arc<Tally>,
    /// Until the pause is over.
    wait: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
}

impl<S> PausableStream<S> {
    pub(crate) fn new(faults: &Arc<FaultInjector>, tally: &Arc<Tally>, inner: S) -> Self {
        Self { inner, faults: Arc::clone(faults), tally: Arc::clone(tally), wait: None }
    }

    fn poll_over(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.wait.is_none() {
            if self.faults.pause.until().is_none() {
                return Poll::Ready(());
            }
            self.tally.count(Event::FaultPaused);
            let faults = Arc::clone(&self.faults);
            self.wait = Some(Box::pin(async move { faults.pause.over().await }));
        }
        if let Some(wait) = &mut self.wait {
            ready!(wait.as_mut().poll(cx));
            self.wait = None;
        }
        Poll::Ready(())
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for PausableStream<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_over(cx));
        Pin::new(&mut self.inner).poll_read(cx, buf)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for PausableStream<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        ready!(self.poll_over(cx));
        Pin::new(&mut self.inner).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        ready!(self.poll_over(cx));
        Pin::new(&mut self.inner).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_over(cx));
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, duplex};
    use tokio::time::Instant;

    use super::*;
    use crate::emulator::config::{Faults, Pause};
    use crate::emulator::transport::wrapped::all_is_passed_on;

    #[tokio::test]
    async fn without_a_pause_all_is_passed_on() {
        let (faults, tally) = (FaultInjector::none(), Arc::new(Tally::new()));
        all_is_passed_on(|inner| PausableStream::new(&faults, &tally, inner)).await;
        assert_eq!(tally.snapshot().get(Event::FaultPaused), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn in_a_pause_nothing_is_read_nothing_written_and_nothing_closed() {
        const PAUSE: Duration = Duration::from_secs(10);
        let (faults, tally) = (FaultInjector::none(), Arc::new(Tally::new()));
        let pause = || {
            let pause = Pause { from_seconds: 0.0, for_seconds: 10.0 };
            faults.set(Faults { pause, ..Faults::default() }, Instant::now());
        };
        let (ours, mut theirs) = duplex(64);
        let mut held = PausableStream::new(&faults, &tally, ours);
        theirs.write_all(b"?").await.unwrap();
        let begun = Instant::now();
        pause();
        assert_eq!((held.read_u8().await.unwrap(), begun.elapsed()), (b'?', PAUSE));
        pause();
        held.write_all(b"!").await.unwrap();
        assert_eq!((theirs.read_u8().await.unwrap(), begun.elapsed()), (b'!', 2 * PAUSE));
        pause();
        held.shutdown().await.unwrap();
        assert_eq!((theirs.read(&mut [0]).await.unwrap(), begun.elapsed()), (0, 3 * PAUSE));
        assert_eq!(tally.snapshot().get(Event::FaultPaused), 3);
    }
}
