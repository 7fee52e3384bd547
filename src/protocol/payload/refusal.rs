use serde_json::Value;

use super::{CertificateRequest, Text};

/// Why a hub refuses a renewal request at once: the catalogue that Microsoft's own tests saw from the live service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RequestRefusal {
    /// No body.
    #[error("Issue certificate request payload is missing. Include a JSON payload with 'id' and 'csr' fields.")]
    Empty,
    /// Not JSON.
    #[error("cannot decode json format")]
    Json,
    /// A fourth field.
    #[error(
        "Issue certificate request payload contains an unknown field. Only 'id', 'csr', and 'replace' fields are allowed."
    )]
    UnknownField,
    /// `id` absent or empty.
    #[error(
        "Issue certificate request 'id' field is invalid or missing. Provide the device ID of the authenticated device."
    )]
    IdMissing,
    /// Another device's id.
    #[error(
        "Issue certificate request 'id' field does not match the authenticated device ID. Use the same device ID used for authentication."
    )]
    IdMismatch,
    /// `csr` absent or empty.
    #[error(
        "Issue certificate request 'csr' field is invalid or missing. Provide a valid base64-encoded certificate signing request."
    )]
    CsrMissing,
    /// `csr` longer than [`CertificateRequest::MAX_CSR`].
    #[error("Issue certificate request 'csr' field exceeds maximum allowed length. Reduce the CSR size.")]
    CsrTooLong,
    /// `csr` is not base64.
    #[error("Issue certificate request 'csr' field is not valid base64. Ensure the CSR is properly base64-encoded.")]
    CsrBase64,
    /// `replace` is neither a request id nor `*`.
    #[error(
        "Issue certificate request 'replace' field has an invalid format. An exact request ID must be between 4 and 36 characters, only have alphanumeric characters and hyphens, and cannot start or end with a hyphen. Use '*' to replace any pending request."
    )]
    Replace,
}

impl RequestRefusal {
    /// The service's code; the topic's status is this by 1000.
    pub const fn error_code(self) -> u32 {
        match self {
            Self::Json => 400_006,
            _ => 400_004,
        }
    }
}

/// A renewal request that may go to the certificate authority.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckedRequest {
    /// The CSR, decoded from base64.
    pub csr: Vec<u8>,
    /// Which pending request to give up.
    pub replace: Option<String>,
}

impl CheckedRequest {
    /// Checks a body sent by the device `device_id`, in the order in which the live service was seen to complain.
    pub fn parse(body: &[u8], device_id: &str) -> Result<Self, RequestRefusal> {
        if body.iter().all(u8::is_ascii_whitespace) {
            return Err(RequestRefusal::Empty);
        }
        let value: Value = serde_json::from_slice(body).map_err(|_| RequestRefusal::Json)?;
        // The service compares the id before it notices that there is no object.
        let Value::Object(fields) = value else { return Err(RequestRefusal::IdMismatch) };
        if fields.keys().any(|name| !["id", "csr", "replace"].contains(&name.as_str())) {
            return Err(RequestRefusal::UnknownField);
        }
        let text = |name| fields.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
        match text("id") {
            None => return Err(RequestRefusal::IdMissing),
            Some(id) if id != device_id => return Err(RequestRefusal::IdMismatch),
            Some(_) => {}
        }
        let csr = text("csr").ok_or(RequestRefusal::CsrMissing)?;
        if csr.len() > CertificateRequest::MAX_CSR {
            return Err(RequestRefusal::CsrTooLong);
        }
        let csr = super::decode_csr(csr).map_err(|_| RequestRefusal::CsrBase64)?;
        let replace = match fields.get("replace") {
            None | Some(Value::Null) => None,
            Some(Value::String(id)) if id == "*" || CertificateRequest::is_request_id(id) => Some(id.clone()),
            Some(_) => return Err(RequestRefusal::Replace),
        };
        Ok(Self { csr, replace })
    }
}

impl From<RequestRefusal> for super::RenewalError<'static> {
    /// Without tracking id and time, which the hub adds.
    fn from(refusal: RequestRefusal) -> Self {
        Self { error_code: refusal.error_code(), message: Text::from(refusal.to_string()), ..Self::default() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn good_requests_pass() {
        for (body, replace) in [
            (r#"{"id":"dev1","csr":"AQID"}"#, None),
            (r#"{"id":"dev1","csr":"AQID","replace":null}"#, None),
            (r#"{"id":"dev1","csr":"AQID","replace":"*"}"#, Some("*")),
            (r#"{"replace":"304937152","csr":"AQID","id":"dev1"}"#, Some("304937152")),
        ] {
            let request = CheckedRequest::parse(body.as_bytes(), "dev1").unwrap();
            assert_eq!((request.csr.as_slice(), request.replace.as_deref()), (&[1_u8, 2, 3][..], replace));
        }
        let longest = format!(r#"{{"id":"dev1","csr":"{}"}}"#, "A".repeat(8192));
        assert!(CheckedRequest::parse(longest.as_bytes(), "dev1").is_ok_and(|request| request.csr.len() == 6144));
    }

    #[test]
    fn bad_requests_get_the_code_and_words_of_the_live_service() {
        let long = format!(r#"{{"id":"dev1","csr":"{}"}}"#, "A".repeat(8193));
        for (body, refusal) in [
            ("", RequestRefusal::Empty),
            (r#"{"id":"dev1""#, RequestRefusal::Json),
            ("[]", RequestRefusal::IdMismatch),
            (r#"{"id":"dev1","csr":"AQID","x":1}"#, RequestRefusal::UnknownField),
            (r#"{"csr":"AQID"}"#, RequestRefusal::IdMissing),
            (r#"{"id":"","csr":"AQID"}"#, RequestRefusal::IdMissing),
            (r#"{"id":"dev2","csr":"AQID"}"#, RequestRefusal::IdMismatch),
            (r#"{"id":"dev1"}"#, RequestRefusal::CsrMissing),
            (r#"{"id":"dev1","csr":""}"#, RequestRefusal::CsrMissing),
            (&long, RequestRefusal::CsrTooLong),
            (r#"{"id":"dev1","csr":"A!"}"#, RequestRefusal::CsrBase64),
            (r#"{"id":"dev1","csr":"AQID","replace":"123"}"#, RequestRefusal::Replace),
            (r#"{"id":"dev1","csr":"AQID","replace":7}"#, RequestRefusal::Replace),
        ] {
            assert_eq!(CheckedRequest::parse(body.as_bytes(), "dev1"), Err(refusal), "{body}");
        }
        assert_eq!(RequestRefusal::Json.error_code(), 400_006);
        assert!(RequestRefusal::IdMissing.to_string().starts_with("Issue certificate request 'id' field is invalid"));
    }
}
