//! JSON bodies of DPS and of certificate renewal, on both sides: written with the fields that the service writes, read
//! with everything that real clients and servers were seen to send. Source: Azure REST API specification, DPS device API
//! 2025-07-01-preview; for renewal, the official SDKs.

mod chain;
mod refusal;
mod registration;
mod renewal;
mod state;
mod text;

pub use chain::{decode_chain, decode_csr, encode_chain};
pub use refusal::{CheckedRequest, RequestRefusal};
pub use registration::{RegistrationRequest, Tpm};
pub use renewal::{CertificateRequest, CertificatesIssued, RenewalAccepted, RenewalError, RenewalInfo};
pub use state::{ErrorDetails, OperationStatus, RegistrationState, RegistrationStatus};
pub use text::Text;

/// Why a body is not what it should be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PayloadError {
    /// Not JSON, or a field of the wrong type.
    #[error("the body is not the expected JSON: {0}")]
    Json(String),
    /// Not base64.
    #[error("{0} is not base64 text")]
    Base64(&'static str),
    /// More, or more of it, than an authority issues.
    #[error("the issued chain {0}")]
    Chain(&'static str),
}

/// Reads a JSON object; serde alone would also take an array of the fields' values.
fn object<'a, T: serde::Deserialize<'a>>(body: &'a [u8]) -> Result<T, PayloadError> {
    match body.iter().find(|b| !b.is_ascii_whitespace()) {
        Some(b'{') => Ok(serde_json::from_slice(body)?),
        _ => Err(PayloadError::Json("it is not an object".to_owned())),
    }
}

impl From<serde_json::Error> for PayloadError {
    /// The message without line and column, which would make equal failures differ.
    fn from(error: serde_json::Error) -> Self {
        let text = error.to_string();
        Self::Json(text.split(" at line ").next().unwrap_or_default().to_owned())
    }
}
