use std::path::PathBuf;

use crate::domain::IdScope;

/// Whom the load goes to. Secrets are never here, only the files that hold them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// Where it is.
    pub address: TargetAddress,
    /// Id scope of the DPS instance. Known from the emulator or the connection file otherwise.
    pub id_scope: Option<IdScope>,
    /// File with the enrollment group's key in base64.
    pub group_key_file: Option<PathBuf>,
    /// PEM roots that the servers' TLS certificates must lead to.
    pub ca_file: Option<PathBuf>,
    /// PEM root or issuing CA that issued certificates must come from; none: any consistent chain is taken.
    pub issuing_root_file: Option<PathBuf>,
}

/// Where the target is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TargetAddress {
    /// The built-in emulator, started and stopped with the run.
    Embedded,
    /// A running emulator, described by the JSON file that it wrote.
    ConnectionFile(PathBuf),
    /// Host name of a DPS endpoint with its port.
    Host {
        /// DNS name or IP address.
        host: String,
        /// TCP port; `None`: that of the fleet's transport.
        port: Option<u16>,
    },
}

impl TargetAddress {
    /// `embedded`, a path that ends with `.json`, or `host[:port]` (`[::1]:8883` for IPv6).
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        if text == "embedded" {
            return Ok(Self::Embedded);
        }
        if text.ends_with(".json") {
            return Ok(Self::ConnectionFile(text.into()));
        }
        let (host, port) = match text.rsplit_once(':') {
            Some((host, port)) if !host.contains(':') || host.ends_with(']') => {
                (host, Some(port.parse().map_err(|_| format!("\"{port}\" is not a port"))?))
            }
            _ => (text, None),
        };
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let ok = !host.is_empty() && host.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._:%".contains(&b));
        if ok { Ok(Self::Host { host: host.to_owned(), port }) } else { Err("not a host name".to_owned()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_have_three_shapes() {
        let host = |host: &str, port| Ok(TargetAddress::Host { host: host.to_owned(), port });
        assert_eq!(TargetAddress::parse("embedded"), Ok(TargetAddress::Embedded));
        assert_eq!(TargetAddress::parse("run/dps.json"), Ok(TargetAddress::ConnectionFile("run/dps.json".into())));
        assert_eq!(TargetAddress::parse("localhost:18883"), host("localhost", Some(18_883)));
        assert_eq!(TargetAddress::parse("dps.example.net"), host("dps.example.net", None));
        assert_eq!(TargetAddress::parse("[::1]:99"), host("::1", Some(99)));
        assert_eq!(TargetAddress::parse("::1"), host("::1", None));
        for wrong in ["localhost:many", "https://dps", ":8883", "[]", "dps host", "dps/x", "dps:65536"] {
            assert!(TargetAddress::parse(wrong).is_err(), "{wrong}");
        }
    }
}
