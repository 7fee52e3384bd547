use std::sync::Arc;

use super::answer::DpsRefusal;
use crate::domain::{ParseSasTokenError, SasToken};
use crate::emulator::core::Core;
use crate::emulator::registry::{Attested, CertificateRefusal, TokenMatch};
use crate::emulator::transport::conversation::PeerChain;

/// A device that talks to DPS, as it introduced itself.
#[derive(Debug)]
pub(crate) struct Caller {
    /// The id scope as sent.
    pub(crate) id_scope: Box<str>,
    /// The registration id as sent; derived keys depend on its case.
    pub(crate) sent_id: Box<str>,
    /// The registration id in lower case.
    pub(crate) registration_id: Arc<str>,
    /// The API version as sent.
    pub(crate) api_version: Box<str>,
    /// Its credential.
    pub(crate) evidence: Evidence,
}

/// What a device shows to prove who it is.
#[derive(Debug)]
pub(crate) enum Evidence {
    /// A SAS token.
    Token(SasToken),
    /// The certificates of its TLS connection.
    Certificates(PeerChain),
    /// Nothing.
    None,
}

impl Evidence {
    /// From the password (or the `Authorization` header) and the TLS connection; the password wins when it is not empty.
    pub(crate) fn new(password: &str, peer: PeerChain) -> Result<Self, ParseSasTokenError> {
        match (password, peer.is_empty()) {
            ("", true) => Ok(Self::None),
            ("", false) => Ok(Self::Certificates(peer)),
            (token, _) => SasToken::parse(token).map(Self::Token),
        }
    }
}

/// Finds the enrollment that lets the caller in. Whether it is switched off is the next question.
pub(crate) fn attest(core: &Core, caller: &Caller) -> Result<Attested, DpsRefusal> {
    if !caller.id_scope.eq_ignore_ascii_case(core.id_scope.as_str()) {
        return Err(DpsRefusal::NoSuchScope);
    }
    let token = match &caller.evidence {
        Evidence::Token(token) => token,
        Evidence::Certificates(chain) => {
            let found =
                core.registry.enrollments.find_by_certificates(chain, &caller.registration_id, core.clock.now());
            return found.map_err(DpsRefusal::from);
        }
        Evidence::None => return Err(DpsRefusal::NotEnrolled),
    };
    if token.se <= core.clock.unix_seconds() || !names(token, caller) {
        return Err(DpsRefusal::WrongCredential);
    }
    match core.registry.enrollments.find_by_token(token, &caller.sent_id) {
        TokenMatch::Enrollment(enrollment) => Ok(enrollment.into()),
        TokenMatch::WrongKey => Err(DpsRefusal::WrongCredential),
        TokenMatch::Unknown => Err(DpsRefusal::NotEnrolled),
    }
}

impl From<CertificateRefusal> for DpsRefusal {
    fn from(refusal: CertificateRefusal) -> Self {
        match refusal {
            CertificateRefusal::Invalid => Self::InvalidCertificate,
            CertificateRefusal::CaNotFound => Self::CaNotFound,
            CertificateRefusal::NotEnrolled => Self::NotEnrolled,
        }
    }
}

/// Whether the token is for `{idScope}/registrations/{registrationId}`; case does not matter, as ids have none.
fn names(token: &SasToken, caller: &Caller) -> bool {
    token.resource().is_some_and(|resource| {
        let mut parts = resource.split('/');
        let expected = [&*caller.id_scope, "registrations", &*caller.registration_id];
        expected.iter().all(|e| parts.next().is_some_and(|part| part.eq_ignore_ascii_case(e))) && parts.next().is_none()
    })
}
