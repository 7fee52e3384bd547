//! The one reader of PEM: certificates and private keys among whatever else a file holds. Text before and between the
//! blocks, byte order marks, indentation and the labels of OpenSSL are taken, as other programs write them.

use rustls::pki_types::pem::{Error, PemObject as _};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use x509_parser::asn1_rs::{Any, FromDer as _};
use zeroize::Zeroizing;

use crate::domain::BYTE_ORDER_MARK;

/// How a block begins; in base64 there is no such thing.
const BEGIN: &str = "-----BEGIN ";
/// Label of a certificate that OpenSSL trusts for something, which follows the certificate in the same block.
const TRUSTED: &[u8] = b"TRUSTED CERTIFICATE";
/// Label of certificates before there were others than those of X.509.
const OLD: &[u8] = b"X509 CERTIFICATE";

/// Why there is no certificate.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PemError {
    /// There is none.
    #[error("there is no -----BEGIN CERTIFICATE----- in it")]
    Absent,
    /// A block is damaged.
    #[error("a block of it is damaged: {0}")]
    Damaged(String),
}

/// DER of all certificates of a text, in their order; other blocks are ignored.
///
/// # Errors
/// There is none, or one is damaged.
pub fn certificates(text: &[u8]) -> Result<Vec<Vec<u8>>, PemError> {
    let plain = Plain::new(text);
    let mut ders = Vec::new();
    for (place, der) in CertificateDer::pem_slice_iter(&plain.text).enumerate() {
        let der = der.map_err(|error| PemError::Damaged(reason(&error)))?;
        let is_trusted = plain.trusted.get(place).copied().unwrap_or(false);
        ders.push(if is_trusted { first_element(&der) } else { &der }.to_vec());
    }
    if ders.is_empty() { Err(PemError::Absent) } else { Ok(ders) }
}

/// The first private key of a text; `None` when there is none, or it is damaged.
pub(super) fn private_key(text: &[u8]) -> Option<PrivateKeyDer<'static>> {
    PrivateKeyDer::from_pem_slice(&Plain::new(text).text).ok()
}

/// Whether a text is PEM rather than base64 alone.
pub fn is_pem(text: &str) -> bool {
    text.contains(BEGIN)
}

/// A text with the usual labels alone, each line from its beginning.
struct Plain {
    text: Zeroizing<Vec<u8>>,
    /// For every certificate, whether something follows it in its block.
    trusted: Vec<bool>,
}

impl Plain {
    fn new(text: &[u8]) -> Self {
        // As long as the original at most, so that no part of a key is left behind where it had no room.
        let mut plain = Zeroizing::new(Vec::with_capacity(text.len() + 1));
        let mut trusted = Vec::new();
        for line in text.split_inclusive(|byte| matches!(byte, b'\n' | b'\r')) {
            let line = line.trim_ascii_start();
            let line = line.strip_prefix(BYTE_ORDER_MARK.as_bytes()).unwrap_or(line);
            let label = |edge: &[u8]| line.strip_prefix(edge)?.trim_ascii_end().strip_suffix(b"-----");
            match (label(b"-----BEGIN "), label(b"-----END ")) {
                (Some(label), _) if is_certificate(label) => {
                    trusted.push(label == TRUSTED);
                    plain.extend_from_slice(b"-----BEGIN CERTIFICATE-----\n");
                }
                (_, Some(label)) if is_certificate(label) => plain.extend_from_slice(b"-----END CERTIFICATE-----\n"),
                _ => plain.extend_from_slice(line),
            }
        }
        Self { text: plain, trusted }
    }
}

fn is_certificate(label: &[u8]) -> bool {
    label == b"CERTIFICATE" || label == TRUSTED || label == OLD
}

/// The certificate, without what OpenSSL put after it.
fn first_element(der: &[u8]) -> &[u8] {
    Any::from_der(der).map_or(der, |(rest, _)| &der[..der.len() - rest.len()])
}

