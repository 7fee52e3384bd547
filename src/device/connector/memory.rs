use std::io;
use std::sync::Arc;

use tokio::io::{DuplexStream, duplex};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use super::{Connector, Target};

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
    /// The bytes.
    pub stream: DuplexStream,
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
    type Transport = DuplexStream;
    type Stream = DuplexStream;

    async fn open(&self, target: &Target<'_>) -> io::Result<DuplexStream> {
        let (device, stream) = duplex(Self::CAPACITY);
        self.peers
            .send(MemoryPeer { host: target.host.to_owned(), port: target.port, stream })
            .map_err(|_| io::ErrorKind::ConnectionRefused)?;
        Ok(device)
    }

    async fn secure(
        &self,
        transport: DuplexStream,
        _target: &Target<'_>,
        _config: Arc<rustls::ClientConfig>,
    ) -> io::Result<DuplexStream> {
        Ok(transport)
    }
}
