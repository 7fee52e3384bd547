use std::io;

use tokio_tungstenite::tungstenite::Error;
use tokio_tungstenite::tungstenite::error::{CapacityError, ProtocolError};
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;

/// Why there is no WebSocket.
#[derive(Debug, thiserror::Error)]
pub enum HandshakeError {
    /// The connection failed, or ended before the answer was whole.
    #[error(transparent)]
    Io(io::Error),
    /// The server answered with another status than 101.
    #[error("the WebSocket was answered with HTTP status {0}")]
    Refused(u16),
    /// What the server answered is no handshake, or not for MQTT.
    #[error("the WebSocket handshake failed: {0}")]
    Invalid(String),
}

impl From<Error> for HandshakeError {
    fn from(error: Error) -> Self {
        match error {
            Error::Http(response) => match response.status().as_u16() {
                // Nobody asked for a word before the answer.
                status @ 100..=199 => Self::Invalid(format!("the handshake was answered with HTTP status {status}")),
                status => Self::Refused(status),
            },
            Error::Protocol(ProtocolError::HandshakeIncomplete) => Self::Io(io::ErrorKind::UnexpectedEof.into()),
            Error::Io(error) => Self::Io(error),
            other => Self::Invalid(words(&other)),
        }
    }
}

/// What the peer did that the protocol does not allow: [`io::ErrorKind::InvalidData`].
pub(super) fn violation(what: impl Into<String>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what.into())
}

/// An error of the library as one of a byte stream: violations by the peer are [`io::ErrorKind::InvalidData`], ends of the
/// connection are what they would be without frames.
pub(super) fn into_io(error: Error) -> io::Error {
    match error {
        Error::Io(error) => error,
        // That a peer is gone without taking leave is no matter of the protocol.
        Error::ConnectionClosed
        | Error::AlreadyClosed
        | Error::Protocol(ProtocolError::ResetWithoutClosingHandshake) => io::ErrorKind::UnexpectedEof.into(),
        Error::Protocol(ProtocolError::SendAfterClosing) => io::ErrorKind::BrokenPipe.into(),
        other => violation(words(&other)),
    }
}

/// The peer closed the WebSocket. An end that was wanted is the end of the bytes.
pub(super) fn closed(frame: Option<&CloseFrame>) -> io::Result<()> {
    match frame {
        None => Ok(()),
        Some(CloseFrame { code: CloseCode::Normal | CloseCode::Away, .. }) => Ok(()),
        // What the library makes of a code that must not be sent (RFC 6455, section 7.4).
        Some(CloseFrame { code: CloseCode::Protocol, reason }) if reason.as_str() == "Protocol violation" => {
            Err(violation("a close frame with a code that must not be sent"))
        }
        Some(CloseFrame { code, .. }) => {
            let what = format!("closed the WebSocket with code {}", u16::from(*code));
            Err(io::Error::new(io::ErrorKind::ConnectionAborted, what))
        }
    }
}

/// What the peer did, the same for every connection on which it does so.
fn words(error: &Error) -> String {
    let what = match error {
        Error::Protocol(ProtocolError::HttparseError(error)) => error.to_string(),
        Error::Protocol(error) => error.to_string(),
        Error::Capacity(CapacityError::MessageTooLong { max_size, .. }) => {
            return format!("a frame or message of more than {max_size} bytes");
        }
        Error::Capacity(error) => error.to_string(),
        Error::Utf8(_) => return "text that is not UTF-8".to_owned(),
        Error::WriteBufferFull(_) => return "it does not read what it is sent".to_owned(),
        other => other.to_string(),
    };
    // The library's words begin in upper case; these go into the middle of a sentence. Abbreviations stay.
    let mut characters = what.chars();
    match (characters.next(), characters.clone().next()) {
        (Some(first), Some(second)) if second.is_lowercase() => first.to_lowercase().chain(characters).collect(),
        _ => what,
    }
}
