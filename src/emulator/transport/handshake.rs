//! What a connection of a device goes through before it is served: its TLS handshake.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use rustls::HandshakeKind;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{Instant, sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::held::PausableStream;
use super::room::Place;
use super::stepwise::Stepwise;
use super::turns::Ticket;
use super::watched::Watched;
use crate::emulator::counters::{Event, Tally};
use crate::emulator::fault::FaultInjector;

/// A device's connection within TLS.
pub(crate) type DeviceStream<S> = TlsStream<Stepwise<PausableStream<Watched<S>>>>;

/// A connection that came in, with what it needs to get on.
pub(crate) struct Newcomer<S> {
    pub(crate) stream: S,
    pub(crate) place: Place,
    /// For its handshake.
    pub(crate) ticket: Ticket,
}

/// The TLS handshake of a newcomer, counted; its peer may be waited for so long as `limit` in all. The limit is for the peer:
/// neither what the emulator computes nor the wait for a turn counts.
pub(crate) async fn shake_hands<S>(
    tls: &TlsAcceptor,
    newcomer: Newcomer<S>,
    limit: Duration,
    faults: &Arc<FaultInjector>,
    tally: &Arc<Tally>,
) -> Option<DeviceStream<S>>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let Newcomer { stream, place, ticket } = newcomer;
    let shaken = async {
        let mut stream = Stepwise::new(PausableStream::new(faults, tally, Watched::new(stream, place.clone())), ticket);
        within(limit, &place, stream.first_bytes()).await?.ok()?;
        if let Some(delay) = faults.handshake_delay(Instant::now()) {
            tally.count(Event::FaultHandshake);
            sleep(delay).await;
        }
        let mut stream = within(limit, &place, tls.accept(stream)).await?.ok()?;
        stream.get_mut().0.finish();
        Some(stream)
    };
    let stream = shaken.await;
    tally.count(if stream.is_some() { Event::Handshake } else { Event::HandshakeFailed });
    let kind = stream.as_ref().and_then(|stream| stream.get_ref().1.handshake_kind());
    if kind == Some(HandshakeKind::Resumed) {
        tally.count(Event::Resumed);
    }
    stream
}

