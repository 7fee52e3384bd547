//! Key pairs of devices and authorities.

use std::fmt;

use aws_lc_rs::encoding::AsDer;
use aws_lc_rs::signature::KeyPair as _;
use rcgen::{PublicKeyData, SigningKey};

use crate::domain::{CryptoProvider, KeyAlgorithm};

/// A key pair that never leaves the process unless asked for. Signs for rcgen (CSRs, certificates) and rustls (mutual
/// TLS) without being parsed again.
pub struct DeviceKey {
    algorithm: KeyAlgorithm,
    kind: Kind,
    /// The subjectPublicKey bits: an uncompressed point, or the DER of RSAPublicKey.
    public: Vec<u8>,
    spki: Vec<u8>,
}

enum Kind {
    AwsEc(aws_lc_rs::signature::EcdsaKeyPair),
    AwsRsa(aws_lc_rs::rsa::KeyPair),
    RingEc(ring::signature::EcdsaKeyPair),
}

/// Why a key could not be made or used.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The provider cannot make this kind of key.
    #[error("{provider} cannot generate {algorithm} keys: use aws-lc-rs")]
    Unsupported {
        /// Provider asked.
        provider: CryptoProvider,
        /// Algorithm asked for.
        algorithm: KeyAlgorithm,
    },
    /// The library failed.
    #[error("the crypto library failed to {0}")]
    Library(&'static str),
}

impl DeviceKey {
    /// Makes a key pair with randomness of the operating system.
    ///
    /// # Errors
    /// ring was asked for an RSA key, or the library failed.
    pub fn generate(algorithm: KeyAlgorithm, provider: CryptoProvider) -> Result<Self, KeyError> {
        let failed = || KeyError::Library("generate a key pair");
        let kind = match (provider, algorithm) {
            (CryptoProvider::AwsLc, KeyAlgorithm::EcdsaP256 | KeyAlgorithm::EcdsaP384) => {
                Kind::AwsEc(aws_lc_rs::signature::EcdsaKeyPair::generate(aws_ec(algorithm)).map_err(|_| failed())?)
            }
            (CryptoProvider::AwsLc, _) => {
                let size = match algorithm {
                    KeyAlgorithm::Rsa3072 => aws_lc_rs::rsa::KeySize::Rsa3072,
                    KeyAlgorithm::Rsa4096 => aws_lc_rs::rsa::KeySize::Rsa4096,
                    _ => aws_lc_rs::rsa::KeySize::Rsa2048,
                };
                Kind::AwsRsa(aws_lc_rs::rsa::KeyPair::generate(size).map_err(|_| failed())?)
            }
            (CryptoProvider::Ring, KeyAlgorithm::EcdsaP256 | KeyAlgorithm::EcdsaP384) => {
                let random = ring::rand::SystemRandom::new();
                let pkcs8 =
                    ring::signature::EcdsaKeyPair::generate_pkcs8(ring_ec(algorithm), &random).map_err(|_| failed())?;
                Kind::RingEc(
                    ring::signature::EcdsaKeyPair::from_pkcs8(ring_ec(algorithm), pkcs8.as_ref(), &random)
                        .map_err(|_| failed())?,
                )
            }
            (CryptoProvider::Ring, _) => return Err(KeyError::Unsupported { provider, algorithm }),
        };
        Ok(Self::from_kind(algorithm, kind))
    }

    /// Reads the PEM of a PKCS#8 private key of one of our algorithms.
    ///
    /// # Errors
    /// Not such a key.
    pub fn from_pkcs8_pem(text: &str) -> Result<Self, KeyError> {
        let bad = KeyError::Library("read a PKCS#8 private key");
        let Ok(block) = pem::parse(text) else { return Err(bad) };
        let der = block.contents();
        for algorithm in [KeyAlgorithm::EcdsaP256, KeyAlgorithm::EcdsaP384] {
            if let Ok(key) = aws_lc_rs::signature::EcdsaKeyPair::from_pkcs8(aws_ec(algorithm), der) {
                return Ok(Self::from_kind(algorithm, Kind::AwsEc(key)));
            }
        }
        let Ok(key) = aws_lc_rs::rsa::KeyPair::from_pkcs8(der) else { return Err(bad) };
        let algorithm = match key.public_modulus_len() * 8 {
            2048 => KeyAlgorithm::Rsa2048,
            3072 => KeyAlgorithm::Rsa3072,
            4096 => KeyAlgorithm::Rsa4096,
            _ => return Err(bad),
        };
        Ok(Self::from_kind(algorithm, Kind::AwsRsa(key)))
    }

