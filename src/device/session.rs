//! MQTT packets over a byte stream.

use std::future::poll_fn;
use std::io;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::BytesMut;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::time::{Instant, timeout, timeout_at};

use crate::device::Connector;
use crate::device::channel::Channel;
use crate::device::failures::{from_io, late};
use crate::domain::{Failure, FailureClass};
use crate::protocol::flow::{AfterSend, Input};
use crate::protocol::mqtt::{Packet, PacketError, decode, encode};

/// A connection that carries MQTT. What is put into the outgoing buffer leaves with the next [`Self::input`], in one write.
/// Every future may be dropped at any point: nothing is lost, the next one goes on. No buffer is kept while nothing
/// happens.
pub(super) struct Session<S> {
    stream: S,
    service: &'static str,
    limit: usize,
    /// Longest silence on our side; zero: any.
    keep_alive: Duration,
    /// Longest time until a ping is answered, and until a packet that began is whole.
    answer: Duration,
    last_sent: Instant,
    /// Since when a ping is without any sign of life in return.
    pinged: Option<Instant>,
    incoming: BytesMut,
    /// When the packet began of which a part is there.
    begun: Option<Instant>,
    outgoing: BytesMut,
    /// Something was written that may not have left the layers below.
    unflushed: bool,
    lost: bool,
}

/// Most bytes of one read.
const READ: usize = 4096;

/// What a session has to know of its peer.
#[derive(Debug, Clone, Copy)]
pub(super) struct Peer {
    /// Its name in failures.
    pub(super) service: &'static str,
    /// Largest packet in bytes.
    pub(super) limit: usize,
    /// Keep-alive in seconds, as CONNECT says it.
    pub(super) keep_alive: u16,
    /// Longest time until it answers a ping, and for a whole packet.
    pub(super) answer: Duration,
}

impl<S> Session<S> {
    /// Over a fresh stream.
    pub(super) fn new(stream: S, peer: Peer) -> Self {
        Self {
            stream,
            service: peer.service,
            limit: peer.limit,
            keep_alive: Duration::from_secs(peer.keep_alive.into()),
            answer: peer.answer,
            last_sent: Instant::now(),
            pinged: None,
            incoming: BytesMut::new(),
            begun: None,
            outgoing: BytesMut::new(),
            unflushed: false,
            lost: false,
        }
    }

    /// Adds a packet to what leaves with the next flush.
    pub(super) fn put(&mut self, packet: &Packet) -> Result<(), Failure> {
        encode(packet, &mut self.outgoing)
            .map_err(|error| Failure::new(FailureClass::Configuration, format!("cannot write a packet: {error}")))
    }

    /// Whether nothing speaks against using it further.
    pub(super) const fn is_alive(&self) -> bool {
        !self.lost
    }

    /// It is of no more use.
    pub(super) const fn give_up(&mut self) {
        self.lost = true;
    }

    /// When the next ping is due: not before the last one was answered.
    fn ping_at(&self) -> Option<Instant> {
        let wanted = !self.keep_alive.is_zero() && self.pinged.is_none();
        self.last_sent.checked_add(self.keep_alive).filter(|_| wanted)
    }

    /// When the last ping has to be answered.
    fn pong_until(&self) -> Option<Instant> {
        self.pinged?.checked_add(self.answer)
    }

