//! A certificate that vouches for others, parsed once and ready to verify many.

use std::time::SystemTime;

use x509_parser::certificate::X509Certificate;

use crate::pki::ca::Validity;
use crate::pki::certificate;
use crate::pki::chain::ChainError;
use crate::pki::name::Name;
use crate::pki::signature::VerifyingKey;

/// A parsed authority.
#[derive(Debug)]
pub(super) struct Authority {
    pub(super) der: Box<[u8]>,
    subject: Name,
    /// SubjectPublicKeyInfo.
    spki: Box<[u8]>,
    key: VerifyingKey,
    validity: Validity,
    /// Whether basicConstraints and keyUsage allow it to sign certificates, and nothing that is unknown forbids it.
    may_sign: bool,
    self_issued: bool,
    /// How many authorities may stand between it and a leaf; `None` is any number.
    path_length: Option<u32>,
}

impl Authority {
    /// `None` when it is no certificate, or has a key of a kind that is not accepted.
    pub(super) fn parse(der: &[u8]) -> Option<Self> {
        let parsed = certificate::parse(der)?;
        let constraints = parsed.basic_constraints().ok()?.map(|extension| extension.value);
        let usage = parsed.key_usage().ok()?.map(|extension| extension.value);
        let is_understood = certificate::unknown_critical_extension(&parsed).is_none();
        let subject = Name::new(parsed.subject());
        Some(Self {
            der: der.into(),
            self_issued: subject == Name::new(parsed.issuer()),
            subject,
            spki: parsed.public_key().raw.into(),
            key: VerifyingKey::new(parsed.public_key())?,
            validity: certificate::validity(&parsed)?,
            may_sign: constraints.is_some_and(|c| c.ca) && usage.is_none_or(|u| u.key_cert_sign()) && is_understood,
            path_length: constraints.and_then(|c| c.path_len_constraint),
        })
    }

    /// Whether it is the authority of that name.
    pub(super) fn is_named(&self, name: &Name) -> bool {
        self.subject == *name
    }

    /// Whether its key signed `certificate`. Does not look at names, nor at what it is allowed to sign.
    pub(super) fn verifies(&self, certificate: &X509Certificate<'_>) -> bool {
        self.key.verify(
            &certificate.signature_algorithm.algorithm,
            certificate.tbs_certificate.as_ref(),
            &certificate.signature_value.data,
        )
    }

    /// Whether it signed `certificate`: name and signature. Does not look at what it is allowed to sign.
    pub(super) fn signed(&self, certificate: &X509Certificate<'_>) -> bool {
        self.is_named(&Name::new(certificate.issuer())) && self.verifies(certificate)
    }

    /// Whether `issuer` signed it.
    pub(super) fn is_signed_by(&self, issuer: &Self) -> bool {
        certificate::parse(&self.der).is_some_and(|certificate| issuer.signed(&certificate))
    }

    /// Whether it names itself as issuer, as a root does.
    pub(super) const fn is_self_issued(&self) -> bool {
        self.self_issued
    }

    /// Whether the two are certificates of one authority: same name, same key.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        self.spki == other.spki && self.subject == other.subject
    }

    /// How many authorities are below one that stands above this one and `below` others: certificates that an authority
    /// issued to itself do not count (RFC 5280, section 4.2.1.9).
    pub(super) fn counted(&self, below: usize) -> usize {
        below + usize::from(!self.self_issued)
    }

    /// Whether it may sign with `below` authorities between it and the leaf, as [`Self::counted`] (RFC 5280, section
    /// 4.2.1.9).
    pub(super) fn may_sign(&self, below: usize) -> bool {
        self.may_sign && self.path_length.is_none_or(|most| below <= most as usize)
    }

    /// When it is valid.
    pub(super) const fn validity(&self) -> &Validity {
        &self.validity
    }

    /// Whether it may vouch for a leaf with `below` authorities between them, as certificate `place` of a chain.
    pub(super) fn vouches(&self, below: usize, now: SystemTime, place: usize) -> Result<(), ChainError> {
        if !self.may_sign(below) {
            return Err(ChainError::NotAuthority(place));
        }
        if self.is_valid(now) { Ok(()) } else { Err(ChainError::Validity(place)) }
    }

    /// Whether it is valid at `now`.
    pub(super) fn is_valid(&self, now: SystemTime) -> bool {
        self.validity.contains(now)
    }
}
