//! DER of the certificate extensions that rcgen has no type for.

use rcgen::CustomExtension;
use yasna::Tag;
use yasna::models::ObjectIdentifier;

/// id-pe-authorityInfoAccess (RFC 5280, section 4.2.2.1).
const AUTHORITY_INFO_ACCESS: [u64; 9] = [1, 3, 6, 1, 5, 5, 7, 1, 1];
/// id-ad-caIssuers.
const CA_ISSUERS: [u64; 9] = [1, 3, 6, 1, 5, 5, 7, 48, 2];
/// uniformResourceIdentifier of GeneralName (RFC 5280, section 4.2.1.6).
const URI: u64 = 6;

/// An authority information access extension: where the issuing CA's certificate can be fetched. The addresses are
/// ASCII.
pub(super) fn authority_info_access(uris: &[String]) -> CustomExtension {
    let content = yasna::construct_der(|writer| {
        writer.write_sequence(|writer| {
            for uri in uris {
                writer.next().write_sequence(|writer| {
                    writer.next().write_oid(&ObjectIdentifier::from_slice(&CA_ISSUERS));
                    writer.next().write_tagged_implicit(Tag::context(URI), |writer| writer.write_bytes(uri.as_bytes()));
                });
            }
        });
    });
    CustomExtension::from_oid_content(&AUTHORITY_INFO_ACCESS, content)
}

/// A UTF8String.
pub(super) fn utf8_string(text: &str) -> Vec<u8> {
    yasna::construct_der(|writer| writer.write_utf8_string(text))
}
