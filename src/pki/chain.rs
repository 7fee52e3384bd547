//! Checks of an issued chain, on the device's side: what was issued to me?

use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, SystemTime};

use crate::pki::authority::Authority;
use crate::pki::ca::Validity;
use crate::pki::{certificate, client, path};

pub use crate::pki::chain_error::ChainError;
pub use crate::pki::path::ExtensionFault;

/// Most certificates in a chain: the device SDK for embedded C has room for three.
pub const MAX_CHAIN_LENGTH: usize = 3;

/// How far the clocks of authority and device may differ: a certificate that becomes valid within this time is the right one.
pub const CLOCK_TOLERANCE: Duration = Duration::from_mins(5);

/// How many different authority chains are remembered. A run sees one or two; a peer that invents them gains nothing.
const MAX_REMEMBERED: usize = 16;

/// What a device must find in the chain issued to it.
#[derive(Debug)]
pub struct ChainVerifier {
    expected: Vec<Authority>,
    /// Chains of authorities (issuing CA first) that were verified.
    known: RwLock<Vec<Arc<Issuers>>>,
}

/// What a good leaf says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifiedLeaf {
    /// Serial number, big-endian.
    pub serial: Vec<u8>,
    /// Start of validity.
    pub not_before: SystemTime,
    /// End of validity.
    pub not_after: SystemTime,
    /// How long after the check the last certificate of the chain becomes valid, at most [`CLOCK_TOLERANCE`]; zero when all
    /// are.
    pub early_by: Duration,
}

/// How long it still is until a certificate is valid, which may be a little and is mostly nothing.
fn begins_within(validity: &Validity, now: SystemTime, position: usize) -> Result<Duration, ChainError> {
    let early_by = validity.not_before.duration_since(now).unwrap_or_default();
    if early_by > CLOCK_TOLERANCE {
        return Err(ChainError::NotYet { position, not_before: validity.not_before, now });
    }
    if early_by.is_zero() && !validity.contains(now) {
        return Err(ChainError::Validity(position));
    }
    Ok(early_by)
}

/// The authorities of a chain, issuing CA first.
#[derive(Debug)]
struct Issuers {
    authorities: Vec<Authority>,
    /// How many of them were sent; one more may follow, an expected one that signed the last.
    sent: usize,
}

impl ChainVerifier {
    /// `expected` are DER certificates of which one must be in the chain as issuing CA or root (or have signed its last
    /// certificate); empty: as [`Self::any_issuer`]. Verified authorities are remembered, so that only the leaf's
    /// signature is checked per device. Shared between threads.
    ///
    /// # Errors
    /// [`ChainError::Malformed`] with the position of an expected certificate that cannot be used.
    pub fn new(expected: &[Vec<u8>]) -> Result<Self, ChainError> {
        let expected = expected
            .iter()
            .enumerate()
            .map(|(position, der)| Authority::parse(der).ok_or(ChainError::Malformed(position)))
            .collect::<Result<_, _>>()?;
        Ok(Self { expected, known: RwLock::default() })
    }

    /// Takes any chain that is consistent in itself.
    pub fn any_issuer() -> Self {
        Self { expected: Vec::new(), known: RwLock::default() }
    }

