use std::sync::Arc;

use crate::device::{Credential, Prepared, Settings};

/// The device's own end of its connections: one per device, kept for the whole run, used by one attempt at a time.
#[derive(Debug)]
pub struct LocalEnd {
    /// Place of the device in the fleet.
    index: u32,
}

impl LocalEnd {
    /// That of device `index` of the fleet.
    pub const fn new(_settings: &Settings, index: u32) -> Self {
        Self { index }
    }

    /// Place of the device in the fleet.
    pub const fn index(&self) -> u32 {
        self.index
    }

    /// Forgets every TLS session, as a device does that lost power: the next handshakes are full ones.
    pub fn forget_sessions(&self) {}

    /// TLS with DPS: with the bootstrap certificate, when the device has one.
    pub(super) fn dps_tls(&self, settings: &Settings, prepared: &Prepared) -> Arc<rustls::ClientConfig> {
        match prepared.bootstrap() {
            None => settings.tls.anonymous(),
            Some(identity) => settings.tls.with_identity(&identity.chain, identity.key.clone()),
        }
    }

    /// TLS with the hub.
    pub(super) fn hub_tls(&self, settings: &Settings, credential: &Credential) -> Arc<rustls::ClientConfig> {
        settings.tls.with_identity(credential.presented_chain(), credential.key.clone())
    }
}
