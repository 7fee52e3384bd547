use serde::{Deserialize, Serialize};

use super::{PayloadError, Text};
use crate::protocol::retry_after;

/// Body of a renewal request.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct CertificateRequest<'a> {
    /// The device id.
    #[serde(borrow)]
    pub id: Text<'a>,
    /// Base64 of a PKCS#10 request in DER, at most [`Self::MAX_CSR`] characters.
    #[serde(borrow)]
    pub csr: Text<'a>,
    /// Which pending request to give up: its request id, or `*` for any.
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub replace: Option<Text<'a>>,
}

impl CertificateRequest<'_> {
    /// Longest `csr` in characters.
    pub const MAX_CSR: usize = 8 * 1024;

    /// The body.
    pub fn to_body(&self) -> Vec<u8> {
        serde_json::to_vec(self).unwrap_or_default()
    }

    /// Whether a text may be a request id: 4 to 36 letters, digits and dashes, no dash first or last.
    pub fn is_request_id(text: &str) -> bool {
        (4..=36).contains(&text.len())
            && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
            && !text.starts_with('-')
            && !text.ends_with('-')
    }
}

/// Body of the first answer (202).
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct RenewalAccepted<'a> {
    /// Names the operation in the service's logs.
    #[serde(borrow)]
    pub correlation_id: Text<'a>,
    /// When the operation is given up, RFC 3339 with nine digits of a second.
    #[serde(borrow)]
    pub operation_expires: Text<'a>,
}

/// Body of the final answer (200).
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct CertificatesIssued<'a> {
    /// Names the operation in the service's logs.
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    pub correlation_id: Option<Text<'a>>,
    /// Base64 DER certificates, the device's first, the root last.
    #[serde(borrow)]
    pub certificates: Vec<Text<'a>>,
}

/// Body of a refusal, which may come instead of the 202 or after it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct RenewalError<'a> {
    /// Status times 1000 plus a sub-code, such as 409004.
    pub error_code: u32,
    /// In words.
    #[serde(borrow)]
    pub message: Text<'a>,
    /// For the service's operators.
    #[serde(borrow)]
    pub tracking_id: Text<'a>,
    /// When, RFC 3339 with nine digits of a second.
    #[serde(borrow)]
    pub timestamp_utc: Text<'a>,
    /// More; written as `null` when there is nothing, as the service does.
    #[serde(borrow)]
    pub info: Option<RenewalInfo<'a>>,
    /// Seconds to wait.
    #[serde(deserialize_with = "retry_after::from_json", skip_serializing_if = "Option::is_none")]
    pub retry_after: Option<u32>,
}

/// Details of a refusal.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct RenewalInfo<'a> {
    /// The request that is in the way, or was not found.
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<Text<'a>>,
    /// When that one is given up.
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    pub operation_expires: Option<Text<'a>>,
    /// Names the operation in the service's logs.
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    pub correlation_id: Option<Text<'a>>,
    /// Code of the certificate authority.
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    pub credential_error: Option<Text<'a>>,
    /// Words of the certificate authority.
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    pub credential_message: Option<Text<'a>>,
}

impl<'a> RenewalAccepted<'a> {
    /// From a body.
    pub fn parse(body: &'a [u8]) -> Result<Self, PayloadError> {
        super::object(body)
    }

    /// The body.
    pub fn to_body(&self) -> Vec<u8> {
        serde_json::to_vec(self).unwrap_or_default()
    }
}

impl<'a> CertificatesIssued<'a> {
    /// From a body: the object that the live service sends, or the bare array that one SDK expects.
    pub fn parse(body: &'a [u8]) -> Result<Self, PayloadError> {
        match body.iter().find(|b| !b.is_ascii_whitespace()) {
            Some(b'[') => Ok(Self { correlation_id: None, certificates: serde_json::from_slice(body)? }),
            _ => super::object(body),
        }
    }

    /// The body, as the live service writes it.
    pub fn to_body(&self) -> Vec<u8> {
        serde_json::to_vec(self).unwrap_or_default()
    }
}

