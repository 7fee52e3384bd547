//! The certificates with which a fleet attests to DPS: a root, an intermediate, proofs of possession of both, and a
//! bootstrap certificate per device. Profile: Microsoft Learn, "X.509 certificate attestation", as the public
//! provisioning scripts for DPS make them.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use rcgen::{ExtendedKeyUsagePurpose, IsCa, KeyUsagePurpose, SanType};

use crate::domain::{CryptoProvider, KeyAlgorithm, RegistrationId};
use crate::pki::ca::{self, CertificateAuthority, Validity};
use crate::pki::key::{DeviceKey, KeyError};
use crate::pki::store::{self, StoreError};

/// Days that a root is valid.
pub const ROOT_DAYS: u32 = 3650;
/// Days that an intermediate is valid.
pub const INTERMEDIATE_DAYS: u32 = 1825;
/// Days that a device's bootstrap certificate is valid.
pub const DEVICE_DAYS: u32 = 365;
/// Days that a proof of possession is valid.
pub const PROOF_DAYS: u32 = 30;

/// A device's bootstrap certificate and the key that proves it.
#[derive(Debug)]
pub struct Identity {
    /// DER certificates, the device's first, then the authorities that it presents.
    pub chain: Vec<Vec<u8>>,
    /// Its private key.
    pub key: DeviceKey,
}

/// A root with room for one authority below it (path length 1).
///
/// # Errors
/// A name that has not 1 to 64 characters, a date beyond 9999, or the library fails.
pub fn root(
    common_name: &str,
    algorithm: KeyAlgorithm,
    days: u32,
    now: SystemTime,
) -> Result<CertificateAuthority, KeyError> {
    let key = DeviceKey::generate(algorithm, CryptoProvider::AwsLc)?;
    CertificateAuthority::root(key, common_name, 1, Validity::days(days, now))
}

/// An authority under `root` that signs devices only (path length 0).
///
/// # Errors
/// As [`root`].
pub fn intermediate(
    root: &CertificateAuthority,
    common_name: &str,
    algorithm: KeyAlgorithm,
    days: u32,
    now: SystemTime,
) -> Result<CertificateAuthority, KeyError> {
    let key = DeviceKey::generate(algorithm, CryptoProvider::AwsLc)?;
    root.subordinate(key, common_name, 0, Validity::days(days, now))
}

/// The certificate that proves to DPS that its uploader holds the authority's key: the common name is the verification
/// code that DPS gave. Its own key is forgotten, as nobody needs it.
///
/// # Errors
/// As [`root`].
pub fn proof_of_possession(
    authority: &CertificateAuthority,
    verification_code: &str,
    days: u32,
    now: SystemTime,
) -> Result<Vec<u8>, KeyError> {
    let mut params = ca::params(verification_code, Validity::days(days, now))?;
    params.is_ca = IsCa::ExplicitNoCa;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.use_authority_key_identifier_extension = true;
    authority.sign(&params, &DeviceKey::generate(KeyAlgorithm::EcdsaP256, CryptoProvider::AwsLc)?)
}

/// A device's bootstrap certificate for `key`: CN and DNS name are the registration id, usable for TLS clients. `above`
/// are the authorities that the device presents after its own certificate.
///
/// # Errors
/// [`KeyError::CommonName`] when the id is longer than 64 characters, or as [`root`].
pub fn device(
    authority: &CertificateAuthority,
    above: &[Vec<u8>],
    id: &RegistrationId,
    key: DeviceKey,
    days: u32,
    now: SystemTime,
) -> Result<Identity, KeyError> {
    let mut params = ca::params(id.as_str(), Validity::days(days, now))?;
    let name = id.as_str().try_into().map_err(|_| KeyError::AlternativeName(id.to_string()))?;
    params.subject_alt_names = vec![SanType::DnsName(name)];
    params.is_ca = IsCa::ExplicitNoCa;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature, KeyUsagePurpose::KeyEncipherment];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    params.use_authority_key_identifier_extension = true;
    let mut chain = vec![authority.sign(&params, &key)?];
    chain.extend_from_slice(above);
    Ok(Identity { chain, key })
}

/// Where the files of a fleet's bootstrap certificates are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Folder(PathBuf);

