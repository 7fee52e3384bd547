//! Extensions are acted on, or their certificate is refused (RFC 5280, section 4.2).

use x509_parser::asn1_rs::Oid;
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::{ParsedExtension, X509Extension};
use x509_parser::oid_registry as oid;

use super::name_constraints::NameConstraints;

/// Extensions that decide about trust and are acted on. Of CRL distribution points only that: no revocation is looked up.
const KNOWN: [Oid<'static>; 12] = [
    oid::OID_X509_EXT_AUTHORITY_KEY_IDENTIFIER,
    oid::OID_X509_EXT_BASIC_CONSTRAINTS,
    oid::OID_X509_EXT_CERTIFICATE_POLICIES,
    oid::OID_X509_EXT_CRL_DISTRIBUTION_POINTS,
    oid::OID_X509_EXT_EXTENDED_KEY_USAGE,
    oid::OID_X509_EXT_INHIBIT_ANY_POLICY,
    oid::OID_X509_EXT_KEY_USAGE,
    oid::OID_X509_EXT_NAME_CONSTRAINTS,
    oid::OID_X509_EXT_POLICY_CONSTRAINTS,
    oid::OID_X509_EXT_POLICY_MAPPINGS,
    oid::OID_X509_EXT_SUBJECT_ALT_NAME,
    oid::OID_X509_EXT_SUBJECT_KEY_IDENTIFIER,
];

/// Why a certificate must not be used, whatever else it says. Each has the object identifier.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ExtensionFault {
    /// It says something that must be understood and is not.
    #[error("the critical extension {0}, which is not known here")]
    Unknown(String),
    /// It says it twice.
    #[error("the extension {0} more than once")]
    Repeated(String),
    /// It cannot be read.
    #[error("the extension {0} in a form that cannot be read")]
    Unreadable(String),
}

/// Whether everything is understood that has to be.
///
/// # Errors
/// The first extension that is not.
pub(in crate::pki) fn check(certificate: &X509Certificate<'_>) -> Result<(), ExtensionFault> {
    // Sorted, as a certificate within the limit of its length could have a thousand.
    let mut ids: Vec<&Oid<'_>> = certificate.iter_extensions().map(|extension| &extension.oid).collect();
    ids.sort_unstable_by_key(|id| id.as_bytes());
    if let Some([id, _]) = ids.array_windows().find(|[one, next]| one == next) {
        return Err(ExtensionFault::Repeated(id.to_id_string()));
    }
    for extension in certificate.iter_extensions() {
        let name = || extension.oid.to_id_string();
        match KNOWN.contains(&extension.oid) {
            true if !is_readable(extension) => return Err(ExtensionFault::Unreadable(name())),
            false if extension.critical => return Err(ExtensionFault::Unknown(name())),
            _ => {}
        }
    }
    Ok(())
}

fn is_readable(extension: &X509Extension<'_>) -> bool {
    use ParsedExtension as Parsed;
    match extension.parsed_extension() {
        Parsed::UnsupportedExtension { .. } | Parsed::ParseError { .. } | Parsed::Unparsed => false,
        Parsed::NameConstraints(_) => NameConstraints::parse(extension.value).is_some(),
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, CustomExtension};

    use super::*;
    use crate::pki::certificate::parse;
    use crate::pki::test_support::{key, leaf_by, root};

    /// What is said of a leaf with these extensions: identifier, whether it is critical, content.
    fn checked(extensions: &[(&[u64], bool, &[u8])]) -> Result<(), ExtensionFault> {
        let leaf = leaf_by(&root(0), &key(), |params: &mut CertificateParams| {
            for (id, critical, content) in extensions {
                let mut extension = CustomExtension::from_oid_content(id, content.to_vec());
                extension.set_criticality(*critical);
                params.custom_extensions.push(extension);
            }
        });
        check(&parse(&leaf).unwrap())
    }

    const NULL: &[u8] = &[5, 0];

    #[test]
    fn what_is_critical_is_acted_on_or_refused() {
        let private: &[u64] = &[1, 3, 6, 1, 4, 1, 32473, 9];
        assert_eq!(checked(&[(private, false, NULL)]), Ok(()));
        assert_eq!(checked(&[(private, true, NULL)]), Err(ExtensionFault::Unknown("1.3.6.1.4.1.32473.9".to_owned())));
        // The parser reads these, but nobody acts on them.
        let issuer_alternative_name: (&[u64], &[u8]) = (&[2, 5, 29, 18], b"\x30\x03\x82\x01a");
        let netscape_type: (&[u64], &[u8]) = (&[2, 16, 840, 1, 113_730, 1, 1], &[3, 2, 7, 0x80]);
        let information_access: (&[u64], &[u8]) =
            (&[1, 3, 6, 1, 5, 5, 7, 1, 1], b"\x30\x0f\x30\x0d\x06\x08\x2b\x06\x01\x05\x05\x07\x30\x02\x86\x01a");
        for (id, content) in [issuer_alternative_name, netscape_type, information_access] {
            assert_eq!(checked(&[(id, false, content)]), Ok(()), "{id:?}");
            assert!(matches!(checked(&[(id, true, content)]), Err(ExtensionFault::Unknown(_))), "{id:?}");
        }
        let policies: (&[u64], &[u8]) = (&[2, 5, 29, 32], b"\x30\x06\x30\x04\x06\x02\x2a\x03");
        assert_eq!(checked(&[(policies.0, true, policies.1)]), Ok(()));
    }

    #[test]
    fn what_decides_about_trust_must_be_readable_even_when_it_is_not_critical() {
        for id in [32, 33, 36, 54, 30, 31_u64] {
            assert!(matches!(checked(&[(&[2, 5, 29, id], false, NULL)]), Err(ExtensionFault::Unreadable(_))), "{id}");
        }
        assert_eq!(checked(&[(&[2, 5, 29, 46], false, NULL)]), Ok(()), "a newer list of revocations");
    }

    #[test]
    fn an_extension_is_there_once() {
        let private: &[u64] = &[1, 3, 6, 1, 4, 1, 32473, 9];
        let twice = checked(&[(private, false, NULL), (private, false, NULL)]);
        assert_eq!(twice, Err(ExtensionFault::Repeated("1.3.6.1.4.1.32473.9".to_owned())));
    }
}
