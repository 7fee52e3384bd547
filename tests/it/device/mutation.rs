//! Right answers of a service, of which some bytes are changed: whatever comes of that, nothing panics, the device ends in time,
//! and the generator does not blame itself.

use std::io;
use std::pin::Pin;
use std::sync::Mutex;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf, BytesMut};
use fleetstorm::device::{Credential, LocalEnd, MemoryConnector, provision};
use fleetstorm::domain::{Failure, FailureClass, Transport};
use fleetstorm::protocol::payload::{RegistrationRequest, decode_csr};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Instant;

use super::service::{Accept, World, assigned, assigning};
use super::transports::serve;

/// What is done to the bytes that leave.
#[derive(Debug, Clone, Copy)]
pub(super) struct Change {
    /// From this one on.
    at: usize,
    kind: Kind,
}

#[derive(Debug, Clone, Copy)]
enum Kind {
    /// Other bits.
    Flip(u8),
    /// So many are left out.
    Leave(usize),
    /// So many come twice, or without end.
    Repeat(usize),
    Endless,
    /// The connection ends.
    Cut,
}

/// A stream that changes what is written to it.
pub(super) struct Changed<S> {
    inner: S,
    change: Change,
    /// Bytes that were written so far.
    written: usize,
    /// What has to leave first.
    leaving: BytesMut,
    /// The connection has ended.
    over: bool,
}

impl<S: AsyncWrite + Unpin> Changed<S> {
    pub(super) fn new(inner: S, change: Change) -> Self {
        Self { inner, change, written: 0, leaving: BytesMut::new(), over: false }
    }

    /// Puts `bytes`, changed, where what leaves is.
    fn take(&mut self, bytes: &[u8]) {
        let at = self.change.at.checked_sub(self.written).filter(|at| *at < bytes.len());
        self.written += bytes.len();
        let Some(at) = at else { return self.leaving.extend_from_slice(bytes) };
        let (before, after) = bytes.split_at(at);
        self.leaving.extend_from_slice(before);
        match self.change.kind {
            Kind::Flip(bits) => {
                self.leaving.extend_from_slice(&[after[0] ^ bits]);
                self.leaving.extend_from_slice(&after[1..]);
            }
            Kind::Leave(length) => self.leaving.extend_from_slice(&after[length.min(after.len())..]),
            Kind::Repeat(length) => {
                self.leaving.extend_from_slice(&after[..length.min(after.len())]);
                self.leaving.extend_from_slice(after);
            }
            // More than anybody takes.
            Kind::Endless => self.leaving.extend_from_slice(&after.repeat(500_000 / after.len() + 1)),
            Kind::Cut => self.over = true,
        }
    }

    fn poll_leave(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.leaving.is_empty() {
            let written = ready!(Pin::new(&mut self.inner).poll_write(cx, &self.leaving))?;
            self.leaving.advance(written);
        }
        if self.over {
            ready!(Pin::new(&mut self.inner).poll_shutdown(cx))?;
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Changed<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_read(cx, buf)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Changed<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        ready!(self.poll_leave(cx))?;
        self.take(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_leave(cx))?;
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_leave(cx))?;
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}

/// A service that would do everything right.
async fn serves(world: &World, mut accept: Accept) {
    if world.settings.transport == Transport::Https {
        let csr = Mutex::new(Vec::new());
        let answer = |_, request: hyper::Request<bytes::Bytes>| {
            if request.method() == "PUT" {
                let body = RegistrationRequest::parse(request.body()).unwrap();
                *csr.lock().unwrap() = decode_csr(&body.csr.unwrap()).unwrap();
                return (202, Some("3"), assigning());
            }
            (200, None, assigned(&world.issue(&csr.lock().unwrap(), "dev-1")))
        };
        return serve(accept, true, answer).await;
    }
    let web_socket = world.settings.transport == Transport::MqttWebSocket;
    let mut first = true;
    while let Some(mut peer) = accept.next_or_end().await {
        if web_socket {
            peer = peer.over_web_socket().await;
        }
        if std::mem::take(&mut first) {
            peer.assigns_or_is_left(|csr| world.issue(csr, "dev-1")).await;
        } else {
            peer.takes_everything().await;
        }
    }
}

fn change() -> impl Strategy<Value = Change> {
    let kind = prop_oneof![
        4 => (1_u8..).prop_map(Kind::Flip),
        2 => (1_usize..100).prop_map(Kind::Leave),
        2 => (1_usize..300).prop_map(Kind::Repeat),
        1 => Just(Kind::Endless),
        1 => Just(Kind::Cut),
    ];
    // Most of what is said are certificates; what is around them is more interesting.
    let at = prop_oneof![3 => 0_usize..500, 1 => 0_usize..10_000];
    (at, kind).prop_map(|(at, kind)| Change { at, kind })
}

/// A world of which DPS is reached over that transport.
fn world(transport: Transport) -> World {
    let mut world = World::new();
    world.settings.transport = transport;
    world.settings.hub.as_mut().unwrap().web_socket = transport == Transport::MqttWebSocket;
    if transport == Transport::Https {
        world.settings.hub = None;
    }
    world
}

/// What becomes of a device, and how long that takes.
fn outcome(world: &World, change: Change) -> (Result<Credential, Failure>, Duration) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
    runtime.block_on(async {
        let (connector, peers) = MemoryConnector::new();
        let end = LocalEnd::new(&world.settings, 0);
        let device = async move {
            let start = Instant::now();
            let prepared = world.device();
            let done = provision(&world.settings, &connector, &end, &prepared, false).await;
            (done.result, start.elapsed())
        };
        let service = async {
            serves(world, Accept::changed(peers, change)).await;
            std::future::pending::<()>().await;
        };
        tokio::select! {
            biased;
            ended = device => ended,
            () = service => unreachable!("it waits for ever"),
        }
    })
}

const TRANSPORTS: [Transport; 3] = [Transport::Mqtt, Transport::MqttWebSocket, Transport::Https];

#[test]
fn whatever_is_changed_in_right_answers_the_device_ends_in_time_and_blames_somebody_else() {
    for transport in TRANSPORTS {
        let world = &world(transport);
        let mut runner = TestRunner::new(Config { cases: 100, failure_persistence: None, ..Config::default() });
        let ended = Mutex::new([0_u32; 2]);
        let test = |change| {
            let (result, took) = outcome(world, change);
            prop_assert!(took < Duration::from_secs(310), "{took:?}");
            if let Err(failure) = &result {
                prop_assert_ne!(failure.class, FailureClass::Generator, "{}", failure);
                prop_assert!(failure.message.len() < 400, "{}", failure);
            }
            ended.lock().unwrap()[usize::from(result.is_ok())] += 1;
            Ok(())
        };
        runner.run(&change(), test).unwrap();
        let [failed, succeeded] = *ended.lock().unwrap();
        assert!(failed > 10 && succeeded > 0, "{transport}: {failed} failed, {succeeded} did not");
    }
}

#[test]
fn right_answers_that_end_after_any_byte_are_an_end_of_the_connection() {
    for transport in TRANSPORTS {
        let world = &world(transport);
        for at in 0..250 {
            let (result, _) = outcome(world, Change { at, kind: Kind::Cut });
            let failure = result.map(|_| ()).unwrap_err();
            assert_eq!(failure.class, FailureClass::Network, "{transport}, {at} bytes: {failure}");
        }
    }
}
