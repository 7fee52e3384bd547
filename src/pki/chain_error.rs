//! What can be wrong with a chain of certificates, whoever looks at it.

use std::time::SystemTime;

use crate::pki::path::ExtensionFault;

/// Why a chain is wrong. Certificates are counted from the leaf, which is 0.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ChainError {
    /// No certificate at all.
    #[error("the chain is empty")]
    Empty,
    /// More certificates than real devices take.
    #[error("the chain has {0} certificates, at most 3 are allowed")]
    TooLong(usize),
    /// Not a certificate, or with a key of a kind that is not accepted.
    #[error("certificate {0} of the chain is not X.509 DER with an ECDSA or RSA key")]
    Malformed(usize),
    /// The leaf has another key than the CSR.
    #[error("the certificate's key is not the key of the CSR")]
    Key,
    /// The leaf names somebody else, or nobody, or several.
    #[error("the certificate's common name is not the device's id")]
    CommonName,
    /// The leaf is of an older version of X.509, which has no extensions.
    #[error("the certificate is X.509 version {0}, not 3")]
    Version(u32),
    /// A certificate says something that must be understood and is not.
    #[error("certificate {position} of the chain has {fault}")]
    Extension {
        /// Which one.
        position: usize,
        /// What is not understood.
        fault: ExtensionFault,
    },
    /// The leaf's key is of a kind that is not accepted.
    #[error("the certificate's key is not ECDSA P-256, P-384 or P-521, or RSA of 2048 to 8192 bits")]
    KeyType,
    /// The leaf is an authority, or not meant for TLS clients.
    #[error("the certificate is not one of an end entity that may sign as a TLS client")]
    Usage,
    /// A certificate was not signed by the next one.
    #[error("the signature of certificate {0} of the chain does not verify")]
    Signature(usize),
    /// A certificate signed without being allowed to: basicConstraints, keyUsage, extendedKeyUsage or path length.
    #[error("certificate {0} of the chain may not sign certificates here")]
    NotAuthority(usize),
    /// A certificate has a name that an authority above it may not certify.
    #[error("certificate {0} of the chain has a name that an authority above it must not certify (nameConstraints)")]
    Name(usize),
    /// An authority asks for a policy, and the certificates have none in common.
    #[error("the certificates of the chain have no policy in common, and one of them asks for it (policyConstraints)")]
    Policy,
    /// Certificates that lead up in more ways than anybody tries.
    #[error("the certificates of the chain sign each other in too many ways")]
    Tangled,
    /// Not valid now.
    #[error("certificate {0} of the chain is not valid now")]
    Validity(usize),
    /// Not valid yet, and not for more than [`CLOCK_TOLERANCE`](crate::pki::chain::CLOCK_TOLERANCE).
    #[error(
        "certificate {position} of the chain becomes valid at {} only (notBefore), and here it is {}: compare the clocks of \
         this machine and of the authority", minute(*not_before), minute(*now)
    )]
    NotYet {
        /// Which one.
        position: usize,
        /// Start of its validity.
        not_before: SystemTime,
        /// The time of the check.
        now: SystemTime,
    },
    /// It does not end in the expected root or issuer.
    #[error("the chain does not come from the expected authority")]
    Issuer,
}

/// To the minute, so that messages of many devices are one.
fn minute(time: SystemTime) -> String {
    let time = jiff::Timestamp::try_from(time).unwrap_or(jiff::Timestamp::MAX);
    time.strftime("%Y-%m-%dT%H:%MZ").to_string()
}
