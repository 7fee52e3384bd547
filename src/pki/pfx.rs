//! PKCS#12 files ("PFX") of a device certificate, its chain and its key.

use p12_keystore::{
    Certificate, EncryptionAlgorithm, KeyStore, KeyStoreEntry, MacAlgorithm, PrivateKey, PrivateKeyChain,
};
use zeroize::Zeroizing;

use crate::pki::key::{DeviceKey, KeyError};

/// How a PKCS#12 file is encrypted and what vouches for it. Keys are derived in 10,000 rounds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Protection {
    /// PBES2 with AES-256 and HMAC-SHA-256: what OpenSSL 3, Java, .NET and Windows since Server 2019 write and read.
    #[default]
    Aes256,
    /// PBE with SHA-1 and three-key Triple DES, HMAC-SHA-1 (RFC 7292, appendix C): weak, and all that Windows Server 2016
    /// and other old programs read.
    TripleDes,
}

/// A PKCS#12 document with one entry, encrypted with `password`. `chain` is DER, leaf first.
///
/// # Errors
/// When key or chain cannot be encoded.
pub fn encode(
    name: &str,
    chain: &[Vec<u8>],
    key: &DeviceKey,
    password: &str,
    protection: Protection,
) -> Result<Zeroizing<Vec<u8>>, KeyError> {
    let failed = |_| KeyError::Library("encode a PKCS#12 file");
    let certificates =
        chain.iter().map(|der| Certificate::from_der(der)).collect::<Result<Vec<_>, _>>().map_err(failed)?;
    let key = PrivateKey::from_der(&key.to_pkcs8()?).map_err(failed)?;
    let mut store = KeyStore::new();
    store.add_entry(name, KeyStoreEntry::PrivateKeyChain(PrivateKeyChain::new(name, key, certificates)));
    let (encryption, mac) = match protection {
        Protection::Aes256 => (EncryptionAlgorithm::PbeWithHmacSha256AndAes256, MacAlgorithm::HmacSha256),
        Protection::TripleDes => (EncryptionAlgorithm::PbeWithShaAnd3KeyTripleDesCbc, MacAlgorithm::HmacSha1),
    };
    let writer = store.writer(password).encryption_algorithm(encryption).mac_algorithm(mac);
    writer.write().map(Zeroizing::new).map_err(failed)
}
