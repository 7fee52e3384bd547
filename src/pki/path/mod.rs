//! What a path from a device's certificate up to a trusted authority must satisfy as a whole (RFC 5280, section 6.1), beyond
//! the signatures, dates and usages of each certificate: the names that an authority may certify, and the policies that it
//! asks for. What the trusted certificate itself says counts too, as RFC 5937 says.

mod extensions;
mod general_name;
mod name_constraints;
mod policy;

use std::borrow::Borrow;

use x509_parser::certificate::X509Certificate;

use crate::pki::authority::Authority;
use crate::pki::certificate;
use crate::pki::chain::ChainError;
pub use extensions::ExtensionFault;
pub(super) use extensions::check as check_extensions;
pub(super) use name_constraints::NameConstraints;
use name_constraints::Names;
pub(super) use policy::PolicyRules;
use policy::PolicyState;

/// Checks the path from `leaf` through `authorities`, the one nearest the leaf first and the trusted one last.
///
/// # Errors
/// [`ChainError::Name`] or [`ChainError::Policy`].
pub(super) fn validate<A: Borrow<Authority>>(leaf: &X509Certificate<'_>, authorities: &[A]) -> Result<(), ChainError> {
    check_names(leaf, authorities)?;
    check_policies(leaf, authorities)
}

/// Every authority's constraints hold for every certificate below it, but for those that an authority issued to itself (RFC
/// 5280, section 6.1.3, (b) and (c)).
fn check_names<A: Borrow<Authority>>(leaf: &X509Certificate<'_>, authorities: &[A]) -> Result<(), ChainError> {
    let constrained = authorities
        .iter()
        .enumerate()
        .filter_map(|(place, authority)| authority.borrow().name_constraints().map(|constraints| (place, constraints)));
    for (place, constraints) in constrained {
        if !constraints.permit(&Names::of(leaf)) {
            return Err(ChainError::Name(0));
        }
        for (below, authority) in authorities.iter().take(place).map(Borrow::borrow).enumerate() {
            let permitted = |certificate| constraints.permit(&Names::of(&certificate));
            if !authority.is_self_issued() && !certificate::parse(&authority.der).is_some_and(permitted) {
                return Err(ChainError::Name(below + 1));
            }
        }
    }
    Ok(())
}

fn check_policies<A: Borrow<Authority>>(leaf: &X509Certificate<'_>, authorities: &[A]) -> Result<(), ChainError> {
    let mut state = PolicyState::default();
    let trusted = authorities.len().saturating_sub(1);
    for (place, authority) in authorities.iter().map(Borrow::borrow).enumerate().rev() {
        let accepted = if place == trusted {
            state.begin_at(authority.policy_rules())
        } else {
            state.pass(authority.policy_rules(), authority.is_self_issued())
        };
        if !accepted {
            return Err(ChainError::Policy);
        }
    }
    if state.end_at(&PolicyRules::of(leaf)) { Ok(()) } else { Err(ChainError::Policy) }
}

#[cfg(test)]
mod tests {
    use rcgen::CustomExtension;
    use yasna::models::ObjectIdentifier;

    use super::*;
    use crate::pki::ca::{CertificateAuthority, Validity};
    use crate::pki::test_support::{key, leaf_by, now, root};

