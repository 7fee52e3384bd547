use std::io::{self, Write as _};
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use futures_util::future::{Either, select};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper::header::{
    CONNECTION, CONTENT_ENCODING, CONTENT_TYPE, DATE, HOST, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER, USER_AGENT,
};
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceResponse;
use prost::Message as _;
use rustls::ClientConfig;
use rustls_pki_types::ServerName;
use secrecy::{ExposeSecret as _, SecretString};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::protocol::retry_after;
use crate::rig::metrics::otlp::OtlpUrl;
use crate::rig::metrics::otlp::failure::PushFailure;

const PROTOBUF: HeaderValue = HeaderValue::from_static("application/x-protobuf");
const AGENT: HeaderValue = HeaderValue::from_static(concat!("fleetstorm/", env!("CARGO_PKG_VERSION")));

/// Longest answer that is read, in bytes.
const ANSWER_LIMIT: usize = 64 * 1024;

/// Longest text of a receiver that is shown, in characters.
const SAID_LIMIT: usize = 200;

/// Posts bodies to a receiver, each over a connection of its own: there is one every few seconds.
#[derive(Debug, Clone)]
pub(super) struct Sender {
    pub(super) url: OtlpUrl,
    /// For https.
    pub(super) tls: Option<Arc<ClientConfig>>,
    /// Of our user's; their values are fit for headers.
    pub(super) headers: Vec<(HeaderName, SecretString)>,
    pub(super) gzip: bool,
}

/// What a receiver took.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Taken {
    /// Points that it did not take.
    pub(super) rejected: u64,
    /// Why, or what it has to say although it took everything.
    pub(super) said: String,
}

/// The body of an answer that is no success: `google.rpc.Status`, as far as OTLP uses it.
#[derive(Clone, PartialEq, prost::Message)]
struct Status {
    #[prost(string, tag = "2")]
    message: String,
}

impl Sender {
    /// A body as it goes over the wire.
    pub(super) fn pack(&self, body: Vec<u8>) -> Bytes {
        if !self.gzip {
            return body.into();
        }
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        let packed = encoder.write_all(&body).and_then(|()| encoder.finish());
        packed.expect("writing to memory does not fail").into()
    }

    /// Posts what [`Self::pack`] gave. Takes as long as the receiver does; may be dropped.
    pub(super) async fn post(&self, body: &Bytes) -> Result<Taken, PushFailure> {
        let (host, port) = (self.url.host(), self.url.port());
        let stream = TcpStream::connect((host, port)).await.map_err(PushFailure::Connect)?;
        let Some(tls) = &self.tls else { return self.exchange(stream, body).await };
        let name = ServerName::try_from(host.to_owned()).map_err(|error| PushFailure::Tls(io::Error::other(error)))?;
        let stream = TlsConnector::from(Arc::clone(tls)).connect(name, stream).await.map_err(PushFailure::Tls)?;
        self.exchange(stream, body).await
    }

    async fn exchange<S>(&self, stream: S, body: &Bytes) -> Result<Taken, PushFailure>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let (mut requests, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(PushFailure::Broken)?;
        let mut request = Request::post(self.url.path()).body(Full::new(body.clone())).expect("the path was parsed");
        *request.headers_mut() = self.head();
        let answer = pin!(async {
            let answer = requests.send_request(request).await.map_err(PushFailure::Broken)?;
            self.read(answer).await
        });
        // The connection does the work; when it has ended, the answer is there or never comes.
        match select(answer, pin!(connection)).await {
            Either::Left((answer, _)) => answer,
            Either::Right((_, answer)) => answer.await,
        }
    }

    fn head(&self) -> HeaderMap {
        let mut head = HeaderMap::new();
        for (name, value) in &self.headers {
            if let Ok(mut value) = HeaderValue::from_str(value.expose_secret()) {
                value.set_sensitive(true);
                head.insert(name, value);
            }
        }
        // Ours last: what the body is does not depend on what a user says.
        if let Ok(host) = HeaderValue::from_str(self.url.authority()) {
            head.insert(HOST, host);
        }
        head.insert(CONTENT_TYPE, PROTOBUF);
        head.insert(USER_AGENT, AGENT);
        head.insert(CONNECTION, HeaderValue::from_static("close"));
        if self.gzip {
            head.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        }
        head
    }

