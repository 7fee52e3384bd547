//! Key pairs of devices and authorities.

use std::fmt;

use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der};
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature as aws;
use ring::signature as ring_sig;
use ring::signature::KeyPair as _;
use rustls::pki_types::alg_id;
use rustls::sign::public_key_to_spki;
use zeroize::{Zeroize, Zeroizing};

use crate::domain::{CryptoProvider, KeyAlgorithm};

/// A key pair that never leaves the process unless asked for. Signs for rcgen (CSRs, certificates) and rustls (mutual
/// TLS) without being parsed again.
pub struct DeviceKey {
    pair: Pair,
    algorithm: KeyAlgorithm,
    spki_der: Box<[u8]>,
}

/// The key pair as its library holds it.
pub(super) enum Pair {
    AwsEcdsa(aws::EcdsaKeyPair),
    AwsRsa(Box<aws_lc_rs::rsa::KeyPair>),
    /// ring cannot export a key pair, so the PKCS#8 document it was made from is kept beside it.
    RingEcdsa(Box<ring_sig::EcdsaKeyPair>, Zeroizing<Vec<u8>>),
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
    /// Keys of this kind cannot be made from a seed.
    #[error("{0} keys cannot be made from a seed: use ecdsa-p256 or ecdsa-p384, or keys from the operating system")]
    NotSeedable(KeyAlgorithm),
    /// A private key that was read is unusable.
    #[error("the private key is not an ECDSA P-256, ECDSA P-384 or RSA (2048 to 4096 bits) key in PKCS#8")]
    Parse,
    /// A certificate that was read is unusable.
    #[error("the certificate is not X.509 DER, or does not belong to the private key")]
    Certificate,
    /// A name that cannot be the common name of a certificate (RFC 5280, ub-common-name).
    #[error("a common name must have 1 to 64 characters, this one has {0}")]
    CommonName(usize),
    /// A name that cannot be a subject alternative name.
    #[error("`{0}` is neither a DNS name nor an IP address")]
    AlternativeName(String),
    /// A date beyond the year 9999 or before 1950.
    #[error("the validity of a certificate must lie between the years 1950 and 9999")]
    Date,
    /// The library failed.
    #[error("the crypto library failed to {0}")]
    Library(&'static str),
}

impl DeviceKey {
    /// Makes a key pair with randomness of the operating system.
    ///
    /// # Errors
    /// [`KeyError::Unsupported`] for RSA with ring, [`KeyError::Library`] when the library refuses.
    pub fn generate(algorithm: KeyAlgorithm, provider: CryptoProvider) -> Result<Self, KeyError> {
        let failed = KeyError::Library("generate a key pair");
        let pair = match (algorithm.rsa_bits(), provider) {
            (None, CryptoProvider::AwsLc) => {
                Pair::AwsEcdsa(aws::EcdsaKeyPair::generate(aws_ecdsa(algorithm)).map_err(|_| failed)?)
            }
            (None, CryptoProvider::Ring) => {
                let rng = ring::rand::SystemRandom::new();
                let document =
                    ring_sig::EcdsaKeyPair::generate_pkcs8(ring_ecdsa(algorithm), &rng).map_err(|_| failed)?;
                return Self::from_ring(algorithm, Zeroizing::new(document.as_ref().to_vec()));
            }
            (Some(bits), CryptoProvider::AwsLc) => {
                let size = match bits {
                    2048 => KeySize::Rsa2048,
                    3072 => KeySize::Rsa3072,
                    _ => KeySize::Rsa4096,
                };
                Pair::AwsRsa(Box::new(aws_lc_rs::rsa::KeyPair::generate(size).map_err(|_| failed)?))
            }
            (Some(_), CryptoProvider::Ring) => return Err(KeyError::Unsupported { provider, algorithm }),
        };
        Ok(Self::new(pair, algorithm))
    }

    /// Reads a PKCS#8 private key.
    ///
    /// # Errors
    /// [`KeyError::Parse`] unless it is one of the algorithms of [`KeyAlgorithm`]; [`KeyError::Unsupported`] for RSA
    /// with ring.
    pub fn from_pkcs8(der: &[u8], provider: CryptoProvider) -> Result<Self, KeyError> {
        for algorithm in [KeyAlgorithm::EcdsaP256, KeyAlgorithm::EcdsaP384] {
            if let Ok(pair) = aws::EcdsaKeyPair::from_pkcs8(aws_ecdsa(algorithm), der) {
                return match provider {
                    CryptoProvider::AwsLc => Ok(Self::new(Pair::AwsEcdsa(pair), algorithm)),
                    // ring is strict about optional fields: give it the encoding of aws-lc.
                    CryptoProvider::Ring => Self::from_ring(algorithm, aws_pkcs8(&pair)?),
                };
            }
        }
        let pair = aws_lc_rs::rsa::KeyPair::from_pkcs8(der).map_err(|_| KeyError::Parse)?;
        let algorithm = KeyAlgorithm::ALL
            .into_iter()
            .find(|a| a.rsa_bits() == Some(pair.public_modulus_len() * 8))
            .ok_or(KeyError::Parse)?;
        match provider {
            CryptoProvider::AwsLc => Ok(Self::new(Pair::AwsRsa(Box::new(pair)), algorithm)),
            CryptoProvider::Ring => Err(KeyError::Unsupported { provider, algorithm }),
        }
    }

