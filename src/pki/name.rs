//! Distinguished names, compared as RFC 5280, section 7.1 says: what a name says counts, not how its strings are encoded.

use std::borrow::Cow;

use stringprep::x520prep;
use unicode_normalization::UnicodeNormalization as _;
use unicode_normalization::char::is_combining_mark;
use x509_parser::asn1_rs::{Any, Class, Tag};
use x509_parser::objects::{oid_registry, oid2abbrev};
use x509_parser::x509::X509Name;

/// A distinguished name ready to be compared: equal when the names match.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Name(Vec<Vec<Attribute>>);

/// One attribute of a relative distinguished name. The order is of no meaning, but the same for the same attributes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Attribute {
    /// Content of the object identifier.
    kind: Box<[u8]>,
    value: Value,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Value {
    /// A string, prepared.
    Text(String),
    /// Anything else is compared as it is encoded: tag and content.
    Other(u32, Box<[u8]>),
}

impl Name {
    pub(super) fn new(name: &X509Name<'_>) -> Self {
        let attributes = name.iter_rdn().map(|rdn| {
            let mut attributes: Vec<Attribute> = rdn
                .iter()
                .map(|attribute| Attribute {
                    kind: attribute.attr_type().as_bytes().into(),
                    value: Value::new(attribute.attr_value()),
                })
                .collect();
            attributes.sort_unstable();
            attributes
        });
        Self(attributes.collect())
    }

    /// Whether it begins with all relative names of `base`: the two are the same, or it lies below in the directory.
    pub(super) fn is_below(&self, base: &Self) -> bool {
        self.0.starts_with(&base.0)
    }
}

impl Value {
    fn new(value: &Any<'_>) -> Self {
        match text(value).and_then(|text| prepared(&text)) {
            Some(text) => Self::Text(text),
            None => Self::Other(value.tag().0, value.data.into()),
        }
    }
}

/// The string preparation of RFC 4518, as RFC 5280 wants it: characters mapped, case folded, normalised to NFKC, white
/// space compressed. `None` when the string has characters that may not be compared.
fn prepared(text: &str) -> Option<String> {
    let folded = x520prep(text, true).ok()?;
    if folded.is_ascii() {
        return Some(folded.split(' ').filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" "));
    }
    let mut prepared = String::with_capacity(folded.len());
    let mut characters = folded.nfkc().peekable();
    let mut gap = false;
    while let Some(character) = characters.next() {
        // A space that carries a mark is a character like any other (RFC 4518, section 2.6.1).
        if character == ' ' && !characters.peek().is_some_and(|next| is_combining_mark(*next)) {
            gap = true;
            continue;
        }
        if gap && !prepared.is_empty() {
            prepared.push(' ');
        }
        gap = false;
        prepared.push(character);
    }
    Some(prepared)
}

/// The text of a string, whichever of the types for names it has (RFC 5280, section 4.1.2.4; IA5String for domain
/// components and mail addresses). TeletexString is read as Latin-1: that is what those wrote who used it, whatever T.61
/// says.
pub(super) fn text<'a>(value: &Any<'a>) -> Option<Cow<'a, str>> {
    if value.class() != Class::Universal || value.header.is_constructed() {
        return None;
    }
    let data = value.data;
    match value.tag() {
        Tag::Utf8String | Tag::PrintableString | Tag::Ia5String | Tag::VisibleString | Tag::NumericString => {
            str::from_utf8(data).ok().map(Cow::Borrowed)
        }
        Tag::T61String => Some(data.iter().map(|byte| char::from(*byte)).collect::<String>().into()),
        Tag::BmpString => {
            let (units, []) = data.as_chunks::<2>() else { return None };
            let units = units.iter().map(|unit| u16::from_be_bytes(*unit));
            char::decode_utf16(units).collect::<Result<String, _>>().ok().map(Cow::Owned)
        }
        Tag::UniversalString => {
            let (units, []) = data.as_chunks::<4>() else { return None };
            let characters = units.iter().map(|unit| char::from_u32(u32::from_be_bytes(*unit)));
            characters.collect::<Option<String>>().map(Cow::Owned)
        }
        _ => None,
    }
}

