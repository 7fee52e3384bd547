//! Signatures of TLS clients, verified with the key of the certificate and nothing else: what the certificate is worth is
//! decided later and elsewhere. rustls verifies them through webpki, which refuses certificates that it does not like
//! (versions before 3, unknown critical extensions, RSA keys below 2048 bits) before it looks at the signature.

use aws_lc_rs::digest;
use aws_lc_rs::signature::{self as aws, UnparsedPublicKey, VerificationAlgorithm};
use rsa::pss::Pss;
use rsa::traits::SignatureScheme as _;
use rsa::{BoxedUint, Pkcs1v15Sign, PublicKey as RsaKey, sha2};
use rustls::SignatureScheme;
use x509_parser::certificate::X509Certificate;
use x509_parser::oid_registry::{OID_PKCS1_RSAENCRYPTION, OID_SIG_ED25519};
use x509_parser::prelude::FromDer;
use x509_parser::public_key::PublicKey;
use x509_parser::x509::SubjectPublicKeyInfo;

use crate::pki::signature::{Hash, KeyKind};

/// Which rules a signature follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rules {
    /// RFC 5246: a hash and a kind of key; the curve is the key's.
    Tls12,
    /// RFC 8446: the scheme names the curve, and RSA is PSS.
    Tls13,
}

/// How RSA signatures are padded.
#[derive(Debug, Clone, Copy)]
enum Padding {
    Pkcs1,
    Pss,
}

/// Whether it is a certificate with a public key that can be read, whatever else is in it.
pub(super) fn has_key(certificate: &[u8]) -> bool {
    matches!(X509Certificate::from_der(certificate), Ok(([], certificate)) if !certificate.public_key().raw.is_empty())
}

/// Whether the key of `certificate` (DER) made `signature` over `message`.
pub(super) fn verify(
    certificate: &[u8],
    scheme: SignatureScheme,
    rules: Rules,
    message: &[u8],
    signature: &[u8],
) -> bool {
    let Ok((_, certificate)) = X509Certificate::from_der(certificate) else { return false };
    let spki = certificate.public_key();
    let (hash, kind) = match scheme {
        SignatureScheme::ECDSA_NISTP256_SHA256 => (Hash::Sha256, KeyKind::P256),
        SignatureScheme::ECDSA_NISTP384_SHA384 => (Hash::Sha384, KeyKind::P384),
        SignatureScheme::ECDSA_NISTP521_SHA512 => (Hash::Sha512, KeyKind::P521),
        SignatureScheme::RSA_PSS_SHA256 => return rsa(spki, Hash::Sha256, Padding::Pss, message, signature),
        SignatureScheme::RSA_PSS_SHA384 => return rsa(spki, Hash::Sha384, Padding::Pss, message, signature),
        SignatureScheme::RSA_PSS_SHA512 => return rsa(spki, Hash::Sha512, Padding::Pss, message, signature),
        SignatureScheme::RSA_PKCS1_SHA256 if rules == Rules::Tls12 => {
            return rsa(spki, Hash::Sha256, Padding::Pkcs1, message, signature);
        }
        SignatureScheme::RSA_PKCS1_SHA384 if rules == Rules::Tls12 => {
            return rsa(spki, Hash::Sha384, Padding::Pkcs1, message, signature);
        }
        SignatureScheme::RSA_PKCS1_SHA512 if rules == Rules::Tls12 => {
            return rsa(spki, Hash::Sha512, Padding::Pkcs1, message, signature);
        }
        SignatureScheme::ED25519 if spki.algorithm.algorithm == OID_SIG_ED25519 => {
            return is_good(&aws::ED25519, &spki.subject_public_key.data, message, signature);
        }
        _ => return false,
    };
    match KeyKind::of(spki) {
        Some(KeyKind::Rsa(_)) | None => false,
        Some(own) if rules == Rules::Tls13 && own != kind => false,
        Some(own) => is_good(own.algorithm(hash), spki.raw, message, signature),
    }
}

fn is_good(algorithm: &'static dyn VerificationAlgorithm, key: &[u8], message: &[u8], signature: &[u8]) -> bool {
    UnparsedPublicKey::new(algorithm, key).verify(message, signature).is_ok()
}

/// RSA: aws-lc verifies keys from 2048 bits, the crate of RustCrypto shorter ones.
fn rsa(spki: &SubjectPublicKeyInfo<'_>, hash: Hash, padding: Padding, message: &[u8], signature: &[u8]) -> bool {
    if let Some(kind @ KeyKind::Rsa(_)) = KeyKind::of(spki) {
        let algorithm: &'static dyn VerificationAlgorithm = match (padding, hash) {
            (Padding::Pkcs1, hash) => kind.algorithm(hash),
            (Padding::Pss, Hash::Sha256) => &aws::RSA_PSS_2048_8192_SHA256,
            (Padding::Pss, Hash::Sha384) => &aws::RSA_PSS_2048_8192_SHA384,
            (Padding::Pss, Hash::Sha512) => &aws::RSA_PSS_2048_8192_SHA512,
        };
        return is_good(algorithm, spki.raw, message, signature);
    }
    short_key(spki).is_some_and(|key| verify_short(&key, hash, padding, message, signature))
}

