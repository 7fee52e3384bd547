use std::time::Duration;

use serde_json::json;

use crate::emulator::listening::address::Address;
use crate::emulator::listening::port::Port;
use crate::settings::ValueKind;
use crate::settings::declare::{Written, settings};
use crate::settings::expect::{Expect, boolean, whole};

settings! {
    /// Sockets, their limits and time-outs.
    pub struct Listen {
        /// Address of the listeners for devices: both of loopback, or one.
        pub address: Address = value(Address::Localhost, ip_address());
        /// Port of MQTT over TLS for DPS and hub; 0 takes a free one.
        pub mqtt_port: u16 = value(8883, whole(0..=65_535));
        /// Port of HTTPS and MQTT over WebSocket for DPS and hub; 0 takes a free one. When absent it is off, but the command
        /// line takes 8443.
        pub https_port: Option<Port> = optional(port());
        /// Port of the control plane; 0 takes a free one. When absent it is off, but the command line takes 8444.
        pub management_port: Option<Port> = optional(port());
        /// Address of the control plane: both of loopback, or one.
        pub management_address: Address = value(Address::Localhost, ip_address());
        /// Connections served at once; more wait in the kernel's queue. Lowered at start to what the file-descriptor limit
        /// allows.
        pub max_connections: usize = value(100_000, whole(1..=1_000_000));
        /// When all of those are there and another one comes, the oldest one leaves that has not proved who it is and has kept
        /// the emulator waiting for so many seconds in all.
        pub unproven_patience_seconds: u64 = value(5, whole(1..=3600));
        /// Hand out session tickets and resume sessions with them, in TLS 1.2 and 1.3. A resumed session has the client
        /// certificate of the first one.
        pub tls_resumption: bool = value(false, boolean());
        /// TLS handshakes that compute at once; the oldest of those that could go first, so that what was begun gets finished.
        /// No more than the machine has cores do in any case. One that waits for its peer has no part in this and holds up
        /// nobody.
        pub handshakes_at_once: usize = value(64, whole(1..=1_000_000));
        /// A TLS handshake in which the emulator has waited for its peer for so many seconds in all is cut.
        pub handshake_timeout_seconds: u64 = value(30, whole(1..=3600));
        /// A connection that has not proved who it is is cut after so many seconds.
        pub unauthenticated_timeout_seconds: u64 = value(60, whole(1..=3600));
        /// A peer that does not read what it is sent is cut after so many seconds.
        pub write_timeout_seconds: u64 = value(30, whole(1..=3600));
    }
}

fn ip_address() -> Expect<Address> {
    Expect::new("an IP address, or \"localhost\" for 127.0.0.1 and ::1", |value| match &value.kind {
        ValueKind::Text(text) => text.parse().map_err(|_| None),
        _ => Err(None),
    })
    .schema(json!({ "type": "string" }))
}

fn port() -> Expect<Port> {
    Expect::new("a port from 0 to 65,535, or \"off\"", |value| match &value.kind {
        ValueKind::Integer(number) => u16::try_from(*number).map(Port::At).map_err(|_| None),
        ValueKind::Text(text) if text == Port::OFF => Ok(Port::Off),
        _ => Err(None),
    })
    .schema(json!({ "anyOf": [{ "type": "integer", "minimum": 0, "maximum": u16::MAX }, { "const": Port::OFF }] }))
}

impl Written for Address {
    fn written(&self) -> Option<ValueKind> {
        Some(ValueKind::Text(self.to_string()))
    }
}

impl Written for Port {
    fn written(&self) -> Option<ValueKind> {
        Some(
            self.number().map_or_else(|| ValueKind::Text(Self::OFF.to_owned()), |port| ValueKind::Integer(port.into())),
        )
    }
}

impl Listen {
    pub(crate) const fn handshake_timeout(&self) -> Duration {
        Duration::from_secs(self.handshake_timeout_seconds)
    }

    pub(crate) const fn patience(&self) -> Duration {
        Duration::from_secs(self.unproven_patience_seconds)
    }

    pub(crate) const fn unauthenticated_timeout(&self) -> Duration {
        Duration::from_secs(self.unauthenticated_timeout_seconds)
    }

    pub(crate) const fn write_timeout(&self) -> Duration {
        Duration::from_secs(self.write_timeout_seconds)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::emulator::Config;

    #[test]
    fn addresses_are_ip_addresses_or_localhost_and_ports_numbers_or_off() {
        let listen = |text: &str| Config::read("x", &format!("[listen]\n{text}")).map(|config| config.listen);
        for good in ["localhost", "127.0.0.2", "::1", "0.0.0.0"] {
            assert_eq!(listen(&format!("address = \"{good}\"")).unwrap().address, good.parse().unwrap());
        }
        for (good, port) in [("0", Port::At(0)), ("8443", Port::At(8443)), ("\"off\"", Port::Off)] {
            let read = listen(&format!("https_port = {good}")).unwrap();
            assert_eq!(read.https_port, Some(port));
            assert_eq!(read.https_port.written().map(|kind| kind == ValueKind::Integer(0)), Some(good == "0"));
        }
        for (bad, told) in [
            ("address = \"example.com\"", "an IP address, or \"localhost\""),
            ("https_port = 65536", "a port from 0 to 65,535, or \"off\""),
            ("https_port = -1", "a port from 0 to 65,535, or \"off\""),
            ("https_port = \"on\"", "a port from 0 to 65,535, or \"off\""),
            ("management_port = true", "a port from 0 to 65,535, or \"off\""),
        ] {
            let problems = listen(bad).unwrap_err();
            let remedies: Vec<_> = problems.iter().filter_map(|problem| problem.remedy()).collect();
            assert!(matches!(remedies.as_slice(), [one] if one.contains(told)), "{bad}: {remedies:?}");
        }
    }
}
