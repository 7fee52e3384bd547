use std::error::Error;
use std::io;
use std::pin::{Pin, pin};
use std::time::{Duration, UNIX_EPOCH};

use bytes::Bytes;
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::client::conn::http1::{self, SendRequest};
use hyper::header::{
    AUTHORIZATION, CONTENT_TYPE, DATE, HOST, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER, USER_AGENT,
};
use hyper::{Method, Request};
use hyper_util::rt::TokioIo;
use secrecy::{ExposeSecret, SecretString};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{Instant, sleep_until, timeout, timeout_at};

use super::DpsConnection;
use crate::device::attempt::{AttemptContext, Leg};
use crate::device::failures::{broke, from_io};
use crate::device::{Connector, Prepared};
use crate::domain::{Failure, FailureClass, Transport, percent_encode};
use crate::protocol::mqtt::DPS_PACKET_LIMIT;
use crate::protocol::registration_flow::{self, Answer, Assignment, RegistrationFlow, RegistrationStep};
use crate::protocol::retry_after;

/// An HTTP/1.1 connection to DPS.
pub(in crate::device) struct HttpsConnection<S: AsyncRead + AsyncWrite + Unpin> {
    sender: SendRequest<Full<Bytes>>,
    /// Does the work; `None` once the peer has closed.
    work: Option<Pin<Box<Work<S>>>>,
    /// What the peer did behind its last answer that it must not.
    breach: Option<Failure>,
}

type Work<S> = http1::Connection<TokioIo<S>, Full<Bytes>>;

/// What the requests of one registration say of the device.
struct Claim<'a> {
    prepared: &'a Prepared,
    /// With symmetric-key attestation.
    token: Option<SecretString>,
}

struct Reply {
    status: u16,
    retry_after: Option<u32>,
    body: Bytes,
}