    /// Checks a chain, leaf first: issued for the key `spki_der` (SubjectPublicKeyInfo) and the name `common_name`.
    ///
    /// # Errors
    /// The first check that fails: the leaf's own content, then its issuers, then signature, then dates.
    pub fn verify(
        &self,
        chain: &[Vec<u8>],
        spki_der: &[u8],
        common_name: &str,
        now: SystemTime,
    ) -> Result<VerifiedLeaf, ChainError> {
        let (leaf, issuers) = chain.split_first().ok_or(ChainError::Empty)?;
        if chain.len() > MAX_CHAIN_LENGTH {
            return Err(ChainError::TooLong(chain.len()));
        }
        let leaf = certificate::parse(leaf).ok_or(ChainError::Malformed(0))?;
        if leaf.public_key().raw != spki_der {
            return Err(ChainError::Key);
        }
        if certificate::common_name(&leaf).as_deref() != Some(common_name) {
            return Err(ChainError::CommonName);
        }
        client::check(&leaf)?;
        let validity = certificate::validity(&leaf).ok_or(ChainError::Malformed(0))?;
        let mut early_by = Duration::ZERO;
        if issuers.is_empty() {
            // Of several certificates of one authority, one that may is enough.
            let signers = self.expected.iter().filter(|authority| authority.signed(&leaf));
            let judged = signers.map(|authority| {
                authority.may_sign(0, 1)?;
                path::validate(&leaf, &[authority])?;
                begins_within(authority.validity(), now, 1)
            });
            match judged.reduce(Result::or) {
                Some(judged) => early_by = judged?,
                None if !self.expected.is_empty() => return Err(ChainError::Issuer),
                None => {}
            }
        } else {
            let issuers = self.issuers(issuers)?;
            if !issuers.authorities.first().is_some_and(|issuer| issuer.signed(&leaf)) {
                return Err(ChainError::Signature(0));
            }
            path::validate(&leaf, &issuers.authorities)?;
            for (authority, position) in issuers.authorities.iter().zip(1..) {
                early_by = early_by.max(begins_within(authority.validity(), now, position)?);
            }
        }
        let early_by = early_by.max(begins_within(&validity, now, 0)?);
        Ok(VerifiedLeaf {
            serial: certificate::serial(&leaf),
            not_before: validity.not_before,
            not_after: validity.not_after,
            early_by,
        })
    }

    /// The verified authorities of a chain: remembered, or checked now.
    fn issuers(&self, ders: &[Vec<u8>]) -> Result<Arc<Issuers>, ChainError> {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(issuers) = known.iter().find(|issuers| issuers.are(ders)) {
            return Ok(Arc::clone(issuers));
        }
        drop(known);
        let issuers = Arc::new(self.check_issuers(ders)?);
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        if known.len() < MAX_REMEMBERED && !known.iter().any(|other| other.are(ders)) {
            known.push(Arc::clone(&issuers));
        }
        Ok(issuers)
    }

    /// Everything about authorities that does not change with time.
    fn check_issuers(&self, ders: &[Vec<u8>]) -> Result<Issuers, ChainError> {
        let mut authorities: Vec<Authority> = Vec::with_capacity(ders.len() + 1);
        let mut below = 0;
        for (place, der) in ders.iter().enumerate() {
            let authority = Authority::parse(der).ok_or(ChainError::Malformed(place + 1))?;
            authority.may_sign(below, place + 1)?;
            if authorities.last().is_some_and(|lower| !lower.is_signed_by(&authority)) {
                return Err(ChainError::Signature(place));
            }
            below = authority.counted(below);
            authorities.push(authority);
        }
        let sent = authorities.len();
        let last = authorities.last().ok_or(ChainError::Empty)?;
        // Authorities are renewed: another certificate of the expected one will do.
        let is_expected = |authority: &Authority| self.expected.iter().any(|expected| expected.is_same(authority));
        if !self.expected.is_empty() && !authorities.iter().any(is_expected) {
            let signers = self.expected.iter().filter(|expected| last.is_signed_by(expected));
            let judged = signers.map(|above| above.may_sign(below, sent + 1).map(|()| above));
            let above = judged.reduce(Result::or).unwrap_or(Err(ChainError::Issuer))?;
            authorities.push(Authority::parse(&above.der).ok_or(ChainError::Issuer)?);
        } else if last.is_self_issued() && !last.is_signed_by(last) {
            return Err(ChainError::Signature(sent));
        }
        Ok(Issuers { authorities, sent })
    }
}

impl Issuers {
    fn are(&self, ders: &[Vec<u8>]) -> bool {
        self.sent == ders.len() && self.authorities.iter().zip(ders).all(|(authority, der)| *authority.der == **der)
    }
}

