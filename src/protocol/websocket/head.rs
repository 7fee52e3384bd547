use std::io;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// A stream that holds the head of an HTTP answer back until it is whole. The library parses a head anew with every piece of
/// it, and takes one that comes in many small pieces for an attack; a slow server is none, and how long it may take is the
/// caller's business.
pub(super) struct WholeHead<S> {
    inner: S,
    state: State,
}

enum State {
    /// What has come of the head.
    Gathering(BytesMut),
    /// The head is whole: this much is still to be given on, with what came behind it.
    Giving(Bytes),
    /// It was given on.
    Through,
}

/// Most bytes of one read.
const READ: usize = 1024;

impl<S> WholeHead<S> {
    /// Longest head in bytes.
    pub(super) const LONGEST: usize = 16 * 1024;

    /// A head is yet to come.
    pub(super) fn expected(inner: S) -> Self {
        Self { inner, state: State::Gathering(BytesMut::new()) }
    }

    /// There was one.
    pub(super) const fn past(inner: S) -> Self {
        Self { inner, state: State::Through }
    }
}

/// Whether an empty line ends in what came, of which all but the last `fresh` bytes were looked at before.
fn is_whole(head: &[u8], fresh: usize) -> bool {
    let from = head.len().saturating_sub(fresh + 3);
    let new = &head[from..];
    new.windows(4).any(|four| four == b"\r\n\r\n") || new.windows(2).any(|two| two == b"\n\n")
}

impl<S: AsyncRead + Unpin> WholeHead<S> {
    /// Reads until the head is whole, or the peer has closed.
    fn poll_gather(inner: &mut S, head: &mut BytesMut, cx: &mut Context<'_>) -> Poll<io::Result<Bytes>> {
        loop {
            let mut space = [MaybeUninit::uninit(); READ];
            let mut space = ReadBuf::uninit(&mut space);
            ready!(Pin::new(&mut *inner).poll_read(cx, &mut space))?;
            let fresh = space.filled();
            head.extend_from_slice(fresh);
            if fresh.is_empty() || is_whole(head, fresh.len()) {
                return Poll::Ready(Ok(std::mem::take(head).freeze()));
            }
            if head.len() > Self::LONGEST {
                let error = "the head of its HTTP answer is longer than 16 KiB";
                return Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidData, error)));
            }
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for WholeHead<S> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if let State::Gathering(head) = &mut this.state {
            let head = ready!(Self::poll_gather(&mut this.inner, head, cx))?;
            this.state = State::Giving(head);
        }
        if let State::Giving(head) = &mut this.state {
            let part = head.len().min(buf.remaining());
            buf.put_slice(&head[..part]);
            head.advance(part);
            if head.is_empty() {
                this.state = State::Through;
            }
            // Nothing but the end of the connection gives an empty head.
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut this.inner).poll_read(cx, buf)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for WholeHead<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write(cx, bytes)
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
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

    #[tokio::test]
    async fn a_head_in_single_bytes_comes_in_one_piece_with_what_follows() {
        for head in ["HTTP/1.1 101 Switching\r\nUpgrade: websocket\r\n\r\n", "HTTP/1.1 101 Switching\nA: b\n\n"] {
            let (client, mut server) = duplex(1);
            let mut client = WholeHead::expected(client);
            let write = async {
                server.write_all(head.as_bytes()).await.unwrap();
                server.write_all(b"after").await.unwrap();
                drop(server);
            };
            let read = async {
                let mut first = vec![0; 500];
                let length = client.read(&mut first).await.unwrap();
                assert_eq!(&first[..length], head.as_bytes());
                let mut rest = Vec::new();
                client.read_to_end(&mut rest).await.unwrap();
                rest
            };
            assert_eq!(tokio::join!(read, write).0, b"after");
        }
    }

    #[tokio::test]
    async fn a_head_may_have_16_kib_before_it_ends() {
        for (length, end) in [(16 * 1024, &b"\r\n\r\n"[..]), (16 * 1024 + 1, b"")] {
            let (client, mut server) = duplex(READ);
            let mut client = WholeHead::expected(client);
            let write = async {
                // The client may have seen enough.
                let _ = server.write_all(&vec![b'x'; length]).await;
                let _ = server.write_all(end).await;
                server
            };
            let mut all = vec![0; length + 4];
            let read = async {
                let read = client.read(&mut all).await;
                drop(client);
                read
            };
            let (read, _server) = tokio::join!(read, write);
            match end {
                b"" => assert_eq!(read.unwrap_err().kind(), io::ErrorKind::InvalidData),
                end => assert!(read.unwrap() == length + 4 && all.ends_with(end)),
            }
        }
    }

    #[tokio::test]
    async fn the_end_of_what_is_written_is_passed_on() {
        let (client, mut server) = duplex(64);
        let mut client = WholeHead::expected(client);
        client.write_all(b"GET").await.unwrap();
        client.shutdown().await.unwrap();
        let mut all = Vec::new();
        server.read_to_end(&mut all).await.unwrap();
        assert_eq!(all, b"GET");
    }

    #[tokio::test]
    async fn a_head_without_end_is_an_error_before_it_takes_memory() {
        let (client, mut server) = duplex(64);
        let mut client = WholeHead::expected(client);
        let write = async { while server.write_all(b"x: y\r\n").await.is_ok() {} };
        let read = async {
            let error = client.read_u8().await.unwrap_err();
            let State::Gathering(head) = &client.state else { panic!("the head never ends") };
            assert!(head.len() <= WholeHead::<()>::LONGEST + READ);
            drop(client);
            error.kind()
        };
        assert_eq!(tokio::join!(read, write).0, io::ErrorKind::InvalidData);
    }
}
