//! MQTT over WebSocket (RFC 6455; MQTT 3.1.1, section 6): a byte stream over binary frames, for both sides. A frame is
//! not a packet: real clients spread one packet over several frames and put several packets into one.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use futures_util::{Sink, Stream};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::http::header::{HeaderValue, SEC_WEBSOCKET_PROTOCOL};
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{WebSocketStream, client_async_with_config};

/// Path of the endpoint, at DPS and at the hub.
pub const WEBSOCKET_PATH: &str = "/$iothub/websocket";

/// Name of MQTT in `Sec-WebSocket-Protocol`. Clients write it in either case.
pub const SUBPROTOCOL: &str = "mqtt";

/// A byte stream over the binary frames of a WebSocket.
pub struct WebSocketBytes<S> {
    inner: WebSocketStream<S>,
    /// What is left of the last frame.
    rest: Bytes,
}

/// Why there is no WebSocket.
#[derive(Debug, thiserror::Error)]
pub enum HandshakeError {
    /// The connection failed.
    #[error(transparent)]
    Io(io::Error),
    /// The server answered with another status than 101.
    #[error("the WebSocket was answered with HTTP status {0}")]
    Refused(u16),
    /// What the server answered is no handshake, or not for MQTT.
    #[error("the WebSocket handshake failed: {0}")]
    Invalid(String),
}

impl<S: AsyncRead + AsyncWrite + Unpin> WebSocketBytes<S> {
    /// Makes the handshake of a client. `limit` is the largest frame in bytes that is taken.
    ///
    /// # Errors
    /// See [`HandshakeError`].
    pub async fn connect(stream: S, host: &str, limit: usize) -> Result<Self, HandshakeError> {
        let mut request =
            format!("wss://{host}{WEBSOCKET_PATH}").into_client_request().map_err(HandshakeError::from)?;
        request.headers_mut().insert(SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(SUBPROTOCOL));
        let (inner, _) = client_async_with_config(request, stream, Some(config(limit))).await?;
        Ok(Self { inner, rest: Bytes::new() })
    }

    /// Over a connection whose handshake as a server was made elsewhere; `read` are bytes that came after it. `limit` is
    /// the largest frame in bytes that is taken.
    pub async fn upgraded(stream: S, read: Vec<u8>, limit: usize) -> Self {
        let inner = WebSocketStream::from_partially_read(stream, read, Role::Server, Some(config(limit))).await;
        Self { inner, rest: Bytes::new() }
    }
}

/// The subprotocol to answer with: MQTT as the client spells it, when it offers it.
pub fn choose_subprotocol(offered: &str) -> Option<&str> {
    offered.split(',').map(str::trim).find(|name| name.eq_ignore_ascii_case(SUBPROTOCOL))
}

/// Longest frame that is sent, in bytes of its payload.
const SENT_FRAME: usize = 16 * 1024;

/// Bytes that may wait for a peer that does not read: a frame, and answers to pings, of which the last alone is kept when
/// there is no room for more (RFC 6455, section 5.5.3, allows that).
const MAX_WAITING: usize = 2 * SENT_FRAME;

