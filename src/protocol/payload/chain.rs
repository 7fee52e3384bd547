use std::ops::Deref;

use base64::engine::general_purpose::STANDARD;
use base64::{DecodeError, Engine};

use super::{PayloadError, Text};

/// Most certificates of a chain that are looked at. How many a good one may have is for who checks it to say.
const MOST_CERTIFICATES: usize = 16;

/// Longest certificate in bytes. Every device keeps its chain.
const LONGEST_CERTIFICATE: usize = 16 * 1024;

/// Decodes an issued chain, leaf first, to DER. Certificates in PEM, which Microsoft Learn shows for renewal, are taken
/// too.
///
/// # Errors
/// [`PayloadError::Base64`] when a certificate is not text of that kind, [`PayloadError::Chain`] when there are too many, or too
/// long ones.
pub fn decode_chain(chain: &[Text<'_>]) -> Result<Vec<Vec<u8>>, PayloadError> {
    if chain.len() > MOST_CERTIFICATES {
        return Err(PayloadError::Chain("has more than 16 certificates"));
    }
    let chain: Vec<_> = chain.iter().map(|certificate| decode(certificate)).collect::<Result<_, _>>()?;
    if chain.iter().any(|certificate| certificate.len() > LONGEST_CERTIFICATE) {
        return Err(PayloadError::Chain("has a certificate of more than 16 KiB"));
    }
    Ok(chain)
}

/// Encodes a chain of DER certificates, leaf first.
pub fn encode_chain<C: Deref<Target = [u8]>>(chain: &[C]) -> Vec<Text<'static>> {
    chain.iter().map(|certificate| Text::from(STANDARD.encode(&**certificate))).collect()
}

/// Decodes the `csr` field: standard base64 of DER, which may be broken into lines as openssl and PEM do.
pub fn decode_csr(text: &str) -> Result<Vec<u8>, PayloadError> {
    base64(text).map_err(|_| PayloadError::Base64("csr"))
}

fn decode(text: &str) -> Result<Vec<u8>, PayloadError> {
    const ERROR: PayloadError = PayloadError::Base64("an issued certificate");
    if text.starts_with("-----BEGIN") {
        return pem::parse(text).map(pem::Pem::into_contents).map_err(|_| ERROR);
    }
    base64(text).map_err(|_| ERROR)
}

/// Standard base64 with any white space in it, as the decoder of .NET takes it.
fn base64(text: &str) -> Result<Vec<u8>, DecodeError> {
    if !text.contains(|character: char| character.is_ascii_whitespace()) {
        return STANDARD.decode(text);
    }
    STANDARD.decode(text.split_ascii_whitespace().collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chains_round_trip_and_pem_is_taken() {
        let der = [vec![1_u8, 2, 3], vec![4; 100]];
        let texts = encode_chain(&der);
        assert_eq!(&*texts[0], "AQID");
        assert_eq!(decode_chain(&texts).unwrap(), der);
        let pem = Text::from("-----BEGIN CERTIFICATE-----\nAQID\n-----END CERTIFICATE-----\n");
        assert_eq!(decode_chain(&[pem]).unwrap(), [[1, 2, 3]]);
    }

    #[test]
    fn chains_that_no_authority_would_issue_are_refused() {
        let of = |count: usize, length: usize| decode_chain(&encode_chain(&vec![vec![0_u8; length]; count]));
        assert_eq!(of(16, 10).unwrap().len(), 16);
        assert_eq!(of(17, 10), Err(PayloadError::Chain("has more than 16 certificates")));
        assert_eq!(of(3, 16 * 1024).unwrap().len(), 3);
        let error = of(3, 16 * 1024 + 1).unwrap_err().to_string();
        assert_eq!(error, "the issued chain has a certificate of more than 16 KiB");
    }

    #[test]
    fn what_is_not_base64_is_refused() {
        for text in ["AQID", "AQ\nID\n", "AQ\r\nID", " AQ\tID"] {
            assert_eq!(decode_csr(text), Ok(vec![1, 2, 3]), "{text}");
            assert_eq!(decode_chain(&[text.into()]).unwrap(), [[1, 2, 3]], "{text}");
        }
        for text in ["AQI", "AQ\u{a0}ID", "-----BEGIN CERTIFICATE REQUEST-----", "_-8="] {
            assert_eq!(decode_csr(text), Err(PayloadError::Base64("csr")), "{text}");
            assert!(decode_chain(&[text.into()]).is_err(), "{text}");
        }
    }
}
