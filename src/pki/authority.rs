//! A certificate that vouches for others, parsed once and ready to verify many.

use std::time::SystemTime;

use x509_parser::certificate::X509Certificate;

use crate::pki::ca::Validity;
use crate::pki::certificate;
use crate::pki::signature::VerifyingKey;

/// A parsed authority.
#[derive(Debug)]
pub(super) struct Authority {
    pub(super) der: Box<[u8]>,
    subject: Box<[u8]>,
    key: VerifyingKey,
    validity: Validity,
    /// Whether basicConstraints and keyUsage allow it to sign certificates.
    may_sign: bool,
    /// How many authorities may stand between it and a leaf; `None` is any number.
    path_length: Option<u32>,
}

impl Authority {
    /// `None` when it is no certificate, or has a key of a kind that is not accepted.
    pub(super) fn parse(der: &[u8]) -> Option<Self> {
        let parsed = certificate::parse(der)?;
        let constraints = parsed.basic_constraints().ok()?.map(|extension| extension.value);
        let usage = parsed.key_usage().ok()?.map(|extension| extension.value);
        Some(Self {
            der: der.into(),
            subject: parsed.subject().as_raw().into(),
            key: VerifyingKey::new(parsed.public_key())?,
            validity: certificate::validity(&parsed)?,
            may_sign: constraints.is_some_and(|c| c.ca) && usage.is_none_or(|u| u.key_cert_sign()),
            path_length: constraints.and_then(|c| c.path_len_constraint),
        })
    }

    /// Whether its name is the issuer's name in `certificate`.
    pub(super) fn is_named_in(&self, certificate: &X509Certificate<'_>) -> bool {
        *self.subject == *certificate.issuer().as_raw()
    }

    /// Whether it signed `certificate`: name and signature. Does not look at what it is allowed to sign.
    pub(super) fn signed(&self, certificate: &X509Certificate<'_>) -> bool {
        self.is_named_in(certificate)
            && self.key.verify(
                &certificate.signature_algorithm.algorithm,
                certificate.tbs_certificate.as_ref(),
                &certificate.signature_value.data,
            )
    }

    /// Whether `issuer` signed it.
    pub(super) fn is_signed_by(&self, issuer: &Self) -> bool {
        certificate::parse(&self.der).is_some_and(|certificate| issuer.signed(&certificate))
    }

    /// Whether it names itself as issuer, as a root does.
    pub(super) fn is_self_issued(&self) -> bool {
        certificate::parse(&self.der).is_some_and(|certificate| self.is_named_in(&certificate))
    }

    /// Whether it may sign with `below` authorities between it and the leaf (RFC 5280, section 4.2.1.9).
    pub(super) fn may_sign(&self, below: usize) -> bool {
        self.may_sign && self.path_length.is_none_or(|most| below <= most as usize)
    }

    /// When it is valid.
    pub(super) const fn validity(&self) -> &Validity {
        &self.validity
    }

    /// Whether it is valid at `now`.
    pub(super) fn is_valid(&self, now: SystemTime) -> bool {
        self.validity.contains(now)
    }
}
