//! What services show of a certificate: names, dates, thumbprints.

use std::time::SystemTime;

use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, SHA256, digest};

use crate::pki::{certificate, name};

/// A certificate as DPS shows it (`certificateInfo`). Source: Azure REST API specification, DPS device API
/// 2025-07-01-preview, `X509CertificateInfo`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificateInfo {
    /// Subject, such as `CN=device-0001, O=Contoso`.
    pub subject: String,
    /// Issuer, written the same way.
    pub issuer: String,
    /// SHA-1 of the DER, 40 upper-case hexadecimal digits.
    pub sha1_thumbprint: String,
    /// SHA-256 of the DER, 64 upper-case hexadecimal digits.
    pub sha256_thumbprint: String,
    /// Start of validity.
    pub not_before: SystemTime,
    /// End of validity.
    pub not_after: SystemTime,
    /// Serial number in upper-case hexadecimal digits.
    pub serial_number: String,
    /// X.509 version: 3 for all certificates with extensions.
    pub version: u32,
}

/// Reads a certificate without verifying anything; `None` when it is not X.509 DER.
pub fn describe(der: &[u8]) -> Option<CertificateInfo> {
    let parsed = certificate::parse(der)?;
    let validity = certificate::validity(&parsed)?;
    Some(CertificateInfo {
        subject: name::shown(parsed.subject()),
        issuer: name::shown(parsed.issuer()),
        sha1_thumbprint: hex(digest(&SHA1_FOR_LEGACY_USE_ONLY, der).as_ref()),
        sha256_thumbprint: hex(digest(&SHA256, der).as_ref()),
        not_before: validity.not_before,
        not_after: validity.not_after,
        serial_number: hex(&certificate::serial(&parsed)),
        // The encoding counts from 0.
        version: parsed.version().0.saturating_add(1),
    })
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02X}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pki::test_support::{Adr, DAY, key, now, root};

    #[test]
    fn a_certificate_is_described() {
        let adr = Adr::new();
        let leaf = adr.leaf(&key(), "device-0001");
        let info = describe(&leaf).unwrap();
        assert_eq!((info.subject.as_str(), info.issuer.as_str(), info.version), ("CN=device-0001", "CN=policy", 3));
        assert_eq!((info.not_before, info.not_after), (now() - DAY, now() + 29 * DAY));
        assert_eq!((info.sha1_thumbprint.len(), info.sha256_thumbprint.len(), info.serial_number.len()), (40, 64, 32));
        assert!(info.sha1_thumbprint.bytes().all(|b| b.is_ascii_digit() || b.is_ascii_uppercase()));
        assert_ne!(describe(root(1).der()).unwrap().sha256_thumbprint, info.sha256_thumbprint);
        assert_eq!(describe(b"no certificate"), None);
    }
}