/// What the future comes to, unless the peer is waited for longer than `limit` in all.
async fn within<F: Future>(limit: Duration, place: &Place, future: F) -> Option<F::Output> {
    let mut future = pin!(future);
    loop {
        let left = place.left_of(limit)?;
        if let Ok(output) = timeout(left, future.as_mut()).await {
            return Some(output);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::time::SystemTime;

    use rustls::pki_types::ServerName;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex};
    use tokio::task::JoinHandle;
    use tokio_rustls::TlsConnector;

    use super::*;
    use crate::domain::CryptoProvider;
    use crate::emulator::config::Config;
    use crate::emulator::transport::room::{Room, Taken};
    use crate::emulator::transport::turns::Turns;
    use crate::pki::issuing_ca::RootCa;
    use crate::pki::tls::{ClientTls, TlsVersions, server_config};

    struct World {
        limit: Duration,
        faults: Arc<FaultInjector>,
        tally: Arc<Tally>,
        turns: Arc<Turns>,
        acceptor: TlsAcceptor,
        connector: TlsConnector,
        room: Arc<Room>,
    }

    impl World {
        fn new(change: impl FnOnce(&mut Config)) -> Self {
            let mut config = Config::default();
            change(&mut config);
            let now = SystemTime::now();
            let root = RootCa::for_servers("root", now).unwrap();
            let (certificate, key) = root.server_certificate(&["localhost".to_owned()], now).unwrap();
            let (faults, tally) = (FaultInjector::none(), Arc::new(Tally::new()));
            faults.set(config.faults, Instant::now());
            let server = server_config(certificate, key, TlsVersions::default()).unwrap();
            let roots = [root.der().to_vec()];
            let client = ClientTls::new(&roots, TlsVersions::Any, CryptoProvider::AwsLc).unwrap().anonymous();
            let room = Room::new(&faults, &tally, 100, config.listen.patience());
            let (limit, turns) = (config.listen.handshake_timeout(), Turns::new(config.listen.handshakes_at_once));
            Self { limit, faults, tally, turns, acceptor: server.into(), connector: client.into(), room }
        }

        /// The peer's end of a connection, and whether its handshake ends well.
        async fn open(&self) -> (DuplexStream, JoinHandle<bool>) {
            let (near, far) = duplex(64 * 1024);
            let (faults, tally, limit) = (Arc::clone(&self.faults), Arc::clone(&self.tally), self.limit);
            let (acceptor, taken): (_, Taken) = (self.acceptor.clone(), self.room.enter().await);
            let ticket = self.turns.ticket();
            let served = tokio::spawn(async move {
                let newcomer = Newcomer { stream: near, place: taken.place(), ticket };
                shake_hands(&acceptor, newcomer, limit, &faults, &tally).await.is_some()
            });
            (far, served)
        }

        /// A client that has said hello, has been answered, and says no more.
        async fn half_open(&self) -> (DuplexStream, JoinHandle<bool>) {
            let (mut far, served) = self.open().await;
            far.write_all(&self.hello()).await.unwrap();
            // The whole record of the ServerHello: a turn was taken for it.
            let mut header = [0; 5];
            far.read_exact(&mut header).await.unwrap();
            assert_eq!(header[0], 22);
            (far, served)
        }

        /// What a client sends first.
        fn hello(&self) -> Vec<u8> {
            let name = ServerName::try_from("localhost").unwrap();
            let mut client = rustls::ClientConnection::new(Arc::clone(self.connector.config()), name).unwrap();
            let mut hello = Vec::new();
            client.write_tls(&mut hello).unwrap();
            hello
        }

        /// A whole handshake; what the server made of it.
        async fn connect(&self) -> bool {
            let (far, served) = self.open().await;
            let name = ServerName::try_from("localhost").unwrap();
            self.connector.connect(name, far).await.is_ok() && served.await.unwrap()
        }
    }

    #[tokio::test(start_paused = true)]
    async fn peers_that_are_waited_for_hold_up_nobody() {
        let world = World::new(|config| config.listen.handshakes_at_once = 1);
        let mut others = Vec::new();
        for i in 0..40 {
            others.push(if i % 2 == 0 { world.open().await } else { world.half_open().await });
        }
        let begun = Instant::now();
        for _ in 0..3 {
            assert!(world.connect().await);
        }
        assert_eq!(begun.elapsed(), Duration::ZERO, "it waited for somebody");
        let counted = world.tally.snapshot();
        let counted = [Event::Handshake, Event::Resumed, Event::HandshakeFailed].map(|event| counted.get(event));
        assert_eq!(counted, [3, 0, 0], "each whole, none resumed");
    }

    #[tokio::test(start_paused = true)]
    async fn the_time_limit_is_for_all_that_a_peer_keeps_waiting() {
        let world = World::new(|_| {});
        let limit = world.limit;
        let begun = Instant::now();
        let (_silent, served) = world.open().await;
        assert!(!served.await.unwrap());
        assert_eq!(begun.elapsed(), limit);

        let begun = Instant::now();
        let (_half_open, served) = world.half_open().await;
        assert!(!served.await.unwrap());
        assert_eq!(begun.elapsed(), limit);

        let begun = Instant::now();
        let (mut crumbs, served) = world.open().await;
        let hello = world.hello();
        for byte in hello.chunks(1) {
            // Cut long before the last one.
            if crumbs.write_all(byte).await.is_err() {
                break;
            }
            sleep(Duration::from_secs(7)).await;
        }
        assert!(!served.await.unwrap());
        assert!(begun.elapsed() >= limit && begun.elapsed() < limit + Duration::from_secs(7));
        assert_eq!(world.tally.snapshot().get(Event::HandshakeFailed), 3);
    }

    #[tokio::test(start_paused = true)]
    async fn the_wait_for_a_turn_does_not_count() {
        let world = World::new(|config| config.listen.handshakes_at_once = 1);
        let mut holder = world.turns.ticket();
        poll_fn(|cx| holder.poll_take(cx)).await;
        let begun = Instant::now();
        let release = async {
            sleep(Duration::from_secs(1000)).await;
            drop(holder);
        };
        let (through, ()) = tokio::join!(world.connect(), release);
        assert!(through);
        assert_eq!(begun.elapsed(), Duration::from_secs(1000));
    }
}