#[cfg(test)]
mod tests {
    use rcgen::{ExtendedKeyUsagePurpose, IsCa, KeyUsagePurpose};

    use super::*;
    use crate::pki::ca::{CertificateAuthority, Validity};
    use crate::pki::key::DeviceKey;
    use crate::pki::test_support::{Adr, DAY, key, leaf_by, now, reissued, root, root_name, unknown_extension};

    const ID: &str = "device-0001";

    fn check(verifier: &ChainVerifier, chain: &[Vec<u8>], key: &DeviceKey) -> Result<VerifiedLeaf, ChainError> {
        verifier.verify(chain, key.spki_der(), ID, now())
    }

    fn expecting(der: &[u8]) -> ChainVerifier {
        ChainVerifier::new(&[der.to_vec()]).unwrap()
    }

    #[test]
    fn issued_chains_are_good_whichever_authority_is_expected() {
        let (adr, key) = (Adr::new(), key());
        let chain = adr.chain(&key, ID);
        for verifier in [expecting(adr.root.der()), expecting(adr.issuing.der()), ChainVerifier::any_issuer()] {
            // After the first time the authorities are remembered.
            for _ in 0..3 {
                let leaf = check(&verifier, &chain, &key).unwrap();
                assert_eq!(leaf.serial.len(), 16);
                assert_eq!(leaf.not_before, now() - DAY);
                assert_eq!(leaf.not_after, now() + 29 * DAY);
            }
            assert!(check(&verifier, &chain[..2], &key).is_ok(), "the root may be absent");
            assert_eq!(verifier.known.read().unwrap().len(), 2, "each chain of authorities once");
        }
        for verifier in [expecting(adr.issuing.der()), ChainVerifier::any_issuer()] {
            assert!(check(&verifier, &chain[..1], &key).is_ok(), "the issuing CA may be absent");
        }
    }

    #[test]
    fn chains_have_one_to_three_certificates() {
        let (adr, key) = (Adr::new(), key());
        let verifier = ChainVerifier::any_issuer();
        assert_eq!(check(&verifier, &[], &key), Err(ChainError::Empty));
        let mut chain = adr.chain(&key, ID);
        chain.push(adr.root.der().to_vec());
        assert_eq!(check(&verifier, &chain, &key), Err(ChainError::TooLong(4)));
    }

    #[test]
    fn bytes_that_are_no_certificates_are_malformed() {
        let (adr, key) = (Adr::new(), key());
        for position in 0..3 {
            let mut chain = adr.chain(&key, ID);
            chain[position].push(0);
            let verifier = ChainVerifier::any_issuer();
            assert_eq!(check(&verifier, &chain, &key), Err(ChainError::Malformed(position)));
        }
        assert_eq!(ChainVerifier::new(&[vec![1]]).err(), Some(ChainError::Malformed(0)));
    }

    #[test]
    fn the_leaf_belongs_to_the_key_and_the_name() {
        let (adr, key) = (Adr::new(), key());
        let verifier = expecting(adr.root.der());
        assert_eq!(check(&verifier, &adr.chain(&key, "device-0002"), &key), Err(ChainError::CommonName));
        assert_eq!(check(&verifier, &adr.chain(&self::key(), ID), &key), Err(ChainError::Key));
    }

