//! What the certificate of a TLS client must be, before anybody asks who signed it.

use x509_parser::certificate::X509Certificate;
use x509_parser::x509::X509Version;

use crate::pki::certificate::{self, LeafIdentity};
use crate::pki::chain::ChainError;
use crate::pki::path;
use crate::pki::signature::KeyKind;

/// The identity in a certificate that may be one of a TLS client.
pub(super) fn identity(certificate: &X509Certificate<'_>) -> Result<LeafIdentity, ChainError> {
    check(certificate)?;
    certificate::identity_of(certificate).ok_or(ChainError::CommonName)
}

/// Whether it is one of an end entity that may sign TLS handshakes as a client.
pub(super) fn check(certificate: &X509Certificate<'_>) -> Result<(), ChainError> {
    check_form(certificate)?;
    if is_tls_client(certificate) { Ok(()) } else { Err(ChainError::Usage) }
}

/// Whether it has the form of a certificate that can be judged at all: version 3, a key of a kind that is accepted, no
/// extension that would have to be understood and is not.
pub(super) fn check_form(certificate: &X509Certificate<'_>) -> Result<(), ChainError> {
    if certificate.version() != X509Version::V3 {
        return Err(ChainError::Version(certificate.version().0.saturating_add(1)));
    }
    path::check_extensions(certificate).map_err(|fault| ChainError::Extension { position: 0, fault })?;
    if KeyKind::of(certificate.public_key()).is_none() { Err(ChainError::KeyType) } else { Ok(()) }
}

/// Absent extensions forbid nothing.
fn is_tls_client(certificate: &X509Certificate<'_>) -> bool {
    let (Ok(constraints), Ok(usage), Ok(purposes)) =
        (certificate.basic_constraints(), certificate.key_usage(), certificate.extended_key_usage())
    else {
        return false;
    };
    !constraints.is_some_and(|extension| extension.value.ca)
        && usage.is_none_or(|extension| extension.value.digital_signature())
        && purposes.is_none_or(|extension| extension.value.client_auth || extension.value.any)
}
