//! The control plane, on a port of its own: enrollments, CA certificates and registrations as in the APIs of DPS,
//! policies as in that of the device registry, devices, twins and methods as in that of the hub, and what only an
//! emulator has: time travel, faults, counters, metrics. Every request needs the token, but for `/healthz`.
//!
//! Errors have the form of the DPS API everywhere.

mod answer;
mod certificates;
mod clock;
mod devices;
mod enrollments;
mod error;
mod faults;
mod observe;
mod plane;
mod policies;
mod query;
mod registrations;
mod request;
mod routes;
mod token;
mod twins;

use axum::Router;
use axum::body::Body;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::Response;
use hyper::body::Incoming;
use hyper::header::{AUTHORIZATION, HeaderName, HeaderValue, WWW_AUTHENTICATE};
use hyper::service::{Service as _, service_fn};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _};
use tokio::time::timeout;
use uuid::Uuid;

use super::registry::Journal;
use super::service::Service;
use super::transport::http::{self, BodyError};
use super::transport::room::Place;
use error::{ManagementRefusal, ManagementResult};
use plane::Plane;
use routes::{Paths, Routes};
use token::Token;

/// Largest body in bytes: ten enrollments of 96 KB, and then some.
const MAX_BODY: usize = 1024 * 1024;

/// The control plane of a service, without sockets: serves whatever byte stream it is given. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Management {
    service: Service,
    token: Token,
    router: Router,
    paths: Paths,
}

impl Management {
    /// With a new token. `server_root` is the DER of the root of the TLS server certificate.
    pub fn new(service: &Service, server_root: &[u8]) -> Self {
        let plane = Plane { service: service.clone(), server_root: server_root.into(), token: Token::random() };
        let guarded = Routes::new()
            .merge(enrollments::routes())
            .merge(registrations::routes())
            .merge(certificates::routes())
            .merge(policies::routes())
            .merge(devices::routes())
            .merge(twins::routes())
            .merge(clock::routes())
            .merge(faults::routes())
            .merge(observe::routes())
            .with(|router| {
                router
                    // Also for paths that are not there: who has no token learns nothing of them.
                    .fallback(async || ManagementRefusal::of(hyper::StatusCode::NOT_FOUND))
                    .layer(from_fn_with_state(plane.clone(), guard))
            });
        let (router, paths) = observe::health().merge(guarded).into_parts();
        let router = router
            .layer(DefaultBodyLimit::disable())
            .layer(from_fn_with_state(plane.clone(), finish))
            .with_state(plane.clone());
        Self { service: plane.service, token: plane.token, router, paths }
    }

    /// The token that every request needs, base64. The caller keeps it secret.
    pub fn token(&self) -> &str {
        self.token.text()
    }

    /// Serves HTTP on `stream` until it ends.
    pub async fn serve_connection<S: AsyncRead + AsyncWrite + Unpin>(&self, stream: S) {
        self.serve(stream, Place::default()).await;
    }

    /// Serves HTTP on `stream` until it ends or loses its place.
    pub(super) async fn serve<S: AsyncRead + AsyncWrite + Unpin>(&self, stream: S, place: Place) {
        let listen = &self.service.core().config.listen;
        let router = TowerToHyperService::new(self.router.clone());
        let requests = service_fn(|mut request: hyper::Request<Incoming>| {
            request.extensions_mut().insert(place.clone());
            *request.uri_mut() = self.paths.routed(std::mem::take(request.uri_mut()));
            router.call(request)
        });
        if let Some((mut stream, _)) = http::serve(stream, listen, &place, requests).await {
            // The peer may be gone already; there is nobody to tell.
            let _ = timeout(listen.write_timeout(), stream.shutdown()).await;
        }
    }
}

