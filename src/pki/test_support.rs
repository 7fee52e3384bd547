//! Hierarchies for the tests of this module.

use std::time::{Duration, SystemTime};

use rcgen::{
    BasicConstraints, CertificateParams, CustomExtension, DistinguishedName, DnType, DnValue, ExtendedKeyUsagePurpose,
    IsCa, KeyUsagePurpose,
};

use crate::domain::{CryptoProvider, KeyAlgorithm};
use crate::pki::ca::{self, CertificateAuthority, Validity};
use crate::pki::csr;
use crate::pki::issuing_ca::{IssuingCa, RootCa};
use crate::pki::key::DeviceKey;

pub(super) const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// A fixed instant.
pub(super) fn now() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_767_225_600)
}

pub(super) fn key() -> DeviceKey {
    DeviceKey::generate(KeyAlgorithm::EcdsaP256, CryptoProvider::AwsLc).unwrap()
}

/// An ADR hierarchy.
pub(super) struct Adr {
    pub(super) root: RootCa,
    pub(super) issuing: IssuingCa,
}

impl Adr {
    pub(super) fn new() -> Self {
        let root = RootCa::generate("credential", now()).unwrap();
        let issuing = root.issuing_ca("policy", now()).unwrap();
        Self { root, issuing }
    }

    /// A 30 day leaf.
    pub(super) fn leaf(&self, key: &DeviceKey, device_id: &str) -> Vec<u8> {
        let csr = csr::verify(&csr::build(key, device_id).unwrap()).unwrap();
        self.issuing.issue(&csr, device_id, uuid::Uuid::from_u128(7), now() - DAY, now() + 29 * DAY).unwrap().der
    }

    pub(super) fn chain(&self, key: &DeviceKey, device_id: &str) -> Vec<Vec<u8>> {
        vec![self.leaf(key, device_id), self.issuing.der().to_vec(), self.root.der().to_vec()]
    }
}

/// Any authority below a root of its own.
pub(super) fn root(path_length: u8) -> CertificateAuthority {
    CertificateAuthority::root(key(), "root", path_length, Validity::days(3650, now())).unwrap()
}

/// A leaf with content of the caller's choice.
pub(super) fn leaf_by(
    authority: &CertificateAuthority,
    key: &DeviceKey,
    change: impl FnOnce(&mut CertificateParams),
) -> Vec<u8> {
    let mut params = ca::params("device-0001", Validity::days(30, now())).unwrap();
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    change(&mut params);
    authority.sign(&params, key).unwrap()
}

/// Another certificate of the same authority, by itself, with content of the caller's choice.
pub(super) fn reissued(authority: &CertificateAuthority, change: impl FnOnce(&mut CertificateParams)) -> Vec<u8> {
    let mut params = ca::params("root", Validity::days(3650, now())).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    change(&mut params);
    params.self_signed(authority.key()).unwrap().der().to_vec()
}

/// What `with` makes, with so much padding that it has that length. Signatures with ECDSA differ by a few bytes, so that some
/// are made until one fits.
pub(super) fn of_length(length: usize, with: impl Fn(usize) -> Vec<u8>) -> Vec<u8> {
    const PADDING: usize = 15_000;
    let about = PADDING + length - with(PADDING).len();
    let mut tried = (0..1000).map(|count| with(about - 2 + count % 5));
    tried.find(|der| der.len() == length).unwrap()
}

/// The name of [`root`], in another encoding, letter case and spacing.
pub(super) fn root_name() -> DistinguishedName {
    let mut name = DistinguishedName::new();
    name.push(DnType::CommonName, DnValue::PrintableString(" ROOT ".try_into().unwrap()));
    name
}

/// A critical extension that nobody knows.
pub(super) fn unknown_extension() -> CustomExtension {
    let mut extension = CustomExtension::from_oid_content(&[1, 3, 6, 1, 4, 1, 32473, 9], vec![5, 0]);
    extension.set_criticality(true);
    extension
}
