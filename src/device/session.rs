//! MQTT packets over a byte stream.

use std::time::Duration;

use bytes::BytesMut;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::timeout;

use crate::device::failures::from_io;
use crate::domain::{Failure, FailureClass};
use crate::protocol::mqtt::{Packet, decode, encode};

/// A connection that carries MQTT, with one buffer per direction. What is put into the outgoing buffer leaves with the
/// next [`Self::flush`], in one write.
pub(super) struct Session<S> {
    stream: S,
    service: &'static str,
    limit: usize,
    incoming: BytesMut,
    outgoing: BytesMut,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Session<S> {
    /// Over a fresh stream. `service` names the peer in failures; `limit` is the largest packet in bytes, `capacity` the
    /// bytes that an ordinary packet needs.
    pub(super) fn new(stream: S, service: &'static str, limit: usize, capacity: usize) -> Self {
        Self { stream, service, limit, incoming: BytesMut::with_capacity(capacity), outgoing: BytesMut::new() }
    }

    /// What leaves with the next flush.
    pub(super) const fn outgoing(&mut self) -> &mut BytesMut {
        &mut self.outgoing
    }

    /// Adds a packet to what leaves with the next flush.
    pub(super) fn put(&mut self, packet: &Packet) -> Result<(), Failure> {
        encode(packet, &mut self.outgoing)
            .map_err(|error| Failure::new(FailureClass::Generator, format!("cannot write a packet: {error}")))
    }

    /// Sends what was put.
    pub(super) async fn flush(&mut self) -> Result<(), Failure> {
        if self.outgoing.is_empty() {
            return Ok(());
        }
        let sent = async {
            self.stream.write_all(&self.outgoing).await?;
            self.stream.flush().await
        };
        sent.await.map_err(|error| from_io(self.service, &error))?;
        self.outgoing.clear();
        Ok(())
    }

    /// The next packet. May be dropped and called again: nothing is lost.
    pub(super) async fn read(&mut self) -> Result<Packet, Failure> {
        loop {
            if let Some(packet) = decode(&mut self.incoming, self.limit).map_err(|error| self.broken(&error))? {
                return Ok(packet);
            }
            self.incoming.reserve(Self::READ_AHEAD);
            match self.stream.read_buf(&mut self.incoming).await {
                Ok(0) => {
                    let message = format!("{} closed the connection", self.service);
                    return Err(Failure::new(FailureClass::Network, message));
                }
                Ok(_) => {}
                Err(error) => return Err(from_io(self.service, &error)),
            }
        }
    }

    /// DISCONNECT, the end of TLS, the end of the connection. It ends here in any case, so that an error of a peer that
    /// was faster tells nothing.
    pub(super) async fn close(mut self) {
        let farewell = async {
            self.put(&Packet::Disconnect).ok()?;
            self.flush().await.ok()?;
            self.stream.shutdown().await.ok()
        };
        let _ = timeout(Self::FAREWELL, farewell).await;
    }

    /// Least free space before a read.
    const READ_AHEAD: usize = 256;

    /// Longest time that a peer which does not read may hold up the end.
    const FAREWELL: Duration = Duration::from_secs(2);

    fn broken(&self, error: &crate::protocol::mqtt::PacketError) -> Failure {
        Failure::new(FailureClass::Protocol, format!("{}: {error}", self.service))
    }
}
