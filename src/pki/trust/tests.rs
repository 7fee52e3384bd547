use proptest::prelude::*;

use super::*;
use crate::domain::CryptoProvider;
use crate::pki::ca::{self, CertificateAuthority, Validity};
use crate::pki::key::DeviceKey;
use crate::pki::test_support::{Adr, DAY, key, leaf_by, now, reissued, root, root_name, unknown_extension};

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
    assert_eq!(stranger.verify_leaf(&chain, now()), Err(ChainError::Issuer), "same name, other key");
    let nameless = leaf_by(&root(0), &key, |params| params.use_authority_key_identifier_extension = false);
    let stranger = AuthoritySet::new(&[root(0).der()]).unwrap();
    assert_eq!(stranger.verify_leaf(&[nameless], now()), Err(ChainError::Signature(0)), "no key identifier");
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
    // Two that certify each other lead nowhere.
    let again = middle.subordinate(copy_of(&top), "root", 1, Validity::days(9, now())).unwrap();
    let circle = AuthoritySet::new(&[middle.der(), again.der()]).unwrap();
    assert!(!circle.is_rooted(0) && !circle.is_rooted(1));
}

/// Another copy of an authority's key.
fn copy_of(ca: &CertificateAuthority) -> DeviceKey {
    DeviceKey::from_pem(&ca.key().to_pem().unwrap(), CryptoProvider::AwsLc).unwrap()
}

#[test]
fn a_hub_takes_leaves_from_their_first_second_on() {
    let adr = Adr::new();
    let leaf = [adr.leaf(&key(), ID)];
    let hub = AuthoritySet::new(&[adr.issuing.der()]).unwrap();
    let (begin, second) = (now() - DAY, std::time::Duration::from_secs(1));
    // Its authority began an hour before now, so it is asked later.
    let early = CertificateAuthority::root(key(), "root", 0, Validity::days(9, begin - DAY)).unwrap();
    let own = [leaf_by(&early, &key(), |params| params.not_before = ca::date(begin).unwrap())];
    let set = AuthoritySet::new(&[early.der()]).unwrap();
    assert_eq!(set.verify_leaf(&own, begin - second), Err(ChainError::Validity(0)));
    assert!(set.verify_leaf(&own, begin).is_ok());
    assert_eq!(hub.verify_leaf(&leaf, begin), Err(ChainError::Validity(1)), "nor before their authority");
}

#[test]
fn a_bootstrap_chain_follows_the_rules_of_x509() {
    let (top, device) = (root(0), key());
    let middle = below(&top, 0);
    let leaf = leaf_by(&middle, &device, |_| ());
    let set = AuthoritySet::new(&[top.der()]).unwrap();
    // The root's path length forbids the intermediate, so it does not vouch for the leaf.
    assert_eq!(set.verify_path(&[&leaf, middle.der()], now()), Err(ChainError::NotAuthority(2)));
    let false_ca = CertificateAuthority::new(leaf_by(&top, &key(), |_| ()), key());
    assert!(false_ca.is_err(), "the key is another one");
    let player = key();
    let player_leaf = leaf_by(&top, &player, |_| ());
    let false_ca = CertificateAuthority::new(player_leaf.clone(), player).unwrap();
    let forged = leaf_by(&false_ca, &device, |_| ());
    assert_eq!(set.verify_path(&[&forged, &player_leaf], now()), Err(ChainError::NotAuthority(1)));
    let own = leaf_by(&top, &device, |_| ());
    assert!(
        set.verify_path(&[own.as_slice(), b"ignored"], now()).is_ok(),
        "what is above a trusted one is not looked at"
    );
    assert_eq!(set.verify_path(&[forged.as_slice(), b"no certificate"], now()), Err(ChainError::Malformed(1)));
    assert_eq!(set.verify_path(&[&own], now() + 30 * DAY), Err(ChainError::Validity(0)));
    assert_eq!(set.verify_path(&[&own; 9], now()), Err(ChainError::TooLong(9)));
}

#[test]
fn what_stands_above_the_lowest_trusted_authority_spoils_nothing() {
    let (top, device) = (root(1), key());
    let middle = below(&top, 0);
    let leaf = leaf_by(&middle, &device, |_| ());
    let set = AuthoritySet::new(&[middle.der()]).unwrap();
    let expired = reissued(&top, |params| params.not_after = params.not_before);
    let forbidden = reissued(&top, |params| params.custom_extensions.push(unknown_extension()));
    for above in [top.der(), &expired, &forbidden, b"no certificate", root(1).der()] {
        let path = set.verify_path(&[&leaf, middle.der(), above], now()).unwrap();
        assert_eq!(path.authorities, [0]);
    }
}

