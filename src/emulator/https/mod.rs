//! HTTPS for devices: registration at DPS ([`dps`]), telemetry and messages of the hub ([`hub`]), and the way into MQTT
//! over WebSocket. The services are those behind MQTT; here are only their HTTP forms.

mod batch;
mod dps;
mod hub;
mod hub_error;
mod properties;
mod route;
mod websocket;

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use hyper::body::Incoming;
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HeaderName, HeaderValue};
use hyper::service::service_fn;
use hyper::{HeaderMap, Request, StatusCode};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _};
use tokio::time::Instant;
use uuid::Uuid;

use super::config::HubOutageEffect;
use super::core::Core;
use super::counters::Event;
use super::dps::DpsRefusal;
use super::transport::conversation::PeerChain;
use super::transport::http::{self, Response};
use super::transport::room::Place;
use route::Route;

/// Id of a request, for the operators of the service.
const REQUEST_ID: HeaderName = HeaderName::from_static("x-ms-request-id");

/// A fault: the connection is closed without an answer.
#[derive(Debug, thiserror::Error)]
#[error("the hub is away")]
struct Dropped;

/// A connection of a device.
struct Client {
    core: Arc<Core>,
    peer: PeerChain,
    place: Place,
    /// The last request made it a WebSocket.
    upgraded: AtomicBool,
}

/// Serves one connection until it ends. `peer` are the certificates of mutual TLS.
pub(super) async fn serve<S>(core: Arc<Core>, stream: S, peer: PeerChain, place: Place)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let client = Client { core: Arc::clone(&core), peer, place, upgraded: AtomicBool::new(false) };
    let requests = service_fn(|request| client.answer(request));
    let Some((mut stream, read)) = Box::pin(http::serve(stream, &core.config.listen, &client.place, requests)).await
    else {
        return;
    };
    let Client { peer, place, upgraded, .. } = client;
    if upgraded.into_inner() {
        websocket::serve(&core, stream, read, peer, place).await;
    } else {
        // The peer may be gone already; there is nobody to tell.
        let _ = core.faults.pause.timeout(core.config.listen.write_timeout(), pin!(stream.shutdown())).await;
    }
}

impl Client {
    /// The answer, unless the connection is to be closed without one.
    async fn answer(&self, request: Request<Incoming>) -> Result<Response, Dropped> {
        if websocket::is_endpoint(request.uri()) {
            return Ok(self.upgrade(&request));
        }
        self.core.tally.count(Event::HttpRequest);
        Ok(match Route::parse(request.uri()) {
            Some(Route::Dps { scope, id, of }) => dps::answer(self, request, &scope, &id, of).await,
            Some(Route::Hub { device, of }) => match self.core.faults.hub_outage(Instant::now()) {
                None => hub::answer(self, request, &device, of).await,
                Some(effect) => self.hub_is_away(effect)?,
            },
            None => dps::refuse(&self.core, DpsRefusal::NoSuchResource),
        })
    }

    fn hub_is_away(&self, effect: HubOutageEffect) -> Result<Response, Dropped> {
        self.core.tally.count(Event::FaultHubOutage);
        self.core.tally.count(Event::HubRefused);
        match effect {
            HubOutageEffect::Refuse => Ok(hub_error::HubRefusal::Unavailable.response(&self.core)),
            HubOutageEffect::Drop => Err(Dropped),
        }
    }

    fn upgrade(&self, request: &Request<Incoming>) -> Response {
        match websocket::accept(request) {
            Ok(response) => {
                self.upgraded.store(true, Ordering::Relaxed);
                response
            }
            Err(problem) => {
                self.core.tally.count(Event::ProtocolViolation);
                with_body(StatusCode::BAD_REQUEST, "text/plain; charset=utf-8", problem)
            }
        }
    }
}

/// The `Authorization` header; empty when there is none, as an MQTT password is.
fn authorization(headers: &HeaderMap) -> &str {
    // What is not text is not a token: let it be found malformed.
    headers.get(AUTHORIZATION).map_or("", |value| value.to_str().unwrap_or("?"))
}

/// An answer with what every answer of the services has.
fn with_body(status: StatusCode, content_type: &'static str, body: impl Into<bytes::Bytes>) -> Response {
    let mut response = empty(status);
    *response.body_mut() = body.into().into();
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}

/// An answer without a body.
fn empty(status: StatusCode) -> Response {
    let mut response = Response::default();
    *response.status_mut() = status;
    if let Ok(id) = HeaderValue::try_from(Uuid::new_v4().to_string()) {
        response.headers_mut().insert(REQUEST_ID, id);
    }
    response
}

const JSON: &str = "application/json; charset=utf-8";
