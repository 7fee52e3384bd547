//! The certificate hierarchy of ADR: a P-384 root ("credential"), a P-384 issuing CA ("policy"), leaves of devices.
//! Source: Microsoft Learn, "Azure IoT Hub certificate management concepts".

use std::time::SystemTime;

use rcgen::{
    CertificateParams, CrlDistributionPoint, CustomExtension, ExtendedKeyUsagePurpose, IsCa, KeyUsagePurpose,
    PublicKeyData, SanType, SerialNumber, SignatureAlgorithm,
};
use rustls::pki_types::ServerName;
use x509_parser::prelude::FromDer;
use x509_parser::x509::SubjectPublicKeyInfo;
use zeroize::Zeroizing;

use crate::domain::{CryptoProvider, KeyAlgorithm};
use crate::pki::ca::{self, CertificateAuthority, Validity};
use crate::pki::csr::{VerifiedCsr, distinguished_name};
use crate::pki::key::{DeviceKey, KeyError};
use crate::pki::sign::rcgen_algorithm;
use crate::pki::{certificate, extension};

const ROOT_DAYS: u32 = 3650;
const ISSUING_CA_DAYS: u32 = 1825;
const SERVER_DAYS: u32 = 365;

/// Root of a hierarchy.
#[derive(Debug)]
pub struct RootCa(CertificateAuthority);

/// An authority that signs device certificates.
#[derive(Debug)]
pub struct IssuingCa {
    ca: CertificateAuthority,
    /// All of a leaf that is the same for every device.
    template: CertificateParams,
}

/// A device certificate fresh from the authority.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IssuedLeaf {
    /// DER of the certificate.
    pub der: Vec<u8>,
    /// Serial number: 16 random bytes, positive.
    pub serial: Vec<u8>,
    /// Unique identifier of the device, in a private extension; the hub compares it for revocation.
    pub unique_id: uuid::Uuid,
}

impl RootCa {
    /// A fresh P-384 root, valid from an hour before `now` for ten years.
    ///
    /// # Errors
    /// When the common name has not 1 to 64 characters, or the library fails.
    pub fn generate(common_name: &str, now: SystemTime) -> Result<Self, KeyError> {
        Self::of(KeyAlgorithm::EcdsaP384, common_name, now)
    }

    /// A fresh P-256 root for TLS server certificates, otherwise as [`Self::generate`]. Every client checks its signature
    /// in every handshake, and P-256 costs a quarter of P-384.
    ///
    /// # Errors
    /// As [`Self::generate`].
    pub fn for_servers(common_name: &str, now: SystemTime) -> Result<Self, KeyError> {
        Self::of(KeyAlgorithm::EcdsaP256, common_name, now)
    }

    fn of(algorithm: KeyAlgorithm, common_name: &str, now: SystemTime) -> Result<Self, KeyError> {
        let key = DeviceKey::generate(algorithm, CryptoProvider::AwsLc)?;
        CertificateAuthority::root(key, common_name, 1, Validity::days(ROOT_DAYS, now)).map(Self)
    }

    /// DER of the root certificate.
    pub fn der(&self) -> &[u8] {
        self.0.der()
    }

    /// PEM of the root's PKCS#8 private key, for a state directory.
    ///
    /// # Errors
    /// When the library cannot encode it.
    pub fn key_pem(&self) -> Result<Zeroizing<String>, KeyError> {
        self.0.key().to_pem()
    }

    /// From what `der` and `key_pem` gave.
    ///
    /// # Errors
    /// When the two are not a certificate and its key.
    pub fn from_parts(der: &[u8], key_pem: &str) -> Result<Self, KeyError> {
        let key = DeviceKey::from_pem(key_pem, CryptoProvider::AwsLc)?;
        CertificateAuthority::new(der.to_vec(), key).map(Self)
    }

    /// A fresh P-384 issuing CA under this root (pathlen 0), valid from an hour before `now` for five years.
    ///
    /// # Errors
    /// As [`Self::generate`].
    pub fn issuing_ca(&self, common_name: &str, now: SystemTime) -> Result<IssuingCa, KeyError> {
        let key = DeviceKey::generate(KeyAlgorithm::EcdsaP384, CryptoProvider::AwsLc)?;
        IssuingCa::new(self.0.subordinate(key, common_name, 0, Validity::days(ISSUING_CA_DAYS, now))?)
    }