/// The common name, `None` unless there is exactly one and it is text.
pub(super) fn common_name<'a>(name: &'a X509Name<'_>) -> Option<Cow<'a, str>> {
    let mut names = name.iter_common_name();
    match (names.next(), names.next()) {
        (Some(name), None) => text(name.attr_value()),
        _ => None,
    }
}

/// A name for people, such as `CN=device-0001, O=Contoso`.
pub(super) fn shown(name: &X509Name<'_>) -> String {
    let attribute = |attribute: &x509_parser::x509::AttributeTypeAndValue<'_>| {
        let kind = attribute.attr_type();
        let kind = oid2abbrev(kind, oid_registry()).map_or_else(|_| kind.to_id_string(), str::to_owned);
        let value = attribute.attr_value();
        let value =
            text(value).map_or_else(|| value.data.iter().map(|byte| format!("{byte:02X}")).collect(), Cow::into_owned);
        format!("{kind}={value}")
    };
    let rdn = |rdn: &x509_parser::x509::RelativeDistinguishedName<'_>| {
        rdn.iter().map(attribute).collect::<Vec<_>>().join(" + ")
    };
    name.iter_rdn().map(rdn).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use x509_parser::prelude::FromDer as _;
    use yasna::models::ObjectIdentifier;

    use super::*;

    const COMMON_NAME: [u64; 4] = [2, 5, 4, 3];
    const ORGANIZATION: [u64; 4] = [2, 5, 4, 10];
    const UTF8: u8 = 0x0c;
    const NUMERIC: u8 = 0x12;
    const PRINTABLE: u8 = 0x13;
    const T61: u8 = 0x14;
    const IA5: u8 = 0x16;
    const UNIVERSAL: u8 = 0x1c;
    const BMP: u8 = 0x1e;

    /// Object identifier, tag and content.
    type Written<'a> = ([u64; 4], u8, &'a [u8]);

    /// Relative names, each with its attributes.
    fn der(rdns: &[&[Written<'_>]]) -> Vec<u8> {
        yasna::construct_der(|writer| {
            writer.write_sequence(|writer| {
                for rdn in rdns {
                    writer.next().write_set(|writer| {
                        for (kind, tag, content) in *rdn {
                            writer.next().write_sequence(|writer| {
                                writer.next().write_oid(&ObjectIdentifier::from_slice(kind));
                                let length = u8::try_from(content.len()).unwrap();
                                writer.next().write_der(&[&[*tag, length], *content].concat());
                            });
                        }
                    });
                }
            });
        })
    }

    fn name(rdns: &[&[Written<'_>]]) -> Name {
        let der = der(rdns);
        Name::new(&X509Name::from_der(&der).unwrap().1)
    }

    fn organization(tag: u8, content: &[u8]) -> Name {
        name(&[&[(ORGANIZATION, tag, content)]])
    }

    fn utf8(text: &str) -> Name {
        organization(UTF8, text.as_bytes())
    }

    fn utf16(text: &str) -> Vec<u8> {
        text.encode_utf16().flat_map(u16::to_be_bytes).collect()
    }

    #[test]
    fn the_type_of_a_string_does_not_count() {
        let utf32: Vec<u8> = "Contoso".chars().flat_map(|c| u32::from(c).to_be_bytes()).collect();
        for (tag, content) in [
            (PRINTABLE, "Contoso".as_bytes()),
            (T61, b"Contoso"),
            (IA5, b"Contoso"),
            (BMP, &utf16("Contoso")),
            (UNIVERSAL, &utf32),
        ] {
            assert_eq!(organization(tag, content), utf8("Contoso"), "{tag:#x}");
        }
        assert_eq!(organization(T61, b"M\xfcller"), utf8("Müller"));
        for no_string in [0x8c, 0x2c] {
            assert_ne!(organization(no_string, b"x"), utf8("x"), "{no_string:#x}");
        }
        assert_ne!(organization(BMP, b"odd"), utf8("odd"), "half a character");
        assert_ne!(name(&[&[(COMMON_NAME, UTF8, b"x")]]), utf8("x"), "another kind of attribute");
    }

    #[test]
    fn strings_are_prepared_as_rfc_4518_says() {
        for (one, other) in [
            ("Contoso Ltd", "CONTOSO ltd"),
            ("Contoso Ltd", "  Contoso \t  Ltd "),
            ("Straße", "STRASSE"),
            ("M\u{fc}ller", "MU\u{308}LLER"),
            ("ﬁx\u{ad}ed", "FIXED"),
            ("a\u{a0}b", "a b"),
            ("  Müller \u{a0} Söhne ", "müller söhne"),
        ] {
            assert_eq!(utf8(one), utf8(other), "{one:?}, {other:?}");
        }
        for (one, other) in [
            ("ab", "a b"),
            ("a", "b"),
            ("é", "e"),
            ("ä", "ö"),
            ("äb", "ä b"),
            ("a \u{308}b", "a  \u{308}b"),
            ("x\u{e000}", "X\u{e000}"),
        ] {
            assert_ne!(utf8(one), utf8(other), "{one:?}, {other:?}");
        }
        assert_eq!(utf8("x\u{e000}"), utf8("x\u{e000}"), "what may not be prepared is compared as it is");
        assert_ne!(organization(NUMERIC, b"\xff"), organization(UTF8, b"\xff"));
    }

    #[test]
    fn relative_names_have_an_order_and_their_attributes_have_none() {
        let (cn, o) = ((COMMON_NAME, UTF8, b"ca".as_slice()), (ORGANIZATION, PRINTABLE, b"Contoso".as_slice()));
        assert_eq!(name(&[&[cn, o]]), name(&[&[o, cn]]));
        assert_ne!(name(&[&[cn], &[o]]), name(&[&[o], &[cn]]));
        assert_ne!(name(&[&[cn], &[o]]), name(&[&[cn, o]]));
        assert_ne!(name(&[&[cn]]), name(&[&[cn], &[o]]));
        assert_eq!(name(&[]), name(&[]));
    }

    #[test]
    fn names_are_shown_as_text_whatever_they_are_encoded_in() {
        let der = der(&[&[(COMMON_NAME, BMP, &utf16("Gerät 7"))], &[(ORGANIZATION, T61, b"M\xfcller")]]);
        let (_, name) = X509Name::from_der(&der).unwrap();
        assert_eq!(shown(&name), "CN=Gerät 7, O=Müller");
        assert_eq!(common_name(&name).as_deref(), Some("Gerät 7"));
    }

    proptest! {
        #[test]
        fn case_and_white_space_never_count(words in prop::collection::vec("[A-Za-z0-9.-]{1,8}", 1..5), gaps in prop::collection::vec(1..4_usize, 5)) {
            let plain = words.join(" ");
            let mut spaced = " ".repeat(gaps[0] - 1);
            for (word, gap) in words.iter().zip(&gaps) {
                spaced += &word.to_ascii_uppercase();
                spaced += &" ".repeat(*gap);
            }
            prop_assert_eq!(organization(PRINTABLE, spaced.as_bytes()), utf8(&plain));
            prop_assert_ne!(utf8(&format!("{plain} x")), utf8(&plain));
        }

        #[test]
        fn any_bytes_are_equal_to_themselves_and_panic_nobody(tag in 0..31_u8, content in prop::collection::vec(any::<u8>(), 0..40)) {
            prop_assert_eq!(organization(tag, &content), organization(tag, &content));
        }
    }
}
