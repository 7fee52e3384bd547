//! MQTT over WebSocket (RFC 6455; MQTT 3.1.1, section 6): a byte stream over binary frames, for both sides. A frame is
//! not a packet: real clients spread one packet over several frames and put several packets into one.

mod error;
mod head;

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use futures_util::{Sink, Stream};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::http::header::{HeaderValue, SEC_WEBSOCKET_EXTENSIONS, SEC_WEBSOCKET_PROTOCOL};
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{WebSocketStream, client_async_with_config};

use error::{closed, into_io, violation};
use head::WholeHead;

/// Path of the endpoint, at DPS and at the hub.
pub const WEBSOCKET_PATH: &str = "/$iothub/websocket";

/// Name of MQTT in `Sec-WebSocket-Protocol`. Clients write it in either case.
pub const SUBPROTOCOL: &str = "mqtt";

pub use error::HandshakeError;

/// Longest frame that is sent, in bytes of its payload.
const SENT_FRAME: usize = 16 * 1024;

/// Bytes that may wait for a peer that does not read: a frame, and answers to pings, of which the last alone is kept when
/// there is no room for more (RFC 6455, section 5.5.3, allows that).
const MAX_WAITING: usize = 2 * SENT_FRAME;

/// Most frames in a row without a byte for MQTT: pings, pongs, empty frames.
const MAX_IDLE_FRAMES: u32 = 100_000;

/// A byte stream over the binary frames of a WebSocket. What a peer does that the protocol does not allow is an error of the
/// kind [`io::ErrorKind::InvalidData`].
pub struct WebSocketBytes<S> {
    inner: WebSocketStream<WholeHead<S>>,
    /// What is left of the last frame.
    rest: Bytes,
    /// Frames without a byte for MQTT since something was read or written.
    idle_frames: u32,
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
        let stream = WholeHead::expected(stream);
        let (inner, response) = client_async_with_config(request, stream, Some(config(limit))).await?;
        // Of RFC 6455, section 4.1, the library leaves this out.
        if response.headers().contains_key(SEC_WEBSOCKET_EXTENSIONS) {
            return Err(HandshakeError::Invalid("the server chose an extension that was not offered".to_owned()));
        }
        Ok(Self::over(inner))
    }

    /// Over a connection whose handshake as a server was made elsewhere; `read` are bytes that came after it. `limit` is
    /// the largest frame in bytes that is taken.
    pub async fn upgraded(stream: S, read: Vec<u8>, limit: usize) -> Self {
        let stream = WholeHead::past(stream);
        Self::over(WebSocketStream::from_partially_read(stream, read, Role::Server, Some(config(limit))).await)
    }

    const fn over(inner: WebSocketStream<WholeHead<S>>) -> Self {
        Self { inner, rest: Bytes::new(), idle_frames: 0 }
    }

    /// A frame without a byte for MQTT came.
    fn idle_frame(&mut self) -> io::Result<()> {
        self.idle_frames += 1;
        if self.idle_frames > MAX_IDLE_FRAMES {
            return Err(violation(format!("more than {MAX_IDLE_FRAMES} frames in a row that carry nothing")));
        }
        Ok(())
    }
}

/// The subprotocol to answer with: MQTT as the client spells it, when it offers it.
pub fn choose_subprotocol(offered: &str) -> Option<&str> {
    offered.split(',').map(str::trim).find(|name| name.eq_ignore_ascii_case(SUBPROTOCOL))
}

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
                Some(Ok(Message::Binary(bytes))) if !bytes.is_empty() => {
                    self.rest = bytes;
                    self.idle_frames = 0;
                }
                // The library answers pings.
                Some(Ok(Message::Binary(_) | Message::Ping(_) | Message::Pong(_) | Message::Frame(_))) => {
                    self.idle_frame()?;
                }
                Some(Ok(Message::Text(_))) => return Poll::Ready(Err(violation("a text frame cannot carry MQTT"))),
                Some(Ok(Message::Close(frame))) => return Poll::Ready(closed(frame.as_ref())),
                Some(Err(Error::ConnectionClosed | Error::AlreadyClosed)) | None => return Poll::Ready(Ok(())),
                Some(Err(error)) => return Poll::Ready(Err(into_io(error))),
            }
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for WebSocketBytes<S> {
    /// A large piece in several frames.
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        // What waits leaves first, so that there is room.
        ready!(Pin::new(&mut self.inner).poll_flush(cx)).map_err(into_io)?;
        let bytes = &bytes[..bytes.len().min(SENT_FRAME)];
        Pin::new(&mut self.inner).start_send(Message::Binary(Bytes::copy_from_slice(bytes))).map_err(into_io)?;
        self.idle_frames = 0;
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

#[cfg(test)]
mod tests;