    /// A TLS server certificate (ECDSA P-256, 365 days) for DNS names (wildcards too) and IP addresses as text:
    /// certificate DER and PKCS#8 DER. The first name is the common name too.
    ///
    /// # Errors
    /// [`KeyError::AlternativeName`] for a name that is neither.
    pub fn server_certificate(&self, names: &[String], now: SystemTime) -> Result<(Vec<u8>, Vec<u8>), KeyError> {
        let key = DeviceKey::generate(KeyAlgorithm::EcdsaP256, CryptoProvider::AwsLc)?;
        // Clients look at the alternative names alone: a name that is too long for a common name is cut.
        let common_name: String = names.first().map(|name| name.chars().take(64).collect()).unwrap_or_default();
        let mut params = ca::params(&common_name, Validity::days(SERVER_DAYS, now))?;
        params.subject_alt_names = names.iter().map(|name| alternative_name(name)).collect::<Result<_, _>>()?;
        params.is_ca = IsCa::ExplicitNoCa;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.use_authority_key_identifier_extension = true;
        Ok((self.0.sign(&params, &key)?, key.to_pkcs8()?.to_vec()))
    }
}

/// A DNS name or an IP address as subject alternative name.
fn alternative_name(name: &str) -> Result<SanType, KeyError> {
    let invalid = || KeyError::AlternativeName(name.to_owned());
    match ServerName::try_from(name.strip_prefix("*.").unwrap_or(name)) {
        Ok(ServerName::IpAddress(address)) if !name.starts_with('*') => Ok(SanType::IpAddress(address.into())),
        Ok(ServerName::DnsName(_)) => Ok(SanType::DnsName(name.try_into().map_err(|_| invalid())?)),
        _ => Err(invalid()),
    }
}

impl IssuingCa {
    fn new(ca: CertificateAuthority) -> Result<Self, KeyError> {
        let mut template = CertificateParams::default();
        template.is_ca = IsCa::ExplicitNoCa;
        template.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        template.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        template.use_authority_key_identifier_extension = true;
        // Live leaves have about 1.1 KB of extensions, as those of an authority that names several places for its own
        // certificate and its revocation list. The size counts under load, so ours name several too; none exists.
        let id = hex(&certificate::subject_key_id(ca.der()).ok_or(KeyError::Certificate)?);
        let places = |kind: &str| -> Vec<String> {
            ["primary-cdn", "secondary-cdn", "primary", "secondary"]
                .map(|host| format!("http://{host}.pki.fleetstorm.invalid/{kind}/{id}.{kind}"))
                .to_vec()
        };
        template.crl_distribution_points = vec![CrlDistributionPoint { uris: places("crl") }];
        template.custom_extensions = vec![extension::authority_info_access(&places("crt"))];
        Ok(Self { ca, template })
    }

    /// DER of its certificate.
    pub fn der(&self) -> &[u8] {
        self.ca.der()
    }

    /// PEM of its PKCS#8 private key, for a state directory.
    ///
    /// # Errors
    /// When the library cannot encode it.
    pub fn key_pem(&self) -> Result<Zeroizing<String>, KeyError> {
        self.ca.key().to_pem()
    }

    /// From what `der` and `key_pem` gave.
    ///
    /// # Errors
    /// When the two are not a certificate and its key.
    pub fn from_parts(der: &[u8], key_pem: &str) -> Result<Self, KeyError> {
        let key = DeviceKey::from_pem(key_pem, CryptoProvider::AwsLc)?;
        Self::new(CertificateAuthority::new(der.to_vec(), key)?)
    }

    /// Signs a device certificate: subject `CN=<device_id>`, the key of the CSR, CA:FALSE, digitalSignature, clientAuth,
    /// SKI, AKI, the device's unique id in a private extension. Shared between threads.
    ///
    /// # Errors
    /// When `device_id` has not 1 to 64 characters, a date is out of range or the library fails.
    pub fn issue(
        &self,
        csr: &VerifiedCsr,
        device_id: &str,
        unique_id: uuid::Uuid,
        not_before: SystemTime,
        not_after: SystemTime,
    ) -> Result<IssuedLeaf, KeyError> {
        let serial = ca::random_serial();
        let mut params = self.template.clone();
        params.distinguished_name = distinguished_name(device_id)?;
        params.not_before = ca::date(not_before)?;
        params.not_after = ca::date(not_after)?;
        params.serial_number = Some(SerialNumber::from_slice(&serial));
        let content = extension::utf8_string(&unique_id.to_string());
        params.custom_extensions.push(CustomExtension::from_oid_content(&certificate::UNIQUE_ID_OID, content));
        let der = self.ca.sign(&params, &CsrKey::new(csr)?)?;
        Ok(IssuedLeaf { der, serial: serial.to_vec(), unique_id })
    }
}

/// The public key of a CSR as rcgen takes it.
struct CsrKey<'a> {
    algorithm: &'static SignatureAlgorithm,
    bits: &'a [u8],
}