#[test]
fn certificates_of_one_authority_take_each_others_place() {
    let (top, device) = (root(1), key());
    let middle = below(&top, 0);
    let old = top.subordinate(copy_of(&middle), "intermediate", 0, Validity::days(1, now() - 9 * DAY)).unwrap();
    let leaf = leaf_by(&middle, &device, |_| ());
    let walk = |trusted: &[&[u8]], presented: &[&[u8]]| {
        let set = AuthoritySet::new(trusted).unwrap();
        set.verify_path(presented, now()).map(|path| path.authorities)
    };
    let (old, middle, top) = (old.der(), middle.der(), top.der());
    assert_eq!(walk(&[middle], &[&leaf, old]), Ok(vec![0]));
    assert_eq!(walk(&[middle, top], &[&leaf, old]), Ok(vec![0, 1]), "the root through the one that took its place");
    assert_eq!(walk(&[top], &[&leaf, old]), Err(ChainError::Validity(1)));
    assert_eq!(walk(&[top], &[&leaf, old, middle]), Ok(vec![0]), "in any order");
    assert_eq!(walk(&[old, middle], &[&leaf]), Ok(vec![1]));
    let hub = AuthoritySet::new(&[old, middle]).unwrap();
    assert_eq!(hub.verify_leaf(&[&leaf], now()).unwrap().authorities, [1]);
    let hub = AuthoritySet::new(&[old]).unwrap();
    assert_eq!(hub.verify_leaf(&[&leaf], now()), Err(ChainError::Validity(1)));
}

#[test]
fn an_authority_that_certified_itself_does_not_lengthen_the_path() {
    let (top, device) = (root(0), key());
    // A rollover of the root's key: the old key signs a certificate of the same name for the new one.
    let new = top.subordinate(key(), "root", 0, Validity::days(1825, now())).unwrap();
    let leaf = leaf_by(&new, &device, |_| ());
    let set = AuthoritySet::new(&[top.der()]).unwrap();
    assert_eq!(set.verify_path(&[&leaf, new.der()], now()).unwrap().authorities, [0]);
}

/// An authority below `ca` with content of the caller's choice, and its certificate.
fn limited(
    ca: &CertificateAuthority,
    key: DeviceKey,
    change: impl FnOnce(&mut rcgen::CertificateParams),
) -> CertificateAuthority {
    let der = leaf_by(ca, &key, |params| {
        params.distinguished_name = named("intermediate");
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        params.key_usages = vec![rcgen::KeyUsagePurpose::KeyCertSign];
        change(params);
    });
    CertificateAuthority::new(der, key).unwrap()
}

/// Permits the device of [`leaf_by`], or another one.
fn constraints(common_name: &str) -> rcgen::NameConstraints {
    rcgen::NameConstraints {
        permitted_subtrees: vec![rcgen::GeneralSubtree::DirectoryName(named(common_name))],
        excluded_subtrees: Vec::new(),
    }
}

#[test]
fn an_authority_vouches_for_the_names_that_it_may_certify() {
    let (top, device) = (root(1), key());
    for (name, expected) in [(ID, Ok(())), ("device-0002", Err(ChainError::Name(0)))] {
        let middle = limited(&top, key(), |params| params.name_constraints = Some(constraints(name)));
        let leaf = leaf_by(&middle, &device, |_| ());
        let dps = AuthoritySet::new(&[top.der()]).unwrap();
        assert_eq!(dps.verify_path(&[&leaf, middle.der()], now()).map(|_| ()), expected);
        let hub = AuthoritySet::new(&[middle.der()]).unwrap();
        assert_eq!(hub.verify_path(&[&leaf], now()).map(|_| ()), expected, "also when it is trusted itself");
        assert_eq!(hub.verify_leaf(&[&leaf], now()).map(|_| ()), expected);
    }
}

