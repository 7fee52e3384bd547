//! Which signatures are accepted, and how they are verified: ECDSA on P-256, P-384 and P-521 and RSA (2048 to 8192
//! bits, PKCS#1 v1.5), each with SHA-256, SHA-384 or SHA-512, all by aws-lc-rs.

use aws_lc_rs::signature as aws;
use aws_lc_rs::signature::{ParsedPublicKey, VerificationAlgorithm};
use x509_parser::asn1_rs::Oid;
use x509_parser::oid_registry as oid;
use x509_parser::public_key::PublicKey;
use x509_parser::x509::SubjectPublicKeyInfo;

/// Kind of a public key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum KeyKind {
    P256,
    P384,
    P521,
    /// Modulus length in bits.
    Rsa(usize),
}

/// Hash of a signature.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Hash {
    Sha256,
    Sha384,
    Sha512,
}

impl KeyKind {
    /// `None` when the key is of another type, or RSA of a size that nobody should verify.
    pub(super) fn of(spki: &SubjectPublicKeyInfo<'_>) -> Option<Self> {
        let id = &spki.algorithm;
        if id.algorithm == oid::OID_KEY_TYPE_EC_PUBLIC_KEY {
            let curve = id.parameters.as_ref()?.as_oid().ok()?;
            return [
                (oid::OID_EC_P256, Self::P256),
                (oid::OID_NIST_EC_P384, Self::P384),
                (oid::OID_NIST_EC_P521, Self::P521),
            ]
            .into_iter()
            .find_map(|(oid, kind)| (oid == curve).then_some(kind));
        }
        if id.algorithm != oid::OID_PKCS1_RSAENCRYPTION {
            return None;
        }
        let PublicKey::RSA(key) = spki.parsed().ok()? else { return None };
        let bits = bit_length(key.modulus);
        (2048..=8192).contains(&bits).then_some(Self::Rsa(bits))
    }

    pub(super) fn algorithm(self, hash: Hash) -> &'static dyn VerificationAlgorithm {
        match (self, hash) {
            (Self::P256, Hash::Sha256) => &aws::ECDSA_P256_SHA256_ASN1,
            (Self::P256, Hash::Sha384) => &aws::ECDSA_P256_SHA384_ASN1,
            (Self::P256, Hash::Sha512) => &aws::ECDSA_P256_SHA512_ASN1,
            (Self::P384, Hash::Sha256) => &aws::ECDSA_P384_SHA256_ASN1,
            (Self::P384, Hash::Sha384) => &aws::ECDSA_P384_SHA384_ASN1,
            (Self::P384, Hash::Sha512) => &aws::ECDSA_P384_SHA512_ASN1,
            (Self::P521, Hash::Sha256) => &aws::ECDSA_P521_SHA256_ASN1,
            (Self::P521, Hash::Sha384) => &aws::ECDSA_P521_SHA384_ASN1,
            (Self::P521, Hash::Sha512) => &aws::ECDSA_P521_SHA512_ASN1,
            (Self::Rsa(_), Hash::Sha256) => &aws::RSA_PKCS1_2048_8192_SHA256,
            (Self::Rsa(_), Hash::Sha384) => &aws::RSA_PKCS1_2048_8192_SHA384,
            (Self::Rsa(_), Hash::Sha512) => &aws::RSA_PKCS1_2048_8192_SHA512,
        }
    }

    /// Verifies one signature, `algorithm` being the OID beside it. The public key is the whole SubjectPublicKeyInfo.
    pub(super) fn verify(self, spki_der: &[u8], algorithm: &Oid<'_>, message: &[u8], signature: &[u8]) -> bool {
        let Some(hash) = self.hash(algorithm) else { return false };
        self.algorithm(hash).verify_sig(spki_der, message, signature).is_ok()
    }

    /// The hash of a signature algorithm, `None` when a key of this kind cannot have made it.
    pub(super) fn hash(self, algorithm: &Oid<'_>) -> Option<Hash> {
        let known = match self {
            Self::Rsa(_) => [
                (oid::OID_PKCS1_SHA256WITHRSA, Hash::Sha256),
                (oid::OID_PKCS1_SHA384WITHRSA, Hash::Sha384),
                (oid::OID_PKCS1_SHA512WITHRSA, Hash::Sha512),
            ],
            Self::P256 | Self::P384 | Self::P521 => [
                (oid::OID_SIG_ECDSA_WITH_SHA256, Hash::Sha256),
                (oid::OID_SIG_ECDSA_WITH_SHA384, Hash::Sha384),
                (oid::OID_SIG_ECDSA_WITH_SHA512, Hash::Sha512),
            ],
        };
        known.into_iter().find_map(|(oid, hash)| (oid == *algorithm).then_some(hash))
    }
}

/// A public key that verifies many signatures: parsed once per hash.
#[derive(Debug)]
pub(super) struct VerifyingKey {
    kind: KeyKind,
    parsed: [ParsedPublicKey; 3],
}

impl VerifyingKey {
    /// `None` when the key type is not accepted or the key is broken.
    pub(super) fn new(spki: &SubjectPublicKeyInfo<'_>) -> Option<Self> {
        let kind = KeyKind::of(spki)?;
        let parse = |hash| ParsedPublicKey::new(kind.algorithm(hash), spki.raw).ok();
        Some(Self { kind, parsed: [parse(Hash::Sha256)?, parse(Hash::Sha384)?, parse(Hash::Sha512)?] })
    }

    /// As [`KeyKind::verify`].
    pub(super) fn verify(&self, algorithm: &Oid<'_>, message: &[u8], signature: &[u8]) -> bool {
        let [sha256, sha384, sha512] = &self.parsed;
        let key = match self.kind.hash(algorithm) {
            Some(Hash::Sha256) => sha256,
            Some(Hash::Sha384) => sha384,
            Some(Hash::Sha512) => sha512,
            None => return false,
        };
        key.verify_sig(message, signature).is_ok()
    }
}

/// Length of a big-endian number in bits.
fn bit_length(number: &[u8]) -> usize {
    let digits = number.iter().skip_while(|byte| **byte == 0);
    let mut bits = 0;
    for (position, byte) in digits.enumerate() {
        bits = if position == 0 { 8 - byte.leading_zeros() as usize } else { bits + 8 };
    }
    bits
}

#[cfg(test)]
mod tests {
    use super::bit_length;

    #[test]
    fn leading_zeros_do_not_count_as_bits() {
        assert_eq!(bit_length(&[]), 0);
        assert_eq!(bit_length(&[0, 0]), 0);
        assert_eq!(bit_length(&[0, 1, 0xff]), 9);
        assert_eq!(bit_length(&[0x80; 256]), 2048);
    }
}