/// Small buffers, as thousands of connections share one process, and no waiting for more to send.
fn config(limit: usize) -> WebSocketConfig {
    const READ_BUFFER: usize = 1024;
    WebSocketConfig::default()
        .read_buffer_size(READ_BUFFER)
        .write_buffer_size(0)
        .max_write_buffer_size(MAX_WAITING)
        .max_message_size(Some(limit))
        .max_frame_size(Some(limit))
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for WebSocketBytes<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        loop {
            if !self.rest.is_empty() {
                let length = self.rest.len().min(buf.remaining());
                buf.put_slice(&self.rest.split_to(length));
                return Poll::Ready(Ok(()));
            }
            match ready!(Pin::new(&mut self.inner).poll_next(cx)) {
                Some(Ok(Message::Binary(bytes))) => self.rest = bytes,
                // The library answers pings.
                Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_))) => {}
                Some(Ok(Message::Text(_))) => {
                    let error = "a text frame cannot carry MQTT";
                    return Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidData, error)));
                }
                Some(Ok(Message::Close(_)) | Err(Error::ConnectionClosed | Error::AlreadyClosed)) | None => {
                    return Poll::Ready(Ok(()));
                }
                Some(Err(error)) => return Poll::Ready(Err(into_io(error))),
            }
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for WebSocketBytes<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let mut inner = Pin::new(&mut self.inner);
        let bytes = bytes.get(..SENT_FRAME).unwrap_or(bytes);
        ready!(inner.as_mut().poll_ready(cx)).map_err(into_io)?;
        let mut sent = inner.as_mut().start_send(Message::Binary(Bytes::copy_from_slice(bytes)));
        if let Err(Error::WriteBufferFull(_)) = sent {
            // Of answers to pings that the peer has not taken.
            ready!(inner.as_mut().poll_flush(cx)).map_err(into_io)?;
            sent = inner.start_send(Message::Binary(Bytes::copy_from_slice(bytes)));
        }
        sent.map_err(into_io)?;
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx).map_err(into_io)
    }

    /// The closing frame, then the end of the connection below; the peer's own closing frame is not waited for.
    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(Pin::new(&mut self.inner).poll_close(cx)).map_err(into_io)?;
        Pin::new(self.inner.get_mut()).poll_shutdown(cx)
    }
}

impl From<Error> for HandshakeError {
    fn from(error: Error) -> Self {
        match error {
            Error::Io(error) => Self::Io(error),
            Error::Http(response) => Self::Refused(response.status().as_u16()),
            other => Self::Invalid(other.to_string()),
        }
    }
}

