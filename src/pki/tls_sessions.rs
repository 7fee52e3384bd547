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

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::SystemTime;

    use rustls::client::Resumption;
    use rustls::{ClientConfig, ClientConnection, ServerConfig, ServerConnection};

    use super::*;
    use crate::domain::CryptoProvider;
    use crate::pki::issuing_ca::RootCa;
    use crate::pki::tls::{ClientTls, TlsVersions, resumable, server_config};

    /// What a client keeps of a handshake with `localhost`, which hands out so many tickets.
    fn sessions(versions: TlsVersions, tickets: usize) -> Arc<TlsSessions> {
        let now = SystemTime::now();
        let root = RootCa::generate("server root", now).unwrap();
        let (certificate, key) = root.server_certificate(&["localhost".to_owned()], now).unwrap();
        let good = server_config(certificate, key, versions).unwrap();
        let mut config = ServerConfig::clone(&*resumable(&good).unwrap());
        config.send_tls13_tickets = tickets;
        let mut server = ServerConnection::new(Arc::new(config)).unwrap();

        let sessions = Arc::new(TlsSessions::default());
        let tls = ClientTls::new(&[root.der().to_vec()], versions, CryptoProvider::AwsLc).unwrap();
        let mut config = ClientConfig::clone(&tls.anonymous());
        config.resumption = Resumption::store(Arc::clone(&sessions) as Arc<dyn ClientSessionStore>);
        let mut client = ClientConnection::new(Arc::new(config), localhost()).unwrap();

        let mut wire = Vec::new();
        while client.wants_write() || server.wants_write() {
            wire.clear();
            client.write_tls(&mut wire).unwrap();
            server.read_tls(&mut wire.as_slice()).unwrap();
            server.process_new_packets().unwrap();
            wire.clear();
            server.write_tls(&mut wire).unwrap();
            let mut rest = wire.as_slice();
            while !rest.is_empty() {
                client.read_tls(&mut rest).unwrap();
                client.process_new_packets().unwrap();
            }
        }
        sessions
    }

    fn localhost() -> ServerName<'static> {
        "localhost".try_into().unwrap()
    }

    fn another() -> ServerName<'static> {
        "another".try_into().unwrap()
    }

    #[test]
    fn of_many_tickets_the_last_ones_are_kept() {
        let sessions = sessions(TlsVersions::Tls13, 20);
        assert_eq!(sessions.lock().tickets.len(), TlsSessions::TICKETS);
    }

    #[test]
    fn a_session_that_is_no_longer_good_is_forgotten_that_of_its_server_alone() {
        let sessions = sessions(TlsVersions::Tls12, 0);
        sessions.remove_tls12_session(&another());
        assert!(sessions.tls12_session(&localhost()).is_some() && sessions.tls12_session(&another()).is_none());
        sessions.remove_tls12_session(&localhost());
        assert!(sessions.tls12_session(&localhost()).is_none());
    }

    #[test]
    fn the_group_that_a_server_chose_is_tried_first_the_next_time() {
        let sessions = sessions(TlsVersions::Tls13, 1);
        assert_eq!(sessions.kx_hint(&localhost()), Some(NamedGroup::X25519));
        assert_eq!(sessions.kx_hint(&another()), None);
        sessions.set_kx_hint(another(), NamedGroup::secp384r1);
        assert_eq!(sessions.kx_hint(&another()), Some(NamedGroup::secp384r1));
        assert_eq!(sessions.kx_hint(&localhost()), None, "one server's alone are kept");
    }
}
