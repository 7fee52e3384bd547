use super::certificate::{ALTERNATIVE_NAME, NAME_CONSTRAINTS};
use super::der::{
    CN, EMAIL, IA5, O, PRINTABLE, UTF8, address, constraints, directory, dns, mail, name, organization, other,
    sequence, tlv, uri,
};
use super::judge::Case;
use super::{Path, but, changed};

const WHOLE_NETWORK: [u8; 8] = [10, 1, 0, 0, 255, 255, 0, 0];

/// A name, a base, both of one form.
fn pairs() -> Vec<(&'static str, Vec<u8>, Vec<u8>)> {
    let kind = "1.3.6.1.4.1.32473.8";
    vec![
        ("a host below", dns("dev1.example.com"), dns("example.com")),
        ("the host itself", dns("Example.com"), dns("example.com")),
        ("a host that ends alike", dns("badexample.com"), dns("example.com")),
        ("a host below a dot", dns("dev1.example.com"), dns(".example.com")),
        ("the host itself and a dot", dns("example.com"), dns(".example.com")),
        ("a host above", dns("com"), dns("example.com")),
        ("any host", dns("dev1.example.com"), dns("")),
        ("a mailbox", mail("me@example.com"), mail("me@EXAMPLE.com")),
        ("a mailbox in capitals", mail("ME@example.com"), mail("me@example.com")),
        ("a mailbox of a host", mail("me@example.com"), mail("example.com")),
        ("a mailbox of a host below", mail("me@a.example.com"), mail("example.com")),
        ("a mailbox of a domain", mail("me@a.example.com"), mail(".example.com")),
        ("a mailbox of the domain itself", mail("me@example.com"), mail(".example.com")),
        ("no mailbox", mail("example.com"), mail("example.com")),
        ("a URI of a host", uri("https://example.com/a"), uri("example.com")),
        ("a URI with a port", uri("https://example.com:8443/a"), uri("example.com")),
        ("a URI of a host below", uri("https://a.example.com/a"), uri("example.com")),
        ("a URI of a domain", uri("https://a.example.com"), uri(".example.com")),
        ("a URI of the domain itself", uri("https://example.com"), uri(".example.com")),
        ("a URI without a host", uri("urn:uuid:1"), uri("example.com")),
        ("an address", address(&[10, 1, 2, 3]), address(&WHOLE_NETWORK)),
        ("another address", address(&[10, 2, 2, 3]), address(&WHOLE_NETWORK)),
        ("a longer address", address(&[10; 16]), address(&[[10; 16], [255; 16]].concat())),
        ("an address of the other family", address(&[10; 16]), address(&WHOLE_NETWORK)),
        ("half an address", address(&[10, 1]), address(&WHOLE_NETWORK)),
        ("a base without a mask", address(&[10, 1, 2, 3]), address(&[10, 1, 2, 3])),
        ("a directory below", directory(&organization("a")), directory(&name(&[(O, UTF8, "Contoso")]))),
        ("a directory in capitals", directory(&organization("a")), directory(&name(&[(O, PRINTABLE, " CONTOSO ")]))),
        ("another directory", directory(&organization("a")), directory(&name(&[(O, UTF8, "Fabrikam")]))),
        ("a form of its own", other(kind, "a"), other(kind, "a")),
        ("another form of its own", other(kind, "a"), other("1.3.6.1.4.1.32473.7", "a")),
        ("a registered id", tlv(0x88, &[0x2a, 3]), tlv(0x88, &[0x2a, 3])),
        ("forms that differ", dns("dev1.example.com"), mail("example.com")),
    ]
}

pub(super) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for (what, given, base) in pairs() {
        for (where_, place) in [("middle", 1), ("root", 2)] {
            let with = |content: Vec<u8>, critical: bool| {
                changed(|p| {
                    *p.at(place) = p.at(place).clone().with(NAME_CONSTRAINTS, critical, content);
                    p.leaf = p.leaf.clone().with(ALTERNATIVE_NAME, false, sequence(&[&given]));
                    // Where directories are limited, the subjects must fit as well.
                    p.leaf.subject = name(&[(O, UTF8, "Contoso"), (CN, UTF8, "dev1")]);
                })
            };
            let one = std::slice::from_ref(&base);
            cases.push(with(constraints(one, &[]), true).case(format!("{what} permitted by {where_}")));
            cases.push(with(constraints(&[], one), false).case(format!("{what} excluded by {where_}")));
            cases.push(with(constraints(one, one), true).case(format!("{what} permitted and excluded by {where_}")));
        }
    }
    cases.extend(subjects());
    cases.extend(several());
    cases.extend(forms());
    cases
}

fn limited(name: &str, content: Vec<u8>, change: impl FnOnce(&mut Path)) -> Case {
    but(name, |p| {
        p.root = p.root.clone().with(NAME_CONSTRAINTS, true, content);
        change(p);
    })
}