impl<'a> CsrKey<'a> {
    fn new(csr: &'a VerifiedCsr) -> Result<Self, KeyError> {
        let (_, spki) = SubjectPublicKeyInfo::from_der(&csr.spki_der).map_err(|_| KeyError::Parse)?;
        // The bits are the end of the SubjectPublicKeyInfo.
        let start = csr.spki_der.len().checked_sub(spki.subject_public_key.data.len()).ok_or(KeyError::Parse)?;
        let bits = csr.spki_der.get(start..).ok_or(KeyError::Parse)?;
        Ok(Self { algorithm: rcgen_algorithm(csr.algorithm), bits })
    }
}

impl PublicKeyData for CsrKey<'_> {
    fn der_bytes(&self) -> &[u8] {
        self.bits
    }

    fn algorithm(&self) -> &'static SignatureAlgorithm {
        self.algorithm
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pki::certificate::leaf_identity;
    use crate::pki::csr;
    use crate::pki::test_support::{Adr, DAY, key, now};

    fn issue(issuing: &IssuingCa, algorithm: KeyAlgorithm, device_id: &str) -> IssuedLeaf {
        let key = DeviceKey::generate(algorithm, CryptoProvider::AwsLc).unwrap();
        let csr = csr::verify(&csr::build(&key, device_id).unwrap()).unwrap();
        issuing.issue(&csr, device_id, uuid::Uuid::new_v4(), now(), now() + 30 * DAY).unwrap()
    }

    #[test]
    fn leaves_are_as_large_as_live_ones() {
        let adr = Adr::new();
        for (algorithm, size) in [(KeyAlgorithm::EcdsaP256, 1250..1400), (KeyAlgorithm::Rsa2048, 1450..1600)] {
            let leaf = issue(&adr.issuing, algorithm, "skittlesorter");
            assert!(size.contains(&leaf.der.len()), "{algorithm}: {}", leaf.der.len());
        }
    }

    #[test]
    fn a_leaf_says_what_was_issued() {
        let leaf = issue(&Adr::new().issuing, KeyAlgorithm::EcdsaP256, "device-0001");
        let identity = leaf_identity(&leaf.der).unwrap();
        assert_eq!(identity.common_name, "device-0001");
        assert_eq!(identity.serial, leaf.serial);
        assert_eq!(identity.unique_id, Some(leaf.unique_id));
        assert_eq!(identity.validity, Validity { not_before: now(), not_after: now() + 30 * DAY });
    }

    #[test]
    fn a_leaf_is_identified_by_its_key() {
        let (adr, one, other) = (Adr::new(), key(), key());
        let id = |key| certificate::subject_key_id(&adr.leaf(key, "device-0001")).unwrap();
        assert_eq!(id(&one), id(&one));
        assert_ne!(id(&one), id(&other));
    }

    #[test]
    fn the_service_decides_the_name_not_the_csr() {
        let key = key();
        let csr = csr::verify(&csr::build(&key, "asked-for").unwrap()).unwrap();
        let adr = Adr::new();
        let issue = |id: &str| adr.issuing.issue(&csr, id, uuid::Uuid::nil(), now(), now() + DAY);
        assert_eq!(leaf_identity(&issue("given").unwrap().der).unwrap().common_name, "given");
        assert!(matches!(issue(&"a".repeat(65)), Err(KeyError::CommonName(65))));
    }

    #[test]
    fn serials_are_positive_and_sixteen_bytes_long() {
        for _ in 0..500 {
            assert_ne!(ca::random_serial()[0], 0);
        }
    }

    #[test]
    fn dates_that_x509_cannot_say_are_refused() {
        assert!(matches!(ca::date(now() + 365 * 9000 * DAY), Err(KeyError::Date)));
        assert!(matches!(ca::date(SystemTime::UNIX_EPOCH - 365 * 100 * DAY), Err(KeyError::Date)));
        assert!(ca::date(SystemTime::UNIX_EPOCH - 365 * DAY).is_ok());
    }

    #[test]
    fn a_hierarchy_survives_being_written_down() {
        let adr = Adr::new();
        let root = RootCa::from_parts(adr.root.der(), &adr.root.key_pem().unwrap()).unwrap();
        let issuing = IssuingCa::from_parts(adr.issuing.der(), &adr.issuing.key_pem().unwrap()).unwrap();
        assert_eq!((root.der(), issuing.der()), (adr.root.der(), adr.issuing.der()));
        let leaf = issue(&issuing, KeyAlgorithm::EcdsaP256, "device-0001");
        assert!(
            crate::pki::trust::AuthoritySet::new(&[adr.issuing.der()]).unwrap().verify_leaf(&[leaf.der], now()).is_ok()
        );
        let other = IssuingCa::from_parts(adr.issuing.der(), &adr.root.key_pem().unwrap());
        assert!(matches!(other, Err(KeyError::Foreign)));
    }
}