    #[test]
    fn the_leaf_is_one_of_a_tls_client() {
        let (ca, key) = (root(0), key());
        let verifier = expecting(ca.der());
        let usage = |change: fn(&mut rcgen::CertificateParams)| {
            check(&verifier, &[leaf_by(&ca, &key, change), ca.der().to_vec()], &key)
        };
        assert!(usage(|_| ()).is_ok());
        assert!(usage(|p| p.extended_key_usages.clear()).is_ok(), "an absent extension forbids nothing");
        assert_eq!(usage(|p| p.is_ca = IsCa::Ca(rcgen::BasicConstraints::Unconstrained)), Err(ChainError::Usage));
        assert_eq!(usage(|p| p.key_usages = vec![KeyUsagePurpose::KeyAgreement]), Err(ChainError::Usage));
        let server = usage(|p| p.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth]);
        assert_eq!(server, Err(ChainError::Usage));
        let unknown = usage(|p| p.custom_extensions.push(unknown_extension()));
        let fault = ExtensionFault::Unknown("1.3.6.1.4.1.32473.9".to_owned());
        assert_eq!(unknown, Err(ChainError::Extension { position: 0, fault }));
    }

    #[test]
    fn the_expected_authority_is_known_by_name_and_key() {
        let (ca, device) = (root(1), key());
        let leaf = leaf_by(&ca, &device, |_| ());
        // Written in another encoding, and the one that has expired beside the one that took its place.
        let expired = reissued(&ca, |params| params.not_after = params.not_before);
        let renewed = reissued(&ca, |params| params.distinguished_name = root_name());
        let verifier = ChainVerifier::new(&[expired, renewed]).unwrap();
        assert!(check(&verifier, std::slice::from_ref(&leaf), &device).is_ok());
        assert!(check(&verifier, &[leaf, ca.der().to_vec()], &device).is_ok());
    }

    #[test]
    fn every_signature_is_checked() {
        let (adr, other, key) = (Adr::new(), Adr::new(), key());
        let verifier = ChainVerifier::any_issuer();
        // The names are the same in both hierarchies, so that only the signatures differ.
        let mut chain = adr.chain(&key, ID);
        chain[0] = other.leaf(&key, ID);
        assert_eq!(check(&verifier, &chain, &key), Err(ChainError::Signature(0)));
        let mut chain = adr.chain(&key, ID);
        chain[2] = other.root.der().to_vec();
        assert_eq!(check(&verifier, &chain, &key), Err(ChainError::Signature(1)));
        let mut chain = adr.chain(&key, ID);
        let last = chain[2].len() - 1;
        chain[2][last] ^= 1;
        assert_eq!(check(&verifier, &chain, &key), Err(ChainError::Signature(2)));
    }

    #[test]
    fn authorities_must_be_allowed_to_sign() {
        let key = key();
        let ca = root(0);
        let leaf = leaf_by(&ca, &key, |_| ());
        // A device that plays authority.
        let false_ca = CertificateAuthority::new(leaf.clone(), key).unwrap();
        let device = self::key();
        let chain = [leaf_by(&false_ca, &device, |_| ()), leaf, ca.der().to_vec()];
        let verifier = expecting(ca.der());
        assert_eq!(check(&verifier, &chain, &device), Err(ChainError::NotAuthority(1)));
        // A root whose path length forbids the authority between.
        let below = ca.subordinate(self::key(), "below", 0, Validity::days(9, now())).unwrap();
        let chain = [leaf_by(&below, &device, |_| ()), below.der().to_vec(), ca.der().to_vec()];
        assert_eq!(check(&verifier, &chain, &device), Err(ChainError::NotAuthority(2)));
        assert_eq!(check(&verifier, &chain[..2], &device), Err(ChainError::NotAuthority(2)));
    }

    #[test]
    fn an_issued_leaf_has_only_names_that_its_authorities_may_certify() {
        let (ca, device) = (root(0), key());
        let others = |params: &mut rcgen::CertificateParams| {
            params.name_constraints = Some(rcgen::NameConstraints {
                permitted_subtrees: Vec::new(),
                excluded_subtrees: vec![rcgen::GeneralSubtree::DirectoryName(params_name(ID))],
            });
        };
        let limited = reissued(&ca, others);
        let leaf = leaf_by(&ca, &device, |_| ());
        for (expected, chain) in [(&limited, vec![leaf.clone()]), (&limited, vec![leaf, limited.clone()])] {
            assert_eq!(check(&expecting(expected), &chain, &device), Err(ChainError::Name(0)));
        }
    }

    fn params_name(common_name: &str) -> rcgen::DistinguishedName {
        let mut name = rcgen::DistinguishedName::new();
        name.push(rcgen::DnType::CommonName, common_name);
        name
    }

    #[test]
    fn a_new_key_that_an_authority_certified_with_its_old_one_is_not_a_root() {
        let (old, device) = (root(0), key());
        let new = old.subordinate(key(), "root", 0, Validity::days(1825, now())).unwrap();
        let chain = [leaf_by(&new, &device, |_| ()), new.der().to_vec()];
        assert!(check(&expecting(old.der()), &chain, &device).is_ok());
        assert_eq!(check(&ChainVerifier::any_issuer(), &chain, &device), Err(ChainError::Signature(1)));
    }

    #[test]
    fn every_certificate_is_valid_now() {
        let (adr, key) = (Adr::new(), key());
        let verifier = expecting(adr.root.der());
        let at = |time| verifier.verify(&adr.chain(&key, ID), key.spki_der(), ID, time).map(|_| ());
        assert_eq!(at(now() + 29 * DAY), Ok(()), "the last second counts");
        assert_eq!(at(now() + 29 * DAY + Duration::from_secs(1)), Err(ChainError::Validity(0)));
        let late =
            expecting(adr.issuing.der()).verify(&adr.chain(&key, ID)[..1], key.spki_der(), ID, now() + 1825 * DAY);
        assert_eq!(late, Err(ChainError::Validity(1)));
    }

    #[test]
    fn an_authority_whose_clock_is_a_little_ahead_issues_no_wrong_certificates() {
        let (adr, key) = (Adr::new(), key());
        let at = |verifier: &ChainVerifier, certificates, time| {
            let chain = adr.chain(&key, ID);
            verifier.verify(&chain[..certificates], key.spki_der(), ID, time).map(|leaf| leaf.early_by)
        };
        // Authorities are valid from an hour before on.
        let begin = now() - Duration::from_secs(3_600);
        for (verifier, certificates) in [(expecting(adr.root.der()), 3), (expecting(adr.issuing.der()), 1)] {
            assert_eq!(at(&verifier, certificates, begin), Ok(Duration::ZERO));
            for early in [Duration::from_millis(1), Duration::from_secs(4), CLOCK_TOLERANCE] {
                assert_eq!(at(&verifier, certificates, begin - early), Ok(early));
            }
            let now = begin - CLOCK_TOLERANCE - Duration::from_secs(1);
            let refused = at(&verifier, certificates, now).unwrap_err();
            assert_eq!(refused, ChainError::NotYet { position: 1, not_before: begin, now });
        }
        let (not_before, now) = (Duration::from_secs(1_800_000_000), Duration::from_secs(1_799_999_650));
        let [not_before, now] = [not_before, now].map(|time| SystemTime::UNIX_EPOCH + time);
        assert_eq!(
            ChainError::NotYet { position: 0, not_before, now }.to_string(),
            "certificate 0 of the chain becomes valid at 2027-01-15T08:00Z only (notBefore), and here it is \
             2027-01-15T07:54Z: compare the clocks of this machine and of the authority"
        );
    }

    #[test]
    fn chains_of_others_are_refused() {
        let (adr, other, key) = (Adr::new(), Adr::new(), key());
        let chain = adr.chain(&key, ID);
        for verifier in [expecting(other.root.der()), expecting(other.issuing.der())] {
            for length in 1..=3 {
                assert_eq!(check(&verifier, &chain[..length], &key), Err(ChainError::Issuer), "{length}");
            }
        }
    }

    #[test]
    fn invented_authorities_do_not_fill_the_memory() {
        let verifier = ChainVerifier::any_issuer();
        for _ in 0..MAX_REMEMBERED + 4 {
            let (ca, key) = (root(0), key());
            check(&verifier, &[leaf_by(&ca, &key, |_| ()), ca.der().to_vec()], &key).unwrap();
        }
        assert_eq!(verifier.known.read().unwrap().len(), MAX_REMEMBERED);
    }
}
