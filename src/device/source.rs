use std::net::IpAddr;
use std::sync::Arc;

/// Addresses that devices connect from. One address has some 28,000 ports towards one address and port of the service;
/// several addresses have as many each.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum SourceAddresses {
    /// The operating system chooses.
    #[default]
    System,
    /// An address of 127.0.0.0/8 for each device, at or above 127.1.0.0, towards a service on IPv4 loopback; otherwise, and
    /// elsewhere than on Linux, the operating system chooses.
    Loopback,
    /// These addresses of the machine in turn, those of the family of the service.
    Given(Arc<[IpAddr]>),
}
