//! Symmetric keys and SAS signatures (HMAC-SHA256 by ring).
//! Source: Microsoft Learn, "Symmetric key attestation", "Control access with shared access signatures".

use std::fmt;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::hmac;
use ring::rand::SecureRandom as _;
use zeroize::Zeroizing;

use crate::domain::{SasToken, percent_encode};

/// A symmetric key: an enrollment group key, an enrollment's own key or a derived device key. Zeroed on drop, redacted
/// in `Debug`. Cheap to clone.
#[derive(Clone)]
pub struct SymmetricKey {
    bytes: Arc<Zeroizing<Vec<u8>>>,
    /// The key with HMAC's two inner states ready, which saves half of the hashing of a short message.
    hmac: hmac::Key,
}

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
    /// From base64 text; surrounding white space is ignored.
    ///
    /// # Errors
    /// Not base64, or not 16 to 64 bytes.
    pub fn from_base64(text: &str) -> Result<Self, SymmetricKeyError> {
        let bytes = Zeroizing::new(STANDARD.decode(text.trim()).map_err(|_| SymmetricKeyError::Base64)?);
        match bytes.len() {
            16..=64 => Ok(Self::from_bytes(bytes)),
            length => Err(SymmetricKeyError::Length(length)),
        }
    }

    /// 64 random bytes, as the service makes them.
    ///
    /// # Panics
    /// The operating system has no randomness to give.
    pub fn random() -> Self {
        let mut bytes = Zeroizing::new(vec![0; 64]);
        ring::rand::SystemRandom::new().fill(&mut bytes).expect("the operating system gives random bytes");
        Self::from_bytes(bytes)
    }

    /// The base64 text. The caller keeps it secret.
    pub fn to_base64(&self) -> String {
        STANDARD.encode(&**self.bytes)
    }

    /// The key of one device of an enrollment group: HMAC-SHA256 of the registration id, as given.
    pub fn derive(&self, registration_id: &str) -> Self {
        let tag = hmac::sign(&self.hmac, registration_id.as_bytes());
        Self::from_bytes(Zeroizing::new(tag.as_ref().to_vec()))
    }

    /// Signs a token for `resource` (plain text, it is percent-encoded here), `expiry` in Unix seconds.
    pub fn sign(&self, resource: &str, expiry: u64, key_name: Option<&str>) -> SasToken {
        let mut token =
            SasToken { sr: percent_encode(resource), sig: String::new(), se: expiry, skn: key_name.map(str::to_owned) };
        token.sig = STANDARD.encode(hmac::sign(&self.hmac, token.string_to_sign().as_bytes()));
        token
    }

    /// Whether `token` was signed with this key over its `sr` exactly as sent, in constant time. Does not look at
    /// expiry or resource.
    pub fn verifies(&self, token: &SasToken) -> bool {
        let Ok(tag) = STANDARD.decode(&token.sig) else { return false };
        hmac::verify(&self.hmac, token.string_to_sign().as_bytes(), &tag).is_ok()
    }

    fn from_bytes(bytes: Zeroizing<Vec<u8>>) -> Self {
        let hmac = hmac::Key::new(hmac::HMAC_SHA256, &bytes);
        Self { bytes: Arc::new(bytes), hmac }
    }
}

impl fmt::Debug for SymmetricKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SymmetricKey(redacted)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn derives_the_published_device_key() {
        let group = SymmetricKey::from_base64(
            "8isrFI1sGsIlvvFSSFRiMfCNzv21fjbE/+ah/lSh3lF8e2YG1Te7w1KpZhJFFXJrqYKi9yegxkqIChbqOS9Egw==",
        )
        .unwrap();
        let device = group.derive("sn-007-888-abc-mac-a1-b2-c3-d4-e5-f6");
        assert_eq!(device.to_base64(), "Jsm0lyGpjaVYVP2g3FnmnmG9dI/9qU24wNoykUmermc=");
    }

    #[test]
    fn signs_the_tokens_of_the_computed_vector() {
        let group = SymmetricKey::from_base64(
            "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8gISIjJCUmJygpKissLS4vMDEyMzQ1Njc4OTo7PD0+Pw==",
        )
        .unwrap();
        let device = group.derive("device-0001");
        assert_eq!(device.to_base64(), "+1fi9ZFGE1LjGrIgob/lXJUzCZtw09BomVTmTNQ31c8=");
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
        assert!(device.verifies(&dps) && !group.verifies(&dps));
    }

    #[test]
    fn verifies_over_sr_as_sent() {
        let key = SymmetricKey::random();
        for sr in ["a%2fregistrations%2fb", "a/registrations/b", "a%2Fregistrations%2Fb"] {
            let mut token = key.sign("x", 1, None);
            token.sr = sr.to_owned();
            token.sig = STANDARD.encode(hmac::sign(&key.hmac, format!("{sr}\n1").as_bytes()));
            assert!(key.verifies(&token), "{sr}");
            token.se = 2;
            assert!(!key.verifies(&token), "the expiry is signed too");
        }
    }

    #[test]
    fn keys_of_the_wrong_form_are_refused_and_never_shown() {
        assert_eq!(SymmetricKey::from_base64("not base64!").unwrap_err(), SymmetricKeyError::Base64);
        assert_eq!(SymmetricKey::from_base64("AAAA").unwrap_err(), SymmetricKeyError::Length(3));
        let key = SymmetricKey::random();
        assert!(!format!("{key:?}").contains(&key.to_base64()));
    }
}
