use super::certificate::{
    AUTHORITY_KEY_ID, BASIC_CONSTRAINTS, CERT_SIGN, CLIENT_AUTH, DIGITAL_SIGNATURE, EXTENDED_KEY_USAGE, KEY_USAGE,
    SUBJECT_KEY_ID, authority_key_id, basic_constraints, key_id, purposes,
};
use super::der::{O, PRINTABLE, UTF8, directory, integer, name, organization, sequence, tlv};
use super::judge::Case;
use super::{PLACES, but, changed, path};

const SERVER_AUTH: &str = "1.3.6.1.5.5.7.3.1";
const CODE_SIGNING: &str = "1.3.6.1.5.5.7.3.3";
const ANY_PURPOSE: &str = "2.5.29.37.0";

pub(super) fn cases() -> Vec<Case> {
    let mut cases = vec![
        path().case("good"),
        path().whole("good with its root"),
        Case::new("without its authority", &[&path().root], &[&path().leaf]),
        Case::new("by the authority itself", &[&path().middle], &[&path().leaf]),
    ];
    cases.extend(dates());
    cases.extend(signatures());
    cases.extend(issuers());
    cases.extend(versions());
    cases.extend(serials());
    cases.extend(authorities());
    cases.extend(usages());
    cases.extend(purposes_of());
    cases.extend(of_openssl());
    cases
}

fn dates() -> Vec<Case> {
    let mut cases = Vec::new();
    for (validity, what) in [
        (["200101000000Z", "251231235959Z"], "expired a second ago"),
        (["200101000000Z", "260101000000Z"], "expires now"),
        (["260101000000Z", "270101000000Z"], "begins now"),
        (["260103000000Z", "270101000000Z"], "begins the day after tomorrow"),
        (["270101000000Z", "250101000000Z"], "ends before it begins"),
        (["500101000000Z", "260101000001Z"], "begins in 1950"),
    ] {
        for (place, who) in PLACES.iter().enumerate() {
            let name = format!("{who} {what}");
            cases.push(match what {
                // openssl lets a certificate end with the second that it names, we with the end of that second.
                "expires now" => but(name, |p| p.at(place).validity = validity)
                    .taken_because("the last second is over when it is over"),
                _ => but(name, |p| p.at(place).validity = validity),
            });
        }
    }
    cases
}

fn signatures() -> Vec<Case> {
    let mut cases = Vec::new();
    for (place, who) in PLACES.iter().enumerate() {
        cases.push(but(format!("{who} with a forged signature"), |p| p.at(place).forged = true));
        let other_algorithm = but(format!("{who} with two algorithms"), |p| {
            p.at(place).outer_algorithm = "1.2.840.10045.4.3.3";
        });
        cases.push(match place {
            2 => other_algorithm
                .refused_because("the two algorithms must be the same (RFC 5280, 4.1.1.2), trusted or not"),
            _ => other_algorithm,
        });
        cases.push(but(format!("{who} signed with another key"), |p| p.at(place).signer = 5));
    }
    cases
}

