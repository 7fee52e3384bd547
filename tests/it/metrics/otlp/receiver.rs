use std::io::{self, Read as _};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::serve::Listener;
use fleetstorm::pki::issuing_ca::RootCa;
use fleetstorm::pki::tls::{TlsVersions, server_config};
use hyper::header::{CONTENT_TYPE, HeaderMap};
use opentelemetry_proto::tonic::collector::metrics::v1::{ExportMetricsServiceRequest, ExportMetricsServiceResponse};
use prost::Message as _;
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

/// What a receiver does with the push of a number, counted from 0.
type Answer = fn(usize) -> Response;

/// Head and body.
pub(super) type Push = (HeaderMap, Bytes);

type Pushes = Arc<Mutex<Vec<Push>>>;

/// Takes pushes on a port of loopback until the test ends.
pub(super) struct Receiver {
    address: SocketAddr,
    pushes: Pushes,
    _runtime: Runtime,
}

impl Receiver {
    pub(super) fn start(answer: Answer) -> Self {
        Self::run(Duration::ZERO, answer, |listener| listener)
    }

    /// Never answers while a test lasts.
    pub(super) fn hanging() -> Self {
        Self::run(Duration::from_secs(600), taken, |listener| listener)
    }

    /// Speaks TLS, with a certificate of `root` for `localhost`.
    pub(super) fn with_tls(root: &RootCa) -> Self {
        let (certificate, key) = root.server_certificate(&["localhost".to_owned()], SystemTime::now()).unwrap();
        let acceptor = TlsAcceptor::from(server_config(certificate, key, TlsVersions::Any).unwrap());
        Self::run(Duration::ZERO, taken, |listener| Tls { listener, acceptor })
    }

    fn run<L: Listener>(delay: Duration, answer: Answer, wrap: impl FnOnce(TcpListener) -> L) -> Self
    where
        L::Addr: std::fmt::Debug,
    {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let pushes = Pushes::default();
        let take = move |State(pushes): State<Pushes>, head: HeaderMap, body: Bytes| async move {
            let number = {
                let mut pushes = pushes.lock().unwrap();
                pushes.push((head, body));
                pushes.len() - 1
            };
            tokio::time::sleep(delay).await;
            answer(number)
        };
        let routes = Router::new().route("/base/v1/metrics", post(take)).with_state(Arc::clone(&pushes));
        let listener = runtime.block_on(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))).unwrap();
        let address = listener.local_addr().unwrap();
        let listener = wrap(listener);
        runtime.spawn(async move { axum::serve(listener, routes).await });
        Self { address, pushes, _runtime: runtime }
    }

    pub(super) fn port(&self) -> u16 {
        self.address.port()
    }

    /// The URL that `--otlp` is given.
    pub(super) fn base(&self) -> String {
        format!("http://{}/base", self.address)
    }

    pub(super) fn pushes(&self) -> Vec<Push> {
        self.pushes.lock().unwrap().clone()
    }

    /// What the last push told.
    pub(super) fn last(&self) -> ExportMetricsServiceRequest {
        decoded(self.pushes().last().expect("a push"))
    }
}

struct Tls {
    listener: TcpListener,
    acceptor: TlsAcceptor,
}

impl Listener for Tls {
    type Io = TlsStream<TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, SocketAddr) {
        loop {
            let (stream, peer) = Listener::accept(&mut self.listener).await;
            // Who does not trust us goes away.
            if let Ok(stream) = self.acceptor.accept(stream).await {
                return (stream, peer);
            }
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

/// What a push told, unpacked.
pub(super) fn decoded((head, body): &Push) -> ExportMetricsServiceRequest {
    let mut plain = Vec::new();
    let body = match head.get("content-encoding") {
        Some(_) => {
            flate2::read::GzDecoder::new(&**body).read_to_end(&mut plain).unwrap();
            &plain[..]
        }
        None => body,
    };
    ExportMetricsServiceRequest::decode(body).unwrap()
}

/// The answer to a push that was taken.
pub(super) fn taken(_: usize) -> Response {
    let body = ExportMetricsServiceResponse::default().encode_to_vec();
    ([(CONTENT_TYPE, "application/x-protobuf")], body).into_response()
}
