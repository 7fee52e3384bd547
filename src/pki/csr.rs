//! PKCS#10 certificate signing requests (RFC 2986).

use crate::domain::KeyAlgorithm;
use crate::pki::key::{DeviceKey, KeyError};

/// Builds the DER of a CSR with subject `CN=<common_name>` and nothing else, signed by `key`.
pub fn build(_key: &DeviceKey, _common_name: &str) -> Result<Vec<u8>, KeyError> {
    todo!()
}

/// The text that goes into the `csr` property: standard base64 of the DER, without line breaks.
pub fn to_base64(_der: &[u8]) -> String {
    todo!()
}

/// A CSR whose signature was checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifiedCsr {
    /// The subject's common name.
    pub common_name: String,
    /// SubjectPublicKeyInfo in DER.
    pub spki_der: Vec<u8>,
    /// Algorithm of the key.
    pub algorithm: KeyAlgorithm,
}

/// Why a CSR is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CsrError {
    /// Not the DER of a PKCS#10 request.
    #[error("the CSR is not the DER of a PKCS#10 request")]
    Malformed,
    /// The self-signature does not verify.
    #[error("the CSR's signature does not verify with its own public key")]
    Signature,
    /// A key type that ADR does not take.
    #[error("the CSR's key is not ECDSA P-256, P-384 or RSA of at least 2048 bits")]
    KeyType,
    /// No common name, or more than one.
    #[error("the CSR's subject must have exactly one common name")]
    CommonName,
}

/// Parses a CSR and verifies its signature with its own key.
pub fn verify(_der: &[u8]) -> Result<VerifiedCsr, CsrError> {
    todo!()
}
