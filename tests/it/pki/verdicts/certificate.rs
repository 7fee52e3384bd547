//! Certificates of which every part can be wrong.

use std::sync::LazyLock;

use rcgen::{KeyPair, PublicKeyData as _, SigningKey as _};

use super::der::{CN, UTF8, integer, join, name, oid, organization, sequence, tlv};

/// 2026-01-01, around which everything is valid.
pub(super) const NOW: u64 = 1_767_225_600;

pub(super) const BASIC_CONSTRAINTS: &str = "2.5.29.19";
pub(super) const KEY_USAGE: &str = "2.5.29.15";
pub(super) const EXTENDED_KEY_USAGE: &str = "2.5.29.37";
pub(super) const ALTERNATIVE_NAME: &str = "2.5.29.17";
pub(super) const NAME_CONSTRAINTS: &str = "2.5.29.30";
pub(super) const POLICIES: &str = "2.5.29.32";
pub(super) const MAPPINGS: &str = "2.5.29.33";
pub(super) const POLICY_CONSTRAINTS: &str = "2.5.29.36";
pub(super) const INHIBIT_ANY: &str = "2.5.29.54";
pub(super) const AUTHORITY_KEY_ID: &str = "2.5.29.35";
pub(super) const SUBJECT_KEY_ID: &str = "2.5.29.14";
pub(super) const PRIVATE: &str = "1.3.6.1.4.1.32473.9";
pub(super) const CLIENT_AUTH: &str = "1.3.6.1.5.5.7.3.2";
pub(super) const ECDSA_SHA256: &str = "1.2.840.10045.4.3.2";

static KEYS: LazyLock<Vec<KeyPair>> = LazyLock::new(|| (0..6).map(|_| KeyPair::generate().unwrap()).collect());

/// SubjectPublicKeyInfo of one of the keys.
pub(super) fn spki(key: usize) -> Vec<u8> {
    KEYS[key].subject_public_key_info()
}

/// A certificate to be. Keys are numbers; an authority's key identifier follows from that of its key.
#[derive(Clone)]
pub(super) struct Certificate {
    /// As encoded: 2 is version 3; `None` leaves it out, which is version 1.
    pub(super) version: Option<u8>,
    /// Content of the INTEGER.
    pub(super) serial: Vec<u8>,
    pub(super) issuer: Vec<u8>,
    pub(super) subject: Vec<u8>,
    /// UTCTime texts.
    pub(super) validity: [&'static str; 2],
    pub(super) key: usize,
    pub(super) signer: usize,
    /// Identifier, whether it is critical, content.
    pub(super) extensions: Vec<(&'static str, bool, Vec<u8>)>,
    /// The algorithm beside the signature, when it is another one.
    pub(super) outer_algorithm: &'static str,
    /// The signature is another one.
    pub(super) forged: bool,
}

pub(super) fn key_id(key: usize) -> Vec<u8> {
    vec![key as u8 + 1; 20]
}

/// authorityKeyIdentifier with the identifier of a key.
pub(super) fn authority_key_id(key: usize) -> Vec<u8> {
    sequence(&[tlv(0x80, &key_id(key))])
}

pub(super) fn basic_constraints(ca: bool, path_length: Option<u8>) -> Vec<u8> {
    let ca = if ca { tlv(1, &[0xff]) } else { Vec::new() };
    sequence(&[ca, path_length.map_or_else(Vec::new, integer)])
}

pub(super) const DIGITAL_SIGNATURE: &[u8] = &[3, 2, 7, 0x80];
pub(super) const CERT_SIGN: &[u8] = &[3, 2, 2, 0x04];

pub(super) fn purposes(ids: &[&str]) -> Vec<u8> {
    sequence(&ids.iter().map(|id| oid(id)).collect::<Vec<_>>())
}

impl Certificate {
    fn new(issuer: Vec<u8>, subject: Vec<u8>, key: usize, signer: usize) -> Self {
        let identifiers =
            vec![(SUBJECT_KEY_ID, false, tlv(4, &key_id(key))), (AUTHORITY_KEY_ID, false, authority_key_id(signer))];
        Self {
            version: Some(2),
            serial: vec![0x10 + key as u8],
            issuer,
            subject,
            validity: ["250101000000Z", "270101000000Z"],
            key,
            signer,
            extensions: identifiers,
            outer_algorithm: ECDSA_SHA256,
            forged: false,
        }
    }

    /// An authority with a key, signed with another.
    pub(super) fn authority(issuer: &str, subject: &str, key: usize, signer: usize) -> Self {
        Self::new(organization(issuer), organization(subject), key, signer)
            .with(BASIC_CONSTRAINTS, true, basic_constraints(true, None))
            .with(KEY_USAGE, true, CERT_SIGN)
    }

    /// A device's.
    pub(super) fn device(issuer: &str, key: usize, signer: usize) -> Self {
        Self::new(organization(issuer), name(&[(CN, UTF8, ID)]), key, signer)
            .with(KEY_USAGE, true, DIGITAL_SIGNATURE)
            .with(EXTENDED_KEY_USAGE, false, purposes(&[CLIENT_AUTH]))
    }

    /// With an extension, in place of one of that kind.
    pub(super) fn with(self, id: &'static str, critical: bool, content: impl Into<Vec<u8>>) -> Self {
        self.without(id).and(id, critical, content)
    }

    /// With one more extension, whatever is there.
    pub(super) fn and(mut self, id: &'static str, critical: bool, content: impl Into<Vec<u8>>) -> Self {
        self.extensions.push((id, critical, content.into()));
        self
    }

    pub(super) fn without(mut self, id: &str) -> Self {
        self.extensions.retain(|(other, ..)| *other != id);
        self
    }

    pub(super) fn der(&self) -> Vec<u8> {
        let extension = |(id, critical, content): &(&'static str, bool, Vec<u8>)| {
            let critical = if *critical { tlv(1, &[0xff]) } else { Vec::new() };
            sequence(&[oid(id), critical, tlv(4, content)])
        };
        let extensions = match self.extensions.is_empty() {
            true => Vec::new(),
            false => tlv(0xa3, &sequence(&self.extensions.iter().map(extension).collect::<Vec<_>>())),
        };
        let inner = sequence(&[oid(ECDSA_SHA256)]);
        let signed = sequence(&[
            self.version.map_or_else(Vec::new, |version| tlv(0xa0, &integer(version))),
            tlv(2, &self.serial),
            inner,
            self.issuer.clone(),
            sequence(&self.validity.map(|time| tlv(0x17, time.as_bytes()))),
            self.subject.clone(),
            spki(self.key),
            extensions,
        ]);
        let message = if self.forged { b"something else".to_vec() } else { signed.clone() };
        let signature = KEYS[self.signer].sign(&message).unwrap();
        sequence(&[signed, sequence(&[oid(self.outer_algorithm)]), tlv(3, &join(&[vec![0], signature]))])
    }
}

/// The registration id of all devices.
pub(super) const ID: &str = "dev1";
