//! MQTT over WebSocket: the handshake on an HTTP connection, and the session on what it becomes. The frames are undone by
//! [`WebSocketBytes`]; the session is that of MQTT over TLS.

use std::sync::Arc;

use bytes::Bytes;
use http_body_util::Full;
use hyper::header::SEC_WEBSOCKET_PROTOCOL;
use hyper::{Request, Uri};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_tungstenite::tungstenite::handshake::server::create_response_with_body;

use crate::emulator::core::Core;
use crate::emulator::counters::Event;
use crate::emulator::session;
use crate::emulator::transport::conversation::PeerChain;
use crate::emulator::transport::http::Response;
use crate::emulator::transport::room::Place;
use crate::protocol::mqtt::HUB_PACKET_LIMIT;
use crate::protocol::websocket::{WEBSOCKET_PATH, WebSocketBytes, choose_subprotocol};

/// Largest frame: a packet, and then some, as packets do not heed frames.
const FRAME_LIMIT: usize = HUB_PACKET_LIMIT + 4096;

/// Whether a WebSocket may be opened here: the path that most SDKs use, or the root, which the C# SDK uses.
pub(crate) fn is_endpoint(uri: &Uri) -> bool {
    let path = uri.path().strip_suffix('/').unwrap_or(uri.path());
    path.is_empty() || path.eq_ignore_ascii_case(WEBSOCKET_PATH)
}

/// The answer of 101 to a handshake for MQTT, with the subprotocol as the client spells it and no extension.
///
/// # Errors
/// What is wrong with the handshake, in words.
pub(crate) fn accept<B>(request: &Request<B>) -> Result<Response, String> {
    let mut response = create_response_with_body(request, Full::<Bytes>::default).map_err(|e| e.to_string())?;
    let mut offers = request.headers().get_all(SEC_WEBSOCKET_PROTOCOL).iter();
    let chosen = offers.find_map(|offer| choose_subprotocol(offer.to_str().ok()?)).and_then(|name| name.parse().ok());
    let chosen = chosen.ok_or("the subprotocol must be mqtt")?;
    response.headers_mut().insert(SEC_WEBSOCKET_PROTOCOL, chosen);
    Ok(response)
}

/// Serves MQTT on a connection that became a WebSocket; `read` came after the handshake already.
pub(crate) async fn serve<S>(core: &Arc<Core>, stream: S, read: Bytes, peer: PeerChain, place: Place)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    core.tally.count(Event::WebSocket);
    let stream = WebSocketBytes::upgraded(stream, read.into(), FRAME_LIMIT).await;
    // A future of its own on the heap, as in MQTT over TLS: HTTP's memory is given back before.
    Box::pin(session::serve(Arc::clone(core), stream, peer, place)).await;
}
