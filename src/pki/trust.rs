//! Checks of client certificates, on the service's side: who is this, and which of my authorities vouches for it?

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::SystemTime;

use x509_parser::certificate::X509Certificate;

use crate::pki::authority::Authority;
use crate::pki::certificate::{self, LeafIdentity};
use crate::pki::chain::ChainError;

/// Longest chain that a client may present: a leaf and the authorities that a service stores with an enrollment group.
pub const MAX_PRESENTED: usize = 8;

/// How many presented intermediates are remembered as parsed. A fleet has one or a few.
const MAX_REMEMBERED: usize = 64;

/// Authorities that a service trusts: the issuing CAs synced to a hub, or the CA certificates uploaded to DPS.
#[derive(Debug, Default)]
pub struct AuthoritySet {
    trusted: Vec<Authority>,
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
            .map(|(position, der)| Authority::parse(der.as_ref()).ok_or(ChainError::Malformed(position)))
            .collect::<Result<_, _>>()?;
        Ok(Self { trusted, presented: RwLock::default() })
    }

    /// A client of the hub: its leaf was signed by one of these authorities directly. What it presents above the leaf
    /// does not matter, as devices send the leaf alone or the whole chain. The caller compares name and unique id.
    ///
    /// # Errors
    /// [`ChainError::Issuer`] when none of the authorities has the name of the leaf's issuer,
    /// [`ChainError::Signature`] when one has but did not sign it, or what else is wrong with the leaf.
    pub fn verify_leaf<D: AsRef<[u8]>>(&self, presented: &[D], now: SystemTime) -> Result<TrustedPath, ChainError> {
        let leaf = presented.first().ok_or(ChainError::Empty)?;
        let certificate = certificate::parse(leaf.as_ref()).ok_or(ChainError::Malformed(0))?;
        let leaf = client_identity(&certificate)?;
        let named = || self.trusted.iter().enumerate().filter(|(_, authority)| authority.is_named_in(&certificate));
        let Some((position, issuer)) = named().find(|(_, authority)| authority.signed(&certificate)) else {
            return Err(if named().next().is_some() { ChainError::Signature(0) } else { ChainError::Issuer });
        };
        if !issuer.may_sign(0) {
            return Err(ChainError::NotAuthority(1));
        }
        if !issuer.is_valid(now) {
            return Err(ChainError::Validity(1));
        }
        if !leaf.validity.contains(now) {
            return Err(ChainError::Validity(0));
        }
        Ok(TrustedPath { leaf, authorities: vec![position] })
    }

    /// A client of DPS with a bootstrap certificate: walks from the leaf through the presented certificates and says
    /// which of these authorities stand above it. A client must present every certificate up to a trusted one.
    ///
    /// # Errors
    /// [`ChainError::Issuer`] when the walk meets none of the authorities, or what is wrong with the certificates on it.
    pub fn verify_path<D: AsRef<[u8]>>(&self, presented: &[D], now: SystemTime) -> Result<TrustedPath, ChainError> {
        let (leaf, above) = presented.split_first().ok_or(ChainError::Empty)?;
        if presented.len() > MAX_PRESENTED {
            return Err(ChainError::TooLong(presented.len()));
        }
        let certificate = certificate::parse(leaf.as_ref()).ok_or(ChainError::Malformed(0))?;
        let leaf = client_identity(&certificate)?;
        if !leaf.validity.contains(now) {
            return Err(ChainError::Validity(0));
        }
        let mut authorities = Vec::new();
        self.add_signers(&certificate, 0, now, &mut authorities);
        let mut lower: Option<Arc<Authority>> = None;
        for (below, der) in above.iter().enumerate() {
            let authority = self.presented(der.as_ref()).ok_or(ChainError::Malformed(below + 1))?;
            let signed_lower = match &lower {
                Some(lower) => lower.is_signed_by(&authority),
                None => authority.signed(&certificate),
            };
            if !signed_lower {
                // A certificate that leads nowhere is ignored when a trusted authority was met before it.
                break;
            }
            if !authority.may_sign(below) {
                return Err(ChainError::NotAuthority(below + 1));
            }
            if !authority.is_valid(now) {
                return Err(ChainError::Validity(below + 1));
            }
            if let Some(certificate) = certificate::parse(&authority.der) {
                self.add_signers(&certificate, below + 1, now, &mut authorities);
            }
            lower = Some(authority);
        }
        if authorities.is_empty() { Err(ChainError::Issuer) } else { Ok(TrustedPath { leaf, authorities }) }
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

    /// Adds the trusted authorities that signed `certificate` with `below` authorities between them and the leaf.
    fn add_signers(&self, certificate: &X509Certificate<'_>, below: usize, now: SystemTime, found: &mut Vec<usize>) {
        for (position, authority) in self.trusted.iter().enumerate() {
            let may = !found.contains(&position) && authority.is_valid(now) && authority.may_sign(below);
            if may && authority.signed(certificate) {
                found.push(position);
            }
        }
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

/// The identity in a leaf that may be one of a TLS client.
fn client_identity(certificate: &X509Certificate<'_>) -> Result<LeafIdentity, ChainError> {
    if !certificate::is_tls_client(certificate) {
        return Err(ChainError::Usage);
    }
    certificate::identity_of(certificate).ok_or(ChainError::CommonName)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::pki::ca::{CertificateAuthority, Validity};
    use crate::pki::test_support::{Adr, DAY, key, leaf_by, now, root};

    const ID: &str = "device-0001";

    #[test]
    fn a_hub_takes_leaves_of_its_issuing_cas() {
        let (adr, other, key) = (Adr::new(), Adr::new(), key());
        let hub = AuthoritySet::new(&[other.issuing.der(), adr.issuing.der()]).unwrap();
        let chain = adr.chain(&key, ID);
        for length in 1..=3 {
            let path = hub.verify_leaf(&chain[..length], now()).unwrap();
            assert_eq!(path.authorities, [1]);
            assert_eq!(path.leaf.common_name, ID);
            assert_eq!(path.leaf.unique_id, Some(uuid::Uuid::from_u128(7)));
            assert_eq!(path.leaf.serial.len(), 16);
        }
        assert_eq!(hub.verify_leaf(&chain, now() + 30 * DAY), Err(ChainError::Validity(0)));
        let stranger = AuthoritySet::new(&[other.issuing.der()]).unwrap();
        assert_eq!(stranger.verify_leaf(&chain, now()), Err(ChainError::Signature(0)), "same name, other key");
        assert_eq!(AuthoritySet::default().verify_leaf(&chain, now()), Err(ChainError::Issuer));
        assert_eq!(hub.verify_leaf::<Vec<u8>>(&[], now()), Err(ChainError::Empty));
        assert_eq!(hub.verify_leaf(&[b"no certificate"], now()), Err(ChainError::Malformed(0)));
    }

    fn below(ca: &CertificateAuthority, path_length: u8) -> CertificateAuthority {
        ca.subordinate(key(), "intermediate", path_length, Validity::days(1825, now())).unwrap()
    }

    #[test]
    fn a_bootstrap_chain_is_walked_up_to_the_trusted_authorities() {
        let (top, device) = (root(1), key());
        let middle = below(&top, 0);
        let leaf = leaf_by(&middle, &device, |_| ());
        let full = [leaf, middle.der().to_vec(), top.der().to_vec()];
        let walk = |trusted: &[&[u8]], length: usize| {
            let set = AuthoritySet::new(trusted).unwrap();
            set.verify_path(&full[..length], now()).map(|path| path.authorities)
        };
        assert_eq!(walk(&[top.der(), middle.der()], 3), Ok(vec![1, 0]), "nearest the leaf first");
        assert_eq!(walk(&[top.der(), middle.der()], 1), Ok(vec![1]), "the root is out of reach of the leaf alone");
        assert_eq!(walk(&[top.der()], 2), Ok(vec![0]));
        assert_eq!(walk(&[top.der()], 1), Err(ChainError::Issuer), "the intermediate must be presented");
        assert_eq!(walk(&[root(1).der()], 3), Err(ChainError::Issuer));
    }

    #[test]
    fn an_authority_is_rooted_when_all_above_it_are_in_the_set() {
        let top = root(1);
        let middle = below(&top, 0);
        let whole = AuthoritySet::new(&[middle.der(), top.der()]).unwrap();
        assert!(whole.is_rooted(0) && whole.is_rooted(1) && !whole.is_rooted(2));
        let stranger = root(1);
        let broken = AuthoritySet::new(&[middle.der(), stranger.der()]).unwrap();
        assert!(!broken.is_rooted(0) && broken.is_rooted(1));
    }

    #[test]
    fn a_bootstrap_chain_follows_the_rules_of_x509() {
        let (top, device) = (root(0), key());
        let middle = below(&top, 0);
        let leaf = leaf_by(&middle, &device, |_| ());
        let set = AuthoritySet::new(&[top.der()]).unwrap();
        // The root's path length forbids the intermediate, so it does not vouch for the leaf.
        assert_eq!(set.verify_path(&[&leaf, middle.der()], now()), Err(ChainError::Issuer));
        let false_ca = CertificateAuthority::new(leaf_by(&top, &key(), |_| ()), key());
        assert!(false_ca.is_err(), "the key is another one");
        let player = key();
        let player_leaf = leaf_by(&top, &player, |_| ());
        let false_ca = CertificateAuthority::new(player_leaf.clone(), player).unwrap();
        let forged = leaf_by(&false_ca, &device, |_| ());
        assert_eq!(set.verify_path(&[&forged, &player_leaf], now()), Err(ChainError::NotAuthority(1)));
        let own = leaf_by(&top, &device, |_| ());
        assert!(set.verify_path(&[own.as_slice(), b"ignored"], now()).is_err(), "presented bytes must be certificates");
        assert_eq!(set.verify_path(&[&own], now() + 30 * DAY), Err(ChainError::Validity(0)));
        assert_eq!(set.verify_path(&[&own; 9], now()), Err(ChainError::TooLong(9)));
    }

    #[test]
    fn mutated_certificates_never_panic_and_never_pass() {
        let (adr, key) = (Adr::new(), key());
        let good = adr.chain(&key, ID);
        let hub = AuthoritySet::new(&[adr.issuing.der()]).unwrap();
        let dps = AuthoritySet::new(&[adr.root.der()]).unwrap();
        let device = crate::pki::chain::ChainVerifier::any_issuer();
        let change = (0..3_usize, any::<prop::sample::Index>(), 1..=255_u8, any::<prop::sample::Index>());
        proptest!(|(changes in proptest::collection::vec(change, 1..4))| {
            let mut chain = good.clone();
            for (certificate, place, bits, cut) in changes {
                let der = &mut chain[certificate];
                if bits < 8 {
                    der.truncate(cut.index(der.len().max(1)));
                }
                if !der.is_empty() {
                    let place = place.index(der.len());
                    der[place] ^= bits;
                }
            }
            prop_assert_eq!(hub.verify_leaf(&chain, now()).is_ok(), chain[0] == good[0], "a changed leaf passes");
            let _ = dps.verify_path(&chain, now());
            let _ = device.verify(&chain, key.spki_der(), ID, now());
            let _ = AuthoritySet::new(&chain);
        });
    }

    #[test]
    fn every_bit_outside_the_signed_part_counts() {
        let (adr, key) = (Adr::new(), key());
        let good = adr.leaf(&key, ID);
        let hub = AuthoritySet::new(&[adr.issuing.der()]).unwrap();
        assert!(hub.verify_leaf(&[&good], now()).is_ok());
        // The frame: four bytes before what is signed, algorithm and signature after it.
        for place in (0..4).chain(good.len() - 125..good.len()) {
            for bit in 0..8 {
                let mut der = good.clone();
                der[place] ^= 1 << bit;
                assert!(hub.verify_leaf(&[&der], now()).is_err(), "byte {place} of {}, bit {bit}", good.len());
            }
        }
    }
}
