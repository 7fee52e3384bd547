use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::serve::Listener;
use hyper::header::{ACCEPT, CONTENT_TYPE, HeaderValue};
use hyper::{HeaderMap, StatusCode};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use crate::emulator::{Address, ListenError, Listeners, TakenPort};
use crate::engine::Progress;
use crate::protocol::exposition::ExpositionFormat;
use crate::rig::metrics::moment::RunMoment;
use crate::rig::metrics::{RunFacts, exposition};

/// How long to wait after a connection that could not be accepted.
const RETRY: Duration = Duration::from_millis(50);

/// How long the last answers may take.
const GRACE: Duration = Duration::from_secs(2);

/// The endpoint cannot be had.
#[derive(Debug, thiserror::Error, miette::Diagnostic)]
#[error("--metrics {address} cannot be listened on: {source}")]
#[diagnostic(help("{}", remedy(source)))]
pub struct MetricsError {
    address: SocketAddr,
    source: io::Error,
}

impl From<ListenError> for MetricsError {
    fn from(ListenError { address, source }: ListenError) -> Self {
        Self { address, source }
    }
}

fn remedy(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::AddrInUse => "another process listens there, perhaps another run: give --metrics another port",
        io::ErrorKind::AddrNotAvailable => "name an address of this machine, as `ip address` lists them",
        io::ErrorKind::PermissionDenied => "ports below 1024 are for root: give --metrics another port",
        _ => "give --metrics another port or address",
    }
}

/// A port on which nobody answers yet: taken before the run, so that a port in use is told at once.
#[derive(Debug)]
pub struct Bound(TakenPort);

impl Bound {
    /// Takes the port; 0 takes a free one.
    ///
    /// # Errors
    /// It cannot be had.
    pub fn new(address: Address, port: u16) -> Result<Self, MetricsError> {
        Ok(Self(TakenPort::new(address, port)?))
    }

    /// Where metrics are to be had.
    pub fn url(&self) -> String {
        format!("http://{}/metrics", self.0.addresses().first)
    }

    /// Whether only this machine can read them.
    pub fn is_loopback(&self) -> bool {
        self.0.addresses().first.ip().is_loopback()
    }

    /// Answers from now on, out of the newest snapshot. Must be inside a runtime.
    ///
    /// # Errors
    /// The runtime cannot take the port over.
    pub fn serve(
        self,
        facts: Arc<RunFacts>,
        newest: watch::Receiver<Progress>,
    ) -> Result<MetricsEndpoint, MetricsError> {
        let listeners = Incoming(self.0.open()?);
        let shared = Arc::new(Shared { facts, newest, over: AtomicBool::new(false), told: CancellationToken::new() });
        let stop = CancellationToken::new();
        let routes = Router::new().route("/metrics", get(metrics)).with_state(Arc::clone(&shared));
        let server = axum::serve(listeners, routes).with_graceful_shutdown(stop.clone().cancelled_owned());
        let server = tokio::spawn(async move { server.await });
        Ok(MetricsEndpoint { shared, stop, server })
    }
}

/// Connections at every address of the port.
struct Incoming(Listeners);

impl Listener for Incoming {
    type Io = TcpStream;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (TcpStream, SocketAddr) {
        loop {
            match self.0.accept().await {
                Ok(accepted) => return accepted,
                // Out of file descriptors, or a connection that was gone at once: others may end meanwhile.
                Err(_) => sleep(RETRY).await,
            }
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.0.address())
    }
}

/// Tells how a run goes to whoever asks.
#[derive(Debug)]
pub struct MetricsEndpoint {
    shared: Arc<Shared>,
    stop: CancellationToken,
    server: JoinHandle<io::Result<()>>,
}

#[derive(Debug)]
struct Shared {
    facts: Arc<RunFacts>,
    newest: watch::Receiver<Progress>,
    over: AtomicBool,
    /// Somebody was told how it ended.
    told: CancellationToken,
}

impl MetricsEndpoint {
    /// The run is over: what is told from now on is what it came to.
    pub fn over(&self) {
        self.shared.over.store(true, Ordering::Relaxed);
    }

    /// Goes on until somebody was told what the run came to, for at most `linger`; then ends. After [`Self::over`].
    pub async fn close(self, linger: Duration) {
        // Whoever never comes to ask has had the time.
        let _ = timeout(linger, self.shared.told.cancelled()).await;
        self.stop.cancel();
        let mut server = self.server;
        if timeout(GRACE, &mut server).await.is_err() {
            server.abort();
        }
    }
}

async fn metrics(State(shared): State<Arc<Shared>>, headers: HeaderMap) -> Response {
    let over = shared.over.load(Ordering::Relaxed);
    let progress = shared.newest.borrow().clone();
    let format = ExpositionFormat::negotiated(headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok()));
    let Ok(text) = exposition::text(RunMoment::now(&shared.facts, progress, over), format) else {
        // Writing to a text fails only when a metric of ours is malformed.
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    };
    if over {
        shared.told.cancel();
    }
    ([(CONTENT_TYPE, HeaderValue::from_static(format.content_type()))], text).into_response()
}
