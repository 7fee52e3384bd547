use std::net::{IpAddr, TcpListener};

use crate::device::SourceAddresses;
use crate::rig::target::confirmation::is_loopback;
use crate::rig::target::{Access, NotOurs, OpenError};

/// Those that were asked for, which must be this machine's. Towards loopback every device may have one of its own, so that
/// ports are no limit.
pub(super) async fn source_addresses(access: &Access, given: &[IpAddr]) -> Result<SourceAddresses, OpenError> {
    for address in given {
        if let Err(source) = TcpListener::bind((*address, 0)) {
            return Err(NotOurs { address: *address, source }.into());
        }
    }
    if !given.is_empty() {
        return Ok(SourceAddresses::Given(given.into()));
    }
    let loopback = match access.mqtt.address {
        Some(address) => address.ip().is_loopback(),
        None => is_loopback(&access.dps_host, access.mqtt.port).await?,
    };
    Ok(if loopback { SourceAddresses::Loopback } else { SourceAddresses::System })
}
