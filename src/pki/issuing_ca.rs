//! The certificate hierarchy of ADR: a P-384 root ("credential"), a P-384 issuing CA ("policy"), leaves of devices.
//! Source: Microsoft Learn, "Azure IoT Hub certificate management concepts".

use std::time::{Duration, SystemTime};

use aws_lc_rs::rand::SecureRandom as _;
use rcgen::{
    BasicConstraints, CertificateParams, CrlDistributionPoint, CustomExtension, DistinguishedName, DnType,
    ExtendedKeyUsagePurpose, IsCa, Issuer, KeyIdMethod, KeyUsagePurpose, SanType, SerialNumber, SubjectPublicKeyInfo,
};

use crate::domain::{CryptoProvider, KeyAlgorithm};
use crate::pki::csr::VerifiedCsr;
use crate::pki::key::{DeviceKey, KeyError};

const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(24 * 3600);

/// Object identifier of the private extension that carries a device's unique identifier (16 bytes of a UUID in an OCTET
/// STRING). The real service's is not published; this one is below the example arc of UUID-based identifiers.
pub const UNIQUE_ID_OID: &[u64] = &[1, 3, 6, 1, 4, 1, 311, 89, 1, 1];

/// Root of a hierarchy.
#[derive(Debug)]
pub struct RootCa(Authority);

/// An authority that signs device certificates.
#[derive(Debug)]
pub struct IssuingCa(Authority);

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

/// A certificate and the key that it certifies.
struct Authority {
    der: Vec<u8>,
    issuer: Issuer<'static, DeviceKey>,
}

impl std::fmt::Debug for Authority {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Authority")
    }
}

impl Authority {
    fn key_pem(&self) -> Result<zeroize::Zeroizing<String>, KeyError> {
        self.issuer.key().to_pkcs8_pem()
    }

    fn from_parts(der: &[u8], key_pem: &str) -> Result<Self, KeyError> {
        let bad = |_| KeyError::Library("read an authority's certificate");
        let key = DeviceKey::from_pkcs8_pem(key_pem)?;
        let issuer = Issuer::from_ca_cert_der(&der.into(), key).map_err(bad)?;
        Ok(Self { der: der.to_vec(), issuer })
    }

    fn sign(&self, params: &CertificateParams, key: &impl rcgen::PublicKeyData) -> Result<Vec<u8>, KeyError> {
        let certificate = params.signed_by(key, &self.issuer).map_err(|_| KeyError::Library("sign a certificate"))?;
        Ok(certificate.der().to_vec())
    }
}

impl RootCa {
    /// A fresh P-384 root, valid from an hour before `now` for ten years.
    ///
    /// # Errors
    /// The crypto library failed.
    pub fn generate(common_name: &str, now: SystemTime) -> Result<Self, KeyError> {
        let key = DeviceKey::generate(KeyAlgorithm::EcdsaP384, CryptoProvider::AwsLc)?;
        let params = authority_params(common_name, 1, now, 3650)?;
        let certificate = params.self_signed(&key).map_err(|_| KeyError::Library("sign a root certificate"))?;
        Ok(Self(Authority { der: certificate.der().to_vec(), issuer: Issuer::new(params, key) }))
    }

    /// DER of the root certificate.
    pub fn der(&self) -> &[u8] {
        &self.0.der
    }

    /// PEM of the root's PKCS#8 private key, for a state directory.
    ///
    /// # Errors
    /// The crypto library failed.
    pub fn key_pem(&self) -> Result<zeroize::Zeroizing<String>, KeyError> {
        self.0.key_pem()
    }

    /// From what `der` and `key_pem` gave.
    ///
    /// # Errors
    /// Not such a pair.
    pub fn from_parts(der: &[u8], key_pem: &str) -> Result<Self, KeyError> {
        Authority::from_parts(der, key_pem).map(Self)
    }

    /// A fresh P-384 issuing CA under this root (pathlen 0), valid from an hour before `now` for five years.
    ///
    /// # Errors
    /// The crypto library failed.
    pub fn issuing_ca(&self, common_name: &str, now: SystemTime) -> Result<IssuingCa, KeyError> {
        let key = DeviceKey::generate(KeyAlgorithm::EcdsaP384, CryptoProvider::AwsLc)?;
        let mut params = authority_params(common_name, 0, now, 1825)?;
        params.use_authority_key_identifier_extension = true;
        params.crl_distribution_points = crl_points("root");
        params.custom_extensions.push(authority_information_access("root"));
        let der = self.0.sign(&params, &key)?;
        Ok(IssuingCa(Authority { der, issuer: Issuer::new(params, key) }))
    }

