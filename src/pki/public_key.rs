//! Public keys of CSRs and certificates, and signatures made with them, checked by aws-lc-rs directly: x509-parser's own
//! check costs a second parse.

use aws_lc_rs::signature::{self, ParsedPublicKey, VerificationAlgorithm};
use x509_parser::der_parser::oid::Oid;
use x509_parser::oid_registry::{
    OID_EC_P256, OID_KEY_TYPE_EC_PUBLIC_KEY, OID_NIST_EC_P384, OID_PKCS1_RSAENCRYPTION, OID_PKCS1_SHA256WITHRSA,
    OID_PKCS1_SHA384WITHRSA, OID_PKCS1_SHA512WITHRSA, OID_SIG_ECDSA_WITH_SHA256, OID_SIG_ECDSA_WITH_SHA384,
    OID_SIG_ECDSA_WITH_SHA512,
};
use x509_parser::x509::{AlgorithmIdentifier, SubjectPublicKeyInfo};

use crate::domain::KeyAlgorithm;

/// A public key of one of the algorithms that ADR takes, borrowed from a certificate or CSR.
#[derive(Debug, Clone, Copy)]
pub(super) struct PublicKey<'a> {
    algorithm: KeyAlgorithm,
    bits: &'a [u8],
}

/// A signature that does not verify, or is of an algorithm that is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct BadSignature;

impl<'a> PublicKey<'a> {
    /// `None` for any other kind of key.
    pub(super) fn from_spki(spki: &'a SubjectPublicKeyInfo<'_>) -> Option<Self> {
        let bits = &*spki.subject_public_key.data;
        let kind = &spki.algorithm.algorithm;
        let algorithm = if *kind == OID_KEY_TYPE_EC_PUBLIC_KEY {
            let curve = spki.algorithm.parameters.as_ref()?.as_oid().ok()?;
            match curve {
                c if c == OID_EC_P256 => KeyAlgorithm::EcdsaP256,
                c if c == OID_NIST_EC_P384 => KeyAlgorithm::EcdsaP384,
                _ => return None,
            }
        } else if *kind == OID_PKCS1_RSAENCRYPTION {
            let x509_parser::public_key::PublicKey::RSA(key) = spki.parsed().ok()? else { return None };
            match key.key_size() {
                2048..3072 => KeyAlgorithm::Rsa2048,
                3072..4096 => KeyAlgorithm::Rsa3072,
                4096..=8192 => KeyAlgorithm::Rsa4096,
                _ => return None,
            }
        } else {
            return None;
        };
        Some(Self { algorithm, bits })
    }

    /// RSA sizes between the named ones count as the smaller one.
    pub(super) const fn algorithm(self) -> KeyAlgorithm {
        self.algorithm
    }

    /// Checks `signature`, made with the algorithm named beside it, over `message`.
    pub(super) fn verify(
        self,
        named: &AlgorithmIdentifier<'_>,
        message: &[u8],
        signature: &[u8],
    ) -> Result<(), BadSignature> {
        let algorithm = self.verification(&named.algorithm).ok_or(BadSignature)?;
        ParsedPublicKey::new(algorithm, self.bits)
            .map_err(|_| BadSignature)?
            .verify_sig(message, signature)
            .map_err(|_| BadSignature)
    }

    fn verification(self, named: &Oid<'_>) -> Option<&'static dyn VerificationAlgorithm> {
        let hash = |oids: [&Oid<'static>; 3]| oids.into_iter().position(|oid| oid == named);
        let ecdsa = || hash([&OID_SIG_ECDSA_WITH_SHA256, &OID_SIG_ECDSA_WITH_SHA384, &OID_SIG_ECDSA_WITH_SHA512]);
        let algorithms: [&'static dyn VerificationAlgorithm; 3] = match self.algorithm {
            KeyAlgorithm::EcdsaP256 => [
                &signature::ECDSA_P256_SHA256_ASN1,
                &signature::ECDSA_P256_SHA384_ASN1,
                &signature::ECDSA_P256_SHA512_ASN1,
            ],
            KeyAlgorithm::EcdsaP384 => [
                &signature::ECDSA_P384_SHA256_ASN1,
                &signature::ECDSA_P384_SHA384_ASN1,
                &signature::ECDSA_P384_SHA512_ASN1,
            ],
            KeyAlgorithm::Rsa2048 | KeyAlgorithm::Rsa3072 | KeyAlgorithm::Rsa4096 => {
                let index = hash([&OID_PKCS1_SHA256WITHRSA, &OID_PKCS1_SHA384WITHRSA, &OID_PKCS1_SHA512WITHRSA])?;
                let rsa: [&'static dyn VerificationAlgorithm; 3] = [
                    &signature::RSA_PKCS1_2048_8192_SHA256,
                    &signature::RSA_PKCS1_2048_8192_SHA384,
                    &signature::RSA_PKCS1_2048_8192_SHA512,
                ];
                return Some(rsa[index]);
            }
        };
        ecdsa().map(|index| algorithms[index])
    }
}
