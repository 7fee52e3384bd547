//! Symmetric keys and SAS signatures (HMAC-SHA256 by ring).
//! Source: Microsoft Learn, "Symmetric key attestation", "Control access with shared access signatures".

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ring::hmac;
use zeroize::Zeroizing;

use crate::domain::{SasToken, percent_encode};

/// A symmetric key: an enrollment group key, an enrollment's own key or a derived device key. Zeroed on drop, redacted
/// in `Debug`.
#[derive(Clone)]
pub struct SymmetricKey(Zeroizing<Vec<u8>>);

/// Why a text is not a symmetric key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SymmetricKeyError {
    /// Not base64.
    #[error("the key is not base64 text")]
    Base64,
    /// Too short or too long.
    #[error("the key has {0} bytes, 16 to 64 are allowed")]
    Length(usize),
}

impl SymmetricKey {
    /// Shortest and longest key in bytes that the service takes.
    pub const LENGTHS: std::ops::RangeInclusive<usize> = 16..=64;

    /// From base64 text; surrounding white space is ignored.
    ///
    /// # Errors
    /// When it is not base64 (standard alphabet, padded) of 16 to 64 bytes.
    pub fn from_base64(text: &str) -> Result<Self, SymmetricKeyError> {
        let bytes = Zeroizing::new(STANDARD.decode(text.trim()).map_err(|_| SymmetricKeyError::Base64)?);
        if !Self::LENGTHS.contains(&bytes.len()) {
            return Err(SymmetricKeyError::Length(bytes.len()));
        }
        Ok(Self(bytes))
    }

    /// 64 random bytes, as the service makes them.
    pub fn random() -> Self {
        Self(Zeroizing::new(rand::random::<[u8; 64]>().to_vec()))
    }

    /// The base64 text. The caller keeps it secret.
    pub fn to_base64(&self) -> Zeroizing<String> {
        Zeroizing::new(STANDARD.encode(&*self.0))
    }

    /// The key of one device of an enrollment group: HMAC-SHA256 of the registration id, as given.
    pub fn derive(&self, registration_id: &str) -> Self {
        let tag = hmac::sign(&self.hmac(), registration_id.as_bytes());
        Self(Zeroizing::new(tag.as_ref().to_vec()))
    }

    /// Signs a token for `resource` (plain text, it is percent-encoded here), `expiry` in Unix seconds.
    pub fn sign(&self, resource: &str, expiry: u64, key_name: Option<&str>) -> SasToken {
        let mut token =
            SasToken { sr: percent_encode(resource), sig: String::new(), se: expiry, skn: key_name.map(str::to_owned) };
        token.sig = STANDARD.encode(hmac::sign(&self.hmac(), token.string_to_sign().as_bytes()));
        token
    }

    /// Whether `token` was signed with this key over its `sr` exactly as sent, in constant time. Does not look at
    /// expiry or resource.
    pub fn verifies(&self, token: &SasToken) -> bool {
        STANDARD
            .decode(&token.sig)
            .is_ok_and(|signature| hmac::verify(&self.hmac(), token.string_to_sign().as_bytes(), &signature).is_ok())
    }

    /// Made per use, as ring's key is not zeroed on drop and costs only two SHA-256 blocks.
    fn hmac(&self) -> hmac::Key {
        hmac::Key::new(hmac::HMAC_SHA256, &self.0)
    }
}

impl fmt::Debug for SymmetricKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SymmetricKey([redacted])")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_published_vector_of_key_derivation_holds() {
        let group = SymmetricKey::from_base64(
            "8isrFI1sGsIlvvFSSFRiMfCNzv21fjbE/+ah/lSh3lF8e2YG1Te7w1KpZhJFFXJrqYKi9yegxkqIChbqOS9Egw==",
        )
        .unwrap();
        let device = group.derive("sn-007-888-abc-mac-a1-b2-c3-d4-e5-f6");
        assert_eq!(device.to_base64().as_str(), "Jsm0lyGpjaVYVP2g3FnmnmG9dI/9qU24wNoykUmermc=");
    }

    #[test]
    fn the_vector_of_tokens_for_dps_and_hub_holds() {
        let bytes: Vec<u8> = (0..64).collect();
        let device = SymmetricKey::from_base64(&STANDARD.encode(bytes)).unwrap().derive("device-0001");
        assert_eq!(device.to_base64().as_str(), "+1fi9ZFGE1LjGrIgob/lXJUzCZtw09BomVTmTNQ31c8=");
        let dps = device.sign("0ne00000001/registrations/device-0001", 1_767_225_600, Some("registration"));
        assert_eq!(
            dps.to_text(),
            "SharedAccessSignature sr=0ne00000001%2Fregistrations%2Fdevice-0001&\
             sig=vaLZ0sDjsi%2FUIcOyJQUdxWyQScNjKPkMUUBcMJt8q%2Bg%3D&se=1767225600&skn=registration"
        );
        let hub = device.sign("contoso.azure-devices.net/devices/device-0001", 1_767_225_600, None);
        assert_eq!(
            hub.to_text(),
            "SharedAccessSignature sr=contoso.azure-devices.net%2Fdevices%2Fdevice-0001&\
             sig=vjsgZRRPcQ58f4apIWq%2Fr%2FgUSdlrLCMYpJikhcoPhc4%3D&se=1767225600"
        );
    }

    #[test]
    fn the_signature_covers_sr_as_sent() {
        let key = SymmetricKey::random();
        let mut token = key.sign("scope/registrations/dev", 7, None);
        for sr in ["scope%2fregistrations%2fdev", "scope/registrations/dev"] {
            token.sr = sr.to_owned();
            assert!(!key.verifies(&token), "{sr} was not signed");
            token.sig = STANDARD.encode(hmac::sign(&key.hmac(), token.string_to_sign().as_bytes()));
            assert!(key.verifies(&token), "{sr} was signed");
        }
    }

    #[test]
    fn keys_of_wrong_length_or_alphabet_are_refused() {
        assert_eq!(SymmetricKey::from_base64("no base64").unwrap_err(), SymmetricKeyError::Base64);
        assert_eq!(SymmetricKey::from_base64("AAAA").unwrap_err(), SymmetricKeyError::Length(3));
        for (length, good) in [(15, false), (16, true), (64, true), (65, false)] {
            assert_eq!(SymmetricKey::from_base64(&STANDARD.encode(vec![7; length])).is_ok(), good, "{length}");
        }
        assert!(SymmetricKey::from_base64(" AAAAAAAAAAAAAAAAAAAAAA==\n").is_ok());
        assert_eq!(format!("{:?}", SymmetricKey::random()), "SymmetricKey([redacted])");
    }

    proptest! {
        #[test]
        fn own_tokens_verify_and_others_do_not(resource in ".{0,80}", expiry in any::<u64>(), sig in ".{0,60}") {
            let (key, other) = (SymmetricKey::random(), SymmetricKey::random());
            let mut token = key.sign(&resource, expiry, None);
            let parsed = SasToken::parse(&token.to_text()).unwrap();
            prop_assert_eq!(&parsed, &token);
            prop_assert!(key.verifies(&token));
            prop_assert!(!other.verifies(&token));
            token.sig = sig;
            prop_assert!(!key.verifies(&token));
        }
    }
}
