//! PKCS#10 certificate signing requests (RFC 2986).

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rcgen::{CertificateParams, DistinguishedName, DnType};
use x509_parser::certification_request::X509CertificationRequest;
use x509_parser::prelude::FromDer;

use crate::domain::KeyAlgorithm;
use crate::pki::certificate::is_signed_der;
use crate::pki::key::{DeviceKey, KeyError};
use crate::pki::signature::KeyKind;

/// Longest CSR that is looked at, in bytes of DER. An RSA-8192 request has about 2.5 KB; the hub takes 8 KB of base64.
pub const MAX_DER_LENGTH: usize = 16 * 1024;

/// Longest common name in characters (RFC 5280, ub-common-name).
pub const MAX_COMMON_NAME: usize = 64;

/// Builds the DER of a CSR with subject `CN=<common_name>` and nothing else, signed by `key`.
///
/// # Errors
/// [`KeyError::CommonName`] when the name is empty or longer than [`MAX_COMMON_NAME`] characters,
/// [`KeyError::Library`] when the key cannot sign.
pub fn build(key: &DeviceKey, common_name: &str) -> Result<Vec<u8>, KeyError> {
    let mut params = CertificateParams::default();
    params.distinguished_name = distinguished_name(common_name)?;
    let request = params.serialize_request(key).map_err(|_| KeyError::Library("sign a CSR"))?;
    Ok(request.der().to_vec())
}

/// A name of one common name, checked for its length.
pub(super) fn distinguished_name(common_name: &str) -> Result<DistinguishedName, KeyError> {
    let length = common_name.chars().count();
    if length == 0 || length > MAX_COMMON_NAME {
        return Err(KeyError::CommonName(length));
    }
    let mut name = DistinguishedName::new();
    name.push(DnType::CommonName, common_name);
    Ok(name)
}

/// The text that goes into the `csr` property: standard base64 of the DER, without line breaks.
pub fn to_base64(der: &[u8]) -> String {
    STANDARD.encode(der)
}

/// A CSR whose signature was checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifiedCsr {
    /// The subject's common name, 1 to 64 characters.
    pub common_name: String,
    /// SubjectPublicKeyInfo in DER.
    pub spki_der: Vec<u8>,
    /// Algorithm of the key. RSA keys of another size than the named ones count as the next smaller one.
    pub algorithm: KeyAlgorithm,
}

/// Why a CSR is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CsrError {
    /// Not the DER of a PKCS#10 request, or longer than [`MAX_DER_LENGTH`].
    #[error("the CSR is not the DER of a PKCS#10 request")]
    Malformed,
    /// The self-signature does not verify.
    #[error("the CSR's signature does not verify with its own public key")]
    Signature,
    /// A key type that ADR does not take.
    #[error("the CSR's key is not ECDSA P-256, P-384 or RSA of at least 2048 bits")]
    KeyType,
    /// No common name, or more than one, or too long.
    #[error("the CSR's subject must have exactly one common name of 1 to 64 characters")]
    CommonName,
}