    /// A TLS server certificate (ECDSA P-256) for DNS names and IP addresses as text: certificate DER and PKCS#8 DER.
    ///
    /// # Errors
    /// A name is neither, or the crypto library failed.
    pub fn server_certificate(&self, names: &[String], now: SystemTime) -> Result<(Vec<u8>, Vec<u8>), KeyError> {
        let bad_name = |_| KeyError::Library("use a server name in a certificate");
        let key = DeviceKey::generate(KeyAlgorithm::EcdsaP256, CryptoProvider::AwsLc)?;
        let mut params = params("fleetstorm emulator", now - HOUR, now + 398 * DAY)?;
        for name in names {
            params.subject_alt_names.push(match name.parse() {
                Ok(address) => SanType::IpAddress(address),
                Err(_) => SanType::DnsName(name.as_str().try_into().map_err(bad_name)?),
            });
        }
        params.is_ca = IsCa::ExplicitNoCa;
        params.use_authority_key_identifier_extension = true;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        let der = self.0.sign(&params, &key)?;
        let key = pem::parse(key.to_pkcs8_pem()?.as_bytes()).map_err(|_| KeyError::Library("export a key"))?;
        Ok((der, key.into_contents()))
    }
}

impl IssuingCa {
    /// DER of its certificate.
    pub fn der(&self) -> &[u8] {
        &self.0.der
    }

    /// PEM of its PKCS#8 private key, for a state directory.
    ///
    /// # Errors
    /// The crypto library failed.
    pub fn key_pem(&self) -> Result<zeroize::Zeroizing<String>, KeyError> {
        self.0.key_pem()
    }

    /// From what `der` and `key_pem` gave.
    ///
    /// # Errors
    /// Not such a pair.
    pub fn from_parts(der: &[u8], key_pem: &str) -> Result<Self, KeyError> {
        Authority::from_parts(der, key_pem).map(Self)
    }

    /// Signs a device certificate: subject `CN=<device_id>`, the key of the CSR, CA:FALSE, digitalSignature, clientAuth,
    /// SKI, AKI, CRL distribution point, AIA and the device's unique id in a private extension.
    ///
    /// # Errors
    /// The crypto library failed.
    pub fn issue(
        &self,
        csr: &VerifiedCsr,
        device_id: &str,
        unique_id: uuid::Uuid,
        not_before: SystemTime,
        not_after: SystemTime,
    ) -> Result<IssuedLeaf, KeyError> {
        let key =
            SubjectPublicKeyInfo::from_der(&csr.spki_der).map_err(|_| KeyError::Library("use the key of the CSR"))?;
        let mut params = params(device_id, not_before, not_after)?;
        let serial = params.serial_number.as_ref().map(|s| s.to_bytes()).unwrap_or_default();
        params.is_ca = IsCa::ExplicitNoCa;
        params.use_authority_key_identifier_extension = true;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        params.crl_distribution_points = crl_points("issuing");
        params.custom_extensions.push(authority_information_access("issuing"));
        let mut octets = vec![0x04, 16];
        octets.extend_from_slice(unique_id.as_bytes());
        params.custom_extensions.push(CustomExtension::from_oid_content(UNIQUE_ID_OID, octets));
        Ok(IssuedLeaf { der: self.0.sign(&params, &key)?, serial, unique_id })
    }
}

fn authority_params(
    common_name: &str,
    path_length: u8,
    now: SystemTime,
    days: u32,
) -> Result<CertificateParams, KeyError> {
    let mut params = params(common_name, now - HOUR, now + days * DAY)?;
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(path_length));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign, KeyUsagePurpose::DigitalSignature];
    Ok(params)
}

fn params(common_name: &str, not_before: SystemTime, not_after: SystemTime) -> Result<CertificateParams, KeyError> {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, common_name);
    params.serial_number = Some(random_serial()?);
    params.not_before = not_before.into();
    params.not_after = not_after.into();
    params.key_identifier_method = KeyIdMethod::Sha256;
    Ok(params)
}

/// 128 random bits, positive and without a leading zero byte (RFC 5280, section 4.1.2.2).
fn random_serial() -> Result<SerialNumber, KeyError> {
    let mut serial = [0; 16];
    aws_lc_rs::rand::SystemRandom::new().fill(&mut serial).map_err(|_| KeyError::Library("make a serial number"))?;
    serial[0] = (serial[0] & 0x7f) | 0x40;
    Ok(SerialNumber::from_slice(&serial))
}

fn crl_points(of: &str) -> Vec<CrlDistributionPoint> {
    vec![CrlDistributionPoint { uris: vec![format!("http://crl.adr.invalid/fleetstorm/credentials/default/{of}.crl")] }]
}

/// Authority information access with one caIssuers location (RFC 5280, section 4.2.2.1).
fn authority_information_access(of: &str) -> CustomExtension {
    let uri = format!("http://aia.adr.invalid/fleetstorm/credentials/default/{of}.cer");
    let content = yasna::construct_der(|writer| {
        writer.write_sequence(|writer| {
            writer.next().write_sequence(|writer| {
                writer.next().write_oid(&yasna::models::ObjectIdentifier::from_slice(&[1, 3, 6, 1, 5, 5, 7, 48, 2]));
                writer.next().write_tagged_implicit(yasna::Tag::context(6), |writer| {
                    writer.write_ia5_string(&uri);
                });
            });
        });
    });
    CustomExtension::from_oid_content(&[1, 3, 6, 1, 5, 5, 7, 1, 1], content)
}