fn reason(error: &Error) -> String {
    match error {
        Error::MissingSectionEnd { .. } => "it has no end".to_owned(),
        Error::IllegalSectionStart { .. } => "its first line is none".to_owned(),
        Error::Base64Decode(_) => "it is not base64".to_owned(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::domain::CryptoProvider;
    use crate::pki::key::DeviceKey;
    use crate::pki::store::certificates_to_pem;
    use crate::pki::test_support::{key, root};

    #[test]
    fn certificates_are_found_in_every_form() {
        let (one, two) = (root(1).der().to_vec(), root(0).der().to_vec());
        let pem = certificates_to_pem(&[&one, &two]);
        let labelled = |label: &str| pem.replace("CERTIFICATE", label);
        let forms = [
            pem.clone(),
            labelled("X509 CERTIFICATE"),
            labelled("TRUSTED CERTIFICATE"),
            format!("\u{feff}{pem}"),
            format!("Bag Attributes\n    friendlyName: x\nsubject=CN = root\n\n{pem}\nand more"),
            pem.replace("-----BEGIN", "text between\n-----BEGIN"),
            pem.replace('\n', "\r\n"),
            pem.replace('\n', "\n  "),
            pem.replacen("-----END", "\n-----END", 1),
            format!("{}\u{feff}{}", certificates_to_pem(&[&one]), certificates_to_pem(&[&two])),
            format!("{}{pem}", *key().to_pem().unwrap()),
            pem.trim_end().to_owned(),
        ];
        for form in forms {
            assert_eq!(certificates(form.as_bytes()).as_deref(), Ok(&[one.clone(), two.clone()][..]), "{form}");
        }
        let latin1 = [b"subject=CN = M\xfcller\n", pem.as_bytes()].concat();
        assert_eq!(certificates(&latin1).unwrap().len(), 2);
    }

    #[test]
    fn what_openssl_trusts_a_certificate_for_is_not_part_of_it() {
        let der = root(1).der().to_vec();
        // SEQUENCE of a SEQUENCE of clientAuth, and an alias.
        let auxiliary = b"\x30\x11\x30\x0a\x06\x08\x2b\x06\x01\x05\x05\x07\x03\x02\x0c\x03abc";
        let pem = certificates_to_pem(&[[&der[..], auxiliary].concat()]);
        let trusted = pem.replace("CERTIFICATE", "TRUSTED CERTIFICATE");
        let both = format!("{}{trusted}{}", certificates_to_pem(&[&der]), certificates_to_pem(&[&der]));
        assert_eq!(certificates(both.as_bytes()).unwrap(), [der.clone(), der.clone(), der]);
        assert_ne!(
            certificates(pem.as_bytes()).unwrap()[0].len(),
            root(1).der().len(),
            "a certificate that is too long"
        );
    }

    #[test]
    fn keys_are_found_in_the_same_forms() {
        let key = key();
        let pem = key.to_pem().unwrap();
        for form in [format!("\u{feff}{}", *pem), format!("text\n{}", *pem), pem.replace('\n', "\r\n")] {
            let read = DeviceKey::from_pem(&form, CryptoProvider::AwsLc).unwrap();
            assert_eq!(read.spki_der(), key.spki_der());
        }
    }

    #[test]
    fn what_is_damaged_is_told_from_what_is_absent() {
        let pem = certificates_to_pem(&[root(1).der()]);
        for absent in ["", "hello", &pem.replace("CERTIFICATE", "CERTIFICATE REQUEST")] {
            assert_eq!(certificates(absent.as_bytes()), Err(PemError::Absent), "{absent}");
        }
        let cut = &pem[..pem.len() / 2];
        assert_eq!(certificates(cut.as_bytes()), Err(PemError::Damaged("it has no end".to_owned())));
        let wrong = pem.replacen("MII", "M!I", 1);
        assert_eq!(certificates(wrong.as_bytes()), Err(PemError::Damaged("it is not base64".to_owned())));
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_panic(bytes in prop::collection::vec(any::<u8>(), 0..300), place in any::<prop::sample::Index>()) {
            let mut text = certificates_to_pem(&[root(1).der()]).into_bytes();
            let place = place.index(text.len());
            text.splice(place..place, bytes.iter().copied());
            let _ = certificates(&text);
            let _ = private_key(&text);
            let _ = certificates(&bytes);
        }
    }
}
