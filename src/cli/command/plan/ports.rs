use std::fs;

use crate::engine::Needs;
use crate::scenario::{Scenario, TargetAddress};

/// Source ports: towards one address and port of the service, every connection needs its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Ports {
    /// Connections at once, those in flight and those held.
    pub(super) needed: u64,
    /// Ports that one source address has.
    pub(super) per_address: u64,
    /// Whether every device connects from an address of its own.
    pub(super) loopback: bool,
}

impl Ports {
    pub(super) fn of(scenario: &Scenario, needs: Needs) -> Self {
        let loopback = match &scenario.target.address {
            TargetAddress::Embedded => true,
            // Nothing is resolved here.
            TargetAddress::Host { host, .. } => host == "localhost" || is_loopback(host),
            TargetAddress::ConnectionFile(_) => false,
        };
        Self { needed: needs.connections, per_address: ephemeral().unwrap_or(USUAL), loopback }
    }

    /// Source addresses that are enough.
    pub(super) const fn addresses(self) -> u64 {
        self.needed.div_ceil(if self.per_address == 0 { 1 } else { self.per_address })
    }
}

/// What Linux has by default.
const USUAL: u64 = 28_232;

fn is_loopback(host: &str) -> bool {
    host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// Ports that the system gives to clients.
fn ephemeral() -> Option<u64> {
    parse(&fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").ok()?)
}

fn parse(range: &str) -> Option<u64> {
    let mut ends = range.split_whitespace().map(|end| end.parse::<u64>().ok());
    let (first, last) = (ends.next()??, ends.next()??);
    (last >= first).then(|| last - first + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_follow_from_ports() {
        let ports = |needed| Ports { needed, per_address: 28_232, loopback: false };
        assert_eq!([0, 1, 28_232, 28_233, 100_000].map(|needed| ports(needed).addresses()), [0, 1, 1, 2, 4]);
    }

    #[test]
    fn the_systems_range_is_inclusive() {
        assert_eq!(parse("32768\t60999\n"), Some(USUAL));
        assert_eq!((parse("5 4"), parse("many"), parse("")), (None, None, None));
    }
}
