//! Checks of client certificates, on the service's side: who is this, and which of my authorities vouches for it?

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::SystemTime;

use crate::pki::authority::{Authority, IssuerOf};
use crate::pki::certificate::{self, LeafIdentity};
use crate::pki::chain::ChainError;
use crate::pki::walk::Walk;
use crate::pki::{client, path};

/// Longest chain that a client may present: a leaf and the authorities that a service stores with an enrollment group.
pub const MAX_PRESENTED: usize = 8;

/// How many presented intermediates are remembered as parsed. A fleet has one or a few.
const MAX_REMEMBERED: usize = 64;

/// Authorities that a service trusts: the issuing CAs synced to a hub, or the CA certificates uploaded to DPS.
#[derive(Debug, Default)]
pub struct AuthoritySet {
    pub(super) trusted: Vec<Arc<Authority>>,
    /// Presented intermediates by DER, parsed. Whom they were signed by is checked every time.
    presented: RwLock<HashMap<Box<[u8]>, Arc<Authority>>>,
}

/// Which trusted authorities stand above a client's leaf.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrustedPath {
    /// What the leaf says.
    pub leaf: LeafIdentity,
    /// Positions in the set, the authority nearest the leaf first. Never empty.
    pub authorities: Vec<usize>,
}

impl AuthoritySet {
    /// From DER certificates.
    ///
    /// # Errors
    /// [`ChainError::Malformed`] with the position of a certificate that cannot be used.
    pub fn new<D: AsRef<[u8]>>(trusted: &[D]) -> Result<Self, ChainError> {
        let trusted = trusted
            .iter()
            .enumerate()
            .map(|(position, der)| Authority::parse(der.as_ref()).map(Arc::new).ok_or(ChainError::Malformed(position)))
            .collect::<Result<_, _>>()?;
        Ok(Self { trusted, presented: RwLock::default() })
    }

    /// A client of the hub: its leaf was signed by one of these authorities directly. What it presents above the leaf
    /// does not matter, as devices send the leaf alone or the whole chain. The caller compares name and unique id.
    ///
    /// # Errors
    /// [`ChainError::Issuer`] when none of the authorities has the name of the leaf's issuer and the key identifier that it
    /// gives, [`ChainError::Signature`] when one has but did not sign it, or what else is wrong with the leaf.
    pub fn verify_leaf<D: AsRef<[u8]>>(&self, presented: &[D], now: SystemTime) -> Result<TrustedPath, ChainError> {
        let leaf = presented.first().ok_or(ChainError::Empty)?;
        let certificate = certificate::parse(leaf.as_ref()).ok_or(ChainError::Malformed(0))?;
        let leaf = client::identity(&certificate)?;
        let issuer = IssuerOf::new(&certificate);
        let mut refused = ChainError::Issuer;
        for (position, authority) in self.trusted.iter().enumerate().filter(|(_, a)| a.is(&issuer)) {
            let judged = if authority.verifies(&certificate) {
                authority.vouches(0, now, 1).and_then(|()| path::validate(&certificate, &[Arc::clone(authority)]))
            } else {
                Err(ChainError::Signature(0))
            };
            match judged {
                Ok(()) if leaf.validity.contains(now) => return Ok(TrustedPath { leaf, authorities: vec![position] }),
                Ok(()) => return Err(ChainError::Validity(0)),
                // Another certificate of the same authority, or another authority of that name, may be the right one.
                Err(error) if matches!(refused, ChainError::Issuer | ChainError::Signature(_)) => refused = error,
                Err(_) => {}
            }
        }
        Err(refused)
    }

    /// A client of DPS with a bootstrap certificate: walks from the leaf up through the presented certificates, in whatever
    /// order they come, and says which of these authorities stand above it. A client must present every certificate up to a
    /// trusted one; what stands above that, or leads nowhere, spoils nothing. A trusted certificate of the same authority
    /// (same name and key) is as good as the presented one. One good way up to an authority is enough.
    ///
    /// # Errors
    /// [`ChainError::Issuer`] when the walk meets none of the authorities, or what is wrong with the certificates on it.
    pub fn verify_path<D: AsRef<[u8]>>(&self, presented: &[D], now: SystemTime) -> Result<TrustedPath, ChainError> {
        let (leaf, above) = presented.split_first().ok_or(ChainError::Empty)?;
        if presented.len() > MAX_PRESENTED {
            return Err(ChainError::TooLong(presented.len()));
        }
        let certificate = certificate::parse(leaf.as_ref()).ok_or(ChainError::Malformed(0))?;
        let leaf = client::identity(&certificate)?;
        if !leaf.validity.contains(now) {
            return Err(ChainError::Validity(0));
        }
        let presented = above.iter().map(|der| self.presented(der.as_ref())).collect();
        let authorities = Walk::new(self, &certificate, presented, now).up()?;
        Ok(TrustedPath { leaf, authorities })
    }

    /// Whether the certificate is one of an authority at one of the first `count` positions, or another of the same one.
    pub fn is_of_first(&self, count: usize, der: &[u8]) -> bool {
        let first = || self.trusted.iter().take(count);
        first().any(|authority| *authority.der == *der)
            || self.presented(der).is_some_and(|presented| first().any(|authority| authority.is_same(&presented)))
    }

    /// Whether the authority at `position` leads to a self-signed one through authorities of this set alone.
    pub fn is_rooted(&self, position: usize) -> bool {
        let mut at = self.trusted.get(position);
        // A path is no longer than the set, so a circle of authorities ends too.
        for _ in 0..self.trusted.len() {
            match at {
                None => return false,
                Some(authority) if authority.is_self_issued() => return authority.is_signed_by(authority),
                Some(authority) => at = self.trusted.iter().find(|issuer| authority.is_signed_by(issuer)),
            }
        }
        false
    }

    /// A presented intermediate: remembered, or parsed now.
    fn presented(&self, der: &[u8]) -> Option<Arc<Authority>> {
        let known = self.presented.read().unwrap_or_else(PoisonError::into_inner).get(der).cloned();
        if known.is_some() {
            return known;
        }
        let authority = Arc::new(Authority::parse(der)?);
        let mut presented = self.presented.write().unwrap_or_else(PoisonError::into_inner);
        if presented.len() < MAX_REMEMBERED {
            presented.insert(der.into(), Arc::clone(&authority));
        }
        Some(authority)
    }
}

/// Reads the certificate (DER) that a client presents first, without asking who signed it.
///
/// # Errors
/// It is no certificate of a form that can be judged, or has not exactly one common name.
pub fn presented_identity(der: &[u8]) -> Result<LeafIdentity, ChainError> {
    let certificate = certificate::parse(der).ok_or(ChainError::Malformed(0))?;
    client::check_form(&certificate)?;
    certificate::identity_of(&certificate).ok_or(ChainError::CommonName)
}

#[cfg(test)]
mod tests;
