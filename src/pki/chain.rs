//! Checks of certificate chains, on the device's side (what was issued to me?) and on the hub's side (who is this?).

use std::time::SystemTime;

/// What a device must find in the chain issued to it.
#[derive(Debug)]
pub struct ChainVerifier {}

/// What a good leaf says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifiedLeaf {
    /// Serial number, big-endian.
    pub serial: Vec<u8>,
    /// Start of validity.
    pub not_before: SystemTime,
    /// End of validity.
    pub not_after: SystemTime,
}

/// Why a chain is wrong.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ChainError {
    /// No certificate at all.
    #[error("the issued chain is empty")]
    Empty,
    /// More certificates than real devices take.
    #[error("the issued chain has {0} certificates, at most 3 are allowed")]
    TooLong(usize),
    /// Not a certificate.
    #[error("certificate {0} of the issued chain is not X.509 DER")]
    Malformed(usize),
    /// The leaf has another key than the CSR.
    #[error("the issued certificate's key is not the key of the CSR")]
    Key,
    /// The leaf names somebody else.
    #[error("the issued certificate's common name is not the device's id")]
    CommonName,
    /// A certificate was not signed by the next one.
    #[error("the signature of certificate {0} of the issued chain does not verify")]
    Signature(usize),
    /// Not valid now.
    #[error("certificate {0} of the issued chain is not valid now")]
    Validity(usize),
    /// It does not end in the expected root or issuer.
    #[error("the issued chain does not come from the expected authority")]
    Issuer,
}

impl ChainVerifier {
    /// `expected` are DER certificates of which one must be in the chain as issuing CA or root (or have signed its last
    /// certificate); empty: any consistent chain is taken. Verified authorities are remembered, so that only the leaf's
    /// signature is checked per device. Shared between threads.
    pub fn new(_expected: Vec<Vec<u8>>) -> Self {
        todo!()
    }

    /// Checks a chain, leaf first.
    pub fn verify(
        &self,
        _chain: &[Vec<u8>],
        _spki_der: &[u8],
        _common_name: &str,
        _now: SystemTime,
    ) -> Result<VerifiedLeaf, ChainError> {
        todo!()
    }
}
