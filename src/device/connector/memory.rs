use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, DuplexStream, ReadBuf, duplex};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use super::{Connector, PeerAddress};
use crate::device::{Link, Source};

/// Connections in memory, without TLS: for tests with paused time, where nothing may take real time.
#[derive(Debug, Clone)]
pub struct MemoryConnector {
    peers: UnboundedSender<MemoryPeer>,
}

/// The service's end of a connection in memory.
#[derive(Debug)]
pub struct MemoryPeer {
    /// The host that the device wanted.
    pub host: String,
    /// The port that the device wanted.
    pub port: u16,
    /// The certificate chain that the device shows in TLS, leaf first, DER; empty when it has none.
    pub certificates: Vec<Vec<u8>>,
    /// The bytes.
    pub stream: DuplexStream,
}

/// The device's end of a connection in memory.
#[derive(Debug)]
pub struct MemoryStream {
    stream: DuplexStream,
    /// The other end, until the device has said in TLS who it is.
    peer: Option<MemoryPeer>,
}

impl MemoryConnector {
    /// Bytes on the way in one direction before a writer waits.
    const CAPACITY: usize = 16 * 1024;

    /// The connector, and the service's ends of its connections in the order in which they are made.
    pub fn new() -> (Self, UnboundedReceiver<MemoryPeer>) {
        let (peers, accept) = unbounded_channel();
        (Self { peers }, accept)
    }
}

impl Connector for MemoryConnector {
    type Transport = MemoryStream;
    type Stream = Link<MemoryStream>;

    async fn open(&self, target: &PeerAddress<'_>, _source: Source<'_>) -> io::Result<MemoryStream> {
        if self.peers.is_closed() {
            return Err(io::ErrorKind::ConnectionRefused.into());
        }
        let (stream, service) = duplex(Self::CAPACITY);
        let peer =
            MemoryPeer { host: target.host.to_owned(), port: target.port, certificates: Vec::new(), stream: service };
        Ok(MemoryStream { stream, peer: Some(peer) })
    }

    async fn secure(
        &self,
        mut link: Link<MemoryStream>,
        _target: &PeerAddress<'_>,
        config: Arc<rustls::ClientConfig>,
    ) -> io::Result<Link<MemoryStream>> {
        // As a handshake of TLS 1.3 would take.
        link.round_trip().await;
        if let Some(mut peer) = link.transport_mut().and_then(|transport| transport.peer.take()) {
            peer.certificates = certificates(&config);
            self.peers.send(peer).map_err(|_| io::ErrorKind::ConnectionReset)?;
        }
        Ok(link)
    }
}

/// The chain with which a client of that configuration answers a server that asks for one.
fn certificates(config: &rustls::ClientConfig) -> Vec<Vec<u8>> {
    let schemes = config.crypto_provider().signature_verification_algorithms.supported_schemes();
    let identity = config.client_auth_cert_resolver.resolve(&[], &schemes);
    identity.map(|identity| identity.cert.iter().map(|der| der.to_vec()).collect()).unwrap_or_default()
}

impl AsyncRead for MemoryStream {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for MemoryStream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