#[test]
fn one_good_way_up_is_enough_and_not_every_way_is_tried() {
    let (top, device) = (root(9), key());
    let good = limited(&top, key(), |_| ());
    let others = |params: &mut rcgen::CertificateParams| params.name_constraints = Some(constraints("device-0002"));
    let bad = limited(&top, copy_of(&good), others);
    let leaf = leaf_by(&good, &device, |_| ());
    let set = AuthoritySet::new(&[top.der()]).unwrap();
    for both in [[good.der(), bad.der()], [bad.der(), good.der()]] {
        assert_eq!(set.verify_path(&[&leaf, both[0], both[1]], now()).unwrap().authorities, [0]);
    }
    // Seven certificates of one authority by itself: each may stand above each other.
    let knot: Vec<_> = (0..7).map(|_| reissued(&good, |p| p.distinguished_name = named("intermediate"))).collect();
    let presented: Vec<&[u8]> = std::iter::once(&leaf).chain(&knot).map(Vec::as_slice).collect();
    assert_eq!(set.verify_path(&presented, now()), Err(ChainError::Tangled));
}

fn named(common_name: &str) -> rcgen::DistinguishedName {
    let mut name = rcgen::DistinguishedName::new();
    name.push(rcgen::DnType::CommonName, common_name);
    name
}

#[test]
fn names_match_whatever_they_are_encoded_in() {
    let (top, device) = (root(1), key());
    let uploaded = reissued(&top, |params| params.distinguished_name = root_name());
    let leaf = leaf_by(&top, &device, |_| ());
    let set = AuthoritySet::new(&[&uploaded]).unwrap();
    assert_eq!(set.verify_path(&[leaf.as_slice()], now()).unwrap().authorities, [0]);
    assert_eq!(set.verify_path(&[leaf.as_slice(), top.der()], now()).unwrap().authorities, [0]);
    assert_eq!(set.verify_leaf(&[leaf.as_slice()], now()).unwrap().authorities, [0]);
}

#[test]
fn leaves_of_a_form_that_cannot_be_judged_are_refused() {
    let data = |name: &str| {
        let path = format!("{}/tests/data/client-certificates/{name}", env!("CARGO_MANIFEST_DIR"));
        crate::pki::store::read_certificate(path.as_ref()).unwrap()
    };
    let set = AuthoritySet::new(&[data("ca.pem")]).unwrap();
    let then = std::time::UNIX_EPOCH + std::time::Duration::from_secs(1_796_000_000);
    for (leaf, expected) in
        [(data("leaf-v1.pem"), ChainError::Version(1)), (data("dev-rsa1024.pem"), ChainError::KeyType)]
    {
        assert_eq!(set.verify_path(&[&leaf], then), Err(expected.clone()));
        assert_eq!(set.verify_leaf(&[&leaf], then), Err(expected));
    }
    let (ca, device) = (root(0), key());
    let unknown = leaf_by(&ca, &device, |params| params.custom_extensions.push(unknown_extension()));
    let set = AuthoritySet::new(&[ca.der()]).unwrap();
    assert!(matches!(set.verify_path(&[&unknown], now()), Err(ChainError::Extension { position: 0, .. })));
    assert!(matches!(set.verify_leaf(&[&unknown], now()), Err(ChainError::Extension { position: 0, .. })));
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

#[test]
fn what_is_wrong_with_the_right_authority_is_told_whatever_others_of_its_name_there_are() {
    let (ca, namesake, device) = (root(0), root(0), key());
    let expired = reissued(&ca, |params| params.not_after = params.not_before);
    let leaf = leaf_by(&ca, &device, |_| ());
    for trusted in [[expired.as_slice(), namesake.der()], [namesake.der(), expired.as_slice()]] {
        let hub = AuthoritySet::new(&trusted).unwrap();
        assert_eq!(hub.verify_leaf(&[&leaf], now()), Err(ChainError::Validity(1)));
    }
}

#[test]
fn an_authority_is_one_of_the_first_by_any_of_its_certificates() {
    let (one, other) = (root(1), root(1));
    let again = reissued(&one, |_| ());
    let set = AuthoritySet::new(&[one.der(), other.der()]).unwrap();
    for (der, first, both) in [
        (one.der(), true, true),
        (&again, true, true),
        (other.der(), false, true),
        (root(1).der(), false, false),
        (b"no certificate", false, false),
    ] {
        assert_eq!([0, 1, 2].map(|count| set.is_of_first(count, der)), [false, first, both]);
    }
}

#[test]
fn invented_intermediates_do_not_fill_the_memory() {
    let (set, ca) = (AuthoritySet::default(), root(1));
    for count in 1..=MAX_REMEMBERED + 4 {
        let der = reissued(&ca, |_| ());
        assert!(set.presented(&der).is_some() && set.presented(&der).is_some());
        assert_eq!(set.presented.read().unwrap().len(), count.min(MAX_REMEMBERED));
    }
}
