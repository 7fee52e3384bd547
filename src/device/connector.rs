use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

/// Where to connect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Target<'a> {
    /// Name in SNI and in the server's certificate.
    pub host: &'a str,
    /// Port at the resolved address.
    pub port: u16,
    /// Address and port to use instead of resolving `host`.
    pub address: Option<SocketAddr>,
}

/// Makes the byte stream of a connection, in the two steps that are timed apart.
pub trait Connector {
    /// The connection before TLS.
    type Transport;
    /// The connection that carries MQTT.
    type Stream: AsyncRead + AsyncWrite + Unpin;

    /// Connects (phases `tcp`, `hub_tcp`).
    fn open(&self, target: &Target<'_>) -> impl Future<Output = io::Result<Self::Transport>>;

    /// Authenticates and encrypts (phases `tls`, `hub_tls`).
    fn secure(
        &self,
        transport: Self::Transport,
        target: &Target<'_>,
        config: Arc<rustls::ClientConfig>,
    ) -> impl Future<Output = io::Result<Self::Stream>>;
}

/// TCP with `TCP_NODELAY`, then TLS by rustls.
#[derive(Debug, Default)]
pub struct TcpConnector {}

impl TcpConnector {
    /// Resolves each host once.
    pub fn new() -> Self {
        Self::default()
    }
}

impl Connector for TcpConnector {
    type Transport = TcpStream;
    type Stream = TlsStream<TcpStream>;

    async fn open(&self, _target: &Target<'_>) -> io::Result<TcpStream> {
        todo!()
    }

    async fn secure(
        &self,
        _transport: TcpStream,
        _target: &Target<'_>,
        _config: Arc<rustls::ClientConfig>,
    ) -> io::Result<Self::Stream> {
        todo!()
    }
}
