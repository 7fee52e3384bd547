//! A certificate authority of any purpose: a key, its certificate and what it signs with them.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyUsagePurpose, PublicKeyData, SerialNumber};
use rustls::pki_types::CertificateDer;
use time::OffsetDateTime;

use crate::pki::certificate;
use crate::pki::csr::distinguished_name;
use crate::pki::key::{DeviceKey, KeyError};

const DAY: Duration = Duration::from_hours(24);

/// Start and end of the validity of a certificate, both included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Validity {
    /// First instant, cut to seconds.
    pub not_before: SystemTime,
    /// Last instant, cut to seconds.
    pub not_after: SystemTime,
}

impl Validity {
    /// `days` days from an hour before `now`, so that a device whose clock is a little slow accepts it.
    pub fn days(days: u32, now: SystemTime) -> Self {
        let not_before = now - Duration::from_secs(60 * 60);
        Self { not_before, not_after: not_before + DAY * days }
    }

    /// Whether `now` lies within.
    pub fn contains(&self, now: SystemTime) -> bool {
        // Certificates count in whole seconds: the last one counts until it is over.
        now >= self.not_before && now < self.not_after + Duration::from_secs(1)
    }
}

/// A key that signs certificates, with its own certificate.
pub struct CertificateAuthority {
    der: Vec<u8>,
    validity: Validity,
    issuer: Issuer<'static, DeviceKey>,
}

impl CertificateAuthority {
    /// A root: signed by itself, `path_length` authorities may follow below it.
    ///
    /// # Errors
    /// For a common name or date that X.509 cannot express, or when the key cannot sign.
    pub fn root(key: DeviceKey, common_name: &str, path_length: u8, validity: Validity) -> Result<Self, KeyError> {
        let params = authority_params(common_name, path_length, validity)?;
        let certificate = params.self_signed(&key).map_err(|_| KeyError::Library("sign a root certificate"))?;
        Self::new(certificate.der().to_vec(), key)
    }

    /// An authority under this one.
    ///
    /// # Errors
    /// As [`Self::root`].
    pub fn subordinate(
        &self,
        key: DeviceKey,
        common_name: &str,
        path_length: u8,
        validity: Validity,
    ) -> Result<Self, KeyError> {
        let mut params = authority_params(common_name, path_length, validity)?;
        params.use_authority_key_identifier_extension = true;
        Self::new(self.sign(&params, &key)?, key)
    }

    /// From a certificate and its private key.
    ///
    /// # Errors
    /// [`KeyError::Certificate`] when `der` is no certificate, [`KeyError::Foreign`] when it is one of another key.
    pub fn new(der: Vec<u8>, key: DeviceKey) -> Result<Self, KeyError> {
        let parsed = certificate::parse(&der).ok_or(KeyError::Certificate)?;
        if parsed.public_key().raw != key.spki_der() {
            return Err(KeyError::Foreign);
        }
        let validity = certificate::validity(&parsed).ok_or(KeyError::Certificate)?;
        let issuer =
            Issuer::from_ca_cert_der(&CertificateDer::from(der.as_slice()), key).map_err(|_| KeyError::Certificate)?;
        Ok(Self { der, validity, issuer })
    }

    /// DER of its certificate.
    pub fn der(&self) -> &[u8] {
        &self.der
    }

    /// Its own validity.
    pub fn validity(&self) -> Validity {
        self.validity
    }

    /// Its key.
    pub fn key(&self) -> &DeviceKey {
        self.issuer.key()
    }

    /// Signs a certificate for `key`.
    pub(super) fn sign(&self, params: &CertificateParams, key: &impl PublicKeyData) -> Result<Vec<u8>, KeyError> {
        let certificate = params.signed_by(key, &self.issuer).map_err(|_| KeyError::Library("sign a certificate"))?;
        Ok(certificate.der().to_vec())
    }
}

/// Shows the key's algorithm, never the key.
impl std::fmt::Debug for CertificateAuthority {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CertificateAuthority").field("key", self.key()).finish_non_exhaustive()
    }
}

/// What every certificate has: a random serial, a subject, a validity.
pub(super) fn params(common_name: &str, validity: Validity) -> Result<CertificateParams, KeyError> {
    let mut params = CertificateParams::default();
    params.distinguished_name = distinguished_name(common_name)?;
    params.not_before = date(validity.not_before)?;
    params.not_after = date(validity.not_after)?;
    params.serial_number = Some(SerialNumber::from_slice(&random_serial()));
    Ok(params)
}

fn authority_params(common_name: &str, path_length: u8, validity: Validity) -> Result<CertificateParams, KeyError> {
    let mut params = params(common_name, validity)?;
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(path_length));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign, KeyUsagePurpose::DigitalSignature];
    Ok(params)
}

/// 16 random bytes of which the first is not zero: a positive number that is always 16 bytes long (RFC 5280, section
/// 4.1.2.2 allows 20). ADR's serials were seen to have 16 bytes.
pub(super) fn random_serial() -> [u8; 16] {
    let mut serial = rand::random::<[u8; 16]>();
    if serial[0] == 0 {
        serial[0] = 1;
    }
    serial
}

/// A date as rcgen takes it.
pub(super) fn date(time: SystemTime) -> Result<OffsetDateTime, KeyError> {
    let seconds = match time.duration_since(UNIX_EPOCH) {
        Ok(after) => i64::try_from(after.as_secs()),
        Err(before) => i64::try_from(before.duration().as_secs()).map(|seconds| -seconds),
    };
    let date = OffsetDateTime::from_unix_timestamp(seconds.map_err(|_| KeyError::Date)?).map_err(|_| KeyError::Date)?;
    if (1950..=9999).contains(&date.year()) { Ok(date) } else { Err(KeyError::Date) }
}