impl<'a> RenewalError<'a> {
    /// From a body; `None` when it has no error code.
    pub fn parse(body: &'a [u8]) -> Option<Self> {
        super::object(body).ok().filter(|error: &Self| error.error_code != 0)
    }

    /// The body.
    pub fn to_body(&self) -> Vec<u8> {
        serde_json::to_vec(self).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_carry_only_the_three_allowed_fields() {
        let request = CertificateRequest { id: "dev1".into(), csr: "MIHR".into(), replace: None };
        assert_eq!(request.to_body(), br#"{"id":"dev1","csr":"MIHR"}"#);
        let request = CertificateRequest { replace: Some("*".into()), ..request };
        assert_eq!(request.to_body(), br#"{"id":"dev1","csr":"MIHR","replace":"*"}"#);
    }

    #[test]
    fn an_accepted_renewal_says_when_it_is_given_up() {
        let body = br#"{"correlationId":"5ecd","operationExpires":"2026-01-31T12:52:20.565000000Z"}"#;
        let accepted = RenewalAccepted::parse(body).unwrap();
        assert_eq!(
            (&*accepted.correlation_id, &*accepted.operation_expires),
            ("5ecd", "2026-01-31T12:52:20.565000000Z")
        );
        assert_eq!(accepted.to_body(), body);
        assert!(RenewalAccepted::parse(b"[]").is_err());
    }

    #[test]
    fn issued_certificates_are_read_in_both_shapes() {
        let live = CertificatesIssued::parse(br#"{"correlationId":"5ecd","certificates":["AQ==","Ag=="]}"#).unwrap();
        assert_eq!(live.certificates, [Text::from("AQ=="), Text::from("Ag==")]);
        assert_eq!(live.to_body(), br#"{"correlationId":"5ecd","certificates":["AQ==","Ag=="]}"#);
        assert_eq!(CertificatesIssued::parse(br#" ["AQ==","Ag=="]"#).unwrap().certificates, live.certificates);
        assert!(CertificatesIssued::parse(b"").is_err());
    }

    #[test]
    fn refusals_are_written_with_null_info_and_read_with_or_without() {
        let error = RenewalError {
            error_code: 429_002,
            message: "Throttled".into(),
            tracking_id: "t".into(),
            timestamp_utc: "2026-01-31T00:49:39.467401528Z".into(),
            info: None,
            retry_after: Some(5),
        };
        let body = concat!(
            r#"{"errorCode":429002,"message":"Throttled","trackingId":"t","#,
            r#""timestampUtc":"2026-01-31T00:49:39.467401528Z","info":null,"retryAfter":5}"#
        );
        assert_eq!(String::from_utf8(error.to_body()).unwrap(), body);
        assert_eq!(RenewalError::parse(body.as_bytes()), Some(error));
        for (written, seconds) in [
            ("\"6\"", Some(6)),
            ("6.0", Some(6)),
            ("5.5", Some(6)),
            ("-3", Some(0)),
            ("1e300", Some(retry_after::LONGEST)),
            ("null", None),
            ("\"soon\"", None),
            ("{\"seconds\":6}", None),
        ] {
            let body = format!(r#"{{"errorCode":429002,"message":"Throttled","retryAfter":{written}}}"#);
            let error = RenewalError::parse(body.as_bytes()).expect("the rest is read in any case");
            assert_eq!((error.error_code, error.retry_after), (429_002, seconds), "{written}");
        }
        let busy = RenewalError::parse(br#"{"errorCode":409004,"info":{"requestId":"304937152","more":1}}"#).unwrap();
        assert_eq!(busy.info.unwrap().request_id.as_deref(), Some("304937152"));
    }

    #[test]
    fn request_ids_have_a_form() {
        for (text, valid) in [("156089087", true), ("a-b1", true), ("123", false), ("-abc", false), ("abc-", false)] {
            assert_eq!(CertificateRequest::is_request_id(text), valid, "{text}");
        }
        assert!(!CertificateRequest::is_request_id(&"a".repeat(37)));
    }
}
