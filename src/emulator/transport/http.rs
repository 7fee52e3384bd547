//! One HTTP/1.1 connection, whatever carries it: the limits that keep a peer that means no good from costing much. What
//! the requests mean is decided by [`https`](crate::emulator::https) and [`management`](crate::emulator::management).

use std::future::pending;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited};
use hyper::body::{Body, Incoming};
use hyper::server::conn::http1::Builder;
use hyper::service::HttpService;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep, timeout};

use super::room::Place;
use crate::emulator::config::Listen;

/// An answer that is whole in memory.
pub(crate) type Response = hyper::Response<Full<Bytes>>;

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Longest head of a request in bytes, and of what is read ahead.
const MAX_HEAD: usize = 16 * 1024;
/// Most headers of a request.
const MAX_HEADERS: usize = 64;

/// Serves requests until the peer leaves, breaks a limit or asks for another protocol. Gives the stream back, with what
/// was read beyond the last request, unless it failed.
///
/// Limits: a head of 16 KB and 64 headers, which must be whole within `listen.unauthenticated_timeout_seconds`; so long
/// may a connection be idle too, and one on which nobody proved who he is may last no longer, whatever it asks for. A peer
/// that does not read is cut after `listen.write_timeout_seconds`.
pub(crate) async fn serve<S, H>(stream: S, listen: &Listen, place: &Place, service: H) -> Option<(S, Bytes)>
where
    S: AsyncRead + AsyncWrite + Unpin,
    H: HttpService<Incoming>,
    H::Error: Into<BoxError>,
    H::ResBody: Body + 'static,
    <H::ResBody as Body>::Error: Into<BoxError>,
{
    let connection = Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(listen.unauthenticated_timeout())
        .max_buf_size(MAX_HEAD)
        .max_headers(MAX_HEADERS)
        .serve_connection(TokioIo::new(Impatient::new(stream, listen.write_timeout())), service);
    let unproven = async {
        sleep(listen.unauthenticated_timeout()).await;
        if place.is_proven() {
            pending::<()>().await;
        }
    };
    let parts = tokio::select! {
        // First what is there to be answered, such as that the time for a body is over, too.
        biased;
        parts = connection.without_shutdown() => parts.ok()?,
        () = unproven => return None,
    };
    Some((parts.io.into_inner().inner, parts.read_buf))
}

/// Why a body was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BodyError {
    /// Longer than allowed.
    TooLarge,
    /// It did not come in time.
    Slow,
    /// The connection broke, or its chunks are malformed.
    Broken,
}

