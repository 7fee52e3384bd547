//! A certificate that vouches for others, parsed once and ready to verify many.

use std::time::SystemTime;

use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::{AuthorityKeyIdentifier, GeneralName, ParsedExtension};
use x509_parser::x509::X509Version;

use crate::pki::ca::Validity;
use crate::pki::certificate;
use crate::pki::chain::ChainError;
use crate::pki::name::Name;
use crate::pki::path::{self, ExtensionFault, NameConstraints, PolicyRules};
use crate::pki::signature::VerifyingKey;

/// A parsed authority.
#[derive(Debug)]
pub(super) struct Authority {
    pub(super) der: Box<[u8]>,
    subject: Name,
    issuer: Name,
    serial: Box<[u8]>,
    /// The subject key identifier, if it has one.
    key_id: Option<Box<[u8]>>,
    /// SubjectPublicKeyInfo.
    spki: Box<[u8]>,
    key: VerifyingKey,
    validity: Validity,
    /// Whether it is of a version that has extensions, and basicConstraints and keyUsage allow it to sign certificates.
    may_sign: bool,
    /// Whether extendedKeyUsage allows it to sign those of TLS clients.
    for_clients: bool,
    /// What it says and nobody here understands: then it may not be used.
    fault: Option<ExtensionFault>,
    /// How many authorities may stand between it and a leaf; `None` is any number.
    path_length: Option<u32>,
    name_constraints: Option<NameConstraints>,
    policy_rules: PolicyRules,
}

/// Who signed a certificate, in its own words: the issuer's name, and the authority key identifier where it has one.
pub(super) struct IssuerOf<'a> {
    name: Name,
    key: Option<&'a AuthorityKeyIdentifier<'a>>,
}

impl<'a> IssuerOf<'a> {
    pub(super) fn new(certificate: &'a X509Certificate<'a>) -> Self {
        let key = certificate.iter_extensions().find_map(|extension| match extension.parsed_extension() {
            ParsedExtension::AuthorityKeyIdentifier(key) => Some(key),
            _ => None,
        });
        Self { name: Name::new(certificate.issuer()), key }
    }
}

impl Authority {
    /// `None` when it is no certificate, or has a key of a kind that is not accepted.
    pub(super) fn parse(der: &[u8]) -> Option<Self> {
        let parsed = certificate::parse(der)?;
        let constraints = parsed.basic_constraints().ok()?.map(|extension| extension.value);
        let usage = parsed.key_usage().ok()?.map(|extension| extension.value);
        let purposes = parsed.extended_key_usage().ok()?.map(|extension| extension.value);
        Some(Self {
            der: der.into(),
            subject: Name::new(parsed.subject()),
            issuer: Name::new(parsed.issuer()),
            serial: certificate::serial(&parsed).into(),
            key_id: certificate::key_id(&parsed).map(Into::into),
            spki: parsed.public_key().raw.into(),
            key: VerifyingKey::new(parsed.public_key())?,
            validity: certificate::validity(&parsed)?,
            may_sign: parsed.version() == X509Version::V3
                && constraints.is_some_and(|c| c.ca)
                && usage.is_none_or(|u| u.key_cert_sign()),
            for_clients: purposes.is_none_or(|purposes| purposes.client_auth || purposes.any),
            fault: path::check_extensions(&parsed).err(),
            path_length: constraints.and_then(|c| c.path_len_constraint),
            name_constraints: NameConstraints::of(&parsed),
            policy_rules: PolicyRules::of(&parsed),
        })
    }

    /// Whether it is the one that a certificate names as its issuer.
    pub(super) fn is(&self, issuer: &IssuerOf<'_>) -> bool {
        self.subject == issuer.name && issuer.key.is_none_or(|key| self.is_identified_by(key))
    }

    /// Whether it is what an authority key identifier says, as far as it says anything (RFC 5280, section 4.2.1.1).
    fn is_identified_by(&self, key: &AuthorityKeyIdentifier<'_>) -> bool {
        let own = self.key_id.as_deref();
        let key_fits = key.key_identifier.as_ref().is_none_or(|id| own.is_none_or(|own| *own == *id.0));
        let serial_fits = key.authority_cert_serial.is_none_or(|serial| *certificate::number(serial) == *self.serial);
        let mut names = key.authority_cert_issuer.iter().flatten().filter_map(|name| match name {
            GeneralName::DirectoryName(name) => Some(Name::new(name)),
            _ => None,
        });
        key_fits && serial_fits && names.next().is_none_or(|name| name == self.issuer)
    }

    /// Whether its key signed `certificate`. Does not look at names, nor at what it is allowed to sign.
    pub(super) fn verifies(&self, certificate: &X509Certificate<'_>) -> bool {
        self.key.verify(
            &certificate.signature_algorithm.algorithm,
            certificate.tbs_certificate.as_ref(),
            &certificate.signature_value.data,
        )
    }

    /// Whether it signed `certificate`: names and signature. Does not look at what it is allowed to sign.
    pub(super) fn signed(&self, certificate: &X509Certificate<'_>) -> bool {
        self.is(&IssuerOf::new(certificate)) && self.verifies(certificate)
    }

    /// Whether `issuer` signed it.
    pub(super) fn is_signed_by(&self, issuer: &Self) -> bool {
        certificate::parse(&self.der).is_some_and(|certificate| issuer.signed(&certificate))
    }

    /// Whether it names itself as issuer, as a root does.
    pub(super) fn is_self_issued(&self) -> bool {
        self.subject == self.issuer
    }

    /// Whether the two are certificates of one authority: same name, same key.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        self.spki == other.spki && self.subject == other.subject
    }

    /// How many authorities are below one that stands above this one and `below` others: certificates that an authority
    /// issued to itself do not count (RFC 5280, section 4.2.1.9).
    pub(super) fn counted(&self, below: usize) -> usize {
        below + usize::from(!self.is_self_issued())
    }

    /// Whether it is one that may sign certificates, of whatever kind.
    pub(super) fn is_authority(&self) -> bool {
        self.may_sign && self.fault.is_none()
    }

    /// Whether it may sign as certificate `place` of a chain, with `below` authorities between it and the leaf of a TLS
    /// client, as [`Self::counted`] (RFC 5280, section 4.2.1.9).
    pub(super) fn may_sign(&self, below: usize, place: usize) -> Result<(), ChainError> {
        if let Some(fault) = &self.fault {
            return Err(ChainError::Extension { position: place, fault: fault.clone() });
        }
        let is_short = self.path_length.is_none_or(|most| below <= most as usize);
        if self.may_sign && self.for_clients && is_short { Ok(()) } else { Err(ChainError::NotAuthority(place)) }
    }

    /// When it is valid.
    pub(super) const fn validity(&self) -> &Validity {
        &self.validity
    }

    /// Which names it may certify.
    pub(super) const fn name_constraints(&self) -> Option<&NameConstraints> {
        self.name_constraints.as_ref()
    }

    /// What it says about policies.
    pub(super) const fn policy_rules(&self) -> &PolicyRules {
        &self.policy_rules
    }

    /// As [`Self::may_sign`], and valid at `now`.
    pub(super) fn vouches(&self, below: usize, now: SystemTime, place: usize) -> Result<(), ChainError> {
        self.may_sign(below, place)?;
        if self.validity.contains(now) { Ok(()) } else { Err(ChainError::Validity(place)) }
    }
}
