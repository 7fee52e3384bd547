//! Certificate policies (RFC 5280, sections 6.1.3 to 6.1.5), when any policy will do for whoever checks: a path fails only
//! where one of its certificates asks for a policy and none is left that all of them have.
//!
//! Of the tree of valid policies only its lowest level is kept, and of that only what decides about the next one: the
//! policies that are expected there, and whether any policy is.

use std::collections::BTreeSet;

use x509_parser::asn1_rs::{Oid, oid};
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::ParsedExtension;

/// anyPolicy (RFC 5280, section 4.2.1.4).
const ANY_POLICY: Oid<'static> = oid!(2.5.29.32.0);

/// An object identifier, as it is encoded.
type PolicyOid = Box<[u8]>;

/// What a certificate says about policies.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::pki) struct PolicyRules {
    /// Its policies, but for any policy; `None` when it has none at all.
    policies: Option<BTreeSet<PolicyOid>>,
    has_any: bool,
    /// Policies of the issuer and which of the subject's are as good.
    mappings: Vec<(PolicyOid, PolicyOid)>,
    require_explicit: Option<u32>,
    inhibit_mapping: Option<u32>,
    inhibit_any: Option<u32>,
}

/// What is left of policies at some place of a path.
#[derive(Debug)]
pub(super) struct PolicyState {
    expected: BTreeSet<PolicyOid>,
    any: bool,
    /// After so many certificates that are not self-issued, a policy must be left.
    explicit: u32,
    /// After so many, policies are no longer mapped.
    mapping: u32,
    /// After so many, any policy is no longer one.
    inhibit_any: u32,
}

impl PolicyRules {
    pub(in crate::pki) fn of(certificate: &X509Certificate<'_>) -> Self {
        let mut rules = Self::default();
        for extension in certificate.iter_extensions() {
            match extension.parsed_extension() {
                ParsedExtension::CertificatePolicies(policies) => {
                    let (any, named): (Vec<_>, Vec<_>) =
                        policies.iter().map(|policy| &policy.policy_id).partition(|id| **id == ANY_POLICY);
                    rules.has_any = !any.is_empty();
                    rules.policies = Some(named.into_iter().map(|id| id.as_bytes().into()).collect());
                }
                ParsedExtension::PolicyMappings(mappings) => {
                    let pair = |mapping: &x509_parser::extensions::PolicyMapping<'_>| {
                        (
                            mapping.issuer_domain_policy.as_bytes().into(),
                            mapping.subject_domain_policy.as_bytes().into(),
                        )
                    };
                    rules.mappings = mappings.mappings.iter().map(pair).collect();
                }
                ParsedExtension::PolicyConstraints(constraints) => {
                    rules.require_explicit = constraints.require_explicit_policy;
                    rules.inhibit_mapping = constraints.inhibit_policy_mapping;
                }
                ParsedExtension::InhibitAnyPolicy(inhibit) => rules.inhibit_any = Some(inhibit.skip_certs),
                _ => {}
            }
        }
        rules
    }

    /// Any policy must not be mapped (RFC 5280, section 4.2.1.5).
    fn maps_any(&self) -> bool {
        let any = ANY_POLICY;
        self.mappings.iter().flat_map(|(from, to)| [from, to]).any(|policy| **policy == *any.as_bytes())
    }

    /// Which policies below are as good as `policy`, itself when none is named.
    fn below(&self, policy: &PolicyOid) -> Vec<PolicyOid> {
        let named: Vec<_> = self.mappings.iter().filter(|(from, _)| from == policy).map(|(_, to)| to.clone()).collect();
        if named.is_empty() { vec![policy.clone()] } else { named }
    }
}

impl Default for PolicyState {
    fn default() -> Self {
        Self { expected: BTreeSet::new(), any: true, explicit: u32::MAX, mapping: u32::MAX, inhibit_any: u32::MAX }
    }
}

impl PolicyState {
    /// The trusted certificate. One that names no policies, as most roots, stands for all.
    pub(super) fn begin_at(&mut self, rules: &PolicyRules) -> bool {
        if rules.policies.is_some() {
            self.narrow(rules, true);
        }
        self.go_on(rules, true)
    }