impl Folder {
    /// The folder itself.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self(path.into())
    }

    /// The folder itself.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Certificate of an authority (`root`, `intermediate`).
    pub fn certificate(&self, authority: &str) -> PathBuf {
        self.0.join(format!("{authority}.pem"))
    }

    /// Private key of an authority.
    pub fn key(&self, authority: &str) -> PathBuf {
        self.0.join(format!("{authority}.key.pem"))
    }

    /// Intermediate and root, in this order.
    pub fn chain(&self) -> PathBuf {
        self.0.join("chain.pem")
    }

    /// Folder of the devices.
    pub fn devices(&self) -> PathBuf {
        self.0.join("devices")
    }

    /// A device's certificate, followed by the intermediate.
    pub fn device_certificate(&self, id: &RegistrationId) -> PathBuf {
        self.devices().join(format!("{id}.pem"))
    }

    /// A device's private key.
    pub fn device_key(&self, id: &RegistrationId) -> PathBuf {
        self.devices().join(format!("{id}.key.pem"))
    }

    /// A device's certificate, chain and key as PKCS#12.
    pub fn device_pfx(&self, id: &RegistrationId) -> PathBuf {
        self.devices().join(format!("{id}.pfx"))
    }

    /// Reads an authority.
    ///
    /// # Errors
    /// A file is absent or unusable, or certificate and key do not belong together.
    pub fn authority(&self, name: &str) -> Result<CertificateAuthority, StoreError> {
        let path = self.certificate(name);
        let ders = store::read_certificates(&path)?;
        let key = store::read_key(&self.key(name), CryptoProvider::AwsLc)?;
        let der = ders.into_iter().next().ok_or_else(|| StoreError::NoCertificate(path.clone()))?;
        CertificateAuthority::new(der, key).map_err(|source| StoreError::Key { path: self.key(name), source })
    }

    /// Reads what a device attests with.
    ///
    /// # Errors
    /// A file is absent or unusable, or certificate and key do not belong together.
    pub fn identity(&self, id: &RegistrationId, provider: CryptoProvider) -> Result<Identity, StoreError> {
        let chain = store::read_certificates(&self.device_certificate(id))?;
        let path = self.device_key(id);
        let key = store::read_key(&path, provider)?;
        let belongs = chain.first().and_then(|der| crate::pki::certificate::parse(der));
        if belongs.is_none_or(|leaf| leaf.public_key().raw != key.spki_der()) {
            return Err(StoreError::Key { path, source: KeyError::Certificate });
        }
        Ok(Identity { chain, key })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pki::store::{Access, Existing};
    use crate::pki::test_support::{key, now};
    use crate::pki::trust::AuthoritySet;

    const P256: KeyAlgorithm = KeyAlgorithm::EcdsaP256;

    #[test]
    fn a_device_is_known_by_root_and_intermediate() {
        let root = root("root", P256, ROOT_DAYS, now()).unwrap();
        let intermediate = intermediate(&root, "intermediate", P256, INTERMEDIATE_DAYS, now()).unwrap();
        let id = RegistrationId::new("dev:1_a").unwrap();
        let device = device(&intermediate, &[intermediate.der().to_vec()], &id, key(), DEVICE_DAYS, now()).unwrap();
        let trusted = AuthoritySet::new(&[root.der(), intermediate.der()]).unwrap();
        let path = trusted.verify_path(&device.chain, now()).unwrap();
        assert_eq!((path.leaf.common_name.as_str(), path.authorities), ("dev:1_a", vec![1, 0]));
        let proof = proof_of_possession(&root, "6B1F4C2E", PROOF_DAYS, now()).unwrap();
        let path = trusted.verify_path(&[proof], now()).unwrap();
        assert_eq!((path.leaf.common_name.as_str(), path.authorities), ("6B1F4C2E", vec![0]));
    }

    #[test]
    fn ids_longer_than_a_common_name_are_refused() {
        let root = root("root", P256, ROOT_DAYS, now()).unwrap();
        let id = RegistrationId::new(&"a".repeat(65)).unwrap();
        let refused = device(&root, &[], &id, key(), DEVICE_DAYS, now());
        assert!(matches!(refused, Err(KeyError::CommonName(65))));
    }

    #[test]
    fn an_identity_is_read_only_when_key_and_certificate_fit() {
        let temporary = tempfile::tempdir().unwrap();
        let folder = Folder::new(temporary.path());
        let root = root("root", P256, ROOT_DAYS, now()).unwrap();
        store::create_folder(&folder.devices()).unwrap();
        let [one, two] = ["one", "two"].map(|id| RegistrationId::new(id).unwrap());
        for id in [&one, &two] {
            let device = device(&root, &[], id, key(), DEVICE_DAYS, now()).unwrap();
            let pem = store::certificates_to_pem(&device.chain);
            store::write(&folder.device_certificate(id), pem.as_bytes(), Access::Everybody, Existing::Keep).unwrap();
            let pem = device.key.to_pem().unwrap();
            store::write(&folder.device_key(id), pem.as_bytes(), Access::Owner, Existing::Keep).unwrap();
        }
        assert_eq!(folder.identity(&one, CryptoProvider::Ring).unwrap().chain.len(), 1);
        std::fs::copy(folder.device_key(&two), folder.device_key(&one)).unwrap();
        let mixed = folder.identity(&one, CryptoProvider::AwsLc);
        assert!(matches!(mixed, Err(StoreError::Key { source: KeyError::Certificate, .. })));
    }
}
