//! Load on somebody else's machine must be meant: DPS is confirmed by its id scope, hubs by name.

use std::net::{IpAddr, SocketAddr};

use crate::device::Confirmed;
use crate::domain::Transport;
use crate::rig::target::{Access, TargetError};

/// Whom the load may go to, and whether anybody of them is elsewhere.
#[derive(Debug, Default)]
pub(super) struct Confirmation {
    pub(super) confirmed: Confirmed,
    pub(super) is_remote: bool,
}

impl Confirmation {
    /// Of hubs: those that are named, and the address of all of them if there is one, which is given back. Of hubs that DPS will assign
    /// that is seen when it does.
    pub(super) async fn of_hubs(
        address: Option<&str>,
        names: &[String],
    ) -> Result<(Self, Option<SocketAddr>), TargetError> {
        let mut hubs = Self::default();
        for name in names {
            hubs.confirmed.add_host(name);
            // One that is not known here may be known later.
            hubs.is_remote |= !is_loopback(name, Transport::Mqtt.port()).await.unwrap_or(false);
        }
        let Some(address) = address else { return Ok((hubs, None)) };
        let resolved = resolve_one(address).await?;
        if !resolved.ip().is_loopback() {
            let host = address.rsplit_once(':').map_or(address, |(host, _)| host);
            if !hubs.confirmed.has_host(host) {
                return Err(TargetError::HubNotConfirmed { hub: host.to_owned() });
            }
            hubs.confirmed.add_address(resolved.ip());
            hubs.is_remote = true;
        }
        Ok((hubs, Some(resolved)))
    }

    /// DPS at an address.
    pub(super) fn dps_address(
        &mut self,
        at: IpAddr,
        access: &Access,
        id_scope: Option<&str>,
    ) -> Result<(), TargetError> {
        if !at.is_loopback() {
            confirm(&at.to_string(), access, id_scope)?;
            self.confirmed.add_address(at);
            self.is_remote = true;
        }
        Ok(())
    }

    /// DPS by name.
    pub(super) async fn dps_host(
        &mut self,
        (host, port): (&str, u16),
        access: &Access,
        id_scope: Option<&str>,
    ) -> Result<(), TargetError> {
        if !is_loopback(host, port).await? {
            confirm(host, access, id_scope)?;
            self.confirmed.add_host(host);
            self.is_remote = true;
        }
        Ok(())
    }
}

fn confirm(host: &str, access: &Access, confirmed: Option<&str>) -> Result<(), TargetError> {
    let id_scope = access.id_scope.as_str();
    if confirmed == Some(id_scope) {
        return Ok(());
    }
    Err(TargetError::NotConfirmed { host: host.to_owned(), id_scope: id_scope.to_owned() })
}

/// Whether a host is on this machine: every address that it has is loopback.
///
/// # Errors
/// It cannot be resolved.
pub(super) async fn is_loopback(host: &str, port: u16) -> Result<bool, TargetError> {
    if let Ok(address) = host.parse::<IpAddr>() {
        return Ok(address.is_loopback());
    }
    let unresolvable = |source| TargetError::Unresolvable { host: host.to_owned(), source };
    let mut addresses = tokio::net::lookup_host((host, port)).await.map_err(unresolvable)?.peekable();
    if addresses.peek().is_none() {
        return Err(unresolvable(std::io::Error::other("it has no address")));
    }
    Ok(addresses.all(|address| address.ip().is_loopback()))
}

async fn resolve_one(address: &str) -> Result<SocketAddr, TargetError> {
    let unresolvable = |source| TargetError::Unresolvable { host: address.to_owned(), source };
    let mut addresses = tokio::net::lookup_host(address).await.map_err(unresolvable)?;
    addresses.next().ok_or_else(|| unresolvable(std::io::Error::other("it has no address")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn loopback_is_told_from_the_address() {
        assert!(is_loopback("127.0.0.9", 1).await.unwrap());
        assert!(is_loopback("::1", 1).await.unwrap());
        assert!(!is_loopback("192.0.2.1", 1).await.unwrap());
        assert!(is_loopback("localhost", 1).await.unwrap());
        assert!(matches!(is_loopback("no.such.host.invalid", 1).await, Err(TargetError::Unresolvable { .. })));
    }
}