    /// A certificate between the trusted one and the last; whether the path still stands.
    pub(super) fn pass(&mut self, rules: &PolicyRules, self_issued: bool) -> bool {
        self.narrow(rules, self.inhibit_any > 0 || self_issued);
        self.stands() && self.go_on(rules, self_issued)
    }

    /// The last certificate; whether the path stands.
    pub(super) fn end_at(mut self, rules: &PolicyRules) -> bool {
        self.narrow(rules, self.inhibit_any > 0);
        let before = self.stands();
        self.explicit = self.explicit.saturating_sub(1);
        if rules.require_explicit == Some(0) {
            self.explicit = 0;
        }
        before && self.stands()
    }

    /// Section 6.1.3, (d) and (e).
    fn narrow(&mut self, rules: &PolicyRules, any_counts: bool) {
        let none = BTreeSet::new();
        let own = rules.policies.as_ref().unwrap_or(&none);
        let any_counts = any_counts && rules.has_any;
        let mut valid: BTreeSet<PolicyOid> =
            own.iter().filter(|policy| self.any || self.expected.contains(*policy)).cloned().collect();
        if any_counts {
            valid.append(&mut self.expected);
        }
        self.expected = valid;
        self.any &= any_counts;
    }

    /// Section 6.1.3, (f).
    fn stands(&self) -> bool {
        self.explicit > 0 || self.any || !self.expected.is_empty()
    }

    /// Section 6.1.4, (a), (b) and (h) to (j).
    fn go_on(&mut self, rules: &PolicyRules, self_issued: bool) -> bool {
        if rules.maps_any() {
            return false;
        }
        self.map(rules);
        if !self_issued {
            for count in [&mut self.explicit, &mut self.mapping, &mut self.inhibit_any] {
                *count = count.saturating_sub(1);
            }
        }
        let least = |count: &mut u32, limit: Option<u32>| *count = limit.map_or(*count, |limit| limit.min(*count));
        least(&mut self.explicit, rules.require_explicit);
        least(&mut self.mapping, rules.inhibit_mapping);
        least(&mut self.inhibit_any, rules.inhibit_any);
        true
    }

