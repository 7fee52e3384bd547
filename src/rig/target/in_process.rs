use std::sync::Arc;
use std::time::SystemTime;

use rustls_pki_types::CertificateDer;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::device::{MemoryConnector, MemoryPeer, ScaledClock};
use crate::domain::{IdScope, TimeScale, Transport};
use crate::emulator::{ConfigError, Service, StartError};
use crate::model::later;
use crate::rig::target::{Access, EmulatorConfig};

/// The emulator in this process, over connections in memory, without TLS.
#[derive(Debug)]
pub(in crate::rig) struct InProcess {
    pub(in crate::rig) service: Service,
    pub(in crate::rig) connector: Arc<MemoryConnector>,
    /// In virtual time: what all clocks showed at a moment of the runtime's.
    start: Option<(SystemTime, Instant)>,
    /// Ends with it.
    _tasks: JoinSet<()>,
}

impl InProcess {
    /// In virtual time when there is a `start`, which all clocks show now. Must be inside a runtime.
    pub(super) fn start(config: &EmulatorConfig, start: Option<SystemTime>) -> Result<Self, StartError> {
        let mut config = config.checked().clone();
        config.virtual_time = start;
        // What takes time on a thread takes none in virtual time.
        config.adr.issue_inline = start.is_some();
        let service = Service::new(config)?;
        let start = start.map(|start| (start, Instant::now()));
        let (connector, peers) = MemoryConnector::new();
        let mut tasks = JoinSet::new();
        let tended = service.clone();
        tasks.spawn(async move { tended.tend().await });
        tasks.spawn(serve(service.clone(), peers));
        Ok(Self { service, connector: Arc::new(connector), start, _tasks: tasks })
    }

    /// What its devices need to know of it.
    pub(super) fn access(&self, config: &EmulatorConfig) -> Result<Access, StartError> {
        let id_scope = IdScope::new(&config.checked().id_scope).map_err(ConfigError::IdScope)?;
        Access::in_memory(&self.service, id_scope).map_err(StartError::Authority)
    }

    pub(in crate::rig) const fn is_virtual(&self) -> bool {
        self.start.is_some()
    }

    /// A clock for the devices of a run, which shows what the emulator's does without time scale.
    pub(in crate::rig) fn clock(&self, scale: TimeScale) -> ScaledClock {
        match self.start {
            Some((start, since)) => ScaledClock::starting_at(scale, later(start, since.elapsed())),
            None => ScaledClock::new(scale),
        }
    }
}

/// Serves connections by the port that the device wants.
async fn serve(service: Service, mut peers: UnboundedReceiver<MemoryPeer>) {
    while let Some(MemoryPeer { port, certificates, stream, .. }) = peers.recv().await {
        let service = service.clone();
        let certificates = certificates.into_iter().map(CertificateDer::from).collect();
        tokio::spawn(async move {
            if port == Transport::Mqtt.port() {
                service.serve_connection(stream, certificates).await;
            } else {
                service.serve_https(stream, certificates).await;
            }
        });
    }
}
