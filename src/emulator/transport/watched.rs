use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::room::Place;

/// The stream of a connection, at its very bottom: notes for how long its peer is waited for, until the peer has proved who
/// it is.
pub(crate) struct Watched<S> {
    inner: S,
    place: Option<Place>,
}

impl<S> Watched<S> {
    pub(crate) const fn new(inner: S, place: Place) -> Self {
        Self { inner, place: Some(place) }
    }

    fn note<T>(&mut self, polled: Poll<T>) -> Poll<T> {
        match &self.place {
            None => {}
            Some(place) if place.is_proven() => self.place = None,
            Some(place) if polled.is_pending() => place.waits(),
            Some(place) => place.goes_on(),
        }
        polled
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Watched<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let polled = Pin::new(&mut self.inner).poll_read(cx, buf);
        self.note(polled)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Watched<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.inner).poll_write(cx, bytes);
        self.note(polled)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.inner).poll_write_vectored(cx, slices);
        self.note(polled)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, duplex};
    use tokio::time::{Duration, sleep};

    use super::*;
    use crate::emulator::transport::wrapped::all_is_passed_on;

    const SECOND: Duration = Duration::from_secs(1);

    #[tokio::test]
    async fn all_that_is_watched_is_passed_on() {
        all_is_passed_on(|inner| Watched::new(inner, Place::default())).await;
    }

    #[tokio::test(start_paused = true)]
    async fn a_peer_is_waited_for_while_it_keeps_quiet_or_does_not_read_until_it_has_proved_who_it_is() {
        let (place, limit) = (Place::default(), 30 * SECOND);
        let (ours, mut theirs) = duplex(1);
        let mut ours = Watched::new(ours, place.clone());
        let left = || place.left_of(limit).unwrap();
        assert!(ours.read_u8().now_or_never().is_none());
        sleep(3 * SECOND).await;
        assert_eq!(left(), 27 * SECOND, "it keeps quiet");
        theirs.write_all(b"a").await.unwrap();
        ours.read_u8().await.unwrap();
        sleep(SECOND).await;
        assert_eq!(left(), 27 * SECOND, "it has said something");
        assert!(ours.write_all(b"ab").now_or_never().is_none());
        sleep(2 * SECOND).await;
        assert_eq!(left(), 25 * SECOND, "it does not read");
        theirs.read_u8().await.unwrap();
        ours.write_all(b"b").await.unwrap();
        place.prove();
        assert!(ours.read_u8().now_or_never().is_none());
        sleep(SECOND).await;
        assert_eq!(left(), 25 * SECOND, "nobody asks any more");
    }
}
