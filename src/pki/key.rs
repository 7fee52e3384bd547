//! Key pairs of devices and authorities.

use crate::domain::{CryptoProvider, KeyAlgorithm};

/// A key pair that never leaves the process unless asked for. Signs for rcgen (CSRs, certificates) and rustls (mutual
/// TLS) without being parsed again.
#[derive(Debug)]
pub struct DeviceKey {}

/// Why a key could not be made or used.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The provider cannot make this kind of key.
    #[error("{provider} cannot generate {algorithm} keys: use aws-lc-rs")]
    Unsupported {
        /// Provider asked.
        provider: CryptoProvider,
        /// Algorithm asked for.
        algorithm: KeyAlgorithm,
    },
    /// The library failed.
    #[error("the crypto library failed to {0}")]
    Library(&'static str),
}

impl DeviceKey {
    /// Makes a key pair with randomness of the operating system.
    pub fn generate(_algorithm: KeyAlgorithm, _provider: CryptoProvider) -> Result<Self, KeyError> {
        todo!()
    }

    /// Its algorithm.
    pub fn algorithm(&self) -> KeyAlgorithm {
        todo!()
    }

    /// The SubjectPublicKeyInfo in DER (RFC 5280, section 4.1.2.7).
    pub fn spki_der(&self) -> &[u8] {
        todo!()
    }
}
