use super::certificate::{
    ALTERNATIVE_NAME, AUTHORITY_KEY_ID, BASIC_CONSTRAINTS, INHIBIT_ANY, KEY_USAGE, MAPPINGS, NAME_CONSTRAINTS,
    POLICIES, POLICY_CONSTRAINTS, PRIVATE, SUBJECT_KEY_ID, authority_key_id, basic_constraints, key_id,
};
use super::der::{constraints, dns, integer, mappings, oid, policies, policy_constraints, sequence, tlv, uri};
use super::judge::Case;
use super::{PLACES, but};

const DISTRIBUTION_POINTS: &str = "2.5.29.31";
const NULL: &[u8] = &[5, 0];

/// Identifiers and contents that are well formed and forbid nothing here.
fn harmless() -> Vec<(&'static str, Vec<u8>)> {
    let distribution_point = sequence(&[sequence(&[tlv(0xa0, &tlv(0xa0, &uri("http://crl.example/a.crl")))])]);
    let access = sequence(&[sequence(&[oid("1.3.6.1.5.5.7.48.2"), uri("http://ca.example/a.cer")])]);
    vec![
        (PRIVATE, NULL.to_vec()),
        (ALTERNATIVE_NAME, sequence(&[dns("dev1.example")])),
        ("2.5.29.18", sequence(&[dns("ca.example")])),
        (POLICIES, policies(&["1.2.3"])),
        (MAPPINGS, mappings(&[("1.2.3", "1.2.4")])),
        (POLICY_CONSTRAINTS, policy_constraints(Some(9), Some(9))),
        (INHIBIT_ANY, integer(9)),
        (NAME_CONSTRAINTS, constraints(&[], &[dns("elsewhere.example")])),
        (DISTRIBUTION_POINTS, distribution_point.clone()),
        ("2.5.29.46", distribution_point),
        ("1.3.6.1.5.5.7.1.1", access.clone()),
        ("1.3.6.1.5.5.7.1.11", access),
        ("2.5.29.9", sequence::<Vec<u8>>(&[])),
        ("1.3.6.1.5.5.7.48.1.5", NULL.to_vec()),
    ]
}

pub(super) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for (place, who) in PLACES.iter().enumerate() {
        for (id, content) in harmless() {
            for critical in [false, true] {
                let case = but(format!("{who} with {id}, critical: {critical}"), |p| {
                    *p.at(place) = p.at(place).clone().with(id, critical, content.clone());
                });
                cases.push(match (id, critical) {
                    ("1.3.6.1.5.5.7.48.1.5", true) => {
                        case.refused_because("nobody here asks OCSP, so nothing of it is known")
                    }
                    _ => case,
                });
            }
            let twice = but(format!("{who} with {id} twice"), |p| {
                *p.at(place) = p.at(place).clone().and(id, false, content.clone()).and(id, false, content.clone());
            });
            let openssl_sees = matches!(id, ALTERNATIVE_NAME | NAME_CONSTRAINTS | DISTRIBUTION_POINTS)
                || place < 2 && matches!(id, POLICIES | POLICY_CONSTRAINTS);
            cases.push(if openssl_sees { twice } else { twice.refused_because("each is there once (RFC 5280, 4.2)") });
        }
        for (id, content) in [
            (KEY_USAGE, [3, 2, 2, 0x84].to_vec()),
            (BASIC_CONSTRAINTS, basic_constraints(place > 0, None)),
            (SUBJECT_KEY_ID, tlv(4, &key_id(place))),
            (AUTHORITY_KEY_ID, authority_key_id(place)),
        ] {
            cases.push(but(format!("{who} with another {id}"), |p| {
                *p.at(place) = p.at(place).clone().and(id, false, content);
            }));
        }
        for id in [AUTHORITY_KEY_ID, SUBJECT_KEY_ID] {
            let critical = but(format!("{who} with critical {id}"), |p| {
                for (_, critical, _) in p.at(place).extensions.iter_mut().filter(|(other, ..)| *other == id) {
                    *critical = true;
                }
            });
            cases.push(critical.taken_because("key identifiers should not be critical, but are acted on"));
        }
        for id in [
            ALTERNATIVE_NAME,
            POLICIES,
            MAPPINGS,
            POLICY_CONSTRAINTS,
            INHIBIT_ANY,
            NAME_CONSTRAINTS,
            AUTHORITY_KEY_ID,
            SUBJECT_KEY_ID,
            DISTRIBUTION_POINTS,
        ] {
            let unreadable = but(format!("{who} with unreadable {id}"), |p| {
                *p.at(place) = p.at(place).clone().with(id, false, NULL);
            });
            // openssl reads them when it needs them: never those of a trusted certificate.
            let openssl_reads =
                !matches!(id, MAPPINGS | INHIBIT_ANY) && (place < 2 || !matches!(id, POLICIES | POLICY_CONSTRAINTS));
            let reason = "what decides about trust must be readable";
            cases.push(if openssl_reads { unreadable } else { unreadable.refused_because(reason) });
        }
    }
    cases
}
