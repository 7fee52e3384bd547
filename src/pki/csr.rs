//! PKCS#10 certificate signing requests (RFC 2986).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rcgen::{CertificateParams, DistinguishedName, DnType};
use x509_parser::certification_request::X509CertificationRequest;
use x509_parser::prelude::FromDer as _;

use crate::domain::KeyAlgorithm;
use crate::pki::key::{DeviceKey, KeyError};
use crate::pki::public_key::PublicKey;

/// Builds the DER of a CSR with subject `CN=<common_name>` and nothing else, signed by `key`.
///
/// # Errors
/// The key cannot sign.
pub fn build(key: &DeviceKey, common_name: &str) -> Result<Vec<u8>, KeyError> {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, common_name);
    let request = params.serialize_request(key).map_err(|_| KeyError::Library("sign a CSR"))?;
    Ok(request.der().to_vec())
}

/// The text that goes into the `csr` property: standard base64 of the DER, without line breaks.
pub fn to_base64(der: &[u8]) -> String {
    STANDARD.encode(der)
}

/// A CSR whose signature was checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifiedCsr {
    /// The subject's common name.
    pub common_name: String,
    /// SubjectPublicKeyInfo in DER.
    pub spki_der: Vec<u8>,
    /// Algorithm of the key.
    pub algorithm: KeyAlgorithm,
}

/// Why a CSR is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CsrError {
    /// Not the DER of a PKCS#10 request.
    #[error("the CSR is not the DER of a PKCS#10 request")]
    Malformed,
    /// The self-signature does not verify.
    #[error("the CSR's signature does not verify with its own public key")]
    Signature,
    /// A key type that ADR does not take.
    #[error("the CSR's key is not ECDSA P-256, P-384 or RSA of at least 2048 bits")]
    KeyType,
    /// No common name, or more than one.
    #[error("the CSR's subject must have exactly one common name")]
    CommonName,
}

/// Parses a CSR and verifies its signature with its own key. Accepts ECDSA P-256 and P-384, and RSA from 2048 bits, with
/// SHA-256, SHA-384 or SHA-512.
///
/// # Errors
/// Each way in which the authority would refuse it.
pub fn verify(der: &[u8]) -> Result<VerifiedCsr, CsrError> {
    let (rest, request) = X509CertificationRequest::from_der(der).map_err(|_| CsrError::Malformed)?;
    if !rest.is_empty() {
        return Err(CsrError::Malformed);
    }
    let info = &request.certification_request_info;
    let key = PublicKey::from_spki(&info.subject_pki).ok_or(CsrError::KeyType)?;
    key.verify(&request.signature_algorithm, info.raw, &request.signature_value.data)
        .map_err(|_| CsrError::Signature)?;
    let mut names = info.subject.iter_common_name();
    let (Some(name), None) = (names.next(), names.next()) else { return Err(CsrError::CommonName) };
    let common_name = name.as_str().map_err(|_| CsrError::CommonName)?.to_owned();
    Ok(VerifiedCsr { common_name, spki_der: info.subject_pki.raw.to_vec(), algorithm: key.algorithm() })
}
