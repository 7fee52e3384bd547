//! Shared access signature tokens as text. The signature itself is made and checked in `pki::sas`.
//! Source: Microsoft Learn, "Control access to IoT Hub with shared access signatures".

/// A token split into its fields, each kept exactly as sent: real clients encode `sr` in three different ways and sign
/// the text that they send.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SasToken {
    /// The resource, still percent-encoded as received.
    pub sr: String,
    /// The signature: percent-decoded base64 text.
    pub sig: String,
    /// Expiry in seconds since 1970-01-01T00:00:00Z.
    pub se: u64,
    /// Key name: `registration` for DPS, usually absent for the hub.
    pub skn: Option<String>,
}

/// Why a text is not a SAS token.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ParseSasTokenError {
    /// It does not begin with `SharedAccessSignature `.
    #[error("the token does not begin with `SharedAccessSignature `")]
    Prefix,
    /// A field is missing.
    #[error("the token has no `{0}` field")]
    Missing(&'static str),
    /// A field is there twice.
    #[error("the token has a second `{0}` field")]
    Duplicate(&'static str),
    /// `se` is not a number of seconds.
    #[error("the token's `se` field is not a whole number of seconds")]
    Expiry,
    /// `sig` has a broken percent escape.
    #[error("the token's `sig` field is not percent-encoded text")]
    Signature,
}

impl SasToken {
    const PREFIX: &str = "SharedAccessSignature ";

    /// Splits a token. The order of its fields does not matter; unknown fields are ignored.
    pub fn parse(text: &str) -> Result<Self, ParseSasTokenError> {
        let fields = text.strip_prefix(Self::PREFIX).ok_or(ParseSasTokenError::Prefix)?;
        let (mut sr, mut sig, mut se, mut skn) = (None, None, None, None);
        for field in fields.split('&') {
            let (name, value) = field.split_once('=').unwrap_or((field, ""));
            let (slot, name) = match name {
                "sr" => (&mut sr, "sr"),
                "sig" => (&mut sig, "sig"),
                "se" => (&mut se, "se"),
                "skn" => (&mut skn, "skn"),
                _ => continue,
            };
            if slot.replace(value).is_some() {
                return Err(ParseSasTokenError::Duplicate(name));
            }
        }
        Ok(Self {
            sr: sr.ok_or(ParseSasTokenError::Missing("sr"))?.to_owned(),
            sig: percent_decode(sig.ok_or(ParseSasTokenError::Missing("sig"))?).ok_or(ParseSasTokenError::Signature)?,
            se: se.ok_or(ParseSasTokenError::Missing("se"))?.parse().map_err(|_| ParseSasTokenError::Expiry)?,
            skn: skn.map(str::to_owned),
        })
    }

    /// The text that is signed: `sr` as sent, a line feed, the expiry.
    pub fn string_to_sign(&self) -> String {
        format!("{}\n{}", self.sr, self.se)
    }

    /// The resource in plain text, `None` when an escape is broken.
    pub fn resource(&self) -> Option<String> {
        percent_decode(&self.sr)
    }

    /// The token as it goes into the MQTT password or the `Authorization` header.
    pub fn to_text(&self) -> String {
        let sig = percent_encode(&self.sig);
        let skn = self.skn.as_deref().map(|skn| format!("&skn={skn}")).unwrap_or_default();
        format!("{}sr={}&sig={sig}&se={}{skn}", Self::PREFIX, self.sr, self.se)
    }
}

/// Percent-encodes everything but the unreserved characters of RFC 3986, with upper-case digits.
pub fn percent_encode(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + text.len() / 4);
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push('%');
            for nibble in [byte >> 4, byte & 15] {
                out.push(char::from_digit(u32::from(nibble), 16).unwrap_or('0').to_ascii_uppercase());
            }
        }
    }
    out
}

/// Decodes percent escapes; `None` when one is broken or the result is not UTF-8. `+` stays as it is.
pub fn percent_decode(text: &str) -> Option<String> {
    if !text.contains('%') {
        return Some(text.to_owned());
    }
    let mut bytes = text.bytes();
    let mut out = Vec::with_capacity(text.len());
    while let Some(byte) = bytes.next() {
        if byte == b'%' {
            let mut digit = || bytes.next().and_then(|b| char::from(b).to_digit(16));
            let value = digit()? * 16 + digit()?;
            out.push(u8::try_from(value).ok()?);
        } else {
            out.push(byte);
        }
    }
    String::from_utf8(out).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn fields_come_in_any_order_and_sr_is_kept_as_sent() {
        let token =
            SasToken::parse("SharedAccessSignature sr=a%2fregistrations%2fb&skn=registration&sig=x%3d&se=7").unwrap();
        assert_eq!(token.sr, "a%2fregistrations%2fb");
        assert_eq!(token.resource().as_deref(), Some("a/registrations/b"));
        assert_eq!((token.sig.as_str(), token.se), ("x=", 7));
        assert_eq!(token.string_to_sign(), "a%2fregistrations%2fb\n7");
    }

    #[test]
    fn broken_tokens_are_refused_with_the_field() {
        let parse = |t: &str| SasToken::parse(t).unwrap_err();
        assert_eq!(parse("sr=a"), ParseSasTokenError::Prefix);
        assert_eq!(parse("SharedAccessSignature sr=a&se=1"), ParseSasTokenError::Missing("sig"));
        assert_eq!(parse("SharedAccessSignature sr=a&sr=b&sig=c&se=1"), ParseSasTokenError::Duplicate("sr"));
        assert_eq!(parse("SharedAccessSignature sr=a&sig=c&se=soon"), ParseSasTokenError::Expiry);
        assert_eq!(parse("SharedAccessSignature sr=a&sig=%4&se=1"), ParseSasTokenError::Signature);
    }

    proptest! {
        #[test]
        fn encoding_round_trips(text in any::<String>()) {
            prop_assert_eq!(percent_decode(&percent_encode(&text)), Some(text));
        }

        #[test]
        fn parsing_never_panics(text in any::<String>()) {
            let _ = SasToken::parse(&format!("SharedAccessSignature {text}"));
            let _ = percent_decode(&text);
        }
    }
}
