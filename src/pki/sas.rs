//! Symmetric keys and SAS signatures (HMAC-SHA256 by ring).
//! Source: Microsoft Learn, "Symmetric key attestation", "Control access with shared access signatures".

use crate::domain::SasToken;

/// A symmetric key: an enrollment group key, an enrollment's own key or a derived device key. Zeroed on drop, redacted
/// in `Debug`.
#[derive(Debug, Clone)]
pub struct SymmetricKey {}

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
    pub fn from_base64(_text: &str) -> Result<Self, SymmetricKeyError> {
        todo!()
    }

    /// 64 random bytes, as the service makes them.
    pub fn random() -> Self {
        todo!()
    }

    /// The base64 text. The caller keeps it secret.
    pub fn to_base64(&self) -> String {
        todo!()
    }

    /// The key of one device of an enrollment group: HMAC-SHA256 of the registration id, as given.
    pub fn derive(&self, _registration_id: &str) -> Self {
        todo!()
    }

    /// Signs a token for `resource` (plain text, it is percent-encoded here), `expiry` in Unix seconds.
    pub fn sign(&self, _resource: &str, _expiry: u64, _key_name: Option<&str>) -> SasToken {
        todo!()
    }

    /// Whether `token` was signed with this key over its `sr` exactly as sent, in constant time. Does not look at
    /// expiry or resource.
    pub fn verifies(&self, _token: &SasToken) -> bool {
        todo!()
    }
}
