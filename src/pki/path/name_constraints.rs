//! Which names an authority may certify (RFC 5280, section 4.2.1.10).

use x509_parser::asn1_rs::{Any, Class, FromDer as _, Tag};
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::{GeneralName, ParsedExtension};
use x509_parser::oid_registry::OID_PKCS9_EMAIL_ADDRESS;

use super::general_name::{Base, Form, Given};
use crate::pki::name::{self, Name};

/// Most comparisons of one certificate with the constraints of one authority: a certificate within the limit of its length
/// could ask for millions.
const MAX_COMPARISONS: usize = 1 << 20;

/// The name constraints of an authority.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::pki) struct NameConstraints {
    permitted: Vec<Subtree>,
    excluded: Vec<Subtree>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Subtree {
    form: Form,
    /// `None` for what cannot be judged: a form that is not known, or a subtree with bounds, which nobody uses (the RFC
    /// wants them absent). A certificate with a name of that form is refused.
    base: Option<Base>,
}

/// The names of a certificate.
pub(super) struct Names<'a>(Vec<(Form, Option<Given<'a>>)>);

impl NameConstraints {
    /// From the content of the extension; `None` when it is none.
    pub(in crate::pki) fn parse(der: &[u8]) -> Option<Self> {
        let mut parts = elements(whole(der).filter(|any| is_sequence(any))?.data)?.into_iter().peekable();
        let mut part = |tag: u32| match parts.next_if(|any| any.class() == Class::ContextSpecific && any.tag().0 == tag)
        {
            None => Some(Vec::new()),
            Some(subtrees) => {
                let subtrees = elements(subtrees.data)?;
                (!subtrees.is_empty()).then_some(())?;
                subtrees.iter().map(Subtree::parse).collect()
            }
        };
        let (permitted, excluded) = (part(0)?, part(1)?);
        parts.next().is_none().then_some(Self { permitted, excluded })
    }

    /// Of the certificate of an authority; `None` when there are none.
    pub(in crate::pki) fn of(certificate: &X509Certificate<'_>) -> Option<Self> {
        let extension = certificate
            .iter_extensions()
            .find(|extension| matches!(extension.parsed_extension(), ParsedExtension::NameConstraints(_)))?;
        Self::parse(extension.value)
    }

    /// Whether all of the names may be certified.
    pub(super) fn permit(&self, names: &Names<'_>) -> bool {
        let subtrees = self.permitted.len() + self.excluded.len();
        names.0.len().saturating_mul(subtrees) <= MAX_COMPARISONS
            && names.0.iter().all(|(form, name)| self.permits(form, name.as_ref()) == Some(true))
    }

    /// `None` when it cannot be told.
    fn permits(&self, form: &Form, name: Option<&Given<'_>>) -> Option<bool> {
        let within = |subtrees: &[Subtree]| {
            let mut concerned = subtrees.iter().filter(|subtree| subtree.form == *form).peekable();
            let is_concerned = concerned.peek().is_some();
            concerned
                .try_fold(false, |found, subtree| Some(found | subtree.base.as_ref()?.contains(name?)?))
                .map(|found| (is_concerned, found))
        };
        let (_, excluded) = within(&self.excluded)?;
        let (is_limited, permitted) = within(&self.permitted)?;
        Some(!excluded && (permitted || !is_limited))
    }
}

impl Subtree {
    fn parse(any: &Any<'_>) -> Option<Self> {
        let parts = is_sequence(any).then(|| elements(any.data)).flatten()?;
        let (name, bounds) = parts.split_first()?;
        let name = GeneralName::try_from(name.clone()).ok()?;
        // A minimum of zero is the default and no bound, though DER leaves it out.
        let is_default = |any: &Any<'_>| any.tag().0 == 0 && any.data == [0];
        let base = bounds.iter().all(is_default).then(|| Base::new(&name)).flatten();
        Some(Self { form: Form::of(&name), base })
    }
}

impl<'a> Names<'a> {
    /// Subject, unless it is empty, mail addresses in the subject, and alternative names.
    pub(super) fn of(certificate: &'a X509Certificate<'a>) -> Self {
        let subject = certificate.subject();
        let mut names = Vec::new();
        if subject.iter_rdn().next().is_some() {
            names.push((Form::Directory, Some(Given::Directory(Name::new(subject)))));
        }
        let mail = subject.iter_by_oid(&OID_PKCS9_EMAIL_ADDRESS);
        names.extend(mail.map(|mail| (Form::Mail, name::text(mail.attr_value()).map(Given::Mail))));
        for extension in certificate.iter_extensions() {
            if let ParsedExtension::SubjectAlternativeName(alternative) = extension.parsed_extension() {
                names.extend(alternative.general_names.iter().map(|name| (Form::of(name), Given::new(name))));
            }
        }
        Self(names)
    }
}

