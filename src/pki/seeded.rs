//! Private keys from a seed.

use ring::hmac;
use zeroize::Zeroizing;

use crate::domain::KeyAlgorithm;
use crate::pki::ec_pkcs8;
use crate::pki::key::KeyError;

/// How many private scalars are tried. One is out of range with a probability below 2^-31, so the second never happens.
const MAX_TRIES: u8 = 8;

/// PKCS#8 of the ECDSA key that `seed` decides: its private scalar is HMAC-SHA384(seed, algorithm, try), cut to the
/// curve's length, the first that is in range.
pub(super) fn pkcs8(algorithm: KeyAlgorithm, seed: &[u8; 32]) -> Result<Zeroizing<Vec<u8>>, KeyError> {
    let length = match algorithm {
        KeyAlgorithm::EcdsaP256 => 32,
        KeyAlgorithm::EcdsaP384 => 48,
        KeyAlgorithm::Rsa2048 | KeyAlgorithm::Rsa3072 | KeyAlgorithm::Rsa4096 => {
            return Err(KeyError::NotSeedable(algorithm));
        }
    };
    let key = hmac::Key::new(hmac::HMAC_SHA384, seed);
    let scalar = |attempt: u8| -> Zeroizing<Vec<u8>> {
        let tag = hmac::sign(&key, &[algorithm.name().as_bytes(), &[attempt]].concat());
        Zeroizing::new(tag.as_ref().iter().copied().take(length).collect())
    };
    (0..MAX_TRIES)
        .find_map(|attempt| ec_pkcs8::from_scalar(algorithm, &scalar(attempt)).ok())
        .ok_or(KeyError::Library("make a key pair from a seed"))
}
