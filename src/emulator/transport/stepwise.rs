use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::turns::Ticket;

/// The stream below a TLS handshake, which goes on in steps: bytes come, something is computed from them, something is sent.
/// Bytes are read without a turn, but given to the handshake only in one, which ends as soon as the handshake waits for its
/// peer again. As TLS computes between two calls of this stream, in one go, nobody waits for the round trip of somebody else.
pub(crate) struct Stepwise<S> {
    inner: S,
    /// None once the handshake is done.
    step: Option<Box<HandshakeStep>>,
}

struct HandshakeStep {
    ticket: Ticket,
    /// What was read and waits for a turn.
    read: Vec<u8>,
}

impl<S> Stepwise<S> {
    pub(crate) fn new(inner: S, ticket: Ticket) -> Self {
        Self { inner, step: Some(Box::new(HandshakeStep { ticket, read: Vec::new() })) }
    }

    /// Waits for the first bytes, which the handshake gets later.
    pub(crate) async fn first_bytes(&mut self) -> io::Result<()>
    where
        S: AsyncRead + Unpin,
    {
        /// What most clients send first fits.
        const ROOM: usize = 1024;
        let Self { inner, step } = self;
        poll_fn(|cx| {
            let mut room = [0; ROOM];
            let mut buf = ReadBuf::new(&mut room);
            ready!(Pin::new(&mut *inner).poll_read(cx, &mut buf))?;
            match (buf.filled(), &mut *step) {
                ([], _) => Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into())),
                (bytes, step) => {
                    step.iter_mut().for_each(|step| step.read.extend_from_slice(bytes));
                    Poll::Ready(Ok(()))
                }
            }
        })
        .await
    }

    /// The handshake is done: from now on nothing waits for turns.
    pub(crate) fn finish(&mut self) {
        debug_assert!(self.step.as_ref().is_none_or(|step| step.read.is_empty()), "all was read");
        self.step = None;
    }

    /// The handshake waits for its peer, and for nobody else.
    fn rest<T>(&mut self, polled: Poll<T>) -> Poll<T> {
        if let (Some(step), Poll::Pending) = (&mut self.step, &polled) {
            step.ticket.give_back();
        }
        polled
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Stepwise<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let begin = buf.filled().len();
        let waits = this.step.as_ref().is_some_and(|step| !step.read.is_empty());
        if !waits {
            let polled = Pin::new(&mut this.inner).poll_read(cx, buf);
            ready!(this.rest(polled))?;
        }
        let Some(step) = &mut this.step else { return Poll::Ready(Ok(())) };
        if !waits && buf.filled().len() == begin {
            // The end, of which nothing is computed.
            return Poll::Ready(Ok(()));
        }
        if step.ticket.poll_take(cx).is_pending() {
            step.read.extend(buf.filled().iter().skip(begin));
            buf.set_filled(begin);
            return Poll::Pending;
        }
        if waits {
            let fits = step.read.len().min(buf.remaining());
            buf.put_slice(&step.read[..fits]);
            step.read.drain(..fits);
            if step.read.is_empty() {
                step.read = Vec::new();
            }
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Stepwise<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.inner).poll_write(cx, bytes);
        self.rest(polled)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.inner).poll_write_vectored(cx, slices);
        self.rest(polled)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let polled = Pin::new(&mut self.inner).poll_flush(cx);
        self.rest(polled)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, duplex};
    use tokio::time::{Duration, timeout};

    use super::*;
    use crate::emulator::transport::turns::Turns;
    use crate::emulator::transport::wrapped::all_is_passed_on;

    #[tokio::test]
    async fn during_the_handshake_and_after_it_all_is_passed_on() {
        let turns = Turns::new(1);
        all_is_passed_on(|inner| Stepwise::new(inner, turns.ticket())).await;
        all_is_passed_on(|inner| {
            let mut stream = Stepwise::new(inner, turns.ticket());
            stream.finish();
            stream
        })
        .await;
    }

    #[tokio::test(start_paused = true)]
    async fn the_first_bytes_are_waited_for_and_not_lost() {
        let turns = Turns::new(1);
        let (near, mut far) = duplex(64);
        let mut stream = Stepwise::new(near, turns.ticket());
        assert!(timeout(Duration::from_secs(9), stream.first_bytes()).await.is_err());
        far.write_all(b"abc").await.unwrap();
        stream.first_bytes().await.unwrap();
        let mut all = [0; 3];
        stream.read_exact(&mut all).await.unwrap();
        assert_eq!(&all, b"abc");

        let (near, far) = duplex(64);
        drop(far);
        let error = Stepwise::new(near, turns.ticket()).first_bytes().await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
    }

    #[tokio::test(start_paused = true)]
    async fn bytes_wait_for_a_turn_and_silence_holds_none() {
        let turns = Turns::new(1);
        let streams = [(); 3].map(|()| {
            let (near, far) = duplex(64);
            (Stepwise::new(near, turns.ticket()), far)
        });
        let [(mut silent, _silent_peer), (mut first, mut first_peer), (mut second, mut second_peer)] = streams;
        let brief = Duration::from_millis(1);
        assert!(timeout(brief, silent.read_u8()).await.is_err());
        first_peer.write_all(b"abc").await.unwrap();
        second_peer.write_all(b"xyz").await.unwrap();
        let (mut some, mut all) = ([0; 2], [0; 3]);
        first.read_exact(&mut some).await.unwrap();
        // The first computes: it has a turn until it asks for what is not there.
        assert!(timeout(brief, second.read_exact(&mut all)).await.is_err());
        first.read_exact(&mut some[..1]).await.unwrap();
        assert!(timeout(brief, second.read_u8()).await.is_err());
        assert!(timeout(brief, first.read_u8()).await.is_err());
        second.read_exact(&mut all).await.unwrap();
        assert_eq!((&some, &all), (b"cb", b"xyz"));
        second_peer.write_all(b"!").await.unwrap();
        second.finish();
        first_peer.write_all(b"d").await.unwrap();
        assert_eq!((first.read_u8().await.unwrap(), second.read_u8().await.unwrap()), (b'd', b'!'));
        drop(first_peer);
        assert_eq!(first.read(&mut all).await.unwrap(), 0);
    }
}
