use std::collections::HashMap;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use rustls_pki_types::ServerName;
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpStream, lookup_host};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::{Connector, Target};

/// TCP with `TCP_NODELAY`, then TLS by rustls. Resolves each host once: a storm measures the service, not the resolver.
#[derive(Debug, Default)]
pub struct TcpConnector {
    resolved: Mutex<HashMap<String, Arc<[SocketAddr]>>>,
}

impl TcpConnector {
    /// Nothing resolved yet.
    pub fn new() -> Self {
        Self::default()
    }

    async fn addresses(&self, target: &Target<'_>) -> io::Result<Arc<[SocketAddr]>> {
        let known = self.resolved.lock().unwrap_or_else(PoisonError::into_inner).get(target.host).cloned();
        if let Some(known) = known {
            return Ok(known);
        }
        let found: Arc<[SocketAddr]> = lookup_host((target.host, target.port)).await?.collect();
        let mut resolved = self.resolved.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(resolved.entry(target.host.to_owned()).or_insert(found).clone())
    }
}

impl Connector for TcpConnector {
    type Transport = TcpStream;
    /// Boxed: an attempt hands it on several times, and a thousand bytes at every place would be kept for each.
    type Stream = Box<TlsStream<TcpStream>>;

    async fn open(&self, target: &Target<'_>) -> io::Result<TcpStream> {
        let stream = match target.address {
            Some(address) => TcpStream::connect(address).await?,
            None => {
                let addresses = self.addresses(target).await?;
                let addresses: Vec<_> =
                    addresses.iter().map(|address| SocketAddr::new(address.ip(), target.port)).collect();
                TcpStream::connect(&*addresses).await?
            }
        };
        stream.set_nodelay(true)?;
        Ok(stream)
    }

    async fn secure(
        &self,
        transport: TcpStream,
        target: &Target<'_>,
        config: Arc<rustls::ClientConfig>,
    ) -> io::Result<Self::Stream> {
        let name = ServerName::try_from(target.host)
            .map_err(|_| io::Error::new(io::ErrorKind::InvalidInput, "the host is no valid name for TLS"))?;
        TlsConnector::from(config).connect(name.to_owned(), transport).await.map(Box::new)
    }

    /// The last record and close_notify leave together.
    async fn finish(&self, mut stream: Self::Stream, last: &[u8]) -> io::Result<()> {
        stream.get_mut().1.writer().write_all(last)?;
        stream.shutdown().await
    }
}
