//! The certificates with which a fleet attests to DPS: a root, an intermediate, proofs of possession of both, and a
//! bootstrap certificate per device. Profile: Microsoft Learn, "X.509 certificate attestation", as the public
//! provisioning scripts for DPS make them.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use rcgen::{ExtendedKeyUsagePurpose, IsCa, KeyUsagePurpose, SanType};

use crate::domain::{CryptoProvider, KeyAlgorithm, RegistrationId};
use crate::pki::ca::{self, CertificateAuthority, Validity};
use crate::pki::chain::ChainError;
use crate::pki::key::{DeviceKey, KeyError};
use crate::pki::store::{self, StoreError};
use crate::pki::{certificate, client};

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
pub struct BootstrapIdentity {
    /// DER certificates, the device's first, then the authorities that it presents.
    pub chain: Vec<Vec<u8>>,
    /// Its private key.
    pub key: DeviceKey,
}

/// Why a device cannot attest with its bootstrap certificate.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unfit {
    /// Nobody would take it from any device.
    #[error(transparent)]
    Form(#[from] ChainError),
    /// It is somebody else's.
    #[error("the certificate is one of `{0}`")]
    Name(String),
    /// It will be valid then.
    #[error("the certificate is not valid before {}", date(.0))]
    NotYet(SystemTime),
    /// It was valid until then.
    #[error("the certificate has expired: it was valid until {}", date(.0))]
    Expired(SystemTime),
}

impl BootstrapIdentity {
    /// Whether the device `id` can attest with it at `now`. The service decides whom it trusts.
    ///
    /// # Errors
    /// The first of [`Unfit`] that holds, in their order.
    pub fn check(&self, id: &RegistrationId, now: SystemTime) -> Result<(), Unfit> {
        let leaf = self.chain.first().and_then(|der| certificate::parse(der)).ok_or(ChainError::Malformed(0))?;
        client::check_form(&leaf)?;
        let identity = certificate::identity_of(&leaf).ok_or(ChainError::CommonName)?;
        if !identity.common_name.eq_ignore_ascii_case(id.as_str()) {
            return Err(Unfit::Name(identity.common_name));
        }
        let Validity { not_before, not_after } = identity.validity;
        if now < not_before {
            return Err(Unfit::NotYet(not_before));
        }
        if identity.validity.contains(now) { Ok(()) } else { Err(Unfit::Expired(not_after)) }
    }
}

/// A moment for people.
fn date(at: &SystemTime) -> String {
    jiff::Timestamp::try_from(*at)
        .map_or_else(|_| "a date out of range".to_owned(), |at| at.strftime("%F %T UTC").to_string())
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
) -> Result<BootstrapIdentity, KeyError> {
    let mut params = ca::params(id.as_str(), Validity::days(days, now))?;
    let name = id.as_str().try_into().map_err(|_| KeyError::AlternativeName(id.to_string()))?;
    params.subject_alt_names = vec![SanType::DnsName(name)];
    params.is_ca = IsCa::ExplicitNoCa;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature, KeyUsagePurpose::KeyEncipherment];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    params.use_authority_key_identifier_extension = true;
    let mut chain = vec![authority.sign(&params, &key)?];
    chain.extend_from_slice(above);
    Ok(BootstrapIdentity { chain, key })
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
        let der = store::read_certificate(&path)?;
        let key = store::read_key(&self.key(name), CryptoProvider::AwsLc)?;
        CertificateAuthority::new(der, key).map_err(|source| StoreError::Key { path: self.key(name), source })
    }

    /// Reads what a device attests with.
    ///
    /// # Errors
    /// A file is absent or unusable, or certificate and key do not belong together.
    pub fn identity(&self, id: &RegistrationId, provider: CryptoProvider) -> Result<BootstrapIdentity, StoreError> {
        let chain = store::read_certificates(&self.device_certificate(id))?;
        let path = self.device_key(id);
        let key = store::read_key(&path, provider)?;
        let leaf = chain.first().and_then(|der| certificate::parse(der));
        let fault = match leaf {
            None => KeyError::Certificate,
            Some(leaf) if leaf.public_key().raw != key.spki_der() => KeyError::Foreign,
            Some(_) => return Ok(BootstrapIdentity { chain, key }),
        };
        Err(StoreError::Key { path, source: fault })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pki::store::{Existing, FileAccess};
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
            store::write(&folder.device_certificate(id), pem.as_bytes(), FileAccess::Everybody, Existing::Keep)
                .unwrap();
            let pem = device.key.to_pem().unwrap();
            store::write(&folder.device_key(id), pem.as_bytes(), FileAccess::Owner, Existing::Keep).unwrap();
        }
        assert_eq!(folder.identity(&one, CryptoProvider::Ring).unwrap().chain.len(), 1);
        let identity = folder.identity(&one, CryptoProvider::AwsLc).unwrap();
        let day = std::time::Duration::from_secs(24 * 60 * 60);
        assert_eq!(identity.check(&one, now()), Ok(()));
        let begin = now() - std::time::Duration::from_secs(3600);
        assert_eq!(identity.check(&one, begin), Ok(()), "its first moment counts");
        let before = begin - std::time::Duration::from_nanos(1);
        assert_eq!(identity.check(&one, before), Err(Unfit::NotYet(begin)));
        assert_eq!(identity.check(&two, now()), Err(Unfit::Name("one".to_owned())));
        assert!(matches!(identity.check(&one, now() - day), Err(Unfit::NotYet(_))));
        let expired = identity.check(&one, now() + 400 * day).unwrap_err().to_string();
        assert_eq!(expired, "the certificate has expired: it was valid until 2026-12-31 23:00:00 UTC");
        let mut params = ca::params("one", Validity::days(1, now())).unwrap();
        params.custom_extensions.push(crate::pki::test_support::unknown_extension());
        let chain = vec![root.sign(&params, &identity.key).unwrap()];
        let unknown = BootstrapIdentity { chain, key: identity.key }.check(&one, now());
        assert!(matches!(unknown, Err(Unfit::Form(ChainError::Extension { position: 0, .. }))));
        std::fs::copy(folder.device_key(&two), folder.device_key(&one)).unwrap();
        let mixed = folder.identity(&one, CryptoProvider::AwsLc);
        assert!(matches!(mixed, Err(StoreError::Key { source: KeyError::Foreign, .. })));
    }
}
