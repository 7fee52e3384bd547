use std::collections::VecDeque;
use std::fmt;
use std::future::Future;
use std::io;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep, sleep_until};

use crate::model::{Fate, NetworkImpairment, Reset};

/// A connection as a transport makes it, or as an impaired network would have it.
pub enum Link<T> {
    /// Untouched.
    Direct(T),
    /// With delays, and perhaps an early end. Boxed: most have none.
    Impaired(Box<Impaired<T>>),
}

/// Most bytes of one read.
const READ: usize = 4096;

/// A connection over an impaired network.
pub struct Impaired<T> {
    /// `None` after a reset.
    transport: Option<T>,
    fate: Fate,
    /// What came and when the device may see it, in that order.
    arrived: VecDeque<(Instant, Bytes)>,
    /// Bytes in `arrived`.
    waiting: usize,
    /// What ends the incoming bytes (`Ok`: the peer closed), and when the device may see that.
    end: Option<(Instant, io::Result<()>)>,
    /// When the last arrival may be seen.
    latest: Instant,
    /// For the next arrival to be seen; made when first needed.
    timer: Option<Pin<Box<Sleep>>>,
    /// The device's turns to speak so far.
    turn: u8,
    /// Whether it is the device's turn.
    speaking: bool,
}

impl<T> Link<T> {
    /// `seed` decides the fate of the connection.
    pub(super) fn new(transport: T, impairment: NetworkImpairment, seed: impl FnOnce() -> u64) -> Self {
        if impairment.is_perfect() {
            return Self::Direct(transport);
        }
        Self::Impaired(Box::new(Impaired {
            transport: Some(transport),
            fate: Fate::new(impairment, seed()),
            arrived: VecDeque::new(),
            waiting: 0,
            end: None,
            latest: Instant::now(),
            timer: None,
            turn: 0,
            speaking: false,
        }))
    }

    /// Waits for as long as the impairment adds to a question and its answer.
    pub async fn round_trip(&mut self) {
        if let Self::Impaired(link) = self {
            let delay = link.fate.delay();
            if !delay.is_zero() {
                sleep(delay).await;
            }
        }
    }

    /// The connection below; `None` when it was reset.
    pub(super) fn transport_mut(&mut self) -> Option<&mut T> {
        match self {
            Self::Direct(transport) => Some(transport),
            Self::Impaired(link) => link.transport.as_mut(),
        }
    }
}

impl<T: AsyncRead + Unpin> Impaired<T> {
    /// Most bytes that wait to be seen; more stay with the transport.
    const MOST: usize = 256 * 1024;

    /// Most pieces in which they wait: each costs more than its bytes when it is small.
    const MOST_PIECES: usize = 1024;

    /// Takes what the transport has.
    fn absorb(&mut self, cx: &mut Context<'_>) {
        while self.waiting < Self::MOST && self.arrived.len() < Self::MOST_PIECES && self.end.is_none() {
            let Some(transport) = &mut self.transport else { return };
            let mut space = [MaybeUninit::uninit(); READ];
            let mut space = ReadBuf::uninit(&mut space);
            let Poll::Ready(read) = Pin::new(transport).poll_read(cx, &mut space) else { return };
            let due = self.latest.max(Instant::now() + self.fate.delay());
            self.latest = due;
            match read {
                _ if self.is_reset_in_place_of_an_answer() => {
                    self.transport = None;
                    self.end = Some((due, Err(io::ErrorKind::ConnectionReset.into())));
                }
                Ok(()) if space.filled().is_empty() => self.end = Some((due, Ok(()))),
                Ok(()) => {
                    self.waiting += space.filled().len();
                    self.arrived.push_back((due, Bytes::copy_from_slice(space.filled())));
                }
                Err(error) => self.end = Some((due, Err(error))),
            }
        }
    }

    fn is_reset_in_place_of_an_answer(&self) -> bool {
        self.fate.reset().is_some_and(|Reset { turn, unheard }| !unheard && self.turn >= turn)
    }

    fn poll_read(&mut self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.absorb(cx);
        let due = match (self.arrived.front(), &self.end) {
            (Some((due, _)), _) | (None, Some((due, _))) => *due,
            (None, None) if self.transport.is_none() => return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into())),
            (None, None) => return Poll::Pending,
        };
        if due > Instant::now() {
            let timer = self.timer.get_or_insert_with(|| Box::pin(sleep_until(due)));
            if timer.deadline() != due {
                timer.as_mut().reset(due);
            }
            ready!(timer.as_mut().poll(cx));
        }
        Poll::Ready(self.show(buf))
    }

    /// Shows the next arrival, whose time has come, to the device.
    fn show(&mut self, buf: &mut ReadBuf<'_>) -> io::Result<()> {
        let Some((_, bytes)) = self.arrived.front_mut() else {
            return self.end.as_mut().map_or(Ok(()), |(_, end)| std::mem::replace(end, Ok(())));
        };
        let part = bytes.len().min(buf.remaining());
        buf.put_slice(&bytes[..part]);
        bytes.advance(part);
        if bytes.is_empty() {
            self.arrived.pop_front();
        }
        self.waiting -= part;
        self.speaking = false;
        Ok(())
    }
}

impl<T: AsyncWrite + Unpin> Impaired<T> {
    fn poll_write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        if !self.speaking {
            self.speaking = true;
            self.turn = self.turn.saturating_add(1);
        }
        if self.fate.reset().is_some_and(|Reset { turn, unheard }| unheard && self.turn >= turn) {
            self.transport = None;
        }
        self.with_transport(|transport| transport.poll_write(cx, bytes))
    }

    fn with_transport<R>(&mut self, work: impl FnOnce(Pin<&mut T>) -> Poll<io::Result<R>>) -> Poll<io::Result<R>> {
        match &mut self.transport {
            Some(transport) => work(Pin::new(transport)),
            None => Poll::Ready(Err(io::ErrorKind::ConnectionReset.into())),
        }
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for Link<T> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Direct(transport) => Pin::new(transport).poll_read(cx, buf),
            Self::Impaired(link) => link.poll_read(cx, buf),
        }
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Link<T> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Direct(transport) => Pin::new(transport).poll_write(cx, bytes),
            Self::Impaired(link) => link.poll_write(cx, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Direct(transport) => Pin::new(transport).poll_flush(cx),
            Self::Impaired(link) => link.with_transport(|transport| transport.poll_flush(cx)),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Direct(transport) => Pin::new(transport).poll_shutdown(cx),
            Self::Impaired(link) => link.with_transport(|transport| transport.poll_shutdown(cx)),
        }
    }
}

impl<T> fmt::Debug for Link<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Direct(_) => "Link::Direct",
            Self::Impaired(_) => "Link::Impaired",
        })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::io::AsyncReadExt;

    use super::*;

    /// Has one more byte, always.
    struct Trickle;

    impl AsyncRead for Trickle {
        fn poll_read(self: Pin<&mut Self>, _: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
            buf.put_slice(b"x");
            Poll::Ready(Ok(()))
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_comes_in_small_pieces_waits_in_bounded_memory() {
        let network = NetworkImpairment { latency: Duration::from_secs(1), ..NetworkImpairment::default() };
        let mut link = Link::new(Trickle, network, || 7);
        let read = link.read_u8().await.unwrap();
        let Link::Impaired(link) = link else { panic!("it is impaired") };
        assert_eq!(read, b'x');
        assert!(link.arrived.len() <= Impaired::<Trickle>::MOST_PIECES, "{}", link.arrived.len());
    }
}