/// Who signed it, as the certificate has it.
fn issuers() -> Vec<Case> {
    let issuer_and_serial =
        |unit: &str, serial: u8| sequence(&[tlv(0xa1, &directory(&organization(unit))), tlv(0x82, &[serial])]);
    let leaf =
        |name: &str, key_id: Vec<u8>| but(name, |p| p.leaf = p.leaf.clone().with(AUTHORITY_KEY_ID, false, key_id));
    vec![
        leaf("another key identifier", authority_key_id(3)),
        leaf("issuer and serial", issuer_and_serial("root", 0x11)),
        leaf("issuer and another serial", issuer_and_serial("root", 0x12)),
        leaf("another issuer and serial", issuer_and_serial("middle", 0x11)),
        leaf("an empty authority key identifier", sequence::<Vec<u8>>(&[])),
        but("no authority key identifier", |p| p.leaf = p.leaf.clone().without(AUTHORITY_KEY_ID)),
        but("no subject key identifier", |p| p.middle = p.middle.clone().without(SUBJECT_KEY_ID)),
        but("another subject key identifier", |p| {
            p.middle = p.middle.clone().with(SUBJECT_KEY_ID, false, tlv(4, &key_id(4)));
        }),
        but("another issuer", |p| p.leaf.issuer = organization("other")),
        but("the issuer in capitals", |p| p.leaf.issuer = organization("MIDDLE")),
        but("the issuer with more spaces", |p| p.leaf.issuer = organization("  middle  ")),
        but("the issuer as another type of string", |p| {
            p.leaf.issuer = name(&[(O, PRINTABLE, "Contoso"), ("2.5.4.3", PRINTABLE, "middle")]);
        }),
        but("the issuer the other way round", |p| {
            p.leaf.issuer = name(&[("2.5.4.3", UTF8, "middle"), (O, UTF8, "Contoso")]);
        }),
        but("the issuer in German capitals", |p| {
            p.middle.subject = organization("straße");
            p.leaf.issuer = organization("STRASSE");
        })
        .taken_because("openssl folds the case of ASCII only (RFC 5280, 7.1 and RFC 4518 fold all)"),
        but("no issuer", |p| {
            p.middle.subject = name(&[]);
            p.leaf.issuer = name(&[]);
        }),
    ]
}

fn versions() -> Vec<Case> {
    let mut cases = Vec::new();
    for (place, who) in PLACES.iter().enumerate() {
        for (version, number) in [(None, 1), (Some(1), 2)] {
            let bare = but(format!("{who} of version {number}"), |p| {
                p.at(place).version = version;
                p.at(place).extensions.clear();
            });
            let extended = but(format!("{who} of version {number} with extensions"), |p| p.at(place).version = version);
            cases.push(match (place, number) {
                (0, _) => bare.refused_because("a leaf without extensions cannot be judged: version 3 is wanted"),
                (2, 1) => bare.refused_because("a root of version 1 does not say that it is an authority"),
                _ => bare,
            });
            cases.push(extended.refused_because("only version 3 has extensions (RFC 5280, 4.1.2.1)"));
        }
    }
    cases
}

fn serials() -> Vec<Case> {
    let serials: [(&str, Vec<u8>); 5] = [
        ("zero", vec![0]),
        ("negative", vec![0x80]),
        ("of 20 bytes", vec![0x7f; 20]),
        ("of 21 bytes", [&[0][..], &[0xff; 20]].concat()),
        ("of 60 bytes", vec![0x7f; 60]),
    ];
    let mut cases = Vec::new();
    for (what, serial) in serials {
        for (place, who) in PLACES.iter().enumerate() {
            cases.push(but(format!("{who} with a serial number that is {what}"), |p| {
                p.at(place).serial.clone_from(&serial);
            }));
        }
    }
    cases
}

/// basicConstraints.
fn authorities() -> Vec<Case> {
    let mut cases = Vec::new();
    let trusted = "a trusted certificate must say that it is an authority";
    for (place, who) in PLACES.iter().enumerate().skip(1) {
        let with = |content: Vec<u8>, critical| {
            changed(|p| *p.at(place) = p.at(place).clone().with(BASIC_CONSTRAINTS, critical, content))
        };
        cases.push(with(basic_constraints(false, None), true).case(format!("{who} is no authority")));
        cases.push(with(basic_constraints(true, None), false).case(format!("{who} is one, not critical")));
        for length in 0..3 {
            let limited = with(basic_constraints(true, Some(length)), true);
            cases.push(limited.case(format!("{who} with path length {length}")));
        }
        cases
            .push(with(sequence(&[tlv(1, &[0xff]), tlv(2, &[0xff])]), true).case(format!("{who} with path length -1")));
        cases.push(with(integer(1), true).case(format!("{who} with unreadable basicConstraints")));
        let absent = but(format!("{who} without basicConstraints"), |p| {
            *p.at(place) = p.at(place).clone().without(BASIC_CONSTRAINTS);
        });
        cases.push(if place == 2 { absent.refused_because(trusted) } else { absent });
    }
    let leaf = |content| changed(|p| p.leaf = p.leaf.clone().with(BASIC_CONSTRAINTS, true, content));
    cases.push(leaf(basic_constraints(false, None)).case("leaf says that it is no authority"));
    cases.push(leaf(basic_constraints(false, Some(1))).case("leaf with a path length"));
    let authority = leaf(basic_constraints(true, None)).case("leaf is an authority");
    cases.push(authority.refused_because("a device is no authority"));
    cases
}

