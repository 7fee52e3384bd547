//! What a device says, read with as little code as will do, and bytes as they are, right or wrong.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{Buf, BytesMut};
use fleetstorm::protocol::mqtt::{HUB_PACKET_LIMIT, Packet, decode};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

/// A connection on which every byte may leave in a segment of its own.
pub(super) struct Pieces<S> {
    pub(super) inner: S,
    pub(super) single_bytes: bool,
}

/// A connection with a device.
pub(super) struct Wire<S> {
    stream: S,
    /// What came and was not looked at.
    raw: BytesMut,
    /// What came in frames.
    packets: BytesMut,
    web_socket: bool,
}

/// A request over HTTP.
pub(super) struct HttpRequest {
    pub(super) head: String,
    pub(super) body: Vec<u8>,
}

impl HttpRequest {
    /// The value of a header.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        let lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines.filter(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, value)| value).next()
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Wire<S> {
    pub(super) fn new(stream: S) -> Self {
        Self { stream, raw: BytesMut::new(), packets: BytesMut::new(), web_socket: false }
    }

    pub(super) const fn stream_mut(&mut self) -> &mut S {
        &mut self.stream
    }

    /// The first byte of what the device says; it stays.
    pub(super) async fn first_byte(&mut self) -> Option<u8> {
        if self.raw.is_empty() {
            self.more().await?;
        }
        self.raw.first().copied()
    }

    /// From now on packets come in frames.
    pub(super) const fn speaks_web_socket(&mut self) {
        self.web_socket = true;
    }

    /// The next packet; `None` at the end, however that looks.
    pub(super) async fn packet(&mut self) -> Option<Packet> {
        loop {
            if self.web_socket {
                self.unwrap_frames()?;
            } else {
                self.packets.unsplit(self.raw.split());
            }
            if let Some(packet) = decode(&mut self.packets, HUB_PACKET_LIMIT).expect("devices do nothing wrong") {
                return Some(packet);
            }
            self.more().await?;
        }
    }

    /// The next request; `None` at the end.
    pub(super) async fn request(&mut self) -> Option<HttpRequest> {
        let end = loop {
            match self.raw.windows(4).position(|four| four == b"\r\n\r\n") {
                Some(end) => break end + 4,
                None => self.more().await?,
            }
        };
        let head = String::from_utf8(self.raw.split_to(end).to_vec()).expect("devices do nothing wrong");
        let mut request = HttpRequest { head, body: Vec::new() };
        let length = request.header("content-length").map_or(0, |length| length.parse().expect("a number"));
        while self.raw.len() < length {
            self.more().await?;
        }
        request.body = self.raw.split_to(length).to_vec();
        Some(request)
    }

    /// Bytes as they are.
    pub(super) async fn says(&mut self, bytes: &[u8]) -> bool {
        self.stream.write_all(bytes).await.is_ok() && self.stream.flush().await.is_ok()
    }

    /// The same bytes as long as the device takes them; nothing is read.
    pub(super) async fn floods(&mut self, bytes: &[u8]) {
        let many = bytes.repeat((4096 / bytes.len()).max(1));
        while self.says(&many).await {}
    }

    /// Bytes in a frame, when there are frames.
    pub(super) fn framed(&self, bytes: &[u8]) -> Vec<u8> {
        if self.web_socket { frame(0x82, bytes) } else { bytes.to_vec() }
    }

    /// Listens until the device has gone.
    pub(super) async fn is_left(&mut self) {
        while self.more().await.is_some() {
            self.raw.clear();
        }
    }

    async fn more(&mut self) -> Option<()> {
        self.stream.read_buf(&mut self.raw).await.ok().filter(|read| *read > 0).map(|_| ())
    }

    /// Takes whole frames apart (RFC 6455, section 5.2); `None` when the device closes.
    fn unwrap_frames(&mut self) -> Option<()> {
        while let [first, second, rest @ ..] = &*self.raw {
            let (length, header) = match (second & 0x7f, rest) {
                (126, [a, b, ..]) => (usize::from(u16::from_be_bytes([*a, *b])), 4),
                (length @ 0..126, _) => (usize::from(length), 2),
                _ => return Some(()),
            };
            if self.raw.len() < header + 4 + length {
                return Some(());
            }
            let opcode = first & 0x0f;
            self.raw.advance(header);
            let mask = self.raw.split_to(4);
            let mut payload = self.raw.split_to(length);
            payload.iter_mut().zip(mask.iter().cycle()).for_each(|(byte, mask)| *byte ^= mask);
            match opcode {
                0x8 => return None,
                0x2 => self.packets.unsplit(payload),
                _ => {}
            }
        }
        Some(())
    }
}

/// A frame of a server.
pub(super) fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![first];
    match payload.len() {
        length @ 0..126 => frame.push(length as u8),
        length @ 126..0x1_0000 => {
            frame.push(126);
            frame.extend((length as u16).to_be_bytes());
        }
        length => {
            frame.push(127);
            frame.extend((length as u64).to_be_bytes());
        }
    }
    frame.extend(payload);
    frame
}

/// The answer to a WebSocket handshake.
pub(super) fn switching(request: &HttpRequest) -> String {
    let accept = derive_accept_key(request.header("sec-websocket-key").expect("the device's key").as_bytes());
    format!(
        "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Protocol: mqtt\r\nSec-WebSocket-Accept: {accept}\r\n\r\n"
    )
}

impl<S: AsyncRead + Unpin> AsyncRead for Pieces<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_read(cx, buf)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Pieces<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let bytes = if self.single_bytes { &bytes[..bytes.len().min(1)] } else { bytes };
        Pin::new(&mut self.inner).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}
