use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::net::TcpStream;
use tokio::time::sleep;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::config::{Config, ConfigError, Listen};
use super::core::Core;
use super::counters::{Counters, Event};
use super::https;
use super::listening::address::Address;
use super::listening::listeners::{Addresses, ListenError, Listeners, TakenPort};
use super::listening::port::Port;
use super::management::Management;
use super::service::{Service, StartError};
use super::session;
use super::state::StateError;
use super::transport::conversation::End;
use super::transport::handshake::{Newcomer, shake_hands};
use super::transport::room::{Room, Taken};
use super::transport::watched::Watched;
use crate::pki::tls::{TlsVersions, resumable, server_config};

/// The emulator with its listeners, ready to run.
#[derive(Debug)]
pub struct Emulator {
    service: Service,
    mqtt: Listeners,
    https: Option<Listeners>,
    management: Option<(Listeners, Management)>,
    tls: Tls,
    endpoints: Endpoints,
}

/// Where the emulator is and what devices must trust.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoints {
    /// MQTT over TLS, for DPS and hub.
    pub mqtt: SocketAddr,
    /// HTTPS and MQTT over WebSocket.
    pub https: Option<SocketAddr>,
    /// Control plane.
    pub management: Option<SocketAddr>,
    /// These ports at ::1, for clients that try ::1 first when they are told `localhost`.
    pub ipv6: Ipv6Endpoints,
    /// DER of the root of the TLS server certificate.
    pub server_root: Vec<u8>,
}

/// The ports of an emulator at ::1, where it listens there besides 127.0.0.1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Ipv6Endpoints {
    /// MQTT over TLS.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mqtt: Option<SocketAddr>,
    /// HTTPS and MQTT over WebSocket.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub https: Option<SocketAddr>,
    /// Control plane.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub management: Option<SocketAddr>,
}

impl Emulator {
    /// Connections to the control plane that are served at once, apart from those of devices.
    const MANAGEMENT_CONNECTIONS: usize = 64;
    /// So long may a peer without the token keep the control plane waiting in all before its place may go to another one. A
    /// client sends its request as soon as it is connected.
    const MANAGEMENT_PATIENCE: Duration = Duration::from_millis(100);

    /// Makes authorities and keys and listens; nothing is served before [`Self::run`].
    ///
    /// # Errors
    /// See [`StartError`]; a port in use is [`StartError::Listen`].
    pub async fn bind(config: Config) -> Result<Self, StartError> {
        config.check().map_err(ConfigError::from)?;
        // Before anything is made: the most likely reason to end.
        let Listen { address, mqtt_port, https_port, management_port, management_address, .. } = config.listen;
        let mqtt = listen(address, mqtt_port)?;
        let https = https_port.and_then(Port::number);
        let https = https.map(|port| listen(address, port)).transpose()?;
        let management = management_port.and_then(Port::number);
        let management = management.map(|port| listen(management_address, port)).transpose()?;
        let service = Service::new(config)?;
        let core = service.core();
        let now = core.clock.now();
        let root = core.server_root()?;
        let (certificate, key) = root.server_certificate(&server_names(&core.config), now)?;
        let config = server_config(certificate, key, TlsVersions::default())?;
        let config = if core.config.listen.tls_resumption { resumable(&config)? } else { config };
        // No device shall trust an authority that a crash would take away.
        if !core.durable().await {
            let reason = service.state_failure().unwrap_or_else(|| "the disk is too slow".to_owned());
            return Err(StateError::Write(reason).into());
        }
        let (mqtt, mqtt_at) = mqtt;
        let (https, https_at) = https.unzip();
        let (management, management_at) = management.unzip();
        let management = management.map(|listeners| (listeners, Management::new(&service, root.der())));
        let endpoints = Endpoints {
            mqtt: mqtt_at.first,
            https: https_at.map(|at| at.first),
            management: management_at.map(|at| at.first),
            ipv6: Ipv6Endpoints {
                mqtt: mqtt_at.ipv6,
                https: https_at.and_then(|at| at.ipv6),
                management: management_at.and_then(|at| at.ipv6),
            },
            server_root: root.der().to_vec(),
        };
        Ok(Self { service, mqtt, https, management, tls: Tls(TlsAcceptor::from(config)), endpoints })
    }

    /// Where it is.
    pub const fn endpoints(&self) -> &Endpoints {
        &self.endpoints
    }

    /// What opens the control plane, if there is one. The caller keeps it secret.
    pub fn management_token(&self) -> Option<&str> {
        self.management.as_ref().map(|(_, management)| management.token())
    }

    /// What it serves.
    pub const fn service(&self) -> &Service {
        &self.service
    }

