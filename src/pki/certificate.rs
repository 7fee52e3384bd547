//! Reading certificates: what a device certificate says about its device.

use std::borrow::Cow;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use x509_parser::asn1_rs::{Any, Class, Oid, Tag, Utf8String, oid};
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::ParsedExtension;
use x509_parser::prelude::FromDer;
use x509_parser::time::ASN1Time;

use crate::pki::ca::Validity;
use crate::pki::name;

/// Longest certificate that is looked at, in bytes of DER.
pub const MAX_DER_LENGTH: usize = 16 * 1024;

/// The private extension that holds a device's unique identifier as the UTF8String of a GUID. The real service
/// publishes neither OID nor form; this one lies under the enterprise number that RFC 5612 sets aside for examples.
pub(super) const UNIQUE_ID_OID: [u64; 9] = [1, 3, 6, 1, 4, 1, 32473, 1, 1];
const UNIQUE_ID: Oid<'static> = oid!(1.3.6.1.4.1.32473.1.1);

/// What a device certificate says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeafIdentity {
    /// The subject's only common name.
    pub common_name: String,
    /// Serial number, big-endian, without leading zeros.
    pub serial: Vec<u8>,
    /// Validity.
    pub validity: Validity,
    /// The unique identifier that ADR put in, if it did.
    pub unique_id: Option<uuid::Uuid>,
}

/// Reads a device certificate without verifying anything; `None` when it is not X.509 DER with exactly one common
/// name.
pub fn leaf_identity(der: &[u8]) -> Option<LeafIdentity> {
    identity_of(&parse(der)?)
}

pub(super) fn identity_of(leaf: &X509Certificate<'_>) -> Option<LeafIdentity> {
    Some(LeafIdentity {
        common_name: common_name(leaf)?.into_owned(),
        serial: serial(leaf),
        validity: validity(leaf)?,
        unique_id: unique_id(leaf),
    })
}

/// A whole certificate and nothing after it.
pub(super) fn parse(der: &[u8]) -> Option<X509Certificate<'_>> {
    if der.len() > MAX_DER_LENGTH || !is_signed_der(der) {
        return None;
    }
    let (_, certificate) = X509Certificate::from_der(der).ok()?;
    // RFC 5280, section 4.1.1.2: both places must name the same algorithm.
    (certificate.signature_algorithm == certificate.tbs_certificate.signature).then_some(certificate)
}

/// Whether the frame of a certificate or request is DER: a SEQUENCE of what is signed, the algorithm and the signature.
/// No signature covers it, and the parser does not look at all of its tags.
pub(super) fn is_signed_der(der: &[u8]) -> bool {
    let parts = || {
        let (after, all) = sequence(der)?;
        let (rest, _signed) = Any::from_der(all).ok()?;
        let (rest, algorithm) = sequence(rest)?;
        let (rest, signature) = Any::from_der(rest).ok()?;
        let (parameters, algorithm) = Any::from_der(algorithm).ok()?;
        // RSA has a NULL, ECDSA nothing (RFC 4055, RFC 5758).
        let known_parameters = parameters.is_empty() || parameters == [0x05, 0x00];
        // The first byte of a BIT STRING counts its unused bits.
        let whole_bytes = is_universal(&signature, Tag::BitString, false) && signature.data.first() == Some(&0);
        let named = is_universal(&algorithm, Tag::Oid, false);
        Some(named && after.is_empty() && rest.is_empty() && known_parameters && whole_bytes)
    };
    parts().unwrap_or(false)
}

/// What follows a SEQUENCE and what is in it.
fn sequence(der: &[u8]) -> Option<(&[u8], &[u8])> {
    let (rest, any) = Any::from_der(der).ok()?;
    is_universal(&any, Tag::Sequence, true).then_some((rest, any.data))
}

fn is_universal(any: &Any<'_>, tag: Tag, constructed: bool) -> bool {
    any.class() == Class::Universal && any.tag() == tag && any.header.is_constructed() == constructed
}

/// The subject's common name, `None` unless there is exactly one.
pub(super) fn common_name<'a>(certificate: &'a X509Certificate<'_>) -> Option<Cow<'a, str>> {
    name::common_name(certificate.subject())
}

/// Serial number, big-endian, without leading zeros.
pub(super) fn serial(certificate: &X509Certificate<'_>) -> Vec<u8> {
    number(certificate.raw_serial()).to_vec()
}

/// A big-endian number without leading zeros.
pub(super) fn number(bytes: &[u8]) -> &[u8] {
    let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
    bytes.get(zeros..).unwrap_or_default()
}

pub(super) fn validity(certificate: &X509Certificate<'_>) -> Option<Validity> {
    let validity = certificate.validity();
    Some(Validity { not_before: system_time(&validity.not_before)?, not_after: system_time(&validity.not_after)? })
}

fn system_time(time: &ASN1Time) -> Option<SystemTime> {
    let seconds = time.timestamp();
    match u64::try_from(seconds) {
        Ok(after) => UNIX_EPOCH.checked_add(Duration::from_secs(after)),
        Err(_) => UNIX_EPOCH.checked_sub(Duration::from_secs(seconds.unsigned_abs())),
    }
}

fn unique_id(certificate: &X509Certificate<'_>) -> Option<uuid::Uuid> {
    let extension = certificate.get_extension_unique(&UNIQUE_ID).ok()??;
    let (rest, text) = Utf8String::from_der(extension.value).ok()?;
    if rest.is_empty() { uuid::Uuid::parse_str(text.as_ref()).ok() } else { None }
}

/// The subject key identifier extension of a certificate.
pub(super) fn subject_key_id(der: &[u8]) -> Option<Vec<u8>> {
    key_id(&parse(der)?).map(<[u8]>::to_vec)
}

/// The subject key identifier of a parsed certificate.
pub(super) fn key_id<'a>(certificate: &X509Certificate<'a>) -> Option<&'a [u8]> {
    certificate.iter_extensions().find_map(|extension| match extension.parsed_extension() {
        ParsedExtension::SubjectKeyIdentifier(id) => Some(id.0),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pki::test_support::{key, leaf_by, of_length, root};

    #[test]
    fn a_certificate_names_one_algorithm_in_both_places_and_ends_where_it_ends() {
        let good = leaf_by(&root(0), &key(), |_| ());
        assert!(parse(&good).is_some());
        // The last byte tells ecdsa-with-SHA256 from -SHA384; the first place is signed, the last one is not.
        let identifier = b"\x2a\x86\x48\xce\x3d\x04\x03\x02";
        let places: Vec<_> = (0..good.len() - 8).filter(|place| good[*place..].starts_with(identifier)).collect();
        assert_eq!(places.len(), 2);
        for place in places {
            let mut der = good.clone();
            der[place + 7] = 3;
            assert!(parse(&der).is_none(), "{place}");
        }
        for wrong in [[good.as_slice(), &[0]].concat(), good[..good.len() - 1].to_vec()] {
            assert!(parse(&wrong).is_none());
        }
    }

    #[test]
    fn certificates_of_up_to_16_kib_are_looked_at() {
        let (ca, key) = (root(0), key());
        let padded = |padding| {
            leaf_by(&ca, &key, |params| {
                let content = vec![0; padding];
                params
                    .custom_extensions
                    .push(rcgen::CustomExtension::from_oid_content(&[1, 3, 6, 1, 4, 1, 32473, 9], content));
            })
        };
        let name = |length| leaf_identity(&of_length(length, padded)).map(|leaf| leaf.common_name);
        assert_eq!(name(16 * 1024).as_deref(), Some("device-0001"));
        assert_eq!(name(16 * 1024 + 1), None);
    }
}