/// keyUsage.
fn usages() -> Vec<Case> {
    const AGREEMENT: &[u8] = &[3, 2, 3, 0x08];
    const ENCIPHERMENT: &[u8] = &[3, 2, 5, 0x20];
    let mut cases = Vec::new();
    for (place, who) in PLACES.iter().enumerate() {
        let with = |what: &str, content: &[u8]| {
            but(format!("{who} {what}"), |p| *p.at(place) = p.at(place).clone().with(KEY_USAGE, true, content))
        };
        cases.push(with("for signatures", DIGITAL_SIGNATURE));
        cases.push(with("for certificates", CERT_SIGN));
        cases.push(with("for both", &[3, 2, 2, 0x84]));
        cases.push(with("for encipherment", ENCIPHERMENT));
        cases.push(with("with unreadable keyUsage", &[5, 0]));
        cases.push(match place {
            0 => with("for key agreement", AGREEMENT)
                .refused_because("a device signs the handshake: digitalSignature is wanted (RFC 5246, 7.4.6)"),
            _ => with("for key agreement", AGREEMENT),
        });
        cases.push(but(format!("{who} without keyUsage"), |p| *p.at(place) = p.at(place).clone().without(KEY_USAGE)));
    }
    cases
}

/// extendedKeyUsage.
fn purposes_of() -> Vec<Case> {
    let mut cases = Vec::new();
    for (place, who) in PLACES.iter().enumerate() {
        for critical in [false, true] {
            for (ids, what) in [
                (&[CLIENT_AUTH][..], "for clients"),
                (&[SERVER_AUTH], "for servers"),
                (&[SERVER_AUTH, CLIENT_AUTH], "for both"),
                (&[CODE_SIGNING], "for code"),
                (&[ANY_PURPOSE], "for anything"),
                (&[SERVER_AUTH, ANY_PURPOSE], "for servers and anything"),
            ] {
                let case = but(format!("{who} {what}, critical: {critical}"), |p| {
                    *p.at(place) = p.at(place).clone().with(EXTENDED_KEY_USAGE, critical, purposes(ids));
                });
                cases.push(match what.ends_with("anything") {
                    true => case.taken_because("any purpose is any purpose; openssl wants the one by name"),
                    false => case,
                });
            }
        }
        cases.push(but(format!("{who} without extendedKeyUsage"), |p| {
            *p.at(place) = p.at(place).clone().without(EXTENDED_KEY_USAGE);
        }));
        cases.push(but(format!("{who} with unreadable extendedKeyUsage"), |p| {
            *p.at(place) = p.at(place).clone().with(EXTENDED_KEY_USAGE, false, integer(1));
        }));
    }
    cases
}

/// Certificates that openssl made.
fn of_openssl() -> Vec<Case> {
    let data = |name: &str| {
        let path = format!("{}/tests/data/client-certificates/{name}", env!("CARGO_MANIFEST_DIR"));
        fleetstorm::pki::store::read_certificate(path.as_ref()).unwrap()
    };
    vec![
        Case::of("a short RSA key", vec![data("ca.pem")], vec![data("dev-rsa1024.pem")]),
        Case::of("version 1", vec![data("ca.pem")], vec![data("leaf-v1.pem")]),
    ]
}
