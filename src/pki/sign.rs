//! [`DeviceKey`] as the signing key of rcgen and of rustls.

use std::fmt;
use std::sync::Arc;

use aws_lc_rs::signature as aws;
use rcgen::SignatureAlgorithm;
use rustls::SignatureScheme;

use crate::domain::KeyAlgorithm;
use crate::pki::key::{DeviceKey, Pair};

impl DeviceKey {
    /// Signs with the hash of the key's algorithm; RSA with PKCS#1 v1.5 and SHA-256.
    fn sign_message(&self, message: &[u8], rsa: &'static dyn aws::RsaEncoding) -> Option<Vec<u8>> {
        match self.pair() {
            Pair::AwsEcdsa(pair) => {
                pair.sign(&aws_lc_rs::rand::SystemRandom::new(), message).ok().map(|s| s.as_ref().to_vec())
            }
            Pair::AwsRsa(pair) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(rsa, &aws_lc_rs::rand::SystemRandom::new(), message, &mut signature).ok()?;
                Some(signature)
            }
            Pair::RingEcdsa(pair, _) => {
                pair.sign(&ring::rand::SystemRandom::new(), message).ok().map(|s| s.as_ref().to_vec())
            }
        }
    }

    /// The schemes it can sign TLS handshakes with, best first.
    fn schemes(&self) -> &'static [SignatureScheme] {
        match self.algorithm() {
            KeyAlgorithm::EcdsaP256 => &[SignatureScheme::ECDSA_NISTP256_SHA256],
            KeyAlgorithm::EcdsaP384 => &[SignatureScheme::ECDSA_NISTP384_SHA384],
            KeyAlgorithm::Rsa2048 | KeyAlgorithm::Rsa3072 | KeyAlgorithm::Rsa4096 => &[
                SignatureScheme::RSA_PSS_SHA256,
                SignatureScheme::RSA_PSS_SHA384,
                SignatureScheme::RSA_PSS_SHA512,
                SignatureScheme::RSA_PKCS1_SHA256,
                SignatureScheme::RSA_PKCS1_SHA384,
                SignatureScheme::RSA_PKCS1_SHA512,
            ],
        }
    }
}

impl rcgen::PublicKeyData for DeviceKey {
    fn subject_public_key_info(&self) -> Vec<u8> {
        self.spki_der().to_vec()
    }

    fn der_bytes(&self) -> &[u8] {
        self.pair().public_key()
    }

    fn algorithm(&self) -> &'static SignatureAlgorithm {
        rcgen_algorithm(Self::algorithm(self))
    }
}

impl rcgen::SigningKey for DeviceKey {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, rcgen::Error> {
        self.sign_message(message, &aws::RSA_PKCS1_SHA256).ok_or(rcgen::Error::RingUnspecified)
    }
}

/// rcgen's name of the algorithm with which such a key signs.
pub(super) fn rcgen_algorithm(algorithm: KeyAlgorithm) -> &'static SignatureAlgorithm {
    match algorithm {
        KeyAlgorithm::EcdsaP256 => &rcgen::PKCS_ECDSA_P256_SHA256,
        KeyAlgorithm::EcdsaP384 => &rcgen::PKCS_ECDSA_P384_SHA384,
        KeyAlgorithm::Rsa2048 | KeyAlgorithm::Rsa3072 | KeyAlgorithm::Rsa4096 => &rcgen::PKCS_RSA_SHA256,
    }
}

/// A [`DeviceKey`] for a TLS handshake. It shares the key: nothing is encoded or parsed.
#[derive(Debug)]
pub(super) struct TlsKey(pub(super) Arc<DeviceKey>);

impl rustls::sign::SigningKey for TlsKey {
    fn choose_scheme(&self, offered: &[SignatureScheme]) -> Option<Box<dyn rustls::sign::Signer>> {
        let scheme = *self.0.schemes().iter().find(|scheme| offered.contains(scheme))?;
        Some(Box::new(TlsSigner { key: Arc::clone(&self.0), scheme }))
    }

    fn algorithm(&self) -> rustls::SignatureAlgorithm {
        match self.0.algorithm() {
            KeyAlgorithm::EcdsaP256 | KeyAlgorithm::EcdsaP384 => rustls::SignatureAlgorithm::ECDSA,
            KeyAlgorithm::Rsa2048 | KeyAlgorithm::Rsa3072 | KeyAlgorithm::Rsa4096 => rustls::SignatureAlgorithm::RSA,
        }
    }
}

struct TlsSigner {
    key: Arc<DeviceKey>,
    scheme: SignatureScheme,
}

impl rustls::sign::Signer for TlsSigner {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, rustls::Error> {
        let rsa: &'static dyn aws::RsaEncoding = match self.scheme {
            SignatureScheme::RSA_PSS_SHA256 => &aws::RSA_PSS_SHA256,
            SignatureScheme::RSA_PSS_SHA384 => &aws::RSA_PSS_SHA384,
            SignatureScheme::RSA_PSS_SHA512 => &aws::RSA_PSS_SHA512,
            SignatureScheme::RSA_PKCS1_SHA384 => &aws::RSA_PKCS1_SHA384,
            SignatureScheme::RSA_PKCS1_SHA512 => &aws::RSA_PKCS1_SHA512,
            // ECDSA keys have one hash each and ignore this.
            _ => &aws::RSA_PKCS1_SHA256,
        };
        self.key
            .sign_message(message, rsa)
            .ok_or_else(|| rustls::Error::General("the device key could not sign the handshake".into()))
    }

    fn scheme(&self) -> SignatureScheme {
        self.scheme
    }
}

impl fmt::Debug for TlsSigner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsSigner").field("scheme", &self.scheme).finish_non_exhaustive()
    }
}
