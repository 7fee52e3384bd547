use std::collections::BTreeSet;
use std::net::IpAddr;

/// Whom a person has confirmed as a target, beside this machine, which needs none. What counts is where packets go: a name
/// that leads to loopback is this machine, whatever it is called, and one that leads elsewhere must be among these.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Confirmed {
    hosts: BTreeSet<String>,
    addresses: BTreeSet<IpAddr>,
}

/// A host that is not on this machine was not confirmed; nothing was sent to it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{host} is not on this machine and was not confirmed")]
pub struct NotConfirmed {
    /// Its name.
    pub host: String,
}

impl Confirmed {
    /// Adds a host by name, in upper or lower case; an address is a name, too.
    pub fn add_host(&mut self, name: &str) {
        self.hosts.insert(canonical(name));
    }

    /// Adds an address, whatever name leads to it.
    pub fn add_address(&mut self, address: IpAddr) {
        self.addresses.insert(address);
    }

    /// Whether a host of that name was confirmed.
    pub fn has_host(&self, name: &str) -> bool {
        self.hosts.contains(&canonical(name))
    }

    /// Whether packets for `host` may go to `address`.
    ///
    /// # Errors
    /// The address is not on this machine, and neither it nor the name was confirmed.
    pub fn check(&self, host: &str, address: IpAddr) -> Result<(), NotConfirmed> {
        if address.is_loopback() || self.addresses.contains(&address) || self.has_host(host) {
            return Ok(());
        }
        Err(NotConfirmed { host: host.to_owned() })
    }
}

fn canonical(name: &str) -> String {
    name.trim_matches(['[', ']']).trim_end_matches('.').to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_this_machine_and_what_was_confirmed_may_be_reached() {
        let address = |text: &str| text.parse::<IpAddr>().unwrap();
        let mut confirmed = Confirmed::default();
        let allowed = |confirmed: &Confirmed, host, at| confirmed.check(host, address(at)).is_ok();
        for at in ["127.0.0.1", "127.9.9.9", "::1"] {
            assert!(allowed(&confirmed, "hub.example", at), "{at}");
        }
        // Those that look like this machine, and may be another one.
        for at in ["192.0.2.1", "0.0.0.0", "2001:db8::1", "::ffff:192.0.2.1"] {
            assert!(!allowed(&confirmed, "localhost", at), "{at}");
        }
        confirmed.add_host("Hub.Example.");
        confirmed.add_address(address("192.0.2.5"));
        assert!(allowed(&confirmed, "hub.example", "192.0.2.1") && allowed(&confirmed, "HUB.example", "2001:db8::1"));
        assert!(allowed(&confirmed, "other.example", "192.0.2.5"));
        let other = confirmed.check("other.example", address("192.0.2.1"));
        assert_eq!(other, Err(NotConfirmed { host: "other.example".to_owned() }));
        assert!(!allowed(&confirmed, "evil.hub.example", "192.0.2.1"), "no beginnings, no ends");
    }
}