/// Lets in who has the token, and reads the whole request before anybody deals with it.
async fn guard(State(plane): State<Plane>, request: Request, next: Next) -> ManagementResult<Response> {
    let core = plane.core();
    let (head, body) = request.into_parts();
    let authorization = head.headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if !plane.token.opens(authorization, core.clock.unix_seconds()) {
        return Err(ManagementRefusal::new(401_002, "Unauthorized: send the header `Authorization: Bearer TOKEN`."));
    }
    if let Some(place) = head.extensions.get::<Place>() {
        place.prove();
    }
    let body = http::body(body, MAX_BODY, &core.config.listen).await.map_err(|error| match error {
        BodyError::TooLarge => ManagementRefusal::new(413_000, "The body exceeds 1 MB."),
        BodyError::Slow => ManagementRefusal::new(408_000, "The request did not arrive in time."),
        BodyError::Broken => ManagementRefusal::new(400_012, "The body is malformed."),
    })?;
    let reads = head.method.is_safe();
    if !reads && core.journal.as_ref().is_some_and(Journal::is_full) {
        let reason = plane.service.state_failure().unwrap_or_else(|| "the disk is too slow".to_owned());
        return Err(ManagementRefusal::new(
            503_001,
            format!("Nothing was changed, as it could not be stored: {reason}."),
        ));
    }
    let response = next.run(Request::from_parts(head, Body::from(body))).await;
    // What was changed is answered when it is on the disk.
    if !reads && !core.durable().await {
        let reason = plane.service.state_failure().unwrap_or_else(|| "the disk is too slow".to_owned());
        return Err(ManagementRefusal::new(503_001, format!("The change was made but not stored: {reason}.")));
    }
    Ok(response)
}

/// Gives every answer its id, and every refusal its body.
async fn finish(State(plane): State<Plane>, request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let status = response.status();
    if status.is_client_error() || status.is_server_error() {
        // Without one it is a refusal of the library's own: a method or a header that cannot be.
        let refusal = response.extensions_mut().remove().unwrap_or_else(|| ManagementRefusal::of(status));
        response = refusal.response(plane.core().clock.now());
        if status == hyper::StatusCode::UNAUTHORIZED {
            response.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
    }
    if let Ok(id) = HeaderValue::try_from(Uuid::new_v4().to_string()) {
        response.headers_mut().insert(HeaderName::from_static("x-ms-request-id"), id);
    }
    response
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, duplex};

    use super::*;
    use crate::emulator::config::Config;
    use crate::emulator::registry::EnrollmentKind;

    /// With paused time nobody waits for a disk that stands still.
    #[tokio::test(start_paused = true)]
    async fn a_change_that_is_not_stored_is_told_with_the_reason_and_reading_goes_on() {
        let folder = tempfile::tempdir().unwrap();
        let service = Service::new(Config { state: Some(folder.path().to_owned()), ..Config::default() }).unwrap();
        let management = Management::new(&service, b"");
        let journal = service.core().journal.clone().unwrap();
        let disk = journal.stand_still();
        let ask = async |request: &str| {
            let (mut client, stream) = duplex(64 * 1024);
            let token = management.token();
            let request = format!("{request} HTTP/1.1\r\nConnection: close\r\nAuthorization: Bearer {token}\r\n\r\n");
            client.write_all(request.as_bytes()).await.unwrap();
            management.serve_connection(stream).await;
            let mut answer = String::new();
            client.read_to_string(&mut answer).await.unwrap();
            answer
        };
        let revoke = "POST /policies/default/revoke";
        let slow = ask(revoke).await;
        assert!(slow.starts_with("HTTP/1.1 503 ") && slow.contains("not stored: the disk is too slow."), "{slow}");
        journal.fail("no space left");
        assert_eq!(service.state_failure().as_deref(), Some("no space left"));
        let failed = ask(revoke).await;
        assert!(failed.starts_with("HTTP/1.1 503 ") && failed.contains("not stored: no space left."), "{failed}");
        let read = ask("GET /policies/default").await;
        assert!(read.starts_with("HTTP/1.1 200 "), "{read}");
        drop(disk);
    }

    #[tokio::test]
    async fn while_too_much_waits_for_the_disk_the_control_plane_changes_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let service = Service::new(Config { state: Some(folder.path().to_owned()), ..Config::default() }).unwrap();
        let journal = service.core().journal.clone().unwrap();
        // What it has taken already waits no more: only then all that comes does.
        let go = journal.stand_still();
        while !journal.is_full() {
            journal.record_then(Vec::new(), || {});
        }
        let management = Management::new(&service, b"");
        let (mut client, stream) = duplex(64 * 1024);
        let head = format!("Host: h\r\nConnection: close\r\nAuthorization: Bearer {}\r\n", management.token());
        let body = r#"{"attestation":{"type":"symmetricKey"}}"#;
        let request = format!("PUT /enrollments/x HTTP/1.1\r\n{head}Content-Length: {}\r\n\r\n{body}", body.len());
        client.write_all(request.as_bytes()).await.unwrap();
        management.serve_connection(stream).await;
        let mut answer = String::new();
        client.read_to_string(&mut answer).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 503 ") && answer.contains("Nothing was changed"), "{answer}");
        assert!(service.core().registry.enrollments.get(EnrollmentKind::Individual, "x").is_none());
        go.send(()).unwrap();
    }
}
