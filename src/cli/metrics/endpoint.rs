use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use hyper::header::{ACCEPT, CONTENT_TYPE, HeaderValue};
use hyper::{HeaderMap, StatusCode};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::cli::metrics::moment::Moment;
use crate::cli::metrics::{Facts, MetricsAddress, exposition};
use crate::cli::{Exit, Explained};
use crate::engine::Progress;
use crate::protocol::exposition::ExpositionFormat;

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

impl Explained for MetricsError {
    fn exit(&self) -> Exit {
        Exit::Usage
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
pub struct Bound {
    listener: TcpListener,
    address: SocketAddr,
}

impl Bound {
    /// Takes the port.
    ///
    /// # Errors
    /// It cannot be had.
    pub fn new(MetricsAddress(address): MetricsAddress) -> Result<Self, MetricsError> {
        let listener = TcpListener::bind(address).and_then(|listener| {
            listener.set_nonblocking(true)?;
            let address = listener.local_addr()?;
            Ok(Self { listener, address })
        });
        listener.map_err(|source| MetricsError { address, source })
    }

    /// Where metrics are to be had.
    pub fn url(&self) -> String {
        format!("http://{}/metrics", self.address)
    }

    /// Whether only this machine can read them.
    pub fn is_loopback(&self) -> bool {
        self.address.ip().is_loopback()
    }

    /// Answers from now on, out of the newest snapshot. Must be inside a runtime.
    ///
    /// # Errors
    /// The runtime cannot take the port over.
    pub fn serve(self, facts: Arc<Facts>, newest: watch::Receiver<Progress>) -> Result<Endpoint, MetricsError> {
        let address = self.address;
        let listener =
            tokio::net::TcpListener::from_std(self.listener).map_err(|source| MetricsError { address, source })?;
        let shared = Arc::new(Shared { facts, newest, over: AtomicBool::new(false), told: CancellationToken::new() });
        let stop = CancellationToken::new();
        let routes = Router::new().route("/metrics", get(metrics)).with_state(Arc::clone(&shared));
        let server = axum::serve(listener, routes).with_graceful_shutdown(stop.clone().cancelled_owned());
        let server = tokio::spawn(async move { server.await });
        Ok(Endpoint { shared, stop, server })
    }
}

/// Tells how a run goes to whoever asks.
#[derive(Debug)]
pub struct Endpoint {
    shared: Arc<Shared>,
    stop: CancellationToken,
    server: JoinHandle<io::Result<()>>,
}

#[derive(Debug)]
struct Shared {
    facts: Arc<Facts>,
    newest: watch::Receiver<Progress>,
    over: AtomicBool,
    /// Somebody was told how it ended.
    told: CancellationToken,
}

impl Endpoint {
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
    let Ok(text) = exposition::text(Moment::now(&shared.facts, progress, over), format) else {
        // Writing to a text fails only when a metric of ours is malformed.
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    };
    if over {
        shared.told.cancel();
    }
    ([(CONTENT_TYPE, HeaderValue::from_static(format.content_type()))], text).into_response()
}
