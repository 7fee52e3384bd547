//! An HTTP client on any stream.

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::header::{AUTHORIZATION, HOST, HeaderMap};
use hyper::{Method, Request, StatusCode};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncWrite};

pub(super) struct HttpPeer(SendRequest<Full<Bytes>>);

/// An answer with its body.
#[derive(Debug)]
pub(super) struct Reply {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: String,
}

impl HttpPeer {
    pub(super) async fn new(stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static) -> Self {
        let (sender, connection) = handshake(TokioIo::new(stream)).await.unwrap();
        tokio::spawn(connection);
        Self(sender)
    }

    /// Sends a request with an `Authorization` header, unless that is empty.
    pub(super) async fn send(&mut self, method: Method, uri: &str, authorization: &str, body: &str) -> Reply {
        self.send_with(method, uri, &[(AUTHORIZATION.as_str(), authorization)], body).await
    }

    /// Sends a request with headers; those without a value are left out.
    pub(super) async fn send_with(&mut self, method: Method, uri: &str, headers: &[(&str, &str)], body: &str) -> Reply {
        let request = Request::builder().method(method).uri(uri).header(HOST, "dps.example");
        let present = headers.iter().filter(|(_, value)| !value.is_empty());
        let request = present.fold(request, |request, (name, value)| request.header(*name, *value));
        let request = request.body(Full::from(body.to_owned())).unwrap();
        self.0.ready().await.unwrap();
        let (head, body) = self.0.send_request(request).await.unwrap().into_parts();
        let body = String::from_utf8(body.collect().await.unwrap().to_bytes().to_vec()).unwrap();
        Reply { status: head.status, headers: head.headers, body }
    }
}

impl Reply {
    pub(super) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|_| panic!("{self:?}"))
    }

    /// A header, empty when it is not there.
    pub(super) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// Status and error code, as HTTP and the body say; they must agree.
    pub(super) fn refusal(&self) -> (u16, u64) {
        let code = self.json()["errorCode"].as_u64().unwrap();
        assert_eq!(self.header("x-ms-error-code"), code.to_string());
        assert!(!self.header("x-ms-request-id").is_empty());
        (self.status.as_u16(), code)
    }
}