    fn broken(&self, error: &PacketError) -> Failure {
        Failure::new(FailureClass::Protocol, format!("{}: {error}", self.service))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Session<S> {
    /// Sends what was put, then waits for a packet until `until` (`None`: without end) and keeps the connection alive
    /// meanwhile (MQTT 3.1.1, section 3.1.2.10).
    pub(super) async fn input(&mut self, until: Option<Instant>) -> Input {
        loop {
            let wake = [until, self.ping_at(), self.pong_until()].into_iter().flatten().min();
            let exchanged = match wake {
                Some(wake) => timeout_at(wake, self.exchange()).await,
                None => Ok(self.exchange().await),
            };
            let now = Instant::now();
            let has_come = |time: Option<Instant>| time.is_some_and(|time| now >= time);
            let failure = match exchanged {
                // Asked for here, it is of no interest to anybody else.
                Ok(Ok(Packet::PingResp)) if self.pinged.is_some() => {
                    self.pinged = None;
                    continue;
                }
                Ok(Ok(packet)) => {
                    self.pinged = None;
                    return Input::Packet(packet);
                }
                Ok(Err(failure)) => failure,
                Err(_) if has_come(self.pong_until()) => late(&format!("PINGRESP of {}", self.service), self.answer),
                Err(_) if has_come(until) => return Input::Wake,
                Err(_) if has_come(self.ping_at()) => match self.put(&Packet::PingReq) {
                    Ok(()) => {
                        self.pinged = Some(now);
                        continue;
                    }
                    Err(failure) => failure,
                },
                // Something was sent since the time of the ping was computed.
                Err(_) => continue,
            };
            self.lost = true;
            return Input::Lost(failure);
        }
    }

    /// Sends what was put, then waits for a packet.
    async fn exchange(&mut self) -> Result<Packet, Failure> {
        match self.flush().await {
            Ok(()) => self.read().await,
            Err(error) => self.last_words(error).await,
        }
    }

    async fn flush(&mut self) -> Result<(), Failure> {
        if self.outgoing.is_empty() && !self.unflushed {
            return Ok(());
        }
        self.unflushed = true;
        let sent = async {
            while !self.outgoing.is_empty() {
                // Takes what it wrote out of the buffer.
                if self.stream.write_buf(&mut self.outgoing).await? == 0 {
                    return Err(io::ErrorKind::WriteZero.into());
                }
            }
            self.stream.flush().await
        };
        sent.await.map_err(|error| from_io(self.service, &error))?;
        self.outgoing = BytesMut::new();
        self.unflushed = false;
        self.last_sent = Instant::now();
        Ok(())
    }

    /// The next packet. One that began has to be whole in time, so that nobody keeps a device waiting, or its memory, by a
    /// packet in small pieces.
    async fn read(&mut self) -> Result<Packet, Failure> {
        loop {
            if let Some(packet) = decode(&mut self.incoming, self.limit).map_err(|error| self.broken(&error))? {
                self.begun = None;
                if self.incoming.is_empty() {
                    self.incoming = BytesMut::new();
                }
                return Ok(packet);
            }
            let more = match self.whole_until() {
                None => poll_fn(|cx| self.poll_more(cx)).await,
                Some(until) => match timeout_at(until, poll_fn(|cx| self.poll_more(cx))).await {
                    Ok(more) => more,
                    Err(_) => return Err(late(&format!("end of a packet of {}", self.service), self.answer)),
                },
            };
            match more {
                Ok(0) => {
                    let message = format!("{} closed the connection", self.service);
                    return Err(Failure::new(FailureClass::Network, message));
                }
                Ok(_) => {}
                Err(error) => return Err(from_io(self.service, &error)),
            }
        }
    }

    /// When the packet has to be whole of which a part is there.
    fn whole_until(&mut self) -> Option<Instant> {
        if self.incoming.is_empty() {
            return None;
        }
        self.begun.get_or_insert_with(Instant::now).checked_add(self.answer)
    }

    /// Reads over the stack, so that a session on which nothing happens has no buffer. Gives the number of bytes.
    fn poll_more(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let mut space = [MaybeUninit::uninit(); READ];
        let mut space = ReadBuf::uninit(&mut space);
        ready!(Pin::new(&mut self.stream).poll_read(cx, &mut space))?;
        self.incoming.extend_from_slice(space.filled());
        Poll::Ready(Ok(space.filled().len()))
    }

    /// Carries packets between a conversation and the peer until the conversation ends. `step` gets what happened
    /// (`None`: begin) and the time since then, and puts out packets.
    pub(super) async fn converse<T>(
        &mut self,
        mut step: impl FnMut(Option<Input>, Duration, &mut BytesMut) -> AfterSend<T>,
    ) -> Result<T, Failure> {
        let start = Instant::now();
        let mut next = step(None, Duration::ZERO, &mut self.outgoing);
        loop {
            match next {
                AfterSend::Read { until } => {
                    let input = self.input(start.checked_add(until)).await;
                    next = step(Some(input), start.elapsed(), &mut self.outgoing);
                }
                AfterSend::Done(outcome) => return Ok(outcome),
                AfterSend::Failed(failure) => return Err(failure),
            }
        }
    }

    /// Writing failed: what the peer said before it went (a refusal, a TLS alert) tells more than that.
    async fn last_words(&mut self, failure: Failure) -> Result<Packet, Failure> {
        match timeout(Self::FAREWELL, self.read()).await {
            Ok(Err(words)) if words.class != FailureClass::Tls => Err(failure),
            Ok(words) => words,
            Err(_) => Err(failure),
        }
    }

    /// Longest time that a peer which does not read may hold up the end.
    const FAREWELL: Duration = Duration::from_secs(2);
}

impl<S: AsyncRead + AsyncWrite + Unpin> Session<Channel<S>> {
    /// What was put and DISCONNECT, the end of TLS, the end of the connection. It ends here in any case, so that an error
    /// of a peer that was faster tells nothing.
    pub(super) async fn close<C: Connector<Stream = S>>(mut self, connector: &C) {
        let _ = timeout(Self::FAREWELL, self.finish(connector)).await;
    }

    /// Takes leave, and waits until the peer has closed too: it is done with this connection before another one comes.
    pub(super) async fn leave<C: Connector<Stream = S>>(mut self, connector: &C) {
        let left = async {
            if self.finish(connector).await.is_ok() {
                while self.read().await.is_ok() {}
            }
        };
        let _ = timeout(Self::FAREWELL, left).await;
    }

    async fn finish<C: Connector<Stream = S>>(&mut self, connector: &C) -> io::Result<()> {
        self.put(&Packet::Disconnect).map_err(|failure| io::Error::other(failure.message))?;
        self.stream.finish(connector, &self.outgoing).await
    }
}