    fn map(&mut self, rules: &PolicyRules) {
        if rules.mappings.is_empty() {
            return;
        }
        if self.mapping == 0 {
            self.expected.retain(|policy| rules.mappings.iter().all(|(from, _)| from != policy));
            return;
        }
        let mut expected: BTreeSet<PolicyOid> = self.expected.iter().flat_map(|policy| rules.below(policy)).collect();
        if self.any {
            expected.extend(rules.mappings.iter().map(|(_, to)| to.clone()));
        }
        self.expected = expected;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANY: &str = "any";

    /// An identifier for a letter.
    fn policy(letter: &str) -> PolicyOid {
        if letter == ANY { ANY_POLICY.as_bytes().into() } else { letter.as_bytes().into() }
    }

    /// Rules with policies; none at all when the list is empty.
    fn rules(ids: &[&str]) -> PolicyRules {
        let named = ids.iter().filter(|id| **id != ANY).map(|id| policy(id)).collect();
        let (has_any, policies) = (ids.contains(&ANY), (!ids.is_empty()).then_some(named));
        PolicyRules { policies, has_any, ..PolicyRules::default() }
    }

    /// Whether a path stands: trusted, those between, last.
    fn stands(trusted: &PolicyRules, between: &[PolicyRules], last: &PolicyRules) -> bool {
        let mut state = PolicyState::default();
        state.begin_at(trusted) && between.iter().all(|rules| state.pass(rules, false)) && state.end_at(last)
    }

    fn asking(ids: &[&str], after: u32) -> PolicyRules {
        PolicyRules { require_explicit: Some(after), ..rules(ids) }
    }

    #[test]
    fn a_policy_that_is_asked_for_must_go_through() {
        let root = rules(&[]);
        for (between, last, good) in [
            (&["a"][..], &["a"][..], true),
            (&["a"], &["b"], false),
            (&["a", "b"], &["b"], true),
            (&["a"], &[], false),
            (&[], &["a"], false),
            (&[ANY], &["a"], true),
            (&["a"], &[ANY], true),
            (&[ANY], &[ANY], true),
        ] {
            assert_eq!(stands(&root, &[asking(between, 0)], &rules(last)), good, "{between:?} {last:?}");
            assert!(stands(&root, &[rules(between)], &rules(last)), "nobody asks");
        }
        // The trusted one's own policies are all that there are.
        assert!(!stands(&rules(&["b"]), &[asking(&["a"], 0)], &rules(&["a"])));
        assert!(!stands(&asking(&[], 0), &[rules(&["a"])], &rules(&["b"])));
    }

    #[test]
    fn certificates_are_counted_until_a_policy_is_asked_for() {
        let root = rules(&[]);
        for (after, good) in [(0, false), (1, false), (2, false), (3, true)] {
            assert_eq!(stands(&root, &[asking(&["a"], after), rules(&["a"])], &rules(&[])), good, "{after}");
        }
        assert!(!stands(&root, &[rules(&["a"])], &asking(&["b"], 0)), "the last one asks itself");
        assert!(stands(&root, &[rules(&["a"])], &asking(&["b"], 1)));
        let mut state = PolicyState::default();
        assert!(state.begin_at(&asking(&[], 1)));
        assert!(state.pass(&rules(&[]), true), "who certified itself is not counted");
        assert!(state.pass(&rules(&[]), false) && !state.end_at(&rules(&["a"])));
    }

    #[test]
    fn any_policy_is_none_once_it_is_inhibited() {
        let root = rules(&[]);
        let inhibiting = |after| PolicyRules { inhibit_any: Some(after), ..asking(&["a"], 0) };
        assert!(!stands(&root, &[inhibiting(0)], &rules(&[ANY])));
        assert!(stands(&root, &[inhibiting(1)], &rules(&[ANY])));
        assert!(!stands(&root, &[inhibiting(1), rules(&["a"])], &rules(&[ANY])));
        let mut state = PolicyState::default();
        assert!(state.begin_at(&root) && state.pass(&inhibiting(0), false));
        assert!(state.pass(&rules(&[ANY]), true), "but for who certified itself");
        assert!(state.end_at(&rules(&["a"])));
    }

    #[test]
    fn mapped_policies_take_each_others_place() {
        let root = rules(&[]);
        let mapping = |ids: &[&str], pairs: &[(&str, &str)]| {
            let mappings = pairs.iter().map(|(from, to)| (policy(from), policy(to))).collect();
            PolicyRules { mappings, ..asking(ids, 0) }
        };
        let good = |authority: PolicyRules, last: &str| stands(&root, &[authority], &rules(&[last]));
        assert!(good(mapping(&["a"], &[("a", "b")]), "b") && !good(mapping(&["a"], &[("a", "b")]), "a"));
        assert!(good(mapping(&["a"], &[("a", "b"), ("a", "c")]), "c"));
        assert!(good(mapping(&["a", "d"], &[("a", "b")]), "d"), "what is not mapped stays");
        assert!(good(mapping(&[ANY], &[("a", "b")]), "b"));
        assert!(!good(mapping(&["a"], &[("c", "b")]), "b"), "it does not have what it maps");
        for pair in [("a", ANY), (ANY, "a")] {
            assert!(!good(PolicyRules { require_explicit: None, ..mapping(&["a"], &[pair]) }, "a"), "{pair:?}");
        }
        let inhibiting = PolicyRules { inhibit_mapping: Some(0), ..rules(&["a", "d"]) };
        let path = [inhibiting, mapping(&["a", "d"], &[("a", "b")])];
        assert!(!stands(&root, &path, &rules(&["b"])) && !stands(&root, &path, &rules(&["a"])));
        assert!(stands(&root, &path, &rules(&["d"])), "mappings that do not count take away");
    }
}
