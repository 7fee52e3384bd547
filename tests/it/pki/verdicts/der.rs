//! Just enough DER to say what no library would let one say.

/// One element.
pub(super) fn tlv(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = match u16::try_from(content.len()).unwrap() {
        length @ ..0x80 => vec![length as u8],
        length @ ..0x100 => vec![0x81, length as u8],
        length => [&[0x82], &length.to_be_bytes()[..]].concat(),
    };
    [&[tag], &length[..], content].concat()
}

pub(super) fn sequence<P: AsRef<[u8]>>(parts: &[P]) -> Vec<u8> {
    tlv(0x30, &join(parts))
}

pub(super) fn join<P: AsRef<[u8]>>(parts: &[P]) -> Vec<u8> {
    parts.iter().flat_map(|part| part.as_ref().to_vec()).collect()
}

/// From dotted text.
pub(super) fn oid(text: &str) -> Vec<u8> {
    let arcs: Vec<u32> = text.split('.').map(|arc| arc.parse().unwrap()).collect();
    let mut content = Vec::new();
    for arc in std::iter::once(arcs[0] * 40 + arcs[1]).chain(arcs[2..].iter().copied()) {
        let groups = (0..5).rev().map(|group| (arc >> (7 * group)) & 0x7f).skip_while(|bits| *bits == 0);
        let mut groups: Vec<u8> = groups.map(|bits| bits as u8 | 0x80).collect();
        groups.resize(groups.len().max(1), 0);
        *groups.last_mut().unwrap() &= 0x7f;
        content.append(&mut groups);
    }
    tlv(6, &content)
}

pub(super) fn integer(number: u8) -> Vec<u8> {
    tlv(2, &[number])
}

/// An attribute of a name: its kind, the type of its string, its text.
pub(super) type Attribute<'a> = (&'a str, u8, &'a str);

pub(super) const CN: &str = "2.5.4.3";
pub(super) const O: &str = "2.5.4.10";
pub(super) const EMAIL: &str = "1.2.840.113549.1.9.1";
pub(super) const UTF8: u8 = 0x0c;
pub(super) const PRINTABLE: u8 = 0x13;
pub(super) const IA5: u8 = 0x16;

pub(super) fn name(attributes: &[Attribute<'_>]) -> Vec<u8> {
    let relative = |(kind, tag, text): &Attribute<'_>| tlv(0x31, &sequence(&[oid(kind), tlv(*tag, text.as_bytes())]));
    sequence(&attributes.iter().map(relative).collect::<Vec<_>>())
}

/// The name of an authority.
pub(super) fn organization(unit: &str) -> Vec<u8> {
    name(&[(O, UTF8, "Contoso"), (CN, UTF8, unit)])
}

/// GeneralName of the forms that are text.
pub(super) fn mail(text: &str) -> Vec<u8> {
    tlv(0x81, text.as_bytes())
}

pub(super) fn dns(text: &str) -> Vec<u8> {
    tlv(0x82, text.as_bytes())
}

pub(super) fn directory(name: &[u8]) -> Vec<u8> {
    tlv(0xa4, name)
}

pub(super) fn uri(text: &str) -> Vec<u8> {
    tlv(0x86, text.as_bytes())
}

pub(super) fn address(bytes: &[u8]) -> Vec<u8> {
    tlv(0x87, bytes)
}

/// otherName of a type, with a text.
pub(super) fn other(kind: &str, text: &str) -> Vec<u8> {
    tlv(0xa0, &join(&[oid(kind), tlv(0xa0, &tlv(UTF8, text.as_bytes()))]))
}

/// nameConstraints.
pub(super) fn constraints(permitted: &[Vec<u8>], excluded: &[Vec<u8>]) -> Vec<u8> {
    let part = |tag, names: &[Vec<u8>]| match names.is_empty() {
        true => Vec::new(),
        false => tlv(tag, &join(&names.iter().map(|name| sequence(&[name])).collect::<Vec<_>>())),
    };
    sequence(&[part(0xa0, permitted), part(0xa1, excluded)])
}

/// certificatePolicies.
pub(super) fn policies(ids: &[&str]) -> Vec<u8> {
    sequence(&ids.iter().map(|id| sequence(&[oid(id)])).collect::<Vec<_>>())
}

/// policyMappings.
pub(super) fn mappings(pairs: &[(&str, &str)]) -> Vec<u8> {
    sequence(&pairs.iter().map(|(from, to)| sequence(&[oid(from), oid(to)])).collect::<Vec<_>>())
}

/// policyConstraints: requireExplicitPolicy, inhibitPolicyMapping.
pub(super) fn policy_constraints(explicit: Option<u8>, mapping: Option<u8>) -> Vec<u8> {
    let part = |tag, number: Option<u8>| number.map_or_else(Vec::new, |number| tlv(tag, &[number]));
    sequence(&[part(0x80, explicit), part(0x81, mapping)])
}