/// The whole body, with or without a length in advance.
pub(crate) async fn body<B>(incoming: B, limit: usize, listen: &Listen) -> Result<Bytes, BodyError>
where
    B: Body<Data = Bytes>,
    B::Error: Into<BoxError>,
{
    if incoming.size_hint().lower() > limit as u64 {
        return Err(BodyError::TooLarge);
    }
    match timeout(listen.unauthenticated_timeout(), Limited::new(incoming, limit).collect()).await {
        Ok(Ok(collected)) => Ok(collected.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(BodyError::TooLarge),
        Ok(Err(_)) => Err(BodyError::Broken),
        Err(_) => Err(BodyError::Slow),
    }
}

/// A stream that is not read while its peer does not read, and fails when that takes too long. Without it, a peer that
/// sends requests and never takes an answer would make the answers pile up.
struct Impatient<S> {
    inner: S,
    limit: Duration,
    /// Runs while the peer does not read.
    stalled: Option<Pin<Box<Sleep>>>,
}

impl<S> Impatient<S> {
    const fn new(inner: S, limit: Duration) -> Self {
        Self { inner, limit, stalled: None }
    }

    /// Notes whether the peer took something.
    fn judge<T>(&mut self, cx: &mut Context<'_>, wrote: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if wrote.is_ready() {
            self.stalled = None;
            return wrote;
        }
        let limit = self.limit;
        let stalled = self.stalled.get_or_insert_with(|| Box::pin(sleep(limit)));
        match stalled.as_mut().poll(cx) {
            Poll::Ready(()) => Poll::Ready(Err(io::ErrorKind::TimedOut.into())),
            Poll::Pending => Poll::Pending,
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Impatient<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match &self.stalled {
            // The task is woken by the write that is waited for, or by the timer.
            Some(stalled) if stalled.deadline() > Instant::now() => Poll::Pending,
            Some(_) => Poll::Ready(Err(io::ErrorKind::TimedOut.into())),
            None => Pin::new(&mut self.inner).poll_read(cx, buf),
        }
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Impatient<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let wrote = Pin::new(&mut self.inner).poll_write(cx, bytes);
        self.judge(cx, wrote)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let wrote = Pin::new(&mut self.inner).poll_flush(cx);
        self.judge(cx, wrote)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let wrote = Pin::new(&mut self.inner).poll_shutdown(cx);
        self.judge(cx, wrote)
    }
}

#[cfg(test)]
mod tests {
    use futures_util::{FutureExt as _, stream};
    use http_body_util::StreamBody;
    use hyper::body::Frame;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, BufWriter, duplex};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_peer_that_does_not_read_is_not_listened_to_and_then_cut() {
        let (ours, mut theirs) = duplex(8);
        let mut ours = Impatient::new(ours, Duration::from_secs(30));
        theirs.write_all(b"more").await.unwrap();
        let begun = Instant::now();
        assert!(ours.write_all(&[0; 9]).now_or_never().is_none());
        sleep(Duration::from_secs(29)).await;
        assert!(ours.read_u8().now_or_never().is_none(), "it is not listened to");
        let error = ours.write_all(&[0]).await.unwrap_err();
        assert_eq!((error.kind(), begun.elapsed().as_secs()), (io::ErrorKind::TimedOut, 30));
        assert_eq!(ours.read_u8().await.unwrap_err().kind(), io::ErrorKind::TimedOut);
    }

    #[tokio::test(start_paused = true)]
    async fn a_peer_that_reads_at_last_is_served_on() {
        let (ours, mut theirs) = duplex(8);
        let mut ours = Impatient::new(ours, Duration::from_secs(30));
        theirs.write_all(b"more").await.unwrap();
        let slow = async {
            sleep(Duration::from_secs(29)).await;
            theirs.read_exact(&mut [0; 9]).await.unwrap();
        };
        let (wrote, ()) = tokio::join!(ours.write_all(&[0; 9]), slow);
        wrote.unwrap();
        let mut more = [0; 4];
        ours.read_exact(&mut more).await.unwrap();
        assert_eq!(&more, b"more");
    }

    #[tokio::test]
    async fn what_is_held_back_is_passed_on_when_it_is_to_be_and_so_is_the_end() {
        let (ours, mut theirs) = duplex(64);
        let mut ours = Impatient::new(BufWriter::new(ours), Duration::from_secs(30));
        ours.write_all(b"answer").await.unwrap();
        let mut read = [0; 6];
        assert!(theirs.read_exact(&mut read).now_or_never().is_none());
        ours.flush().await.unwrap();
        theirs.read_exact(&mut read).await.unwrap();
        assert_eq!(&read, b"answer");
        ours.shutdown().await.unwrap();
        assert_eq!(theirs.read(&mut read).await.unwrap(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_may_be_as_long_as_its_limit_and_must_come_whole_in_time() {
        const LIMIT: usize = 4;
        let listen = Listen::default();
        let whole = |length| Full::from(vec![b'x'; length]);
        let byte = || Ok::<_, io::Error>(Frame::data(Bytes::from_static(b"x")));
        let pieces = |length| StreamBody::new(stream::iter((0..length).map(move |_| byte())));
        for (length, taken) in [(0, Ok(0)), (LIMIT, Ok(LIMIT)), (LIMIT + 1, Err(BodyError::TooLarge))] {
            let length_of = |body: Result<Bytes, BodyError>| body.map(|bytes| bytes.len());
            assert_eq!(length_of(body(whole(length), LIMIT, &listen).await), taken, "with a length");
            assert_eq!(length_of(body(pieces(length), LIMIT, &listen).await), taken, "without");
        }
        let broken = StreamBody::new(stream::iter([byte(), Err(io::ErrorKind::InvalidData.into())]));
        assert_eq!(body(broken, LIMIT, &listen).await, Err(BodyError::Broken));
        let begun = Instant::now();
        let slow = StreamBody::new(stream::pending::<io::Result<Frame<Bytes>>>());
        assert_eq!(body(slow, LIMIT, &listen).await, Err(BodyError::Slow));
        assert_eq!(begun.elapsed(), listen.unauthenticated_timeout());
    }
}