    #[test]
    fn the_certificate_is_named_that_its_authority_may_not_certify() {
        let named = |common_name: &str| {
            let mut name = rcgen::DistinguishedName::new();
            name.push(rcgen::DnType::CommonName, common_name);
            rcgen::GeneralSubtree::DirectoryName(name)
        };
        let top = root(9);
        // A device below `issuing`, below an authority that may certify names of these alone.
        let path = |permitted: &[&str]| {
            let middle = key();
            let certificate = leaf_by(&top, &middle, |params| {
                params.distinguished_name = rcgen::DistinguishedName::new();
                params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
                params.name_constraints = Some(rcgen::NameConstraints {
                    permitted_subtrees: permitted.iter().map(|name| named(name)).collect(),
                    excluded_subtrees: Vec::new(),
                });
            });
            let middle = CertificateAuthority::new(certificate, middle).unwrap();
            let issuing = middle.subordinate(key(), "issuing", 0, Validity::days(9, now())).unwrap();
            let leaf = leaf_by(&issuing, &key(), |_| ());
            let authorities = [issuing.der(), middle.der(), top.der()].map(|der| Authority::parse(der).unwrap());
            validate(&certificate::parse(&leaf).unwrap(), &authorities)
        };
        assert_eq!(path(&["device-0001", "issuing"]), Ok(()));
        assert_eq!(path(&["device-0001"]), Err(ChainError::Name(1)));
        assert_eq!(path(&["issuing"]), Err(ChainError::Name(0)));
    }
    type Policy = &'static [u64];
    const A: Policy = &[1, 3, 6, 1, 4, 1, 32473, 1];
    const B: Policy = &[1, 3, 6, 1, 4, 1, 32473, 2];
    const ANY: Policy = &[2, 5, 29, 32, 0];

    fn extension(kind: u64, content: Vec<u8>) -> CustomExtension {
        CustomExtension::from_oid_content(&[2, 5, 29, kind], content)
    }

    /// A list of lists of identifiers, as policies and their mappings are.
    fn listed(kind: u64, lists: &[&[Policy]]) -> CustomExtension {
        let content = yasna::construct_der(|writer| {
            writer.write_sequence(|writer| {
                for ids in lists {
                    writer.next().write_sequence(|writer| {
                        ids.iter().for_each(|id| writer.next().write_oid(&ObjectIdentifier::from_slice(id)));
                    });
                }
            });
        });
        extension(kind, content)
    }

    #[test]
    fn policies_are_those_that_certificates_name() {
        let top = root(9);
        let path = |authority: Vec<CustomExtension>, leaf: Option<Policy>| {
            let issuing = key();
            let certificate = leaf_by(&top, &issuing, |params| {
                params.distinguished_name = rcgen::DistinguishedName::new();
                params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
                params.custom_extensions = authority;
            });
            let issuing = CertificateAuthority::new(certificate, issuing).unwrap();
            let named = |params: &mut rcgen::CertificateParams| {
                params.custom_extensions.extend(leaf.map(|policy| listed(32, &[&[policy]])));
            };
            let leaf = leaf_by(&issuing, &key(), named);
            let authorities = [issuing.der(), top.der()].map(|der| Authority::parse(der).unwrap());
            validate(&certificate::parse(&leaf).unwrap(), &authorities)
        };
        let policy = |policy: Policy| listed(32, &[&[policy]]);
        let asks = || extension(36, b"\x30\x03\x80\x01\x00".to_vec());
        let maps = || listed(33, &[&[A, B]]);
        let takes_not_any = || extension(54, b"\x02\x01\x00".to_vec());
        for (authority, leaf, good) in [
            (vec![policy(A)], Some(B), true),
            (vec![policy(A), asks()], Some(A), true),
            (vec![policy(A), asks()], Some(B), false),
            (vec![policy(A), asks()], None, false),
            (vec![policy(A), asks()], Some(ANY), true),
            (vec![policy(ANY), asks()], Some(B), true),
            (vec![policy(A), asks(), takes_not_any()], Some(A), true),
            (vec![policy(A), asks(), takes_not_any()], Some(ANY), false),
            (vec![policy(A), asks(), maps()], Some(B), true),
            (vec![policy(A), asks(), maps()], Some(A), false),
        ] {
            let kinds: Vec<_> = authority.iter().filter_map(|extension| extension.oid_components().last()).collect();
            assert_eq!(path(authority.clone(), leaf).is_ok(), good, "{kinds:?}, {leaf:?}");
        }
        assert_eq!(path(vec![asks()], None), Err(ChainError::Policy));
    }
}
