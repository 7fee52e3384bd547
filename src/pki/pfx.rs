//! PKCS#12 files ("PFX") of a device certificate, its chain and its key.

use p12_keystore::{Certificate, KeyStore, KeyStoreEntry, PrivateKey, PrivateKeyChain};
use zeroize::Zeroizing;

use crate::pki::key::{DeviceKey, KeyError};

/// A PKCS#12 document with one entry, encrypted with `password` (PBES2 with AES-256, HMAC-SHA256, 10,000 rounds: what
/// OpenSSL 3, Java and .NET write today). `chain` is DER, leaf first.
///
/// # Errors
/// When key or chain cannot be encoded.
pub fn encode(name: &str, chain: &[Vec<u8>], key: &DeviceKey, password: &str) -> Result<Zeroizing<Vec<u8>>, KeyError> {
    let failed = |_| KeyError::Library("encode a PKCS#12 file");
    let certificates =
        chain.iter().map(|der| Certificate::from_der(der)).collect::<Result<Vec<_>, _>>().map_err(failed)?;
    let key = PrivateKey::from_der(&key.to_pkcs8()?).map_err(failed)?;
    let mut store = KeyStore::new();
    store.add_entry(name, KeyStoreEntry::PrivateKeyChain(PrivateKeyChain::new(name, key, certificates)));
    store.writer(password).write().map(Zeroizing::new).map_err(failed)
}
