//! What those who move bytes and those who know what they mean tell each other: who the peer is, whether the session goes
//! on, why it ended, how long a peer may be silent.

use std::time::Duration;

use rustls_pki_types::CertificateDer;

use crate::protocol::mqtt::ConnectReturnCode;

/// Certificates that the peer proved to have the first one's key of, that one first; empty when it showed none.
pub(crate) type PeerChain = Vec<CertificateDer<'static>>;

/// What becomes of a session after a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum AfterPacket {
    /// It goes on.
    Continue,
    /// It ends, for this reason.
    End(End),
}

/// Why a session ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// The peer said goodbye.
    Left,
    /// The peer closed without a word.
    Closed,
    /// CONNECT was refused.
    Refused,
    /// The peer broke a rule of MQTT or of the service.
    Violation,
    /// The peer was silent, or did not prove who it is, or did not read.
    TimedOut,
    /// Its device connected again.
    TakenOver,
    /// Its SAS token ran out.
    Expired,
    /// Its device was disabled or deleted, or its certificate revoked.
    Dismissed,
    /// There was too much to do.
    Throttled,
    /// A fault that was asked for.
    Injected,
    /// The connection broke.
    Broken,
}

/// Answer to CONNECT that lets nobody in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Refused(pub(crate) ConnectReturnCode);

/// The longest silence that a keep-alive allows: one and a half times its seconds, at most 29.45 minutes, which also
/// holds for devices that ask for none. Source: Microsoft Learn, "Communicate with IoT Hub using MQTT", keep-alive.
pub(crate) fn silence_allowed(keep_alive: u16) -> Duration {
    const MOST: Duration = Duration::from_secs(1767);
    match keep_alive {
        0 => MOST,
        seconds => (Duration::from_secs(u64::from(seconds)) * 3 / 2).min(MOST),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn silence_is_allowed_for_one_and_a_half_keep_alives() {
        assert_eq!(silence_allowed(1), Duration::from_millis(1500));
        assert_eq!(silence_allowed(60), Duration::from_secs(90));
        assert_eq!(silence_allowed(1177), Duration::from_millis(1_765_500));
        assert_eq!(silence_allowed(1200), Duration::from_secs(1767));
        assert_eq!(silence_allowed(0), Duration::from_secs(1767));
    }
}
