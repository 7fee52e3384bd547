use super::certificate::{Certificate, INHIBIT_ANY, MAPPINGS, POLICIES, POLICY_CONSTRAINTS};
use super::der::{integer, mappings, policies, policy_constraints};
use super::judge::Case;
use super::{Path, changed};

const P1: &str = "1.3.6.1.4.1.32473.1.1";
const P2: &str = "1.3.6.1.4.1.32473.1.2";
const ANY: &str = "2.5.29.32.0";

/// A path of four: an upper authority between root and middle, where most about policies is said.
fn four(name: String, upper: impl FnOnce(Certificate) -> Certificate, change: impl FnOnce(&mut Path)) -> Case {
    let upper = upper(Certificate::authority("root", "upper", 3, 0));
    let mut path = changed(|p| p.middle = Certificate::authority("upper", "middle", 1, 3));
    change(&mut path);
    Case::new(name, &[&path.root], &[&path.leaf, &path.middle, &upper])
}

fn with_policies(certificate: Certificate, ids: &[&str]) -> Certificate {
    if ids.is_empty() { certificate } else { certificate.with(POLICIES, false, policies(ids)) }
}

pub(super) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    let sets: [&[&str]; 5] = [&[], &[P1], &[P2], &[ANY], &[P1, P2]];
    for explicit in [None, Some(0), Some(1), Some(2), Some(3)] {
        for middle in sets {
            for leaf in sets {
                let name = format!("explicit {explicit:?}, {middle:?}, {leaf:?}");
                let asks = |upper: Certificate| match explicit {
                    Some(_) => upper.with(POLICY_CONSTRAINTS, true, policy_constraints(explicit, None)),
                    None => upper,
                };
                let upper = |upper| with_policies(asks(upper), &[P1]);
                cases.push(four(name, upper, |p| {
                    p.middle = with_policies(p.middle.clone(), middle);
                    p.leaf = with_policies(p.leaf.clone(), leaf);
                }));
            }
        }
    }
    cases.extend(mapped());
    cases.extend(inhibited());
    cases.extend(of_leaf_and_root());
    cases
}

/// policyMappings, with a policy that is asked for.
fn mapped() -> Vec<Case> {
    let explicit = |upper: Certificate| upper.with(POLICY_CONSTRAINTS, true, policy_constraints(Some(0), None));
    let mut cases = Vec::new();
    for upper in [&[P1][..], &[ANY], &[P1, P2], &[P1, ANY]] {
        for pairs in [&[(P1, P2)][..], &[(P2, P1)], &[(P1, P2), (P2, P1)], &[(P1, ANY)], &[(ANY, P1)], &[(P1, P1)]] {
            for below in [&[P1][..], &[P2], &[ANY]] {
                let name = format!("{upper:?} maps {pairs:?} for {below:?}");
                let maps = |c: Certificate| with_policies(explicit(c).with(MAPPINGS, true, mappings(pairs)), upper);
                cases.push(four(name, maps, |p| {
                    p.middle = with_policies(p.middle.clone(), below);
                    p.leaf = with_policies(p.leaf.clone(), below);
                }));
            }
        }
    }
    for inhibit in 0..3 {
        let name = format!("middle maps, upper inhibits after {inhibit}");
        let inhibits = |upper: Certificate| {
            with_policies(upper, &[P1]).with(POLICY_CONSTRAINTS, true, policy_constraints(Some(0), Some(inhibit)))
        };
        cases.push(four(name, inhibits, |p| {
            p.middle = with_policies(p.middle.clone(), &[P1]).with(MAPPINGS, true, mappings(&[(P1, P2)]));
            p.leaf = with_policies(p.leaf.clone(), &[P2]);
        }));
    }
    cases.push(four(
        "nobody asks, but any policy is mapped".to_owned(),
        |c| with_policies(c, &[P1]),
        |p| {
            p.middle = with_policies(p.middle.clone(), &[P1]).with(MAPPINGS, false, mappings(&[(ANY, P2)]));
        },
    ));
    cases
}

/// inhibitAnyPolicy, with a policy that is asked for.
fn inhibited() -> Vec<Case> {
    let mut cases = Vec::new();
    for inhibit in 0..4 {
        for (middle, leaf) in [(&[ANY][..], &[P1][..]), (&[P1], &[ANY]), (&[ANY], &[ANY]), (&[P1], &[P1])] {
            let inhibits = |upper: Certificate| {
                with_policies(upper, &[P1]).with(POLICY_CONSTRAINTS, true, policy_constraints(Some(0), None)).with(
                    INHIBIT_ANY,
                    true,
                    integer(inhibit),
                )
            };
            cases.push(four(format!("any is inhibited after {inhibit}, {middle:?}, {leaf:?}"), inhibits, |p| {
                p.middle = with_policies(p.middle.clone(), middle);
                p.leaf = with_policies(p.leaf.clone(), leaf);
            }));
        }
        // An authority that certified itself counts in no way, and keeps any policy.
        let name = format!("any is inhibited after {inhibit}, for an authority that certified itself");
        let root = Certificate::authority("root", "root", 0, 0);
        let upper = with_policies(Certificate::authority("root", "upper", 3, 0), &[P1])
            .with(POLICY_CONSTRAINTS, true, policy_constraints(Some(0), None))
            .with(INHIBIT_ANY, true, integer(inhibit));
        let own = with_policies(Certificate::authority("upper", "upper", 1, 3), &[ANY]);
        let leaf = with_policies(Certificate::device("upper", 2, 1), &[P1]);
        cases.push(Case::new(name, &[&root], &[&leaf, &own, &upper]));
    }
    cases
}

fn of_leaf_and_root() -> Vec<Case> {
    let asks = |certificate: Certificate, after| {
        certificate.with(POLICY_CONSTRAINTS, true, policy_constraints(Some(after), None))
    };
    let trusted = "what a trusted authority says holds too (RFC 5937); openssl looks at those below it";
    let none = |after| changed(|p| p.leaf = asks(p.leaf.clone(), after));
    vec![
        none(0).case("the leaf asks itself"),
        none(1).case("the leaf asks whoever is below it"),
        changed(|p| {
            p.leaf = with_policies(asks(p.leaf.clone(), 0), &[P1]);
            p.middle = with_policies(p.middle.clone(), &[P1]);
        })
        .case("the leaf asks itself and has it"),
        changed(|p| p.root = asks(p.root.clone(), 0)).case("the root asks").refused_because(trusted),
        changed(|p| p.root = asks(p.root.clone(), 2)).case("the root asks from the leaf on").refused_because(trusted),
        changed(|p| p.root = asks(p.root.clone(), 3)).case("the root asks whoever is below the leaf"),
        changed(|p| {
            p.root = with_policies(asks(p.root.clone(), 0), &[P1]);
            p.middle = with_policies(p.middle.clone(), &[P1]);
            p.leaf = with_policies(p.leaf.clone(), &[P1]);
        })
        .case("the root asks and all have it"),
        changed(|p| {
            p.root = with_policies(p.root.clone(), &[P2]);
            p.middle = with_policies(asks(p.middle.clone(), 0), &[P1]);
            p.leaf = with_policies(p.leaf.clone(), &[P1]);
        })
        .case("the root has another one")
        .refused_because(trusted),
        changed(|p| {
            p.middle = with_policies(asks(p.middle.clone(), 0), &[P1]);
            p.leaf = with_policies(p.leaf.clone(), &[P1]);
        })
        .case("the root has none, as roots have"),
    ]
}
