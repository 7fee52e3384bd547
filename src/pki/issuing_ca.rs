//! The certificate hierarchy of ADR: a P-384 root ("credential"), a P-384 issuing CA ("policy"), leaves of devices.
//! Source: Microsoft Learn, "Azure IoT Hub certificate management concepts".

use std::time::SystemTime;

use crate::pki::csr::VerifiedCsr;
use crate::pki::key::KeyError;

/// Root of a hierarchy.
#[derive(Debug)]
pub struct RootCa {}

/// An authority that signs device certificates.
#[derive(Debug)]
pub struct IssuingCa {}

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
    pub fn generate(_common_name: &str, _now: SystemTime) -> Result<Self, KeyError> {
        todo!()
    }

    /// DER of the root certificate.
    pub fn der(&self) -> &[u8] {
        todo!()
    }

    /// PEM of the root's PKCS#8 private key, for a state directory.
    pub fn key_pem(&self) -> String {
        todo!()
    }

    /// From what `der` and `key_pem` gave.
    pub fn from_parts(_der: &[u8], _key_pem: &str) -> Result<Self, KeyError> {
        todo!()
    }

    /// A fresh P-384 issuing CA under this root (pathlen 0), valid from an hour before `now` for five years.
    pub fn issuing_ca(&self, _common_name: &str, _now: SystemTime) -> Result<IssuingCa, KeyError> {
        todo!()
    }

    /// A TLS server certificate (ECDSA P-256) for DNS names and IP addresses as text: certificate DER and PKCS#8 DER.
    pub fn server_certificate(&self, _names: &[String], _now: SystemTime) -> Result<(Vec<u8>, Vec<u8>), KeyError> {
        todo!()
    }
}

impl IssuingCa {
    /// DER of its certificate.
    pub fn der(&self) -> &[u8] {
        todo!()
    }

    /// PEM of its PKCS#8 private key, for a state directory.
    pub fn key_pem(&self) -> String {
        todo!()
    }

    /// From what `der` and `key_pem` gave.
    pub fn from_parts(_der: &[u8], _key_pem: &str) -> Result<Self, KeyError> {
        todo!()
    }

    /// Signs a device certificate: subject `CN=<device_id>`, the key of the CSR, CA:FALSE, digitalSignature, clientAuth,
    /// SKI, AKI, the device's unique id in a private extension.
    pub fn issue(
        &self,
        _csr: &VerifiedCsr,
        _device_id: &str,
        _unique_id: uuid::Uuid,
        _not_before: SystemTime,
        _not_after: SystemTime,
    ) -> Result<IssuedLeaf, KeyError> {
        todo!()
    }
}
