//! MQTT packets over a byte stream.

use std::time::Duration;

use bytes::BytesMut;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::{Instant, timeout, timeout_at};

use crate::device::Connector;
use crate::device::channel::Channel;
use crate::device::failures::from_io;
use crate::domain::{Failure, FailureClass};
use crate::protocol::flow::{Input, Next};
use crate::protocol::mqtt::{Packet, PacketError, decode, encode};

/// A connection that carries MQTT, with one buffer per direction. What is put into the outgoing buffer leaves with the
/// next [`Self::flush`], in one write.
pub(super) struct Session<S> {
    stream: S,
    service: &'static str,
    limit: usize,
    /// Longest silence on our side; zero: any.
    keep_alive: Duration,
    last_sent: Instant,
    incoming: BytesMut,
    outgoing: BytesMut,
}

/// What a session has to know of its peer.
#[derive(Debug, Clone, Copy)]
pub(super) struct Peer {
    /// Its name in failures.
    pub(super) service: &'static str,
    /// Largest packet in bytes.
    pub(super) limit: usize,
    /// Keep-alive in seconds, as CONNECT says it.
    pub(super) keep_alive: u16,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Session<S> {
    /// Over a fresh stream.
    pub(super) fn new(stream: S, peer: Peer) -> Self {
        Self {
            stream,
            service: peer.service,
            limit: peer.limit,
            keep_alive: Duration::from_secs(peer.keep_alive.into()),
            last_sent: Instant::now(),
            incoming: BytesMut::new(),
            outgoing: BytesMut::new(),
        }
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
        self.last_sent = Instant::now();
        Ok(())
    }

    /// The next packet. May be dropped and called again: nothing is lost.
    pub(super) async fn read(&mut self) -> Result<Packet, Failure> {
        loop {
            if let Some(packet) = decode(&mut self.incoming, self.limit).map_err(|error| self.broken(&error))? {
                return Ok(packet);
            }
            // A large packet makes the buffer double; most never need more than the first few hundred bytes.
            self.incoming.reserve(self.incoming.len().max(Self::READ_AHEAD));
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

    /// Sends what was put, then waits for a packet until `until` (`None`: without end) and keeps the connection alive
    /// meanwhile (MQTT 3.1.1, section 3.1.2.10).
    pub(super) async fn input(&mut self, until: Option<Instant>) -> Input {
        loop {
            if let Err(failure) = self.flush().await {
                return self.last_words(failure).await;
            }
            let ping = self.last_sent.checked_add(self.keep_alive).filter(|_| !self.keep_alive.is_zero());
            let packet = match [until, ping].into_iter().flatten().min() {
                Some(wake) => timeout_at(wake, self.read()).await,
                None => Ok(self.read().await),
            };
            match packet {
                Ok(packet) => return packet.map_or_else(Input::Lost, Input::Packet),
                Err(_) if until.is_some_and(|until| Instant::now() >= until) => return Input::Wake,
                Err(_) => {
                    if let Err(failure) = self.put(&Packet::PingReq) {
                        return Input::Lost(failure);
                    }
                }
            }
        }
    }

    /// Carries packets between a conversation and the peer until the conversation ends. `step` gets what happened
    /// (`None`: begin) and the time since then, and puts out packets.
    pub(super) async fn converse<T>(
        &mut self,
        mut step: impl FnMut(Option<Input>, Duration, &mut BytesMut) -> Next<T>,
    ) -> Result<T, Failure> {
        let start = Instant::now();
        let mut next = step(None, Duration::ZERO, &mut self.outgoing);
        loop {
            match next {
                Next::Read { until } => {
                    let input = self.input(start.checked_add(until)).await;
                    next = step(Some(input), start.elapsed(), &mut self.outgoing);
                }
                Next::Done(outcome) => return Ok(outcome),
                Next::Failed(failure) => return Err(failure),
            }
        }
    }

    /// Writing failed: what the peer said before it went (a refusal, a TLS alert) tells more than that.
    async fn last_words(&mut self, failure: Failure) -> Input {
        match timeout(Self::FAREWELL, self.read()).await {
            Ok(Ok(packet)) => Input::Packet(packet),
            Ok(Err(words)) if words.class == FailureClass::Tls => Input::Lost(words),
            _ => Input::Lost(failure),
        }
    }

    /// Least free space before a read.
    const READ_AHEAD: usize = 256;

    /// Longest time that a peer which does not read may hold up the end.
    const FAREWELL: Duration = Duration::from_secs(2);

    fn broken(&self, error: &PacketError) -> Failure {
        Failure::new(FailureClass::Protocol, format!("{}: {error}", self.service))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Session<Channel<S>> {
    /// What was put and DISCONNECT, the end of TLS, the end of the connection. It ends here in any case, so that an error
    /// of a peer that was faster tells nothing.
    pub(super) async fn close<C: Connector<Stream = S>>(mut self, connector: &C) {
        if self.put(&Packet::Disconnect).is_ok() {
            let _ = timeout(Self::FAREWELL, self.stream.finish(connector, &self.outgoing)).await;
        }
    }
}
