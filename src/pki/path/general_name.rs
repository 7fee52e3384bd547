//! One name of a certificate held against one subtree of names (RFC 5280, section 4.2.1.10).

use std::borrow::Cow;

use x509_parser::extensions::GeneralName;

use crate::pki::name::Name;

/// Form of a name; only names of one form are held against each other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Form {
    Directory,
    Dns,
    Mail,
    Uri,
    Address,
    /// Another one, by its tag, and what of its type tells kinds of it apart. Nothing is known about what such names mean.
    Other(u32, Box<[u8]>),
}

/// Names below one name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Base {
    Directory(Name),
    Dns(Box<str>),
    Mail(Box<str>),
    Uri(Box<str>),
    /// Address and mask, each of 4 or 16 bytes.
    Address(Box<[u8]>),
}

/// A name that is held against subtrees.
#[derive(Debug)]
pub(super) enum Given<'a> {
    Directory(Name),
    Dns(&'a str),
    Mail(Cow<'a, str>),
    Uri(&'a str),
    Address(&'a [u8]),
}

impl Form {
    pub(super) fn of(name: &GeneralName<'_>) -> Self {
        match name {
            GeneralName::DirectoryName(_) => Self::Directory,
            GeneralName::DNSName(_) => Self::Dns,
            GeneralName::RFC822Name(_) => Self::Mail,
            GeneralName::URI(_) => Self::Uri,
            GeneralName::IPAddress(_) => Self::Address,
            GeneralName::OtherName(kind, _) => Self::Other(0, kind.as_bytes().into()),
            GeneralName::X400Address(_) => Self::Other(3, Box::default()),
            GeneralName::EDIPartyName(_) => Self::Other(5, Box::default()),
            GeneralName::RegisteredID(_) => Self::Other(8, Box::default()),
            // It is none of its form, but it says that it is.
            GeneralName::Invalid(tag, _) => match tag.0 {
                1 => Self::Mail,
                2 => Self::Dns,
                4 => Self::Directory,
                6 => Self::Uri,
                7 => Self::Address,
                tag => Self::Other(tag, Box::default()),
            },
        }
    }
}

impl Base {
    /// `None` for a form that is not known here, or what cannot be one.
    pub(super) fn new(name: &GeneralName<'_>) -> Option<Self> {
        Some(match name {
            GeneralName::DirectoryName(name) => Self::Directory(Name::new(name)),
            GeneralName::DNSName(name) => Self::Dns((*name).into()),
            GeneralName::RFC822Name(name) => Self::Mail((*name).into()),
            GeneralName::URI(host) => Self::Uri((*host).into()),
            GeneralName::IPAddress(bytes) if matches!(bytes.len(), 8 | 32) => Self::Address((*bytes).into()),
            _ => return None,
        })
    }

    /// Whether a name of the same form lies within; `None` when that cannot be told.
    pub(super) fn contains(&self, name: &Given<'_>) -> Option<bool> {
        match (self, name) {
            (Self::Directory(base), Given::Directory(name)) => Some(name.is_below(base)),
            (Self::Dns(base), Given::Dns(name)) => Some(has_domain(name, base)),
            (Self::Mail(base), Given::Mail(name)) => has_mailbox(name, base),
            (Self::Uri(base), Given::Uri(name)) => host(name).map(|host| has_host(host, base)),
            (Self::Address(base), Given::Address(address)) => has_address(address, base),
            _ => None,
        }
    }
}

impl<'a> Given<'a> {
    /// `None` for a form that is not known here, or what is none of its form.
    pub(super) fn new(name: &GeneralName<'a>) -> Option<Self> {
        Some(match name {
            GeneralName::DirectoryName(name) => Self::Directory(Name::new(name)),
            GeneralName::DNSName(name) => Self::Dns(name),
            GeneralName::RFC822Name(name) => Self::Mail(Cow::Borrowed(name)),
            GeneralName::URI(uri) => Self::Uri(uri),
            GeneralName::IPAddress(address) => Self::Address(address),
            _ => return None,
        })
    }
}

/// The name, or labels before it. With a dot in front, which the RFC does not know and others do, there must be labels.
fn has_domain(name: &str, base: &str) -> bool {
    let Some(start) = name.len().checked_sub(base.len()) else { return false };
    let (front, end) = name.as_bytes().split_at(start);
    end.eq_ignore_ascii_case(base.as_bytes())
        && (front.is_empty() || base.is_empty() || base.starts_with('.') || front.ends_with(b"."))
}

/// A mailbox, all of a host, or with a dot in front all of the hosts of a domain.
fn has_mailbox(name: &str, base: &str) -> Option<bool> {
    let (local, host) = name.rsplit_once('@')?;
    Some(match base.rsplit_once('@') {
        // The part before the @ has case (RFC 5280, section 7.5).
        Some((own, base)) => (own.is_empty() || own == local) && host.eq_ignore_ascii_case(base),
        None => has_host(host, base),
    })
}

/// One host, or with a dot in front all of a domain.
fn has_host(host: &str, base: &str) -> bool {
    if base.starts_with('.') {
        host.len() > base.len() && has_domain(host, base)
    } else {
        host.eq_ignore_ascii_case(base)
    }
}

/// The host of a URI, `None` when it has none, or one that is an address: constraints are about names.
fn host(uri: &str) -> Option<&str> {
    let (_, rest) = uri.split_once("://")?;
    let authority = rest.split(['/', '?', '#']).next()?;
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    let host = host.split(':').next()?;
    let is_address = host.starts_with('[') || host.split('.').all(|part| part.parse::<u8>().is_ok());
    (!host.is_empty() && !is_address).then_some(host)
}

fn has_address(address: &[u8], base: &[u8]) -> Option<bool> {
    if !matches!(address.len(), 4 | 16) {
        return None;
    }
    let (network, mask) = base.split_at(base.len() / 2);
    let bits = address.iter().zip(network).zip(mask);
    Some(address.len() == network.len() && bits.into_iter().all(|((one, other), mask)| (one ^ other) & mask == 0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn domains_hold_what_is_below_them() {
        for (name, base, within) in [
            ("example.com", "example.com", true),
            ("A.Example.COM", "example.com", true),
            ("badexample.com", "example.com", false),
            ("com", "example.com", false),
            ("example.com", ".example.com", false),
            ("a.example.com", ".example.com", true),
            ("anything", "", true),
        ] {
            assert_eq!(Base::Dns(base.into()).contains(&Given::Dns(name)), Some(within), "{name} {base}");
        }
    }

    #[test]
    fn mailboxes_are_of_a_host_a_domain_or_themselves() {
        for (name, base, within) in [
            ("me@example.com", "me@EXAMPLE.com", Some(true)),
            ("Me@example.com", "me@example.com", Some(false)),
            ("me@example.com", "example.com", Some(true)),
            ("me@a.example.com", "example.com", Some(false)),
            ("me@a.example.com", ".example.com", Some(true)),
            ("me@example.com", ".example.com", Some(false)),
            ("nobody", "example.com", None),
        ] {
            assert_eq!(Base::Mail(base.into()).contains(&Given::Mail(name.into())), within, "{name} {base}");
        }
    }

    #[test]
    fn of_a_uri_the_host_counts() {
        for (name, base, within) in [
            ("https://example.com/a", "example.com", Some(true)),
            ("https://EXAMPLE.com:8443/a", "example.com", Some(true)),
            ("https://me:secret@example.com?q", "example.com", Some(true)),
            ("https://example.com@evil.net/", "example.com", Some(false)),
            ("https://a.example.com", "example.com", Some(false)),
            ("https://a.example.com", ".example.com", Some(true)),
            ("https://.example.com", ".example.com", Some(false)),
            ("urn:uuid:1", "example.com", None),
            ("https://127.0.0.1/", "example.com", None),
            ("https://[::1]/", "example.com", None),
            ("https:///a", "example.com", None),
        ] {
            assert_eq!(Base::Uri(base.into()).contains(&Given::Uri(name)), within, "{name} {base}");
        }
    }

    #[test]
    fn addresses_are_of_a_network_of_their_family() {
        let base = Base::Address(Box::new([10, 1, 0, 0, 255, 255, 0, 0]));
        assert_eq!(base.contains(&Given::Address(&[10, 1, 2, 3])), Some(true));
        assert_eq!(base.contains(&Given::Address(&[10, 2, 2, 3])), Some(false));
        assert_eq!(base.contains(&Given::Address(&[0; 16])), Some(false));
        assert_eq!(base.contains(&Given::Address(&[10, 1, 2])), None);
        assert_eq!(base.contains(&Given::Dns("a")), None, "another form");
    }
}
