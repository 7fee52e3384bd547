use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

/// Where to listen. In files and on the command line: an IP address, or `localhost`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Address {
    /// Both addresses that the name `localhost` stands for, 127.0.0.1 and ::1: clients differ in which they try first, and
    /// not all try the other.
    #[default]
    Localhost,
    /// This one.
    At(IpAddr),
}

/// Neither an IP address nor `localhost`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("give an IP address, or localhost for 127.0.0.1 and ::1")]
pub struct ParseAddressError;

impl Address {
    const LOCALHOST: &str = "localhost";

    /// Whether only this machine can reach it.
    pub const fn is_loopback(self) -> bool {
        match self {
            Self::Localhost => true,
            Self::At(address) => address.is_loopback(),
        }
    }
}

impl From<IpAddr> for Address {
    fn from(address: IpAddr) -> Self {
        Self::At(address)
    }
}

impl FromStr for Address {
    type Err = ParseAddressError;

    fn from_str(text: &str) -> Result<Self, ParseAddressError> {
        match text.eq_ignore_ascii_case(Self::LOCALHOST) {
            true => Ok(Self::Localhost),
            false => text.parse().map(Self::At).map_err(|_| ParseAddressError),
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Localhost => f.write_str(Self::LOCALHOST),
            Self::At(address) => address.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv6Addr;

    use super::*;

    #[test]
    fn addresses_are_ip_addresses_or_localhost() {
        for (text, address, loopback) in [
            ("localhost", Address::Localhost, true),
            ("127.0.0.2", Address::At([127, 0, 0, 2].into()), true),
            ("::1", Address::At(Ipv6Addr::LOCALHOST.into()), true),
            ("0.0.0.0", Address::At([0, 0, 0, 0].into()), false),
        ] {
            assert_eq!(text.parse(), Ok(address));
            assert_eq!(address.is_loopback(), loopback, "{text}");
            assert_eq!(address.to_string(), text);
        }
        assert_eq!("LocalHost".parse(), Ok(Address::Localhost));
        assert_eq!("example.com".parse::<Address>(), Err(ParseAddressError));
    }
}
