use std::io;
use std::net::{IpAddr, Ipv4Addr};
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

/// Where the connections of one device come from.
#[derive(Debug, Clone, Copy)]
pub struct Source<'a> {
    addresses: &'a SourceAddresses,
    /// Place of the device in the fleet.
    index: u32,
}

impl<'a> Source<'a> {
    /// Wherever the operating system chooses.
    pub const SYSTEM: Source<'static> = Source { addresses: &SourceAddresses::System, index: 0 };

    /// That of device `index` of the fleet.
    pub const fn new(addresses: &'a SourceAddresses, index: u32) -> Self {
        Self { addresses, index }
    }

    /// The address to connect from, towards `destination`; `None`: the operating system chooses.
    ///
    /// # Errors
    /// [`io::ErrorKind::InvalidInput`] when none of the given addresses is of the destination's family.
    pub fn towards(&self, destination: IpAddr) -> io::Result<Option<IpAddr>> {
        match self.addresses {
            SourceAddresses::System => Ok(None),
            SourceAddresses::Loopback => {
                let there = destination.is_loopback() && destination.is_ipv4() && cfg!(target_os = "linux");
                Ok(there.then(|| loopback(self.index).into()))
            }
            SourceAddresses::Given(all) => {
                let fitting = || all.iter().filter(|address| address.is_ipv4() == destination.is_ipv4());
                let count = fitting().count().max(1);
                let found = fitting().nth(self.index as usize % count).copied();
                let family = if destination.is_ipv4() { "IPv4" } else { "IPv6" };
                found.map(Some).ok_or_else(|| {
                    let message = format!(
                        "no source address is of the service's family: add an {family} address of this machine"
                    );
                    io::Error::new(io::ErrorKind::InvalidInput, message)
                })
            }
        }
    }
}

/// One of 127.1.0.0 to 127.255.255.254, by turns: those below are for what listens, the last one is for broadcasts.
fn loopback(index: u32) -> Ipv4Addr {
    const FIRST: u32 = 0x7f01_0000;
    const COUNT: u32 = 0x7fff_ffff - FIRST;
    Ipv4Addr::from_bits(FIRST + index % COUNT)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

    #[test]
    #[cfg(target_os = "linux")]
    fn every_device_has_a_loopback_address_of_its_own() {
        let of = |index| Source::new(&SourceAddresses::Loopback, index).towards(HERE).unwrap().unwrap().to_string();
        assert_eq!((of(0).as_str(), of(1).as_str(), of(70_000).as_str()), ("127.1.0.0", "127.1.0.1", "127.2.17.112"));
        assert_eq!(of(0xff_0000 - 2), "127.255.255.254");
        assert_eq!(of(0xff_0000 - 1), "127.1.0.0");
        for elsewhere in ["192.0.2.1", "::1"] {
            let source = Source::new(&SourceAddresses::Loopback, 3).towards(elsewhere.parse().unwrap());
            assert_eq!(source.unwrap(), None, "{elsewhere}");
        }
    }

    #[test]
    fn given_addresses_are_taken_in_turn_within_their_family() {
        let all = ["192.0.2.1", "2001:db8::1", "192.0.2.2"].map(|a| a.parse().unwrap());
        let given = SourceAddresses::Given(Arc::new(all));
        let of = |index, towards| Source::new(&given, index).towards(towards).unwrap().unwrap();
        assert_eq!([0, 1, 2, 3].map(|index| of(index, HERE)), [all[0], all[2], all[0], all[2]]);
        assert_eq!(of(7, "::1".parse().unwrap()), all[1]);
        let four = SourceAddresses::Given(Arc::new([all[0]]));
        let error = Source::new(&four, 0).towards("::1".parse().unwrap()).unwrap_err();
        assert!(error.to_string().contains("add an IPv6 address"), "{error}");
        assert_eq!(Source::SYSTEM.towards(HERE).unwrap(), None);
    }

    proptest! {
        #[test]
        fn loopback_addresses_never_meet_a_listener_or_a_broadcast(index in any::<u32>()) {
            let address = loopback(index);
            prop_assert!(address.is_loopback() && address.octets()[1] >= 1);
            prop_assert!(address != Ipv4Addr::new(127, 255, 255, 255));
        }
    }
}