impl<C: Connector> AttemptContext<'_, C> {
    pub(super) async fn register_https(
        &mut self,
        prepared: &Prepared,
    ) -> Result<(Assignment, DpsConnection<C::Stream>), Failure> {
        let claim = Claim { prepared, token: self.sign_token(prepared) };
        let mut connection = self.connect_https(prepared).await?;
        let limits = self.limits();
        let id = prepared.registration_id().as_str();
        let mut core = RegistrationFlow::new(id, self.settings.policy, limits, prepared.draws_seed());
        let result = self.converse_https(&mut core, &mut connection, &claim).await;
        self.facts = self.facts.and(core.facts());
        match result {
            Ok(assignment) => Ok((assignment, DpsConnection::Https(Box::new(connection)))),
            Err(failure) => {
                connection.close().await;
                Err(failure)
            }
        }
    }

    async fn converse_https(
        &mut self,
        core: &mut RegistrationFlow,
        connection: &mut HttpsConnection<C::Stream>,
        claim: &Claim<'_>,
    ) -> Result<Assignment, Failure> {
        let start = Instant::now();
        let mut step = core.begin(Duration::ZERO);
        loop {
            // A wait beyond the clock's range is cut by the attempt's time limit.
            let until = start.checked_add(core.wake_at()).unwrap_or(start + self.settings.timeouts.attempt);
            self.end.tells(core.phase(), &self.facts.and(core.facts()));
            self.end.did(core.take_late());
            step = match step {
                RegistrationStep::Send => match self.request(core, connection, claim, until).await {
                    Some(Ok(Reply { status, retry_after, body })) => {
                        core.answer(Answer { status, retry_after, body: &body }, start.elapsed())
                    }
                    Some(Err(failure)) => core.fail(failure, start.elapsed()),
                    None => core.wake(start.elapsed()),
                },
                RegistrationStep::Pause => match connection.idle(until).await {
                    Ok(()) => core.wake(start.elapsed()),
                    Err(failure) => core.fail(failure, start.elapsed()),
                },
                RegistrationStep::Done(assignment) => return Ok(assignment),
                RegistrationStep::Failed(failure) => return Err(failure),
            }
        }
    }

    /// Sends a request, over a new connection when the old one was closed meanwhile; `None` when no answer came in time.
    async fn request(
        &mut self,
        core: &RegistrationFlow,
        connection: &mut HttpsConnection<C::Stream>,
        claim: &Claim<'_>,
        until: Instant,
    ) -> Option<Result<Reply, Failure>> {
        if !connection.is_open() {
            match self.connect_https(claim.prepared).await {
                Ok(fresh) => *connection = fresh,
                Err(failure) => return Some(Err(failure)),
            }
        }
        let request = match self.http_request(core.request(), claim) {
            Ok(request) => request,
            Err(error) => {
                let message = format!("cannot write the HTTP request: {error}");
                return Some(Err(Failure::new(FailureClass::Configuration, message)));
            }
        };
        let now = self.settings.clock.now().duration_since(UNIX_EPOCH).unwrap_or_default();
        timeout_at(until, connection.exchange(request, now)).await.ok()
    }

    async fn connect_https(&mut self, prepared: &Prepared) -> Result<HttpsConnection<C::Stream>, Failure> {
        let settings = self.settings;
        let stream = self.connect(&Leg::DPS, &settings.dps.target(), self.end.dps_tls(settings, prepared)).await?;
        let (sender, work) = http1::Builder::new()
            .max_buf_size(HttpsConnection::<C::Stream>::BUFFER)
            .handshake(TokioIo::new(stream))
            .await
            .map_err(|error| from_http(&error))?;
        Ok(HttpsConnection { sender, work: Some(Box::pin(work)), breach: None })
    }

    fn http_request(
        &self,
        request: registration_flow::Request<'_>,
        Claim { prepared, token }: &Claim<'_>,
    ) -> Result<Request<Full<Bytes>>, hyper::http::Error> {
        let settings = self.settings;
        let registration = format!("/{}/registrations/{}", settings.id_scope, prepared.registration_id());
        let version = &settings.dps_api_version;
        let builder = match request {
            registration_flow::Request::Register => {
                Request::builder().method(Method::PUT).uri(format!("{registration}/register?api-version={version}"))
            }
            registration_flow::Request::OperationStatus(operation) => {
                let operation = percent_encode(operation);
                Request::builder().uri(format!("{registration}/operations/{operation}?api-version={version}"))
            }
        };
        let builder = builder.header(HOST, settings.dps.target().authority(Transport::Https.port()));
        let builder = match &settings.client_version {
            Some(version) => builder.header(USER_AGENT, version),
            None => builder,
        };
        let builder = match token {
            Some(token) => {
                let mut value = HeaderValue::from_str(token.expose_secret())?;
                value.set_sensitive(true);
                builder.header(AUTHORIZATION, value)
            }
            None => builder,
        };
        match request {
            registration_flow::Request::Register => {
                builder.header(CONTENT_TYPE, "application/json; charset=utf-8").body(Full::new(prepared.body()))
            }
            registration_flow::Request::OperationStatus(_) => builder.body(Full::default()),
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> HttpsConnection<S> {
    /// Largest header that is taken, in bytes.
    const BUFFER: usize = 16 * 1024;

    /// Longest time that a slow peer may hold up the end.
    const FAREWELL: Duration = Duration::from_secs(2);

    fn is_open(&self) -> bool {
        self.work.is_some() && !self.sender.is_closed()
    }

    /// `now` is by the wall clock, since 1970.
    async fn exchange(&mut self, request: Request<Full<Bytes>>, now: Duration) -> Result<Reply, Failure> {
        let mut answer = pin!(ask(&mut self.sender, request, now));
        let answer = match &mut self.work {
            None => answer.await,
            Some(work) => tokio::select! {
                biased;
                answer = &mut answer => answer,
                ended = work => {
                    self.work = None;
                    match (answer.await, ended) {
                        // It only knows that the connection is gone, not why.
                        (Err(_), Err(reason)) => Err(reason.into()),
                        (answer, ended) => {
                            self.breach = ended.err().and_then(|error| breach(&error));
                            answer
                        }
                    }
                }
            },
        };
        answer.map_err(|error| from_http(&*error))
    }

    /// Waits until then. That the peer closes an idle connection is its right; that it speaks without being asked is not.
    async fn idle(&mut self, until: Instant) -> Result<(), Failure> {
        if let Some(breach) = self.breach.take() {
            return Err(breach);
        }
        let mut pause = pin!(sleep_until(until));
        if let Some(work) = &mut self.work {
            tokio::select! {
                biased;
                () = &mut pause => return Ok(()),
                ended = work => {
                    self.work = None;
                    if let Some(breach) = ended.err().and_then(|error| breach(&error)) {
                        return Err(breach);
                    }
                }
            }
        }
        pause.await;
        Ok(())
    }

    /// Lets the connection end, with its TLS.
    pub(super) async fn close(self) {
        drop(self.sender);
        if let Some(work) = self.work {
            let _ = timeout(Self::FAREWELL, work).await;
        }
    }
}

async fn ask(
    sender: &mut SendRequest<Full<Bytes>>,
    request: Request<Full<Bytes>>,
    now: Duration,
) -> Result<Reply, Box<dyn Error + Send + Sync>> {
    let response = sender.send_request(request).await?;
    let headers = response.headers();
    let wait = text(headers, RETRY_AFTER);
    let retry_after = wait.and_then(|wait| retry_after::from_header(wait, text(headers, DATE), now));
    let status = response.status().as_u16();
    let body = Limited::new(response.into_body(), DPS_PACKET_LIMIT).collect().await?.to_bytes();
    Ok(Reply { status, retry_after, body })
}

fn text(headers: &HeaderMap, name: HeaderName) -> Option<&str> {
    headers.get(name)?.to_str().ok()
}

/// The failure that an error of HTTP with DPS stands for: that of the connection below, or a breach of the protocol.
fn from_http(error: &(dyn Error + 'static)) -> Failure {
    let service = Leg::DPS.service;
    let broken = |what: &dyn Error| broke(service, "HTTP", what);
    let causes = || causes(error);
    if causes().any(|cause| cause.is::<LengthLimitError>()) {
        return broke(service, "HTTP", format!("a body of more than {DPS_PACKET_LIMIT} bytes"));
    }
    if let Some(io) = causes().find_map(|cause| cause.downcast_ref::<io::Error>()) {
        return match io.kind() {
            // What hyper says of chunks and trailers that are none.
            io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData if !of_tls(io) => broken(io),
            _ => from_io(service, io),
        };
    }
    // The innermost one knows most: that a request was cancelled has a reason.
    match causes().filter_map(|cause| cause.downcast_ref::<hyper::Error>()).last() {
        Some(error) if error.is_incomplete_message() || error.is_canceled() || error.is_closed() => {
            Failure::new(FailureClass::Network, "DPS closed the connection")
        }
        Some(error) => broken(error),
        None => broken(error),
    }
}

/// The failure that the end of a connection stands for, when it is a breach of the protocol.
fn breach(error: &hyper::Error) -> Option<Failure> {
    Some(from_http(error)).filter(|failure| failure.class == FailureClass::Protocol)
}

/// An error, what it came of, and so on.
fn causes<'e>(error: &'e (dyn Error + 'static)) -> impl Iterator<Item = &'e (dyn Error + 'static)> {
    std::iter::successors(Some(error), |error| (*error).source())
}

fn of_tls(error: &io::Error) -> bool {
    error.get_ref().is_some_and(|inner| inner.is::<rustls::Error>())
}
