//! Errors of sockets and TLS as failures of the right class, with the remedy where there is one. No message names a
//! device or an address, so that equal failures are counted together.

use std::fmt::Display;
use std::io;
use std::time::Duration;

use rustls::CertificateError;

use crate::device::connector::NotConfirmed;
use crate::domain::{Failure, FailureClass};
use crate::protocol::words::plain_words;

/// Too many open files in the process, in the system (errno of Linux).
const EMFILE: i32 = 24;
const ENFILE: i32 = 23;
/// No memory, or no room in the buffers of the network.
const ENOMEM: i32 = 12;
const ENOBUFS: i32 = 105;

/// The failure that an error of a connection to `service` stands for.
pub(super) fn from_io(service: &str, error: &io::Error) -> Failure {
    if let Some(tls) = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
        return from_tls(service, tls);
    }
    if let Some(NotConfirmed { host }) = error.get_ref().and_then(|inner| inner.downcast_ref()) {
        let message =
            format!("{service} ({host}) is not on this machine and was not confirmed: nothing was sent to it");
        return Failure::new(FailureClass::Configuration, message);
    }
    let network = |what: &str| Failure::new(FailureClass::Network, format!("{service} {what}"));
    let generator = |what: &str| Failure::new(FailureClass::Generator, what);
    let own_words = || error.get_ref().map(ToString::to_string);
    if matches!(error.raw_os_error(), Some(EMFILE | ENFILE)) {
        return generator("no file descriptor left: raise the limit (ulimit -n) or lower `max_in_flight`");
    }
    if matches!(error.raw_os_error(), Some(ENOMEM | ENOBUFS)) {
        return generator("the operating system has no memory left for connections: lower `max_in_flight`");
    }
    match error.kind() {
        io::ErrorKind::AddrNotAvailable => generator(
            "no source port left: lower the rate, give more source addresses, or widen net.ipv4.ip_local_port_range",
        ),
        // The settings of this side: names of the peer's were looked at before.
        io::ErrorKind::InvalidInput => Failure::new(FailureClass::Configuration, error.to_string()),
        // TCP has no such error: somebody above it read what must not be there.
        io::ErrorKind::InvalidData => broke(service, "the protocol", error),
        io::ErrorKind::ConnectionRefused => network("refused the connection: is it running at that address and port?"),
        io::ErrorKind::ConnectionReset => network("reset the connection"),
        io::ErrorKind::ConnectionAborted => network(own_words().as_deref().unwrap_or("aborted the connection")),
        io::ErrorKind::BrokenPipe => network("closed the connection while being written to"),
        io::ErrorKind::UnexpectedEof => network("closed the connection without saying why"),
        io::ErrorKind::TimedOut => network("did not answer: the operating system gave the connection up"),
        io::ErrorKind::HostUnreachable => network("is unreachable: no route to the host"),
        io::ErrorKind::NetworkUnreachable => network("is unreachable: no route to its network"),
        _ => network(&format!("cannot be reached: {error}")),
    }
}

/// The peer did what a protocol does not allow.
pub(super) fn broke(service: &str, protocol: &str, what: impl Display) -> Failure {
    let what = plain_words(&what.to_string(), "");
    Failure::new(FailureClass::Protocol, format!("{service} broke {protocol}: {what}"))
}

/// The failure that an error of TLS with `service` stands for.
fn from_tls(service: &str, error: &rustls::Error) -> Failure {
    let message = match error {
        rustls::Error::InvalidCertificate(CertificateError::UnknownIssuer) => {
            format!("the certificate of {service} does not lead to a trusted CA: is `ca_file` the right one?")
        }
        rustls::Error::InvalidCertificate(
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
        ) => format!("the certificate of {service} is for another host name"),
        rustls::Error::InvalidCertificate(
            CertificateError::Expired
            | CertificateError::ExpiredContext { .. }
            | CertificateError::NotValidYet
            | CertificateError::NotValidYetContext { .. },
        ) => format!("the certificate of {service} is not valid now"),
        rustls::Error::InvalidCertificate(_) => format!("the certificate of {service} is not acceptable"),
        rustls::Error::AlertReceived(alert) => format!("{service} broke TLS off with alert {alert:?}"),
        other => format!("TLS with {service} failed: {other}"),
    };
    Failure::new(FailureClass::Tls, message)
}

/// The TLS handshake with `service` failed.
pub(super) fn from_handshake(service: &str, error: &io::Error) -> Failure {
    match error.kind() {
        io::ErrorKind::UnexpectedEof => {
            Failure::new(FailureClass::Tls, format!("{service} closed the connection during the TLS handshake"))
        }
        _ => from_io(service, error),
    }
}

/// Something did not happen in time.
pub(super) fn late(what: &str, limit: Duration) -> Failure {
    Failure::new(FailureClass::Timeout, format!("no {what} within {} s", limit.as_secs_f64()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_of_the_generator_are_not_the_networks() {
        let class = |error: &io::Error| from_io("DPS", error).class;
        for own in [EMFILE, ENFILE, ENOMEM, ENOBUFS] {
            assert_eq!(class(&io::Error::from_raw_os_error(own)), FailureClass::Generator, "{own}");
        }
        assert_eq!(class(&io::ErrorKind::AddrNotAvailable.into()), FailureClass::Generator);
        assert_eq!(class(&io::ErrorKind::InvalidInput.into()), FailureClass::Configuration);
        let unconfirmed = io::Error::other(NotConfirmed { host: "hub.example".to_owned() });
        assert_eq!(class(&unconfirmed), FailureClass::Configuration);
        assert_eq!(class(&io::ErrorKind::ConnectionRefused.into()), FailureClass::Network);
        assert_eq!(class(&io::ErrorKind::UnexpectedEof.into()), FailureClass::Network);
        assert_eq!(from_handshake("DPS", &io::ErrorKind::UnexpectedEof.into()).class, FailureClass::Tls);
    }

    #[test]
    fn what_a_peer_must_not_send_is_a_breach_and_its_end_is_not() {
        let failure = |kind, what: &'static str| from_io("DPS", &io::Error::new(kind, what)).to_string();
        let breach = failure(io::ErrorKind::InvalidData, "a text frame cannot carry MQTT");
        assert_eq!(breach, "protocol: DPS broke the protocol: a text frame cannot carry MQTT");
        let closed = failure(io::ErrorKind::ConnectionAborted, "closed the WebSocket with code 1011");
        assert_eq!(closed, "network: DPS closed the WebSocket with code 1011");
        let aborted = from_io("DPS", &io::ErrorKind::ConnectionAborted.into());
        assert_eq!(aborted.to_string(), "network: DPS aborted the connection");
    }

    #[test]
    fn tls_failures_name_the_remedy() {
        let unknown = rustls::Error::InvalidCertificate(CertificateError::UnknownIssuer);
        let failure = from_handshake("DPS", &io::Error::new(io::ErrorKind::InvalidData, unknown));
        assert_eq!(failure.class, FailureClass::Tls);
        assert!(failure.message.contains("`ca_file`"), "{}", failure.message);
        let alert = rustls::Error::AlertReceived(rustls::AlertDescription::CertificateExpired);
        let failure = from_io("the hub", &io::Error::new(io::ErrorKind::InvalidData, alert));
        assert_eq!(failure.to_string(), "tls: the hub broke TLS off with alert CertificateExpired");
    }
}
