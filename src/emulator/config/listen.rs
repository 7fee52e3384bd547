use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::emulator::listening::address::Address;
use crate::emulator::listening::port::Port;

/// Sockets, their limits and time-outs.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Listen {
    /// Address of the listeners for devices: both of loopback, or one.
    pub address: Address,
    /// Port of MQTT over TLS for DPS and hub; 0 takes a free one.
    pub mqtt_port: u16,
    /// Port of HTTPS and MQTT over WebSocket for DPS and hub; 0 takes a free one. When absent it is off, but the command
    /// line takes 8443.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub https_port: Option<Port>,
    /// Port of the control plane; 0 takes a free one. When absent it is off, but the command line takes 8444.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub management_port: Option<Port>,
    /// Address of the control plane: both of loopback, or one.
    pub management_address: Address,
    /// Connections served at once; more wait in the kernel's queue. Lowered at start to what the file-descriptor limit
    /// allows.
    pub max_connections: usize,
    /// When all of those are there and another one comes, the oldest one leaves that has not proved who it is and has kept
    /// the emulator waiting for so many seconds in all.
    pub unproven_patience_seconds: u64,
    /// Hand out session tickets and resume sessions with them, in TLS 1.2 and 1.3. A resumed session has the client
    /// certificate of the first one.
    pub tls_resumption: bool,
    /// TLS handshakes that compute at once; the oldest of those that could go first, so that what was begun gets finished.
    /// No more than the machine has cores do in any case. One that waits for its peer has no part in this and holds up
    /// nobody.
    pub handshakes_at_once: usize,
    /// A TLS handshake in which the emulator has waited for its peer for so many seconds in all is cut.
    pub handshake_timeout_seconds: u64,
    /// A connection that has not proved who it is is cut after so many seconds.
    pub unauthenticated_timeout_seconds: u64,
    /// A peer that does not read what it is sent is cut after so many seconds.
    pub write_timeout_seconds: u64,
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

impl Default for Listen {
    fn default() -> Self {
        Self {
            address: Address::Localhost,
            mqtt_port: 8883,
            https_port: None,
            management_port: None,
            management_address: Address::Localhost,
            max_connections: 100_000,
            unproven_patience_seconds: 5,
            tls_resumption: false,
            handshakes_at_once: 64,
            handshake_timeout_seconds: 30,
            unauthenticated_timeout_seconds: 60,
            write_timeout_seconds: 30,
        }
    }
}
