//! Key pairs of devices and authorities.

use std::fmt;

use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der};
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature as aws;
use ring::signature as ring_sig;
use ring::signature::KeyPair as _;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer, alg_id};
use rustls::sign::public_key_to_spki;
use zeroize::{Zeroize, Zeroizing};

use crate::domain::{CryptoProvider, KeyAlgorithm};
use crate::pki::{ec_pkcs8, pem_text, seeded};

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
    #[error("the private key is not an unencrypted ECDSA P-256, ECDSA P-384 or RSA (2048, 3072, 4096 bits) key")]
    Parse,
    /// A certificate that was read is unusable.
    #[error("the certificate is not X.509 DER")]
    Certificate,
    /// A certificate and a private key that were read are not of each other.
    #[error("the certificate does not belong to the private key")]
    Foreign,
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

    /// Makes the same key pair for the same seed, on every machine and with both providers: for tests and scenarios that
    /// ask for it. Whoever knows the seed knows the key.
    ///
    /// # Errors
    /// [`KeyError::NotSeedable`] for RSA, [`KeyError::Library`] when the library refuses.
    pub fn from_seed(algorithm: KeyAlgorithm, provider: CryptoProvider, seed: &[u8; 32]) -> Result<Self, KeyError> {
        let pkcs8 = seeded::pkcs8(algorithm, seed)?;
        Self::from_der(&PrivatePkcs8KeyDer::from(pkcs8.as_slice()).into(), provider)
            .map_err(|_| KeyError::Library("make a key pair from a seed"))
    }

    /// Reads the first private key of a PEM text: PKCS#8, SEC 1 (`EC PRIVATE KEY`) or PKCS#1 (`RSA PRIVATE KEY`), not
    /// encrypted.
    ///
    /// # Errors
    /// As [`Self::from_der`].
    pub fn from_pem<T: AsRef<[u8]> + ?Sized>(text: &T, provider: CryptoProvider) -> Result<Self, KeyError> {
        let key = pem_text::private_key(text.as_ref()).ok_or(KeyError::Parse)?;
        Self::from_der(&key, provider)
    }

    /// Reads a private key.
    ///
    /// # Errors
    /// [`KeyError::Parse`] unless it is one of the algorithms of [`KeyAlgorithm`]; [`KeyError::Unsupported`] for RSA
    /// with ring.
    pub fn from_der(key: &PrivateKeyDer<'_>, provider: CryptoProvider) -> Result<Self, KeyError> {
        for algorithm in [KeyAlgorithm::EcdsaP256, KeyAlgorithm::EcdsaP384] {
            if let Ok(pair) = aws::EcdsaKeyPair::from_private_key_der(aws_ecdsa(algorithm), key.secret_der()) {
                return match provider {
                    CryptoProvider::AwsLc => Ok(Self::new(Pair::AwsEcdsa(pair), algorithm)),
                    // ring insists on the optional public key.
                    CryptoProvider::Ring => Self::from_ring(algorithm, ec_pkcs8::of_pair(algorithm, &pair)?),
                };
            }
        }
        let pair = match key {
            PrivateKeyDer::Pkcs8(key) => aws_lc_rs::rsa::KeyPair::from_pkcs8(key.secret_pkcs8_der()),
            key => aws_lc_rs::rsa::KeyPair::from_der(key.secret_der()),
        }
        .map_err(|_| KeyError::Parse)?;
        let bits = Some(pair.public_modulus_len() * 8);
        let algorithm = KeyAlgorithm::ALL.into_iter().find(|a| a.rsa_bits() == bits).ok_or(KeyError::Parse)?;
        match provider {
            CryptoProvider::AwsLc => Ok(Self::new(Pair::AwsRsa(Box::new(pair)), algorithm)),
            CryptoProvider::Ring => Err(KeyError::Unsupported { provider, algorithm }),
        }
    }

    fn from_ring(algorithm: KeyAlgorithm, pkcs8: Zeroizing<Vec<u8>>) -> Result<Self, KeyError> {
        let rng = ring::rand::SystemRandom::new();
        let pair = ring_sig::EcdsaKeyPair::from_pkcs8(ring_ecdsa(algorithm), &pkcs8, &rng)
            .map_err(|_| KeyError::Library("read its own key pair"))?;
        Ok(Self::new(Pair::RingEcdsa(Box::new(pair), pkcs8), algorithm))
    }

    fn new(pair: Pair, algorithm: KeyAlgorithm) -> Self {
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
            Pair::AwsEcdsa(pair) => ec_pkcs8::of_pair(self.algorithm, pair),
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

#[cfg(test)]
mod tests {
    use super::*;

    const PAIRS: [(KeyAlgorithm, CryptoProvider); 6] = [
        (KeyAlgorithm::EcdsaP256, CryptoProvider::AwsLc),
        (KeyAlgorithm::EcdsaP384, CryptoProvider::AwsLc),
        (KeyAlgorithm::EcdsaP256, CryptoProvider::Ring),
        (KeyAlgorithm::EcdsaP384, CryptoProvider::Ring),
        (KeyAlgorithm::Rsa2048, CryptoProvider::AwsLc),
        (KeyAlgorithm::Rsa3072, CryptoProvider::AwsLc),
    ];

    #[test]
    fn private_keys_round_trip_through_pem_with_either_provider() {
        for (algorithm, provider) in PAIRS {
            let key = DeviceKey::generate(algorithm, provider).unwrap();
            let pem = key.to_pem().unwrap();
            assert!(pem.starts_with("-----BEGIN PRIVATE KEY-----\n"), "{algorithm}");
            for other in [CryptoProvider::AwsLc, CryptoProvider::Ring] {
                let read = DeviceKey::from_pem(&pem, other);
                if algorithm.rsa_bits().is_some() && other == CryptoProvider::Ring {
                    assert!(matches!(read, Err(KeyError::Unsupported { .. })));
                    continue;
                }
                let read = read.unwrap();
                assert_eq!((read.algorithm(), read.provider()), (algorithm, other));
                assert_eq!(read.spki_der(), key.spki_der());
            }
        }
    }

    #[test]
    fn the_public_key_is_the_one_that_rcgen_encodes() {
        for algorithm in [KeyAlgorithm::EcdsaP256, KeyAlgorithm::EcdsaP384, KeyAlgorithm::Rsa2048] {
            let key = DeviceKey::generate(algorithm, CryptoProvider::AwsLc).unwrap();
            let stock = rcgen::KeyPair::from_pem(&key.to_pem().unwrap()).unwrap();
            assert_eq!(key.spki_der(), rcgen::PublicKeyData::subject_public_key_info(&stock));
        }
    }

    #[test]
    fn ring_makes_no_rsa_keys() {
        let refused = DeviceKey::generate(KeyAlgorithm::Rsa2048, CryptoProvider::Ring);
        assert_eq!(refused.unwrap_err().to_string(), "ring cannot generate rsa-2048 keys: use aws-lc-rs");
    }

    #[test]
    fn seeds_decide_keys() {
        for algorithm in [KeyAlgorithm::EcdsaP256, KeyAlgorithm::EcdsaP384] {
            let [aws, ring] = [CryptoProvider::AwsLc, CryptoProvider::Ring]
                .map(|provider| DeviceKey::from_seed(algorithm, provider, &[1; 32]).unwrap());
            assert_eq!(aws.spki_der(), ring.spki_der());
            let other = DeviceKey::from_seed(algorithm, CryptoProvider::AwsLc, &[2; 32]).unwrap();
            assert_ne!(aws.spki_der(), other.spki_der());
        }
        let rsa = DeviceKey::from_seed(KeyAlgorithm::Rsa2048, CryptoProvider::AwsLc, &[1; 32]);
        assert!(matches!(rsa, Err(KeyError::NotSeedable(KeyAlgorithm::Rsa2048))));
    }

    #[test]
    fn keys_in_the_older_forms_of_openssl_are_read() {
        let (key, sec1) = (DeviceKey::generate(KeyAlgorithm::EcdsaP384, CryptoProvider::AwsLc).unwrap(), "EC");
        let (rsa, pkcs1) = (DeviceKey::generate(KeyAlgorithm::Rsa2048, CryptoProvider::AwsLc).unwrap(), "RSA");
        for (key, form) in [(key, sec1), (rsa, pkcs1)] {
            // The older form is the content of the OCTET STRING that ends the PKCS#8 document.
            let pkcs8 = key.to_pkcs8().unwrap();
            let inner = yasna::parse_der(&pkcs8, |reader| {
                reader.read_sequence(|reader| {
                    reader.next().read_u8()?;
                    reader.next().read_der()?;
                    reader.next().read_bytes()
                })
            });
            let pem = pem::encode(&pem::Pem::new(format!("{form} PRIVATE KEY"), inner.unwrap()));
            let read = DeviceKey::from_pem(&pem, CryptoProvider::AwsLc).unwrap();
            assert_eq!(read.spki_der(), key.spki_der(), "{form}");
        }
    }

    #[test]
    fn debug_shows_no_key() {
        let key = DeviceKey::generate(KeyAlgorithm::EcdsaP256, CryptoProvider::Ring).unwrap();
        assert_eq!(format!("{key:?}"), "DeviceKey { algorithm: EcdsaP256, provider: Ring, .. }");
    }

    #[test]
    fn what_is_no_private_key_is_refused() {
        for text in ["", "hello", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"] {
            assert!(matches!(DeviceKey::from_pem(text, CryptoProvider::AwsLc), Err(KeyError::Parse)));
        }
    }
}