    /// The PEM of its PKCS#8 private key. The caller keeps it secret.
    ///
    /// # Errors
    /// Keys of ring cannot be exported.
    pub fn to_pkcs8_pem(&self) -> Result<zeroize::Zeroizing<String>, KeyError> {
        let failed = KeyError::Library("export a private key");
        let der = match &self.kind {
            Kind::AwsEc(key) => key.to_pkcs8v1().map(|d| zeroize::Zeroizing::new(d.as_ref().to_vec())),
            Kind::AwsRsa(key) => AsDer::<aws_lc_rs::encoding::Pkcs8V1Der<'_>>::as_der(key)
                .map(|d| zeroize::Zeroizing::new(d.as_ref().to_vec())),
            Kind::RingEc(_) => return Err(failed),
        };
        let Ok(der) = der else { return Err(failed) };
        Ok(zeroize::Zeroizing::new(pem::encode(&pem::Pem::new("PRIVATE KEY", der.to_vec()))))
    }

    /// Its algorithm.
    pub const fn algorithm(&self) -> KeyAlgorithm {
        self.algorithm
    }

    /// The SubjectPublicKeyInfo in DER (RFC 5280, section 4.1.2.7).
    pub fn spki_der(&self) -> &[u8] {
        &self.spki
    }

    /// Signs with the algorithm's own hash (P-256 and RSA: SHA-256, P-384: SHA-384; RSA: PKCS#1 v1.5).
    ///
    /// # Errors
    /// The library failed.
    pub fn sign_message(&self, message: &[u8]) -> Result<Vec<u8>, KeyError> {
        let failed = |_| KeyError::Library("sign");
        match &self.kind {
            Kind::AwsEc(key) => {
                key.sign(&aws_lc_rs::rand::SystemRandom::new(), message).map(|s| s.as_ref().to_vec()).map_err(failed)
            }
            Kind::RingEc(key) => key
                .sign(&ring::rand::SystemRandom::new(), message)
                .map(|s| s.as_ref().to_vec())
                .map_err(|_| KeyError::Library("sign")),
            Kind::AwsRsa(_) => self.sign_rsa(&aws_lc_rs::signature::RSA_PKCS1_SHA256, message),
        }
    }

    pub(super) fn sign_rsa(
        &self,
        encoding: &'static dyn aws_lc_rs::signature::RsaEncoding,
        message: &[u8],
    ) -> Result<Vec<u8>, KeyError> {
        let failed = KeyError::Library("sign");
        let Kind::AwsRsa(key) = &self.kind else { return Err(failed) };
        let mut signature = vec![0; key.public_modulus_len()];
        match key.sign(encoding, &aws_lc_rs::rand::SystemRandom::new(), message, &mut signature) {
            Ok(()) => Ok(signature),
            Err(_) => Err(failed),
        }
    }

    fn from_kind(algorithm: KeyAlgorithm, kind: Kind) -> Self {
        use ring::signature::KeyPair as _;
        let public = match &kind {
            Kind::AwsEc(key) => key.public_key().as_ref().to_vec(),
            Kind::AwsRsa(key) => key.public_key().as_ref().to_vec(),
            Kind::RingEc(key) => key.public_key().as_ref().to_vec(),
        };
        let mut key = Self { algorithm, kind, public, spki: Vec::new() };
        key.spki = key.subject_public_key_info();
        key
    }
}

impl fmt::Debug for DeviceKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DeviceKey({})", self.algorithm)
    }
}

impl PublicKeyData for DeviceKey {
    fn der_bytes(&self) -> &[u8] {
        &self.public
    }

    fn algorithm(&self) -> &'static rcgen::SignatureAlgorithm {
        match self.algorithm {
            KeyAlgorithm::EcdsaP256 => &rcgen::PKCS_ECDSA_P256_SHA256,
            KeyAlgorithm::EcdsaP384 => &rcgen::PKCS_ECDSA_P384_SHA384,
            KeyAlgorithm::Rsa2048 | KeyAlgorithm::Rsa3072 | KeyAlgorithm::Rsa4096 => &rcgen::PKCS_RSA_SHA256,
        }
    }
}

impl SigningKey for DeviceKey {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, rcgen::Error> {
        self.sign_message(message).map_err(|_| rcgen::Error::RemoteKeyError)
    }
}

fn aws_ec(algorithm: KeyAlgorithm) -> &'static aws_lc_rs::signature::EcdsaSigningAlgorithm {
    match algorithm {
        KeyAlgorithm::EcdsaP384 => &aws_lc_rs::signature::ECDSA_P384_SHA384_ASN1_SIGNING,
        _ => &aws_lc_rs::signature::ECDSA_P256_SHA256_ASN1_SIGNING,
    }
}

fn ring_ec(algorithm: KeyAlgorithm) -> &'static ring::signature::EcdsaSigningAlgorithm {
    match algorithm {
        KeyAlgorithm::EcdsaP384 => &ring::signature::ECDSA_P384_SHA384_ASN1_SIGNING,
        _ => &ring::signature::ECDSA_P256_SHA256_ASN1_SIGNING,
    }
}
