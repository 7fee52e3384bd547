use std::fmt;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use zeroize::Zeroizing;

use crate::domain::SasToken;
use crate::pki::sas::SymmetricKey;

/// Opens the control plane. Random, and of the form of a symmetric key, so that whoever has it can also sign SAS tokens
/// with it, as Azure's service SDKs do: their shared access key is this text.
#[derive(Clone)]
pub(super) struct Token {
    text: Zeroizing<String>,
    key: SymmetricKey,
}

impl Token {
    const BEARER: &str = "Bearer ";
    /// Key names of the policies that may change enrollments and devices.
    const OWNERS: [&str; 2] = ["provisioningserviceowner", "iothubowner"];

    pub(super) fn random() -> Self {
        let key = SymmetricKey::random();
        Self { text: key.to_base64(), key }
    }

    /// The text of the token. The caller keeps it secret.
    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// Whether an `Authorization` header opens the control plane: `Bearer TOKEN`, or a SAS token that was signed with the
    /// token as key, is valid at `now` (in Unix seconds) and names an owner's policy.
    pub(super) fn opens(&self, authorization: &str, now: u64) -> bool {
        if let Some(text) = authorization.strip_prefix(Self::BEARER) {
            return verify_slices_are_equal(text.trim().as_bytes(), self.text.as_bytes()).is_ok();
        }
        SasToken::parse(authorization).is_ok_and(|token| {
            let owner = token.skn.as_deref().is_some_and(|name| Self::OWNERS.contains(&name));
            owner && token.se > now && self.key.verifies(&token)
        })
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token([redacted])")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_token_itself_opens_and_what_is_signed_with_it() {
        let token = Token::random();
        assert!(token.opens(&format!("Bearer {}", token.text()), 0));
        for wrong in ["", "Bearer ", "Bearer x", token.text(), &format!("bearer {}", token.text())] {
            assert!(!token.opens(wrong, 0), "{wrong}");
        }
        let key = SymmetricKey::from_base64(token.text()).unwrap();
        let signed = |key: &SymmetricKey, name| key.sign("localhost", 100, name).to_text();
        assert!(token.opens(&signed(&key, Some("provisioningserviceowner")), 99));
        assert!(!token.opens(&signed(&key, Some("provisioningserviceowner")), 100), "expired");
        assert!(!token.opens(&signed(&key, Some("device")), 99), "not an owner");
        assert!(!token.opens(&signed(&key, None), 99));
        assert!(!token.opens(&signed(&SymmetricKey::random(), Some("iothubowner")), 99), "another key");
        assert_eq!(format!("{token:?}"), "Token([redacted])");
    }
}
