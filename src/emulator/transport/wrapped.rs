//! What a stream that wraps another one passes on to it.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, ReadBuf};

use crate::emulator::sharded::lock;

/// A stream that does at once what it is asked for, and notes what that was.
pub(crate) struct Inner {
    asked: Arc<Mutex<Vec<&'static str>>>,
    vectored: bool,
}

impl Inner {
    fn note(&self, what: &'static str) {
        lock(&self.asked).push(what);
    }
}

impl AsyncRead for Inner {
    fn poll_read(self: Pin<&mut Self>, _: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.note("read");
        buf.put_slice(b"x");
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Inner {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.note("write");
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.note("write slices");
        Poll::Ready(Ok(slices.iter().map(|slice| slice.len()).sum()))
    }

    fn is_write_vectored(&self) -> bool {
        self.vectored
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.note("flush");
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.note("shut down");
        Poll::Ready(Ok(()))
    }
}

/// Asserts that all that is asked of a stream is asked of the one within, once, and that its answers are that one's.
pub(crate) async fn all_is_passed_on<S: AsyncRead + AsyncWrite + Unpin>(wrap: impl Fn(Inner) -> S) {
    for vectored in [true, false] {
        let asked = Arc::default();
        let mut stream = wrap(Inner { asked: Arc::clone(&asked), vectored });
        assert_eq!(stream.is_write_vectored(), vectored);
        assert_eq!(stream.write(b"abc").await.unwrap(), 3);
        assert_eq!(stream.write_vectored(&[IoSlice::new(b"ab"), IoSlice::new(b"cd")]).await.unwrap(), 4);
        stream.flush().await.unwrap();
        assert_eq!(stream.read_u8().await.unwrap(), b'x');
        stream.shutdown().await.unwrap();
        assert_eq!(*lock(&asked), ["write", "write slices", "flush", "read", "shut down"]);
    }
}