/// Names in subjects.
fn subjects() -> Vec<Case> {
    let contoso = || directory(&name(&[(O, UTF8, "Contoso")]));
    let device = || directory(&name(&[(CN, UTF8, "dev1")]));
    let with_mail = |p: &mut Path| p.leaf.subject = name(&[(CN, UTF8, "dev1"), (EMAIL, IA5, "me@example.com")]);
    let dotted = |p: &mut Path| p.leaf.subject = name(&[(CN, UTF8, "dev1.example.net")]);
    vec![
        limited("both subjects permitted", constraints(&[contoso(), device()], &[]), |_| ()),
        limited("the authority's subject alone permitted", constraints(&[contoso()], &[]), |_| ()),
        limited("the device's subject alone permitted", constraints(&[device()], &[]), |_| ()),
        limited("the device's subject excluded", constraints(&[], &[device()]), |_| ()),
        limited("the authority's subject excluded", constraints(&[], &[contoso()]), |_| ()),
        limited("no subject", constraints(&[contoso()], &[]), |p| p.middle.subject = name(&[])),
        limited("a mail address in the subject permitted", constraints(&[mail("example.com")], &[]), with_mail),
        limited("a mail address in the subject not permitted", constraints(&[mail("example.net")], &[]), with_mail),
        limited("a mail address in the subject excluded", constraints(&[], &[mail("example.com")]), with_mail),
        limited("a common name like a host permitted", constraints(&[dns("example.net")], &[]), dotted),
        limited("a common name like a host not permitted", constraints(&[dns("example.com")], &[]), dotted)
            .taken_because("a common name is a registration id; openssl takes one with dots for a host"),
        limited("a common name like no host", constraints(&[dns("example.com")], &[]), |_| ()),
        Case::new(
            "an authority that certified itself is exempt",
            &[&super::Certificate::authority("root", "root", 0, 0).with(
                NAME_CONSTRAINTS,
                true,
                constraints(&[device()], &[]),
            )],
            &[&super::Certificate::device("root", 2, 1), &super::Certificate::authority("root", "root", 1, 0)],
        ),
    ]
}

/// Several names, several bases, several authorities.
fn several() -> Vec<Case> {
    let hosts = |p: &mut Path| {
        let names = sequence(&[dns("a.example.com"), dns("b.example.net")]);
        p.leaf = p.leaf.clone().with(ALTERNATIVE_NAME, true, names);
    };
    let both = [dns("example.com"), dns("example.net")];
    vec![
        limited("two hosts, two permitted", constraints(&both, &[]), hosts),
        limited("two hosts, one permitted", constraints(&both[..1], &[]), hosts),
        limited("two hosts, one excluded", constraints(&[], &both[1..]), hosts),
        limited("a part excluded of what is permitted", constraints(&both, &[dns("b.example.net")]), hosts),
        limited("another form excluded", constraints(&[], &[mail("example.com")]), hosts),
        limited("what one authority permits and the next does not", constraints(&both, &[]), |p| {
            hosts(p);
            p.middle = p.middle.clone().with(NAME_CONSTRAINTS, true, constraints(&both[..1], &[]));
        }),
        limited("what both permit", constraints(&both[..1], &[]), |p| {
            p.leaf = p.leaf.clone().with(ALTERNATIVE_NAME, true, sequence(&[dns("a.example.com")]));
            p.middle = p.middle.clone().with(NAME_CONSTRAINTS, true, constraints(&[dns("a.example.com")], &[]));
        }),
        limited("an authority with a name that is excluded", constraints(&[], &both), |p| {
            p.middle = p.middle.clone().with(ALTERNATIVE_NAME, false, sequence(&[dns("ca.example.com")]));
        }),
    ]
}

/// Constraints of unusual forms.
fn forms() -> Vec<Case> {
    let host = |p: &mut Path| {
        p.leaf = p.leaf.clone().with(ALTERNATIVE_NAME, false, sequence(&[dns("a.example.com")]));
    };
    let subtree = |bounds: &[Vec<u8>]| {
        let parts = [&[dns("example.com")], bounds].concat();
        sequence(&[tlv(0xa0, &sequence(&parts))])
    };
    vec![
        limited("a minimum of zero", subtree(&[tlv(0x80, &[0])]), host),
        limited("a minimum of one", subtree(&[tlv(0x80, &[1])]), host),
        limited("a maximum", subtree(&[tlv(0x81, &[1])]), host),
        limited("a minimum that concerns nobody", subtree(&[tlv(0x80, &[1])]), |_| ()),
        limited("no subtrees", sequence::<Vec<u8>>(&[]), host),
        limited("an empty list", sequence(&[tlv(0xa0, &[])]), host)
            .refused_because("a list has at least one subtree (RFC 5280, 4.2.1.10)"),
    ]
}