/// Parses a CSR and verifies its signature with its own key. Takes bytes of any origin.
///
/// # Errors
/// The first of these that holds: [`CsrError::Malformed`], [`CsrError::KeyType`], [`CsrError::CommonName`],
/// [`CsrError::Signature`].
pub fn verify(der: &[u8]) -> Result<VerifiedCsr, CsrError> {
    if der.len() > MAX_DER_LENGTH || !is_signed_der(der) {
        return Err(CsrError::Malformed);
    }
    let (rest, csr) = X509CertificationRequest::from_der(der).map_err(|_| CsrError::Malformed)?;
    let info = &csr.certification_request_info;
    if !rest.is_empty() || csr.signature_value.unused_bits != 0 {
        return Err(CsrError::Malformed);
    }
    let kind = KeyKind::of(&info.subject_pki).ok_or(CsrError::KeyType)?;
    let algorithm = match kind {
        KeyKind::P256 => KeyAlgorithm::EcdsaP256,
        KeyKind::P384 => KeyAlgorithm::EcdsaP384,
        KeyKind::P521 => return Err(CsrError::KeyType),
        KeyKind::Rsa(4096..) => KeyAlgorithm::Rsa4096,
        KeyKind::Rsa(3072..) => KeyAlgorithm::Rsa3072,
        KeyKind::Rsa(_) => KeyAlgorithm::Rsa2048,
    };
    let mut names = info.subject.iter_common_name();
    let common_name = match (names.next().map(|name| name.as_str()), names.next()) {
        (Some(Ok(name)), None) if (1..=MAX_COMMON_NAME).contains(&name.chars().count()) => name.to_owned(),
        _ => return Err(CsrError::CommonName),
    };
    let spki_der = info.subject_pki.raw;
    if !kind.verify(spki_der, &csr.signature_algorithm.algorithm, info.raw, &csr.signature_value.data) {
        return Err(CsrError::Signature);
    }
    Ok(VerifiedCsr { common_name, spki_der: spki_der.to_vec(), algorithm })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::CryptoProvider;
    use proptest::prelude::*;

    const PAIRS: [(KeyAlgorithm, CryptoProvider); 5] = [
        (KeyAlgorithm::EcdsaP256, CryptoProvider::AwsLc),
        (KeyAlgorithm::EcdsaP384, CryptoProvider::AwsLc),
        (KeyAlgorithm::EcdsaP256, CryptoProvider::Ring),
        (KeyAlgorithm::EcdsaP384, CryptoProvider::Ring),
        (KeyAlgorithm::Rsa2048, CryptoProvider::AwsLc),
    ];

    fn key(algorithm: KeyAlgorithm, provider: CryptoProvider) -> DeviceKey {
        DeviceKey::generate(algorithm, provider).unwrap()
    }

    #[test]
    fn csrs_of_every_algorithm_verify() {
        for (algorithm, provider) in PAIRS {
            let key = key(algorithm, provider);
            let csr = verify(&build(&key, "device-0001").unwrap()).unwrap();
            assert_eq!((csr.common_name.as_str(), csr.algorithm), ("device-0001", algorithm));
            assert_eq!(csr.spki_der, key.spki_der());
        }
    }

    #[test]
    fn names_have_the_length_that_x509_allows() {
        let key = key(KeyAlgorithm::EcdsaP256, CryptoProvider::AwsLc);
        assert!(build(&key, &"a".repeat(64)).is_ok());
        assert!(matches!(build(&key, &"a".repeat(65)), Err(KeyError::CommonName(65))));
        assert!(matches!(build(&key, ""), Err(KeyError::CommonName(0))));
    }

    #[test]
    fn trailing_bytes_and_foreign_signatures_are_refused() {
        let key = key(KeyAlgorithm::EcdsaP256, CryptoProvider::AwsLc);
        let mut der = build(&key, "device-0001").unwrap();
        let last = der.len() - 1;
        der[last] ^= 1;
        assert_eq!(verify(&der), Err(CsrError::Signature));
        der[last] ^= 1;
        der.push(0);
        assert_eq!(verify(&der), Err(CsrError::Malformed));
        assert_eq!(verify(&vec![0x30; MAX_DER_LENGTH + 1]), Err(CsrError::Malformed));
    }

    #[test]
    fn a_subject_has_exactly_one_common_name() {
        let key = key(KeyAlgorithm::EcdsaP256, CryptoProvider::AwsLc);
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::OrganizationName, "nobody");
        let der = params.serialize_request(&key).unwrap().der().to_vec();
        assert_eq!(verify(&der), Err(CsrError::CommonName));
        params.distinguished_name.push(DnType::CustomDnType(vec![2, 5, 4, 3]), "one");
        params.distinguished_name.push(DnType::CommonName, "two");
        let der = params.serialize_request(&key).unwrap().der().to_vec();
        assert_eq!(verify(&der), Err(CsrError::CommonName));
    }

    /// Found by fuzzing: a length of 2^64 - 1 used to overflow.
    #[test]
    fn the_largest_length_is_refused() {
        let mut der = vec![0x30, 0x23, 0x03, 0x8c, 0, 0, 0, 0];
        der.extend([0xff; 24]);
        der.resize(64, 0);
        assert_eq!(verify(&der), Err(CsrError::Malformed));
    }

    #[test]
    fn other_key_types_are_refused() {
        for algorithm in [&rcgen::PKCS_ED25519, &rcgen::PKCS_ECDSA_P521_SHA512] {
            let key = rcgen::KeyPair::generate_for(algorithm).unwrap();
            let der = CertificateParams::default().serialize_request(&key).unwrap().der().to_vec();
            assert_eq!(verify(&der), Err(CsrError::KeyType));
        }
    }

    #[test]
    fn every_bit_counts() {
        let good = build(&key(KeyAlgorithm::EcdsaP256, CryptoProvider::AwsLc), "device-0001").unwrap();
        for place in 0..good.len() {
            for bit in 0..8 {
                let mut der = good.clone();
                der[place] ^= 1 << bit;
                assert!(verify(&der).is_err(), "byte {place} of {}, bit {bit}", good.len());
            }
        }
    }

    proptest! {
        #[test]
        fn any_name_of_the_service_round_trips(name in "[a-z0-9._:-]{0,63}[a-z0-9-]", index in 0..2_usize) {
            let (algorithm, provider) = PAIRS[index];
            let der = build(&key(algorithm, provider), &name).unwrap();
            prop_assert_eq!(verify(&der).unwrap().common_name, name);
        }

        #[test]
        fn mutated_requests_never_panic(
            changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
            cut in any::<prop::sample::Index>(),
            index in 0..2_usize,
        ) {
            let (algorithm, provider) = PAIRS[index];
            let mut der = build(&key(algorithm, provider), "device-0001").unwrap();
            let _ = verify(&der[..cut.index(der.len())]);
            for (place, byte) in changes {
                let place = place.index(der.len());
                der[place] = byte;
            }
            let _ = verify(&der);
        }

        #[test]
        fn random_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
            let _ = verify(&bytes);
        }
    }
}
