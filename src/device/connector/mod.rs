use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};

use crate::device::{Link, Source};

mod confirmed;
mod memory;
mod tcp;

pub use confirmed::{Confirmed, NotConfirmed};
pub use memory::{MemoryConnector, MemoryPeer, MemoryStream};
pub use tcp::TcpConnector;

/// Where to connect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PeerAddress<'a> {
    /// Name in SNI and in the server's certificate.
    pub host: &'a str,
    /// Port at the resolved address.
    pub port: u16,
    /// Address and port to use instead of resolving `host`.
    pub address: Option<SocketAddr>,
}

impl PeerAddress<'_> {
    /// Host and port as HTTP writes them, the usual port left out.
    pub(super) fn authority(&self, usual: u16) -> String {
        if self.port == usual { self.host.to_owned() } else { format!("{}:{}", self.host, self.port) }
    }
}

/// Makes the byte stream of a connection, in the two steps that are timed apart.
pub trait Connector {
    /// The connection before TLS.
    type Transport: AsyncRead + AsyncWrite + Unpin;
    /// The connection that carries MQTT.
    type Stream: AsyncRead + AsyncWrite + Unpin;

    /// Connects (phases `tcp`, `hub_tcp`).
    fn open(&self, target: &PeerAddress<'_>, source: Source<'_>) -> impl Future<Output = io::Result<Self::Transport>>;

    /// Authenticates and encrypts (phases `tls`, `hub_tls`).
    fn secure(
        &self,
        transport: Link<Self::Transport>,
        target: &PeerAddress<'_>,
        config: Arc<rustls::ClientConfig>,
    ) -> impl Future<Output = io::Result<Self::Stream>>;

    /// Sends the last bytes and closes this side, in as few writes as the stream allows.
    fn finish(&self, stream: &mut Self::Stream, last: &[u8]) -> impl Future<Output = io::Result<()>> {
        finish(stream, last)
    }
}

/// The plain way to send the last bytes and close.
pub(super) async fn finish<S: AsyncWrite + Unpin>(stream: &mut S, last: &[u8]) -> io::Result<()> {
    stream.write_all(last).await?;
    stream.shutdown().await
}
