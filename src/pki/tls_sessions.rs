use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};

use rustls::NamedGroup;
use rustls::client::{ClientSessionStore, Tls12ClientSessionValue, Tls13ClientSessionValue};
use rustls::pki_types::ServerName;

/// The TLS sessions that one client had with one server: the last one of TLS 1.2, the last tickets of TLS 1.3. Small, as
/// every device of a fleet has its own.
#[derive(Default)]
pub(super) struct TlsSessions(Mutex<Stored>);

#[derive(Default)]
struct Stored {
    /// Whose sessions these are; another server's replace them.
    server: Option<ServerName<'static>>,
    group: Option<NamedGroup>,
    tls12: Option<Tls12ClientSessionValue>,
    /// Oldest first. Each is good for one handshake (RFC 8446, appendix C.4).
    tickets: Vec<Tls13ClientSessionValue>,
}

impl TlsSessions {
    /// Most tickets that are kept: servers give two, and a device makes one connection at a time.
    const TICKETS: usize = 2;

    fn lock(&self) -> MutexGuard<'_, Stored> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What there is of that server, nothing of any other.
    fn of(&self, server: ServerName<'static>) -> MutexGuard<'_, Stored> {
        let mut stored = self.lock();
        if stored.server.as_ref() != Some(&server) {
            *stored = Stored { server: Some(server), ..Stored::default() };
        }
        stored
    }
}

impl ClientSessionStore for TlsSessions {
    fn set_kx_hint(&self, server: ServerName<'static>, group: NamedGroup) {
        self.of(server).group = Some(group);
    }

    fn kx_hint(&self, server: &ServerName<'_>) -> Option<NamedGroup> {
        let stored = self.lock();
        stored.group.filter(|_| stored.server.as_ref() == Some(server))
    }

    fn set_tls12_session(&self, server: ServerName<'static>, value: Tls12ClientSessionValue) {
        self.of(server).tls12 = Some(value);
    }

    fn tls12_session(&self, server: &ServerName<'_>) -> Option<Tls12ClientSessionValue> {
        let stored = self.lock();
        stored.tls12.clone().filter(|_| stored.server.as_ref() == Some(server))
    }

    fn remove_tls12_session(&self, server: &ServerName<'static>) {
        let mut stored = self.lock();
        if stored.server.as_ref() == Some(server) {
            stored.tls12 = None;
        }
    }

    fn insert_tls13_ticket(&self, server: ServerName<'static>, value: Tls13ClientSessionValue) {
        let mut stored = self.of(server);
        if stored.tickets.len() == Self::TICKETS {
            stored.tickets.remove(0);
        }
        stored.tickets.push(value);
    }

    fn take_tls13_ticket(&self, server: &ServerName<'static>) -> Option<Tls13ClientSessionValue> {
        let mut stored = self.lock();
        if stored.server.as_ref() == Some(server) { stored.tickets.pop() } else { None }
    }
}

impl fmt::Debug for TlsSessions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TlsSessions")
    }
}
