//! Several things at once.

use rand::seq::IndexedRandom as _;
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

use super::certificate::{
    ALTERNATIVE_NAME, BASIC_CONSTRAINTS, Certificate, INHIBIT_ANY, MAPPINGS, NAME_CONSTRAINTS, POLICIES,
    POLICY_CONSTRAINTS, PRIVATE, basic_constraints,
};
use super::der::{
    CN, O, UTF8, constraints, directory, dns, integer, mail, mappings, name, policies, policy_constraints, sequence,
};
use super::judge::Case;

const P1: &str = "1.3.6.1.4.1.32473.1.1";
const P2: &str = "1.3.6.1.4.1.32473.1.2";
const ANY: &str = "2.5.29.32.0";
const CASES: usize = 250;

pub(super) fn cases() -> Vec<Case> {
    let mut random = ChaCha8Rng::seed_from_u64(5280);
    (0..CASES).map(|number| case(&mut random, number)).collect()
}

/// A path with two to four authorities, of which the last is trusted.
fn case(random: &mut ChaCha8Rng, number: usize) -> Case {
    let names = ["root", "upper", "middle", "lower"];
    let count = random.random_range(2..=4);
    let mut authorities = vec![Certificate::authority("root", "root", 0, 0)];
    let mut issuer = "root";
    for (key, unit) in names.iter().enumerate().take(count).skip(1) {
        // One in six certifies itself.
        let subject = if random.random_ratio(1, 6) { issuer } else { unit };
        let authority = Certificate::authority(issuer, subject, key, key - 1);
        authorities.push(limited(random, authority));
        issuer = subject;
    }
    let mut leaf = Certificate::device(issuer, 5, count - 1);
    if random.random_ratio(1, 2) {
        leaf = leaf.with(POLICIES, false, some_policies(random));
    }
    if random.random_ratio(1, 2) {
        leaf = leaf.with(ALTERNATIVE_NAME, false, sequence(&some_names(random)));
    }
    let presented: Vec<&Certificate> = std::iter::once(&leaf).chain(authorities.iter().skip(1).rev()).collect();
    Case::new(format!("random {number}"), &[&authorities[0]], &presented)
}

/// An authority that may do less than any other.
fn limited(random: &mut ChaCha8Rng, mut authority: Certificate) -> Certificate {
    if random.random_ratio(2, 3) {
        authority = authority.with(POLICIES, random.random(), some_policies(random));
    }
    if random.random_ratio(1, 3) {
        let numbers: [Option<u8>; 2] =
            std::array::from_fn(|_| random.random_ratio(1, 2).then(|| random.random_range(0..3)));
        if numbers != [None, None] {
            authority = authority.with(POLICY_CONSTRAINTS, true, policy_constraints(numbers[0], numbers[1]));
        }
    }
    if random.random_ratio(1, 4) {
        let pairs = [&[(P1, P2)][..], &[(P2, P1)], &[(P1, P2), (P2, P1)], &[(P1, P1), (P1, P2)]];
        authority = authority.with(MAPPINGS, random.random(), mappings(pairs.choose(random).unwrap()));
    }
    if random.random_ratio(1, 5) {
        authority = authority.with(INHIBIT_ANY, true, integer(random.random_range(0..3)));
    }
    if random.random_ratio(1, 5) {
        let mut part = |share| if random.random_ratio(1, share) { some_names(random) } else { Vec::new() };
        let (permitted, excluded) = (part(1), part(3));
        authority = authority.with(NAME_CONSTRAINTS, true, constraints(&permitted, &excluded));
    }
    if random.random_ratio(1, 6) {
        authority = authority.with(BASIC_CONSTRAINTS, true, basic_constraints(true, Some(random.random_range(0..3))));
    }
    if random.random_ratio(1, 20) {
        authority = authority.with(PRIVATE, random.random(), [5, 0]);
    }
    authority
}

fn some_policies(random: &mut ChaCha8Rng) -> Vec<u8> {
    let sets = [&[P1][..], &[P2], &[P1, P2], &[ANY], &[P1, ANY]];
    policies(sets.choose(random).unwrap())
}

fn some_names(random: &mut ChaCha8Rng) -> Vec<Vec<u8>> {
    let names = [
        dns("example.com"),
        dns("a.example.com"),
        dns("example.net"),
        mail("me@example.com"),
        mail("example.net"),
        directory(&name(&[(O, UTF8, "Contoso")])),
        directory(&name(&[(CN, UTF8, "dev1")])),
    ];
    let count = random.random_range(1..=3);
    names.sample(random, count).cloned().collect()
}