/// One element and nothing after it.
fn whole(der: &[u8]) -> Option<Any<'_>> {
    Any::from_der(der).ok().filter(|(rest, _)| rest.is_empty()).map(|(_, any)| any)
}

fn elements(mut der: &[u8]) -> Option<Vec<Any<'_>>> {
    let mut elements = Vec::new();
    while !der.is_empty() {
        let (rest, any) = Any::from_der(der).ok()?;
        elements.push(any);
        der = rest;
    }
    Some(elements)
}

fn is_sequence(any: &Any<'_>) -> bool {
    any.class() == Class::Universal && any.tag() == Tag::Sequence
}

#[cfg(test)]
mod tests {
    use super::*;

    fn element(tag: u8, content: &[u8]) -> Vec<u8> {
        [&[tag, u8::try_from(content.len()).unwrap()], content].concat()
    }

    /// Subtrees with what follows their names.
    fn subtrees(names: &[(&[u8], &[u8])]) -> Vec<u8> {
        names.iter().flat_map(|(name, bounds)| element(0x30, &[*name, *bounds].concat())).collect()
    }

    fn constraints(permitted: &[u8], excluded: &[u8]) -> Option<NameConstraints> {
        let part = |tag, subtrees: &[u8]| if subtrees.is_empty() { Vec::new() } else { element(tag, subtrees) };
        NameConstraints::parse(&element(0x30, &[part(0xa0, permitted), part(0xa1, excluded)].concat()))
    }

    const HOST: &[u8] = b"\x82\x01a";
    const OTHER_HOST: &[u8] = b"\x82\x01b";
    const MAIL: &[u8] = b"\x81\x01a";
    const ID: &[u8] = &[0x88, 1, 0x2a];

    fn host(name: &str) -> Names<'_> {
        Names(vec![(Form::Dns, Some(Given::Dns(name)))])
    }

    #[test]
    fn names_are_held_against_subtrees_of_their_form() {
        let permits =
            |permitted: &[u8], excluded: &[u8], name| constraints(permitted, excluded).unwrap().permit(&host(name));
        let (a, b, mail) = (subtrees(&[(HOST, &[])]), subtrees(&[(OTHER_HOST, &[])]), subtrees(&[(MAIL, &[])]));
        assert!(permits(&a, &[], "x.a") && !permits(&a, &[], "b"));
        assert!(permits(&[a.clone(), b].concat(), &[], "b"));
        assert!(!permits(&[], &a, "x.a") && permits(&[], &a, "b"));
        assert!(!permits(&a, &a, "a"), "what is excluded is not permitted");
        assert!(permits(&mail, &mail, "a"), "another form");
        let unknown = subtrees(&[(ID, &[])]);
        assert!(permits(&unknown, &unknown, "a"));
        let id = Names(vec![(Form::Other(8, Box::default()), None)]);
        assert!(!constraints(&unknown, &[]).unwrap().permit(&id), "nobody can tell");
        assert!(constraints(&a, &[]).unwrap().permit(&id));
    }

    #[test]
    fn subtrees_with_bounds_are_not_understood() {
        for (bounds, good) in [(&[0x80, 1, 0][..], true), (&[0x80, 1, 1], false), (&[0x81, 1, 0], false)] {
            let bounded = constraints(&subtrees(&[(HOST, bounds)]), &[]).unwrap();
            assert_eq!(bounded.permit(&host("a")), good, "{bounds:?}");
            assert!(bounded.permit(&Names(Vec::new())));
        }
    }

    #[test]
    fn what_is_no_list_of_subtrees_is_refused() {
        assert!(NameConstraints::parse(&element(0x30, &[])).is_some(), "it forbids nothing");
        let list = element(0xa0, &subtrees(&[(HOST, &[])]));
        for content in
            [&[0xa0, 0][..], &[0xa0, 2, 0x30, 0], &[5, 0], &[0xa2, 0], &[list.clone(), list.clone()].concat()]
        {
            assert_eq!(NameConstraints::parse(&element(0x30, content)), None, "{content:?}");
        }
        for whole in [element(0x31, &list), [element(0x30, &list), vec![0]].concat(), list[..3].to_vec()] {
            assert_eq!(NameConstraints::parse(&whole), None, "{whole:?}");
        }
    }

    #[test]
    fn millions_of_comparisons_are_not_made() {
        let many = NameConstraints {
            permitted: vec![Subtree { form: Form::Dns, base: Some(Base::Dns("a".into())) }; 1024],
            excluded: Vec::new(),
        };
        let names = |count| Names((0..count).map(|_| (Form::Dns, Some(Given::Dns("a")))).collect());
        assert!(many.permit(&names(1024)) && !many.permit(&names(1025)));
    }
}