    async fn read(&self, answer: Response<Incoming>) -> Result<Taken, PushFailure> {
        let (head, body) = answer.into_parts();
        // The status is what counts: a body that is no protobuf, breaks off or is endless only says nothing more.
        let body = Limited::new(body, ANSWER_LIMIT).collect().await.map(|body| body.to_bytes()).unwrap_or_default();
        if !head.status.is_success() {
            let said = self.shown(&Status::decode(body).unwrap_or_default().message);
            let retry_after = retry_pause(&head.headers, SystemTime::now());
            return Err(PushFailure::Refused { status: head.status, said, retry_after });
        }
        let partly = ExportMetricsServiceResponse::decode(body).unwrap_or_default().partial_success.unwrap_or_default();
        let rejected = u64::try_from(partly.rejected_data_points).unwrap_or_default();
        Ok(Taken { rejected, said: self.shown(&partly.error_message) })
    }

    /// A receiver's text, when it is fit for people: it may repeat what is secret.
    fn shown(&self, said: &str) -> String {
        let secrets = self.headers.iter().flat_map(|(_, value)| value.expose_secret().split_whitespace());
        if secrets.into_iter().any(|secret| said.contains(secret)) {
            return "(its words hold a value of OTEL_EXPORTER_OTLP_HEADERS)".to_owned();
        }
        said.chars().map(|c| if c.is_control() { ' ' } else { c }).take(SAID_LIMIT).collect()
    }
}

/// How long the receiver asks to wait.
fn retry_pause(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let text = |name| headers.get(name)?.to_str().ok();
    let seconds =
        retry_after::from_header(text(RETRY_AFTER)?, text(DATE), now.duration_since(UNIX_EPOCH).unwrap_or_default())?;
    Some(Duration::from_secs(seconds.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sender(headers: &[(&'static str, &str)]) -> Sender {
        let header = |(name, value): &(&'static str, &str)| (HeaderName::from_static(name), (*value).into());
        let url = OtlpUrl::of_base("http://h:4318").unwrap();
        Sender { url, tls: None, headers: headers.iter().map(header).collect(), gzip: true }
    }

    #[test]
    fn pauses_are_read() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777);
        let pause = |headers: &[(HeaderName, &str)]| {
            let value = |text: &str| HeaderValue::from_str(text).unwrap();
            let headers = headers.iter().map(|(name, text)| (name.clone(), value(text))).collect();
            retry_pause(&headers, now).map(|wait| wait.as_secs())
        };
        assert_eq!(pause(&[(RETRY_AFTER, "7")]), Some(7));
        assert_eq!(pause(&[(RETRY_AFTER, "Sun, 06 Nov 1994 08:49:39 GMT")]), Some(2));
        let date = (DATE, "Sun, 06 Nov 1994 08:49:29 GMT");
        assert_eq!(pause(&[(RETRY_AFTER, "Sunday, 06-Nov-94 08:49:39 GMT"), date]), Some(10));
        assert_eq!((pause(&[(RETRY_AFTER, "soon")]), pause(&[])), (None, None));
    }

    #[test]
    fn a_user_cannot_say_what_the_body_is() {
        let head = sender(&[("content-type", "text/plain"), ("x-api-key", "s3cret")]).head();
        assert_eq!(head[CONTENT_TYPE], "application/x-protobuf");
        assert_eq!(
            (&head["x-api-key"], &head[HOST]),
            (&HeaderValue::from_static("s3cret"), &HeaderValue::from_static("h:4318"))
        );
        assert!(!format!("{head:?}").contains("s3cret"));
    }

    #[test]
    fn what_a_receiver_says_is_made_fit_for_people() {
        let sender = sender(&[("authorization", "Bearer s3cret")]);
        assert_eq!(sender.shown("too\nlate\u{1b}[0m"), "too late [0m");
        assert_eq!(sender.shown(&"x".repeat(1_000)).len(), SAID_LIMIT);
        assert!(!sender.shown("the token s3cret is unknown").contains("s3cret"));
    }
}
