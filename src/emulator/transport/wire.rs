use std::io;
use std::pin::pin;

use bytes::BytesMut;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::time::Instant;

use super::outbox::Outbox;
use crate::emulator::config::Listen;
use crate::emulator::fault::FaultInjector;
use crate::emulator::transport::conversation::End;

/// Bytes on their way in and out.
pub(crate) struct Wire<'a> {
    listen: &'a Listen,
    faults: &'a FaultInjector,
    /// What was read and not decoded yet.
    pub(crate) input: BytesMut,
    /// What is to be written.
    pub(crate) out: Outbox,
    /// When something was last read.
    pub(crate) last_heard: Instant,
}

impl<'a> Wire<'a> {
    /// Room for the next read: what a device sends at once fits, and ten thousand idle connections do not hurt.
    const READ: usize = 1024;

    pub(crate) fn new(listen: &'a Listen, faults: &'a FaultInjector) -> Self {
        Self { listen, faults, input: BytesMut::new(), out: Outbox::default(), last_heard: Instant::now() }
    }

    /// Reads what is there, or waits for something. Safe to cancel.
    pub(crate) async fn read<S: AsyncRead + Unpin>(&mut self, stream: &mut S) -> Result<(), End> {
        if self.input.is_empty() {
            // Packets that were taken out may still hold the old allocation, which may be a large one.
            self.input = BytesMut::new();
        }
        self.input.reserve(Self::READ);
        match stream.read_buf(&mut self.input).await {
            Ok(0) if self.input.is_empty() => Err(End::Closed),
            Ok(0) => Err(End::Broken),
            Ok(_) => {
                self.last_heard = Instant::now();
                Ok(())
            }
            // A peer that closes TCP without TLS's close_notify: many devices do.
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof && self.input.is_empty() => Err(End::Closed),
            Err(_) => Err(End::Broken),
        }
    }

    /// Writes all that waits.
    pub(crate) async fn write<S: AsyncWrite + Unpin>(&mut self, stream: &mut S) -> Result<(), End> {
        let bytes = self.out.bytes();
        if bytes.is_empty() {
            return Ok(());
        }
        let limit = self.listen.write_timeout();
        let write = pin!(async {
            stream.write_all(bytes).await?;
            stream.flush().await
        });
        let written = self.faults.pause.timeout(limit, write).await;
        bytes.clear();
        if bytes.capacity() > Self::READ {
            *bytes = BytesMut::new();
        }
        match written {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err(End::Broken),
            Err(_) => Err(End::TimedOut),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::pin::Pin;
    use std::task::{Context, Poll};

    use tokio::io::{ReadBuf, empty, sink};

    use super::*;

    /// A connection that broke.
    struct Broken(io::ErrorKind);

    impl AsyncRead for Broken {
        fn poll_read(self: Pin<&mut Self>, _: &mut Context<'_>, _: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Err(self.0.into()))
        }
    }

    #[tokio::test]
    async fn a_peer_leaves_between_packets_without_close_notify_too_and_within_one_the_connection_broke() {
        let (listen, faults) = (Listen::default(), FaultInjector::none());
        for (half_a_packet, error, end) in [
            (b"".as_slice(), None, End::Closed),
            (b"\x10", None, End::Broken),
            (b"", Some(io::ErrorKind::UnexpectedEof), End::Closed),
            (b"\x10", Some(io::ErrorKind::UnexpectedEof), End::Broken),
            (b"", Some(io::ErrorKind::ConnectionReset), End::Broken),
            (b"\x10", Some(io::ErrorKind::ConnectionReset), End::Broken),
        ] {
            let mut wire = Wire::new(&listen, &faults);
            wire.input.extend_from_slice(half_a_packet);
            let read = match error {
                None => wire.read(&mut empty()).await,
                Some(kind) => wire.read(&mut Broken(kind)).await,
            };
            assert_eq!(read, Err(end), "{half_a_packet:?} {error:?}");
        }
    }

    #[tokio::test]
    async fn the_room_of_a_large_answer_is_given_back_and_that_of_a_small_one_kept() {
        let (listen, faults) = (Listen::default(), FaultInjector::none());
        let mut wire = Wire::new(&listen, &faults);
        for (room, kept) in [(512, 512), (Wire::READ, Wire::READ), (Wire::READ + 1, 0), (64 * 1024, 0)] {
            *wire.out.bytes() = BytesMut::with_capacity(room);
            wire.out.pingresp();
            wire.write(&mut sink()).await.unwrap();
            assert_eq!((wire.out.len(), wire.out.bytes().capacity()), (0, kept), "{room}");
        }
    }
}
