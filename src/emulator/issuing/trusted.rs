use std::time::SystemTime;

use ring::digest;
use rustls_pki_types::CertificateDer;

use crate::pki::certificate::LeafIdentity;
use crate::pki::chain::ChainError;
use crate::pki::trust::AuthoritySet;

/// The issuing CAs that the hub trusts since the last credential sync.
#[derive(Debug)]
pub(crate) struct Trusted {
    authorities: AuthoritySet,
    /// Of the same positions.
    ids: Vec<AuthorityId>,
}

/// Tells an issuing CA from all others: the beginning of its certificate's SHA-256.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct AuthorityId(u64);

impl AuthorityId {
    pub(crate) fn of(der: &[u8]) -> Self {
        let digest = digest::digest(&digest::SHA256, der);
        Self(digest.as_ref().first_chunk().map_or(0, |first| u64::from_be_bytes(*first)))
    }
}

impl Trusted {
    /// From DER certificates.
    ///
    /// # Errors
    /// One of them cannot be used.
    pub(crate) fn new(cas: &[Vec<u8>]) -> Result<Self, ChainError> {
        Ok(Self { authorities: AuthoritySet::new(cas)?, ids: cas.iter().map(|ca| AuthorityId::of(ca)).collect() })
    }

    /// What the leaf of a client says and who signed it, if it is one of these and the leaf is good now.
    pub(crate) fn verify_leaf(
        &self,
        presented: &[CertificateDer<'static>],
        now: SystemTime,
    ) -> Option<(LeafIdentity, AuthorityId)> {
        let path = self.authorities.verify_leaf(presented, now).ok()?;
        let signer = path.authorities.first().and_then(|position| self.ids.get(*position)).copied()?;
        Some((path.leaf, signer))
    }
}
