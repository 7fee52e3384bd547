use std::io;
use std::pin::pin;

use bytes::BytesMut;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::time::Instant;

use super::core::Core;
use super::outbox::Outbox;
use super::session::End;

/// Bytes on their way in and out.
pub(super) struct Wire<'a> {
    core: &'a Core,
    /// What was read and not decoded yet.
    pub(super) input: BytesMut,
    /// What is to be written.
    pub(super) out: Outbox,
    /// When something was last read.
    pub(super) last_heard: Instant,
}

impl<'a> Wire<'a> {
    /// Room for the next read: what a device sends at once fits, and ten thousand idle connections do not hurt.
    const READ: usize = 1024;

    pub(super) fn new(core: &'a Core) -> Self {
        Self { core, input: BytesMut::new(), out: Outbox::default(), last_heard: Instant::now() }
    }

    /// Reads what is there, or waits for something. Safe to cancel.
    pub(super) async fn read<S: AsyncRead + Unpin>(&mut self, stream: &mut S) -> Result<(), End> {
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
    pub(super) async fn write<S: AsyncWrite + Unpin>(&mut self, stream: &mut S) -> Result<(), End> {
        let bytes = self.out.bytes();
        if bytes.is_empty() {
            return Ok(());
        }
        let limit = self.core.config.listen.write_timeout();
        let write = pin!(async {
            stream.write_all(bytes).await?;
            stream.flush().await
        });
        let written = self.core.faults.pause.timeout(limit, write).await;
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
