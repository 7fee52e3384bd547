//! From a leaf up to the authorities that are trusted, through the certificates that a client presents.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::SystemTime;

use x509_parser::certificate::X509Certificate;

use crate::pki::authority::{Authority, IssuerOf};
use crate::pki::chain::ChainError;
use crate::pki::trust::AuthoritySet;
use crate::pki::{certificate, path};

/// Most ways up from a leaf that are tried. A hierarchy has one; one with authorities that certify each other has a few.
const MAX_WAYS: usize = 64;

/// A walk from a leaf up, level by level, on all ways at once.
pub(super) struct Walk<'a> {
    set: &'a AuthoritySet,
    leaf: &'a X509Certificate<'a>,
    /// Presented certificates above the leaf; `None` for what is none, or has a key that is not accepted.
    presented: Vec<Option<Arc<Authority>>>,
    now: SystemTime,
    /// Whether a key (by where its certificate is) signed what is signed (by where that is): a signature is verified once,
    /// however many ways lead over it, so that a peer's certificates cost at most one for each pair of them.
    signatures: HashMap<(*const u8, *const u8), bool>,
    /// How many more ways are tried.
    ways: usize,
    /// Positions of trusted authorities, the nearest first.
    found: Vec<usize>,
    /// What was wrong first.
    problem: Option<ChainError>,
}

/// The authorities from a leaf up, the one nearest to it first.
type Way = Vec<Arc<Authority>>;

impl<'a> Walk<'a> {
    pub(super) fn new(
        set: &'a AuthoritySet,
        leaf: &'a X509Certificate<'a>,
        presented: Vec<Option<Arc<Authority>>>,
        now: SystemTime,
    ) -> Self {
        let (signatures, found) = (HashMap::new(), Vec::new());
        Self { set, leaf, presented, now, signatures, ways: MAX_WAYS, found, problem: None }
    }

    /// Positions of the trusted authorities above the leaf.
    pub(super) fn up(mut self) -> Result<Vec<usize>, ChainError> {
        let mut level = vec![Way::new()];
        while !level.is_empty() {
            let mut next = Vec::new();
            for way in level {
                match way.last().map(Arc::clone) {
                    None => next.extend(self.above(self.leaf, &way)),
                    Some(top) => {
                        let certificate = certificate::parse(&top.der);
                        next.extend(certificate.map(|certificate| self.above(&certificate, &way)).unwrap_or_default());
                    }
                }
            }
            level = next;
        }
        if !self.found.is_empty() {
            return Ok(self.found);
        }
        let unreadable =
            || self.presented.iter().position(Option::is_none).map(|place| ChainError::Malformed(place + 1));
        Err(self.problem.or_else(unreadable).unwrap_or(ChainError::Issuer))
    }

    /// Notes which trusted authorities signed the certificate on top of a way, and gives the ways on over presented ones that
    /// did.
    fn above(&mut self, certificate: &X509Certificate<'_>, way: &[Arc<Authority>]) -> Vec<Way> {
        let set = self.set;
        let issuer = IssuerOf::new(certificate);
        let below = way.iter().fold(0, |below, authority| authority.counted(below));
        let and = |authority: &Arc<Authority>| [way, &[Arc::clone(authority)]].concat();
        for (position, authority) in set.trusted.iter().enumerate().filter(|(_, a)| a.is(&issuer)) {
            if !self.found.contains(&position) && self.signed(authority, certificate) {
                let vouches = authority.vouches(below, self.now, way.len() + 1);
                match vouches.and_then(|()| path::validate(self.leaf, &and(authority))) {
                    Ok(()) => self.found.push(position),
                    Err(error) => drop(self.problem.get_or_insert(error)),
                }
            }
        }
        let mut ways = Vec::new();
        for place in 0..self.presented.len() {
            let Some(candidate) = self.presented.get(place).cloned().flatten() else { continue };
            if !candidate.is(&issuer) || !self.signed(&candidate, certificate) {
                continue;
            }
            let same = set.trusted.iter().filter(|other| other.is_same(&candidate) && other.der != candidate.der);
            for authority in std::iter::once(&candidate).chain(same) {
                if way.iter().any(|earlier| earlier.der == authority.der) {
                    continue;
                }
                match authority.vouches(below, self.now, place + 1) {
                    Err(error) => drop(self.problem.get_or_insert(error)),
                    Ok(()) if self.ways == 0 => drop(self.problem.get_or_insert(ChainError::Tangled)),
                    Ok(()) => {
                        self.ways -= 1;
                        ways.push(and(authority));
                    }
                }
            }
        }
        ways
    }

    /// Whether the key of an authority, which is kept as long as the walk, signed a certificate that is too.
    fn signed(&mut self, authority: &Arc<Authority>, certificate: &X509Certificate<'_>) -> bool {
        let pair = (authority.der.as_ptr(), certificate.tbs_certificate.as_ref().as_ptr());
        *self.signatures.entry(pair).or_insert_with(|| authority.verifies(certificate))
    }
}
