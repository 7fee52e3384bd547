//! Proof that whoever uploads a CA certificate has its key. Source: Microsoft Learn, "Verify X.509 CA certificates with
//! your Device Provisioning Service".

use std::time::SystemTime;

use crate::pki::authority::Authority;
use crate::pki::certificate;

/// Why a proof of possession proves nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PossessionError {
    /// Not X.509 DER.
    #[error("the proof of possession is not an X.509 certificate")]
    Malformed,
    /// The subject is not the code.
    #[error("the common name of the proof of possession is not the verification code")]
    Code,
    /// Signed with another key.
    #[error("the proof of possession was not signed with the key of the CA certificate")]
    Signature,
    /// Not valid now.
    #[error("the proof of possession is not valid now")]
    Validity,
}

/// Whether a certificate may sign others: CA in basicConstraints, certificate signing in keyUsage, a key of a kind that
/// is accepted, no extension that would have to be understood and is not.
pub fn is_authority(der: &[u8]) -> bool {
    Authority::parse(der).is_some_and(|authority| authority.is_authority())
}

/// Checks that `proof` has the common name `code` and was signed with the key of the CA certificate `ca`.
///
/// # Errors
/// The first of [`PossessionError`] that holds, in their order.
pub fn verify(ca: &[u8], proof: &[u8], code: &str, now: SystemTime) -> Result<(), PossessionError> {
    let parsed = certificate::parse(proof).ok_or(PossessionError::Malformed)?;
    if certificate::common_name(&parsed).as_deref() != Some(code) {
        return Err(PossessionError::Code);
    }
    if !Authority::parse(ca).is_some_and(|ca| ca.signed(&parsed)) {
        return Err(PossessionError::Signature);
    }
    if certificate::validity(&parsed).is_some_and(|validity| validity.contains(now)) {
        Ok(())
    } else {
        Err(PossessionError::Validity)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pki::bootstrap::proof_of_possession;
    use crate::pki::test_support::{DAY, key, leaf_by, now, reissued, root, root_name, unknown_extension};

    #[test]
    fn only_the_owner_of_the_key_can_prove_it() {
        let (ca, other) = (root(1), root(1));
        let proof = proof_of_possession(&ca, "C0DE", 30, now()).unwrap();
        assert_eq!(verify(ca.der(), &proof, "C0DE", now()), Ok(()));
        assert_eq!(verify(ca.der(), &proof, "c0de", now()), Err(PossessionError::Code));
        assert_eq!(verify(other.der(), &proof, "C0DE", now()), Err(PossessionError::Signature));
        assert_eq!(verify(ca.der(), &proof, "C0DE", now() + 31 * DAY), Err(PossessionError::Validity));
        assert_eq!(verify(ca.der(), b"", "C0DE", now()), Err(PossessionError::Malformed));
        assert_eq!(verify(b"", &proof, "C0DE", now()), Err(PossessionError::Signature));
    }

    #[test]
    fn the_issuer_may_be_written_in_another_encoding() {
        let ca = root(1);
        let proof = proof_of_possession(&ca, "C0DE", 30, now()).unwrap();
        let uploaded = reissued(&ca, |params| params.distinguished_name = root_name());
        assert_eq!(verify(&uploaded, &proof, "C0DE", now()), Ok(()));
    }

    #[test]
    fn authorities_are_told_from_leaves() {
        let ca = root(1);
        assert!(is_authority(ca.der()));
        assert!(!is_authority(&leaf_by(&ca, &key(), |_| ())) && !is_authority(b""));
        let unknown = reissued(&ca, |params| params.custom_extensions.push(unknown_extension()));
        assert!(!is_authority(&unknown), "nobody knows what it may sign");
    }
}