    /// Serves until `shutdown`; connections are cut then. Tells what happened.
    pub async fn run(self, shutdown: CancellationToken) -> Counters {
        let Self { service, mqtt, https, management, tls, endpoints: _ } = self;
        let core = service.core();
        let connections = TaskTracker::new();
        let listen = &core.config.listen;
        let room = Room::new(&core.faults, &core.tally, listen.max_connections, listen.patience());
        let serve = |carrier: Carrier| {
            let (tls, shutdown, connections) = (&tls, &shutdown, &connections);
            move |tcp: TcpStream, taken: Taken| {
                let (core, tls, shutdown) = (Arc::clone(core), tls.0.clone(), shutdown.clone());
                // Answers are small and awaited: waiting for more of them would only delay. A socket that refuses is served anyway.
                let _ = tcp.set_nodelay(true);
                let newcomer = Newcomer { stream: tcp, place: taken.place(), ticket: core.turns.ticket() };
                connections.spawn(async move {
                    keep(&taken, &shutdown, connection(core, tls, newcomer, carrier)).await;
                });
            }
        };
        let serving = async {
            tokio::join!(
                accept(core, &mqtt, &room, serve(Carrier::Mqtt)),
                async {
                    if let Some(https) = &https {
                        accept(core, https, &room, serve(Carrier::Https)).await;
                    }
                },
                service.tend(),
                async {
                    if let Some((listeners, management)) = &management {
                        let room = Room::new(
                            &core.faults,
                            &core.tally,
                            Self::MANAGEMENT_CONNECTIONS,
                            Self::MANAGEMENT_PATIENCE,
                        );
                        let serve = |tcp, taken: Taken| {
                            let (management, shutdown, place) = (management.clone(), shutdown.clone(), taken.place());
                            connections.spawn(async move {
                                let stream = Watched::new(tcp, place.clone());
                                keep(&taken, &shutdown, management.serve(stream, place)).await;
                            });
                        };
                        accept(core, listeners, &room, serve).await;
                    }
                },
            )
        };
        shutdown.run_until_cancelled(serving).await;
        connections.close();
        connections.wait().await;
        // When it cannot be written, `Service::state_failure` says why.
        let _ = core.record_clock();
        core.durable().await;
        service.counters()
    }
}

/// Accepts connections for ever, as many at once as there are places; the others wait in the kernel's queue, but for one.
async fn accept(core: &Core, listeners: &Listeners, room: &Arc<Room>, serve: impl Fn(TcpStream, Taken)) {
    loop {
        match listeners.accept().await {
            Ok((tcp, _)) => {
                let taken = room.enter().await;
                core.tally.count(Event::Accepted);
                serve(tcp, taken);
            }
            // Out of file descriptors, or a connection that was gone at once: others may end meanwhile.
            Err(_) => {
                room.make_room();
                sleep(Duration::from_millis(50)).await;
            }
        }
    }
}

/// Serves a connection until it ends, or all do, or its place is needed.
async fn keep(taken: &Taken, shutdown: &CancellationToken, serving: impl Future<Output = ()>) {
    tokio::select! {
        biased;
        () = shutdown.cancelled() => {}
        () = taken.is_needed() => {}
        () = serving => {}
    }
}

/// What a listener's connections speak inside TLS.
#[derive(Debug, Clone, Copy)]
enum Carrier {
    Mqtt,
    Https,
}

/// A connection whose TLS handshake is done, being served.
enum Serving {
    Mqtt(Pin<Box<dyn Future<Output = End> + Send>>),
    Https(Pin<Box<dyn Future<Output = ()> + Send>>),
}

/// TLS handshake, then what is inside. The handshake's memory is given back before the session begins.
async fn connection(core: Arc<Core>, tls: TlsAcceptor, newcomer: Newcomer<TcpStream>, carrier: Carrier) {
    match Box::pin(open(core, tls, newcomer, carrier)).await {
        Some(Serving::Mqtt(serving)) => {
            serving.await;
        }
        Some(Serving::Https(serving)) => serving.await,
        None => {}
    }
}

async fn open(core: Arc<Core>, tls: TlsAcceptor, newcomer: Newcomer<TcpStream>, carrier: Carrier) -> Option<Serving> {
    let place = newcomer.place.clone();
    let stream = shake_hands(&tls, newcomer, core.config.listen.handshake_timeout(), &core.faults, &core.tally).await?;
    let peer = stream.get_ref().1.peer_certificates();
    let peer = peer.map(|chain| chain.iter().map(|c| c.clone().into_owned()).collect()).unwrap_or_default();
    Some(match carrier {
        Carrier::Mqtt => Serving::Mqtt(Box::pin(session::serve(core, stream, peer, place))),
        Carrier::Https => Serving::Https(Box::pin(https::serve(core, stream, peer, place))),
    })
}

/// Listens, and tells where, with the port that was free.
fn listen(address: Address, port: u16) -> Result<(Listeners, Addresses), ListenError> {
    let taken = TakenPort::new(address, port)?;
    let addresses = taken.addresses();
    Ok((taken.open()?, addresses))
}

/// Names that served every official SDK, and the configured ones.
fn server_names(config: &Config) -> Vec<String> {
    let usual = [
        "localhost",
        "*.localhost",
        "global.azure-devices-provisioning.net",
        "*.azure-devices-provisioning.net",
        "*.azure-devices.net",
        "127.0.0.1",
        "::1",
    ];
    let mut names: Vec<String> = usual.map(str::to_owned).into();
    // `localhost` is among the usual ones.
    for name in [config.dps_host.clone(), config.hub_host.clone(), config.listen.address.to_string()] {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    names
}

struct Tls(TlsAcceptor);

/// The configuration holds a private key.
impl std::fmt::Debug for Tls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Tls(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_server_certificate_has_the_names_that_devices_use_each_once() {
        let mut config = Config::default();
        (config.dps_host, config.hub_host) = ("dps.example".to_owned(), "hub.example".to_owned());
        let mut names = server_names(&config);
        for name in ["localhost", "*.azure-devices.net", "127.0.0.1", "::1", "dps.example", "hub.example"] {
            assert!(names.iter().any(|n| n == name), "{name}: {names:?}");
        }
        let count = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), count, "{names:?}");
    }
}
