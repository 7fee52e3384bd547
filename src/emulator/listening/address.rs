use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

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

impl Serialize for Address {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Address {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(|error| de::Error::custom(format_args!("{text:?}: {error}")))
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv6Addr;

    use super::*;

    #[derive(Debug, Deserialize, Serialize)]
    struct File {
        address: Address,
    }

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
            let file = format!("address = \"{text}\"\n");
            assert_eq!(toml::from_str::<File>(&file).unwrap().address, address);
            assert_eq!(toml::to_string(&File { address }).unwrap(), file);
        }
        assert_eq!("LocalHost".parse(), Ok(Address::Localhost));
        let error = toml::from_str::<File>("address = \"example.com\"").unwrap_err().to_string();
        assert!(error.contains("\"example.com\": give an IP address, or localhost"), "{error}");
    }
}
