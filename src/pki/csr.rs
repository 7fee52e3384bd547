//! PKCS#10 certificate signing requests (RFC 2986).

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rcgen::{CertificateParams, DistinguishedName, DnType};
use x509_parser::asn1_rs::{Any, Class, Tag};
use x509_parser::prelude::FromDer;
use x509_parser::x509::{AlgorithmIdentifier, SubjectPublicKeyInfo, X509Name};

use crate::domain::KeyAlgorithm;
use crate::pki::certificate::is_signed_der;
use crate::pki::key::{DeviceKey, KeyError};
use crate::pki::name;
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

/// A request as it was sent.
struct Request<'a> {
    subject: X509Name<'a>,
    key: SubjectPublicKeyInfo<'a>,
    /// DER of what is signed.
    signed: &'a [u8],
    algorithm: AlgorithmIdentifier<'a>,
    signature: &'a [u8],
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
    let csr = Request::parse(der).ok_or(CsrError::Malformed)?;
    let kind = KeyKind::of(&csr.key).ok_or(CsrError::KeyType)?;
    let algorithm = match kind {
        KeyKind::P256 => KeyAlgorithm::EcdsaP256,
        KeyKind::P384 => KeyAlgorithm::EcdsaP384,
        KeyKind::P521 => return Err(CsrError::KeyType),
        KeyKind::Rsa(4096..) => KeyAlgorithm::Rsa4096,
        KeyKind::Rsa(3072..) => KeyAlgorithm::Rsa3072,
        KeyKind::Rsa(_) => KeyAlgorithm::Rsa2048,
    };
    let common_name = name::common_name(&csr.subject)
        .filter(|name| (1..=MAX_COMMON_NAME).contains(&name.chars().count()))
        .ok_or(CsrError::CommonName)?
        .into_owned();
    if !kind.verify(csr.key.raw, &csr.algorithm.algorithm, csr.signed, csr.signature) {
        return Err(CsrError::Signature);
    }
    Ok(VerifiedCsr { common_name, spki_der: csr.key.raw.to_vec(), algorithm })
}

impl<'a> Request<'a> {
    /// Of DER whose frame was checked. x509-parser has a parser too, which insists on the field of attributes.
    fn parse(der: &'a [u8]) -> Option<Self> {
        let (_, request) = Any::from_der(der).ok()?;
        let (rest, info) = Any::from_der(request.data).ok()?;
        let signed = &request.data[..request.data.len() - rest.len()];
        let (rest, algorithm) = AlgorithmIdentifier::from_der(rest).ok()?;
        let (_, signature) = Any::from_der(rest).ok()?;
        // The first byte counts unused bits, of which there are none.
        let signature = signature.data.get(1..)?;
        info.header.assert_tag(Tag::Sequence).ok()?;
        let (rest, _version) = u32::from_der(info.data).ok()?;
        let (rest, subject) = X509Name::from_der(rest).ok()?;
        let (rest, key) = SubjectPublicKeyInfo::from_der(rest).ok()?;
        are_attributes(rest).then_some(Self { subject, key, signed, algorithm, signature })
    }
}

/// Whether what ends a request's signed part are attributes. RFC 2986 wants the field even if it is empty; requests without
/// it exist, and OpenSSL takes them too. What attributes ask for does not matter: the authority decides on extensions.
fn are_attributes(der: &[u8]) -> bool {
    if der.is_empty() {
        return true;
    }
    let Ok((after, field)) = Any::from_der(der) else { return false };
    let mut rest = field.data;
    let mut are_sequences = true;
    while !rest.is_empty() && are_sequences {
        match Any::from_der(rest) {
            Ok((next, attribute)) if attribute.tag() == Tag::Sequence => rest = next,
            _ => are_sequences = false,
        }
    }
    after.is_empty() && field.class() == Class::ContextSpecific && field.tag().0 == 0 && are_sequences
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::CryptoProvider;
    use crate::pki::test_support::of_length;
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

    /// A request whose signed part is `change`d, signed anew.
    fn signed_anew(key: &DeviceKey, change: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
        let der = build(key, "device-0001").unwrap();
        let (_, request) = Any::from_der(&der).unwrap();
        let (_, info) = Any::from_der(request.data).unwrap();
        let mut info = info.data.to_vec();
        change(&mut info);
        yasna::construct_der(|writer| {
            writer.write_sequence(|writer| {
                let signed =
                    yasna::construct_der(|writer| writer.write_sequence(|writer| writer.next().write_der(&info)));
                let signature = rcgen::SigningKey::sign(key, &signed).unwrap();
                writer.next().write_der(&signed);
                let ecdsa_with_sha256 = yasna::models::ObjectIdentifier::from_slice(&[1, 2, 840, 10045, 4, 3, 2]);
                writer.next().write_sequence(|writer| writer.next().write_oid(&ecdsa_with_sha256));
                writer.next().write_bitvec_bytes(&signature, signature.len() * 8);
            });
        })
    }

    #[test]
    fn the_field_of_attributes_may_be_empty_full_or_absent() {
        let key = key(KeyAlgorithm::EcdsaP256, CryptoProvider::AwsLc);
        let with = |attributes: &[u8]| {
            verify(&signed_anew(&key, |info| {
                assert_eq!(info.split_off(info.len() - 2), [0xa0, 0]);
                info.extend(attributes);
            }))
        };
        let challenge = b"\xa0\x15\x30\x13\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x09\x07\x31\x06\x1e\x04\x00a\x00b";
        for good in [&b""[..], b"\xa0\x00", challenge] {
            assert_eq!(with(good).map(|csr| csr.common_name).as_deref(), Ok("device-0001"), "{good:x?}");
        }
        for bad in [&b"\xa1\x00"[..], b"\x05\x00", b"\xa0\x02\x05\x00", b"\xa0\x00\x00", b"\xa0\x03\x30\x05"] {
            assert_eq!(with(bad), Err(CsrError::Malformed), "{bad:x?}");
        }
    }

    #[test]
    fn the_common_name_may_be_a_string_of_any_type() {
        let key = key(KeyAlgorithm::EcdsaP256, CryptoProvider::AwsLc);
        let text = "Gerät-7";
        let strings = [
            rcgen::DnValue::Utf8String(text.to_owned()),
            rcgen::DnValue::BmpString(text.try_into().unwrap()),
            rcgen::DnValue::UniversalString(text.try_into().unwrap()),
        ];
        for string in strings {
            let mut params = CertificateParams::default();
            params.distinguished_name = DistinguishedName::new();
            params.distinguished_name.push(DnType::CommonName, string.clone());
            let der = params.serialize_request(&key).unwrap().der().to_vec();
            assert_eq!(verify(&der).map(|csr| csr.common_name).as_deref(), Ok(text), "{string:?}");
        }
    }

    #[test]
    fn requests_of_up_to_16_kib_are_looked_at() {
        let key = key(KeyAlgorithm::EcdsaP256, CryptoProvider::AwsLc);
        let element = |tag: u8, content: &[u8]| {
            let [high, low] = u16::try_from(content.len()).unwrap().to_be_bytes();
            [&[tag, 0x82, high, low], content].concat()
        };
        let padded = |padding| {
            signed_anew(&key, |info| {
                info.truncate(info.len() - 2);
                info.extend(element(0xa0, &element(0x30, &vec![0; padding])));
            })
        };
        let verified = |length| verify(&of_length(length, padded)).map(|csr| csr.common_name);
        assert_eq!(verified(16 * 1024).as_deref(), Ok("device-0001"));
        assert_eq!(verified(16 * 1024 + 1), Err(CsrError::Malformed));
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