fn into_io(error: Error) -> io::Error {
    match error {
        Error::Io(error) => error,
        Error::ConnectionClosed | Error::AlreadyClosed => io::ErrorKind::UnexpectedEof.into(),
        other => io::Error::new(io::ErrorKind::InvalidData, other.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::{SinkExt, StreamExt};
    use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
    use tokio_tungstenite::accept_hdr_async;
    use tokio_tungstenite::tungstenite::handshake::server::{Request, Response};

    const LIMIT: usize = 1000;

    /// A client and the server's WebSocket, after the handshake.
    async fn connected() -> (WebSocketBytes<DuplexStream>, WebSocketStream<DuplexStream>) {
        let (client, server) = duplex(4096);
        #[expect(clippy::result_large_err, reason = "the library's signature")]
        let check = |request: &Request, mut response: Response| {
            assert_eq!(request.uri().path(), WEBSOCKET_PATH);
            let offered = request.headers()[SEC_WEBSOCKET_PROTOCOL].to_str().unwrap();
            let chosen = choose_subprotocol(offered).unwrap().parse().unwrap();
            response.headers_mut().insert(SEC_WEBSOCKET_PROTOCOL, chosen);
            Ok(response)
        };
        let (client, server) =
            tokio::join!(WebSocketBytes::connect(client, "dps.example", LIMIT), accept_hdr_async(server, check));
        (client.unwrap(), server.unwrap())
    }

    #[tokio::test]
    async fn bytes_come_whole_however_they_are_framed() {
        let (mut client, mut server) = connected().await;
        for frame in [&b"a"[..], b"", b"bc", b"defgh"] {
            server.send(Message::Binary(Bytes::copy_from_slice(frame))).await.unwrap();
        }
        server.send(Message::Ping(Bytes::new())).await.unwrap();
        server.close(None).await.unwrap();
        let mut first = [0; 4];
        client.read_exact(&mut first).await.unwrap();
        let mut rest = Vec::new();
        client.read_to_end(&mut rest).await.unwrap();
        assert_eq!((&first, &*rest), (b"abcd", &b"efgh"[..]));
    }

    #[tokio::test]
    async fn both_ends_of_ours_understand_each_other() {
        let (client, server) = connected().await;
        let mut server = WebSocketBytes { inner: server, rest: Bytes::new() };
        let mut client = client;
        client.write_all(b"hello").await.unwrap();
        client.flush().await.unwrap();
        let mut bytes = [0; 5];
        server.read_exact(&mut bytes).await.unwrap();
        assert_eq!(&bytes, b"hello");
        client.shutdown().await.unwrap();
        assert_eq!(server.read(&mut bytes).await.unwrap(), 0);
    }

    #[tokio::test]
    async fn text_and_large_frames_are_errors() {
        let (mut client, mut server) = connected().await;
        server.send(Message::Text("x".into())).await.unwrap();
        assert_eq!(client.read_u8().await.unwrap_err().kind(), io::ErrorKind::InvalidData);
        let (mut client, mut server) = connected().await;
        server.send(Message::Binary(vec![0; LIMIT + 1].into())).await.unwrap();
        assert_eq!(client.read_u8().await.unwrap_err().kind(), io::ErrorKind::InvalidData);
    }

    /// Both roles answer pings by themselves, whether the peer takes the answers or not.
    #[tokio::test(start_paused = true)]
    async fn a_peer_that_pings_and_does_not_read_costs_no_memory() {
        const PIPE: usize = 4096;
        const PINGS: usize = 5000;
        for ours in [Role::Server, Role::Client] {
            let theirs = if ours == Role::Server { Role::Client } else { Role::Server };
            let (near, far) = duplex(PIPE);
            let inner = WebSocketStream::from_raw_socket(near, ours, Some(config(LIMIT))).await;
            let mut near = WebSocketBytes { inner, rest: Bytes::new() };
            let mut far = WebSocketStream::from_raw_socket(far, theirs, None).await;
            let flood = async {
                for _ in 0..PINGS {
                    // The sink's flush alone, which reads nothing.
                    far.feed(Message::Ping(Bytes::from_static(&[7; 125]))).await.unwrap();
                    far.flush().await.unwrap();
                }
                far.send(Message::Binary(Bytes::from_static(b"!"))).await.unwrap();
                far
            };
            let (mut far, read) = tokio::join!(flood, near.read_u8());
            assert_eq!(read.unwrap(), b'!');
            // What is sent now comes behind all that waits: it is counted, and it comes whole.
            let answer = vec![9; 3 * MAX_WAITING];
            let send = async {
                near.write_all(&answer).await.unwrap();
                near.flush().await.unwrap();
            };
            let receive = async {
                let (mut waited, mut got) = (0, 0);
                while got < answer.len() {
                    match far.next().await.unwrap().unwrap() {
                        Message::Pong(payload) => waited += payload.len(),
                        Message::Binary(bytes) => got += bytes.len(),
                        other => panic!("{other}"),
                    }
                }
                (waited, got)
            };
            let ((), (waited, got)) = tokio::join!(send, receive);
            assert_eq!(got, answer.len());
            assert!(waited <= MAX_WAITING + PIPE, "{waited} bytes of answers of {}", PINGS * 125);
        }
    }

    #[tokio::test]
    async fn a_server_may_refuse() {
        let (client, mut server) = duplex(4096);
        let refuse = async {
            let mut request = [0; 1024];
            let _ = server.read(&mut request).await.unwrap();
            server.write_all(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n").await.unwrap();
        };
        let (client, ()) = tokio::join!(WebSocketBytes::connect(client, "dps.example", LIMIT), refuse);
        assert!(matches!(client, Err(HandshakeError::Refused(403))));
    }

    #[test]
    fn subprotocols_are_chosen_in_either_case() {
        assert_eq!(choose_subprotocol("AMQPWSB10, MQTT"), Some("MQTT"));
        assert_eq!(choose_subprotocol("mqtt"), Some("mqtt"));
        assert_eq!(choose_subprotocol("AMQPWSB10"), None);
    }
}