/// An RSA key that is too short to be trusted.
fn short_key(spki: &SubjectPublicKeyInfo<'_>) -> Option<RsaKey> {
    if spki.algorithm.algorithm != OID_PKCS1_RSAENCRYPTION {
        return None;
    }
    let PublicKey::RSA(key) = spki.parsed().ok()? else { return None };
    let number = BoxedUint::from_be_slice_vartime;
    RsaKey::new_with_size_limits(number(key.modulus), number(key.exponent), SHORTEST_RSA..=2047).ok()
}

/// Bits of the shortest RSA key that can sign SHA-256 with PSS (RFC 8017, section 9.1.1).
const SHORTEST_RSA: usize = 528;

fn verify_short(key: &RsaKey, hash: Hash, padding: Padding, message: &[u8], signature: &[u8]) -> bool {
    macro_rules! verified {
        ($algorithm:expr, $hash:ty) => {{
            let hashed = digest::digest($algorithm, message);
            match padding {
                Padding::Pkcs1 => Pkcs1v15Sign::new::<$hash>().verify(key, hashed.as_ref(), signature),
                Padding::Pss => Pss::<$hash>::new().verify(key, hashed.as_ref(), signature),
            }
        }};
    }
    let verified = match hash {
        Hash::Sha256 => verified!(&digest::SHA256, sha2::Sha256),
        Hash::Sha384 => verified!(&digest::SHA384, sha2::Sha384),
        Hash::Sha512 => verified!(&digest::SHA512, sha2::Sha512),
    };
    verified.is_ok()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use rustls::sign::SigningKey as _;

    use super::*;
    use crate::domain::{CryptoProvider, KeyAlgorithm};
    use crate::pki::key::DeviceKey;
    use crate::pki::pem_text;
    use crate::pki::sign::TlsKey;
    use crate::pki::test_support::{leaf_by, root};

    const MESSAGE: &[u8] = b"a handshake";
    const SHORT: &[u8] = include_bytes!("../../tests/data/client-certificates/dev-rsa1024.pem");

    const PKCS1: [SignatureScheme; 3] =
        [SignatureScheme::RSA_PKCS1_SHA256, SignatureScheme::RSA_PKCS1_SHA384, SignatureScheme::RSA_PKCS1_SHA512];
    const SCHEMES: [SignatureScheme; 10] = [
        SignatureScheme::ECDSA_NISTP256_SHA256,
        SignatureScheme::ECDSA_NISTP384_SHA384,
        SignatureScheme::ECDSA_NISTP521_SHA512,
        SignatureScheme::ED25519,
        SignatureScheme::RSA_PSS_SHA256,
        SignatureScheme::RSA_PSS_SHA384,
        SignatureScheme::RSA_PSS_SHA512,
        PKCS1[0],
        PKCS1[1],
        PKCS1[2],
    ];

    /// Holds a signature that was `made` by a scheme against all of them, by the rules of both versions.
    fn assert_good_for(certificate: &[u8], made: SignatureScheme, signature: &[u8]) {
        for (scheme, rules) in SCHEMES.into_iter().flat_map(|scheme| [(scheme, Rules::Tls12), (scheme, Rules::Tls13)]) {
            let good = scheme == made && (rules == Rules::Tls12 || !PKCS1.contains(&scheme));
            let verified = verify(certificate, scheme, rules, MESSAGE, signature);
            assert_eq!(verified, good, "{made:?} as {scheme:?}, {rules:?}");
            assert!(!verify(certificate, scheme, rules, b"another", signature), "{made:?} as {scheme:?}, {rules:?}");
        }
    }

    #[test]
    fn a_signature_is_good_for_the_scheme_that_it_was_made_by() {
        for (algorithm, schemes) in
            [(KeyAlgorithm::EcdsaP256, 1), (KeyAlgorithm::EcdsaP384, 1), (KeyAlgorithm::Rsa2048, 6)]
        {
            let key = Arc::new(DeviceKey::generate(algorithm, CryptoProvider::AwsLc).unwrap());
            let certificate = leaf_by(&root(0), &key, |_| ());
            let signers = SCHEMES.into_iter().filter_map(|scheme| TlsKey(Arc::clone(&key)).choose_scheme(&[scheme]));
            let signers: Vec<_> = signers.collect();
            assert_eq!(signers.len(), schemes, "{algorithm}");
            for signer in signers {
                assert_good_for(&certificate, signer.scheme(), &signer.sign(MESSAGE).unwrap());
            }
        }
        // Kinds that no device of ours has.
        for (algorithm, scheme) in [
            (&rcgen::PKCS_ECDSA_P521_SHA512, SignatureScheme::ECDSA_NISTP521_SHA512),
            (&rcgen::PKCS_ED25519, SignatureScheme::ED25519),
        ] {
            let (certificate, key) = self_signed(algorithm);
            assert_good_for(&certificate, scheme, &rcgen::SigningKey::sign(&key, MESSAGE).unwrap());
        }
    }

    fn self_signed(algorithm: &'static rcgen::SignatureAlgorithm) -> (Vec<u8>, rcgen::KeyPair) {
        let key = rcgen::KeyPair::generate_for(algorithm).unwrap();
        let certificate = rcgen::CertificateParams::default().self_signed(&key).unwrap();
        (certificate.der().to_vec(), key)
    }

    #[test]
    fn before_tls_1_3_a_curve_may_come_with_another_hash() {
        let (certificate, key) = self_signed(&rcgen::PKCS_ECDSA_P521_SHA512);
        let pair = aws::EcdsaKeyPair::from_pkcs8(&aws::ECDSA_P521_SHA256_ASN1_SIGNING, &key.serialize_der()).unwrap();
        let signature = pair.sign(&aws_lc_rs::rand::SystemRandom::new(), MESSAGE).unwrap();
        let verified =
            |rules| verify(&certificate, SignatureScheme::ECDSA_NISTP256_SHA256, rules, MESSAGE, signature.as_ref());
        assert!(verified(Rules::Tls12) && !verified(Rules::Tls13));
    }

    #[test]
    fn a_key_that_is_not_for_signatures_signs_nothing() {
        let (mut certificate, key) = self_signed(&rcgen::PKCS_ED25519);
        let signature = rcgen::SigningKey::sign(&key, MESSAGE).unwrap();
        // Of its identifier (RFC 8410) the last byte tells signatures from key agreement; the key itself stays.
        let place = certificate.windows(8).position(|bytes| bytes == b"\x06\x03\x2b\x65\x70\x03\x21\x00").unwrap();
        certificate[place + 4] = 0x6e;
        assert!(has_key(&certificate));
        assert!(!verify(&certificate, SignatureScheme::ED25519, Rules::Tls13, MESSAGE, &signature));
    }

    #[test]
    fn short_rsa_keys_prove_themselves_by_the_rules_of_the_version() {
        let certificate = pem_text::certificates(SHORT).unwrap().remove(0);
        let pss: [(_, &[u8]); 2] = [
            (
                SignatureScheme::RSA_PSS_SHA256,
                include_bytes!("../../tests/data/client-certificates/rsa1024-pss-sha256.sig"),
            ),
            (
                SignatureScheme::RSA_PSS_SHA384,
                include_bytes!("../../tests/data/client-certificates/rsa1024-pss-sha384.sig"),
            ),
        ];
        let pkcs1: [(_, &[u8]); 3] = [
            (
                SignatureScheme::RSA_PKCS1_SHA256,
                include_bytes!("../../tests/data/client-certificates/rsa1024-pkcs1-sha256.sig"),
            ),
            (
                SignatureScheme::RSA_PKCS1_SHA384,
                include_bytes!("../../tests/data/client-certificates/rsa1024-pkcs1-sha384.sig"),
            ),
            (
                SignatureScheme::RSA_PKCS1_SHA512,
                include_bytes!("../../tests/data/client-certificates/rsa1024-pkcs1-sha512.sig"),
            ),
        ];
        for (scheme, signature) in pss {
            assert!(verify(&certificate, scheme, Rules::Tls12, MESSAGE, signature), "{scheme:?}");
            assert!(verify(&certificate, scheme, Rules::Tls13, MESSAGE, signature), "{scheme:?}");
            assert!(!verify(&certificate, scheme, Rules::Tls13, b"another", signature), "{scheme:?}");
            assert!(!verify(&certificate, SignatureScheme::RSA_PSS_SHA512, Rules::Tls13, MESSAGE, signature));
        }
        for (scheme, signature) in pkcs1 {
            assert!(verify(&certificate, scheme, Rules::Tls12, MESSAGE, signature), "{scheme:?}");
            assert!(!verify(&certificate, scheme, Rules::Tls13, MESSAGE, signature), "{scheme:?}");
            assert!(!verify(&certificate, scheme, Rules::Tls12, b"another", signature), "{scheme:?}");
        }
    }

    #[test]
    fn a_scheme_of_tls_1_3_names_the_curve() {
        let key = DeviceKey::generate(KeyAlgorithm::EcdsaP384, CryptoProvider::AwsLc).unwrap();
        let certificate = leaf_by(&root(0), &key, |_| ());
        let signature = rcgen::SigningKey::sign(&key, MESSAGE).unwrap();
        let verified = |scheme, rules| verify(&certificate, scheme, rules, MESSAGE, &signature);
        assert!(verified(SignatureScheme::ECDSA_NISTP384_SHA384, Rules::Tls13));
        for other in [SignatureScheme::ECDSA_NISTP256_SHA256, SignatureScheme::RSA_PSS_SHA384, SignatureScheme::ED25519]
        {
            assert!(!verified(other, Rules::Tls13) && !verified(other, Rules::Tls12), "{other:?}");
        }
        assert!(!verify(b"no certificate", SignatureScheme::ED25519, Rules::Tls13, MESSAGE, &signature));
    }
}
