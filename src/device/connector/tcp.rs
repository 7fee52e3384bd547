use std::collections::HashMap;
use std::io::{self, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::sync::{Arc, Mutex, PoisonError};

use rustls_pki_types::ServerName;
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpSocket, TcpStream, lookup_host};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::{Confirmed, Connector, PeerAddress};
use crate::device::{Link, Source};

/// Most hosts whose addresses are remembered. A fleet has a few hubs; a service that names others without end gains nothing.
const MOST_HOSTS: usize = 1_024;

/// TCP with `TCP_NODELAY`, then TLS by rustls. Resolves each host once: a storm measures the service, not the resolver.
///
/// It connects to this machine, and to whom was confirmed; every other connection fails with [`super::NotConfirmed`] before anything is
/// sent, whoever named the host.
#[derive(Debug, Default)]
pub struct TcpConnector {
    confirmed: Confirmed,
    resolved: Mutex<HashMap<String, Arc<[SocketAddr]>>>,
}

impl TcpConnector {
    /// To this machine alone.
    pub fn new() -> Self {
        Self::default()
    }

    /// To this machine and to whom was confirmed.
    pub fn to(confirmed: Confirmed) -> Self {
        Self { confirmed, ..Self::default() }
    }

    fn check(&self, target: &PeerAddress<'_>, address: SocketAddr) -> io::Result<()> {
        self.confirmed.check(target.host, address.ip()).map_err(io::Error::other)
    }

    async fn addresses(&self, target: &PeerAddress<'_>) -> io::Result<Arc<[SocketAddr]>> {
        let known = self.resolved.lock().unwrap_or_else(PoisonError::into_inner).get(target.host).cloned();
        if let Some(known) = known {
            return Ok(known);
        }
        let found: Arc<[SocketAddr]> = lookup_host((target.host, target.port)).await?.collect();
        let mut resolved = self.resolved.lock().unwrap_or_else(PoisonError::into_inner);
        if resolved.len() >= MOST_HOSTS && !resolved.contains_key(target.host) {
            return Ok(found);
        }
        Ok(resolved.entry(target.host.to_owned()).or_insert(found).clone())
    }
}

impl Connector for TcpConnector {
    type Transport = TcpStream;
    /// Boxed: an attempt hands it on several times, and a thousand bytes at every place would be kept for each.
    type Stream = Box<TlsStream<Link<TcpStream>>>;

    async fn open(&self, target: &PeerAddress<'_>, source: Source<'_>) -> io::Result<TcpStream> {
        let stream = match target.address {
            Some(address) => {
                self.check(target, address)?;
                connect(address, source).await?
            }
            None => {
                let mut connected = Err(io::Error::new(io::ErrorKind::NotFound, "the host has no address"));
                for address in &*self.addresses(target).await? {
                    self.check(target, *address)?;
                    connected = connect(SocketAddr::new(address.ip(), target.port), source).await;
                    if connected.is_ok() {
                        break;
                    }
                }
                connected?
            }
        };
        stream.set_nodelay(true)?;
        Ok(stream)
    }

    async fn secure(
        &self,
        link: Link<TcpStream>,
        target: &PeerAddress<'_>,
        config: Arc<rustls::ClientConfig>,
    ) -> io::Result<Self::Stream> {
        let name = ServerName::try_from(target.host)
            .map_err(|_| io::Error::new(io::ErrorKind::InvalidInput, "the host is no valid name for TLS"))?;
        TlsConnector::from(config).connect(name.to_owned(), link).await.map(Box::new)
    }

    /// The last record and close_notify leave together.
    async fn finish(&self, stream: &mut Self::Stream, last: &[u8]) -> io::Result<()> {
        stream.get_mut().1.writer().write_all(last)?;
        stream.shutdown().await
    }
}

async fn connect(address: SocketAddr, source: Source<'_>) -> io::Result<TcpStream> {
    let Some(local) = source.towards(address.ip())? else {
        return TcpStream::connect(address).await.map_err(|error| match error.kind() {
            io::ErrorKind::AddrNotAvailable if !has_way_to(address) => io::ErrorKind::NetworkUnreachable.into(),
            _ => error,
        });
    };
    let socket = if local.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    choose_port_late(&socket)?;
    socket.bind(SocketAddr::new(local, 0)).map_err(|error| match error.kind() {
        io::ErrorKind::AddrNotAvailable => {
            let message = "a source address is not one of this machine: correct the list of source addresses";
            io::Error::new(io::ErrorKind::InvalidInput, message)
        }
        _ => error,
    })?;
    socket.connect(address).await
}

/// Whether this machine has an address to reach that one from. Without one the error is that of ports which have run out. UDP has
/// ports of its own, and to connect it sends nothing.
fn has_way_to(address: SocketAddr) -> bool {
    let any: IpAddr = if address.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    let probe = UdpSocket::bind((any, 0)).and_then(|socket| socket.connect(address));
    probe.err().is_none_or(|error| error.kind() != io::ErrorKind::AddrNotAvailable)
}

/// Lets the port be chosen when the destination is known (`IP_BIND_ADDRESS_NO_PORT`, ip(7)): the same one serves once for
/// each, instead of once for all.
#[cfg(target_os = "linux")]
fn choose_port_late(socket: &TcpSocket) -> io::Result<()> {
    use nix::sys::socket::{setsockopt, sockopt::IpBindAddressNoPort};
    Ok(setsockopt(socket, IpBindAddressNoPort, &true)?)
}

/// Elsewhere ports are chosen when the address is bound, and are bounded for all destinations together.
#[cfg(not(target_os = "linux"))]
fn choose_port_late(_socket: &TcpSocket) -> io::Result<()> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn hosts_that_a_service_invents_are_not_all_remembered() {
        let connector = TcpConnector::new();
        for index in 0..MOST_HOSTS + 10 {
            let host = format!("127.9.{}.{}", index / 256, index % 256);
            let target = PeerAddress { host: &host, port: 1, address: None };
            let found = connector.addresses(&target).await.unwrap();
            assert_eq!(found[0].ip().to_string(), host);
        }
        assert_eq!(connector.resolved.lock().unwrap().len(), MOST_HOSTS);
    }
}
