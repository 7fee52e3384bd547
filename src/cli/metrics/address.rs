use std::fmt;
use std::net::SocketAddr;
use std::str::FromStr;

use crate::emulator::Address;

/// Where metrics are to be had: a port of this machine's loopback, or an address that was meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MetricsAddress {
    /// The address, or both of `localhost`.
    pub address: Address,
    /// The port; 0 takes a free one.
    pub port: u16,
}

impl FromStr for MetricsAddress {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let of_localhost = |port| Self { address: Address::Localhost, port };
        if let Ok(port) = text.parse() {
            return Ok(of_localhost(port));
        }
        if let Some((name, port)) = text.rsplit_once(':')
            && name.parse() == Ok(Address::Localhost)
            && let Ok(port) = port.parse()
        {
            return Ok(of_localhost(port));
        }
        let at = text.parse::<SocketAddr>();
        at.map(|at| Self { address: at.ip().into(), port: at.port() })
            .map_err(|_| "give a port (9464) or an address and a port (127.0.0.1:9464)".to_owned())
    }
}

impl fmt::Display for MetricsAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.address {
            Address::Localhost => write!(f, "{}:{}", self.address, self.port),
            Address::At(ip) => SocketAddr::new(ip, self.port).fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_alone_is_on_loopback() {
        let read = |text: &str| text.parse::<MetricsAddress>().map(|address| address.to_string()).ok();
        assert_eq!(read("9464").as_deref(), Some("localhost:9464"));
        assert_eq!(read("localhost:80").as_deref(), Some("localhost:80"));
        assert_eq!(read("127.0.0.1:80").as_deref(), Some("127.0.0.1:80"));
        assert_eq!(read("0.0.0.0:80").as_deref(), Some("0.0.0.0:80"));
        assert_eq!(read("[::1]:80").as_deref(), Some("[::1]:80"));
        for wrong in ["localhost", "localhost:x", "127.0.0.1", "70000", "", ":80"] {
            assert_eq!(read(wrong), None, "{wrong}");
        }
    }
}
