//! rustls configurations. Each is built with an explicit crypto provider, never the process default.

use std::sync::Arc;

use crate::domain::CryptoProvider;
pub use crate::domain::TlsVersions;
use crate::pki::key::DeviceKey;

/// Why a TLS configuration could not be built.
#[derive(Debug, thiserror::Error)]
pub enum TlsConfigError {
    /// Roots are unusable.
    #[error("the CA file has no usable certificate: {0}")]
    Roots(String),
    /// Anything else that rustls refused.
    #[error(transparent)]
    Rustls(#[from] rustls::Error),
}

/// What all TLS clients of a run share: provider, roots, versions. Making a configuration from it for one device is
/// cheap: nothing is parsed again.
#[derive(Debug, Clone)]
pub struct ClientTls {}

impl ClientTls {
    /// `roots`: DER certificates that servers must lead to; empty means the platform's usual web roots are NOT trusted
    /// either, so give at least one.
    pub fn new(_roots: &[Vec<u8>], _versions: TlsVersions, _provider: CryptoProvider) -> Result<Self, TlsConfigError> {
        todo!()
    }

    /// Server authentication only. No session resumption.
    pub fn anonymous(&self) -> Arc<rustls::ClientConfig> {
        todo!()
    }

    /// Mutual TLS with a chain (leaf first, DER) and its key.
    pub fn with_identity(&self, _chain: &[Vec<u8>], _key: Arc<DeviceKey>) -> Arc<rustls::ClientConfig> {
        todo!()
    }
}

/// A server configuration that asks for a client certificate but accepts none, and accepts any well-formed one whose
/// key the client proves to have (CertificateVerify is checked): DPS and hub decide by MQTT or HTTP what it is worth.
/// TLS 1.2 and 1.3, no session tickets. `certificate` and `key` as of `RootCa::server_certificate`.
pub fn server_config(
    _certificate: Vec<u8>,
    _key: Vec<u8>,
    _versions: TlsVersions,
) -> Result<Arc<rustls::ServerConfig>, TlsConfigError> {
    todo!()
}