    /// Reads the first `PRIVATE KEY` block (PKCS#8) of a PEM text.
    ///
    /// # Errors
    /// As [`Self::from_pkcs8`].
    pub fn from_pem(text: &str, provider: CryptoProvider) -> Result<Self, KeyError> {
        use rustls::pki_types::PrivatePkcs8KeyDer;
        use rustls::pki_types::pem::PemObject;
        let der = PrivatePkcs8KeyDer::from_pem_slice(text.as_bytes()).map_err(|_| KeyError::Parse)?;
        Self::from_pkcs8(der.secret_pkcs8_der(), provider)
    }

    pub(super) fn from_ring(algorithm: KeyAlgorithm, pkcs8: Zeroizing<Vec<u8>>) -> Result<Self, KeyError> {
        let rng = ring::rand::SystemRandom::new();
        let pair = ring_sig::EcdsaKeyPair::from_pkcs8(ring_ecdsa(algorithm), &pkcs8, &rng)
            .map_err(|_| KeyError::Library("read its own key pair"))?;
        Ok(Self::new(Pair::RingEcdsa(Box::new(pair), pkcs8), algorithm))
    }

    pub(super) fn new(pair: Pair, algorithm: KeyAlgorithm) -> Self {
        let id = match algorithm {
            KeyAlgorithm::EcdsaP256 => alg_id::ECDSA_P256,
            KeyAlgorithm::EcdsaP384 => alg_id::ECDSA_P384,
            KeyAlgorithm::Rsa2048 | KeyAlgorithm::Rsa3072 | KeyAlgorithm::Rsa4096 => alg_id::RSA_ENCRYPTION,
        };
        let spki_der = public_key_to_spki(&id, pair.public_key()).as_ref().into();
        Self { pair, algorithm, spki_der }
    }

    /// Its algorithm.
    pub fn algorithm(&self) -> KeyAlgorithm {
        self.algorithm
    }

    /// The library that holds it.
    pub fn provider(&self) -> CryptoProvider {
        match self.pair {
            Pair::AwsEcdsa(_) | Pair::AwsRsa(_) => CryptoProvider::AwsLc,
            Pair::RingEcdsa(..) => CryptoProvider::Ring,
        }
    }

    /// The SubjectPublicKeyInfo in DER (RFC 5280, section 4.1.2.7).
    pub fn spki_der(&self) -> &[u8] {
        &self.spki_der
    }

    /// The private key as PKCS#8 in DER. The caller keeps it secret.
    ///
    /// # Errors
    /// [`KeyError::Library`] when the library cannot encode it.
    pub fn to_pkcs8(&self) -> Result<Zeroizing<Vec<u8>>, KeyError> {
        match &self.pair {
            Pair::AwsEcdsa(pair) => aws_pkcs8(pair),
            Pair::AwsRsa(pair) => {
                let der: Pkcs8V1Der<'_> = pair.as_der().map_err(|_| KeyError::Library("encode a private key"))?;
                Ok(Zeroizing::new(der.as_ref().to_vec()))
            }
            Pair::RingEcdsa(_, pkcs8) => Ok(pkcs8.clone()),
        }
    }

    /// The private key as PKCS#8 in PEM. The caller keeps it secret.
    ///
    /// # Errors
    /// As [`Self::to_pkcs8`].
    pub fn to_pem(&self) -> Result<Zeroizing<String>, KeyError> {
        let der = self.to_pkcs8()?;
        let block = pem::Pem::new("PRIVATE KEY", der.to_vec());
        let config = pem::EncodeConfig::new().set_line_ending(pem::LineEnding::LF);
        let text = Zeroizing::new(pem::encode_config(&block, config));
        block.into_contents().zeroize();
        Ok(text)
    }

    /// The key pair in its library's type.
    pub(super) fn pair(&self) -> &Pair {
        &self.pair
    }
}

impl Pair {
    /// The subjectPublicKey bits: an uncompressed point or an RSAPublicKey.
    pub(super) fn public_key(&self) -> &[u8] {
        use aws_lc_rs::signature::KeyPair as _;
        match self {
            Self::AwsEcdsa(pair) => pair.public_key().as_ref(),
            Self::AwsRsa(pair) => pair.public_key().as_ref(),
            Self::RingEcdsa(pair, _) => pair.public_key().as_ref(),
        }
    }
}

/// Shows the algorithm and the library, never the key.
impl fmt::Debug for DeviceKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DeviceKey")
            .field("algorithm", &self.algorithm)
            .field("provider", &self.provider())
            .finish_non_exhaustive()
    }
}

fn aws_pkcs8(pair: &aws::EcdsaKeyPair) -> Result<Zeroizing<Vec<u8>>, KeyError> {
    let document = pair.to_pkcs8v1().map_err(|_| KeyError::Library("encode a private key"))?;
    Ok(Zeroizing::new(document.as_ref().to_vec()))
}

/// aws-lc's signing algorithm of a curve; P-256 for anything that is not P-384.
pub(super) fn aws_ecdsa(algorithm: KeyAlgorithm) -> &'static aws::EcdsaSigningAlgorithm {
    match algorithm {
        KeyAlgorithm::EcdsaP384 => &aws::ECDSA_P384_SHA384_ASN1_SIGNING,
        _ => &aws::ECDSA_P256_SHA256_ASN1_SIGNING,
    }
}

/// ring's signing algorithm of a curve; P-256 for anything that is not P-384.
pub(super) fn ring_ecdsa(algorithm: KeyAlgorithm) -> &'static ring_sig::EcdsaSigningAlgorithm {
    match algorithm {
        KeyAlgorithm::EcdsaP384 => &ring_sig::ECDSA_P384_SHA384_ASN1_SIGNING,
        _ => &ring_sig::ECDSA_P256_SHA256_ASN1_SIGNING,
    }
}
