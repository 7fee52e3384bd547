use serde::{Deserialize, Serialize};

use super::{PayloadError, Text};

/// Body of a registration (`DeviceRegistration` of the DPS device API). Absent and `null` fields are the same.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct RegistrationRequest<'a> {
    /// The registration id; some SDKs leave it out, the MQTT user name and the URL have it too.
    #[serde(rename = "registrationId", borrow, default, skip_serializing_if = "Option::is_none")]
    pub registration_id: Option<Text<'a>>,
    /// Base64 of a PKCS#10 request in DER, without PEM lines.
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub csr: Option<Text<'a>>,
    /// Handed to custom allocation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payload: Option<serde_json::Value>,
    /// TPM attestation, which MQTT does not carry.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tpm: Option<Tpm>,
}

/// Keys of a trusted platform module, base64.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Tpm {
    /// The endorsement key.
    pub endorsement_key: String,
    /// The storage root key.
    pub storage_root_key: String,
}

impl<'a> RegistrationRequest<'a> {
    /// From a body. An empty or blank one is a request without any field, as official SDKs send it.
    pub fn parse(body: &'a [u8]) -> Result<Self, PayloadError> {
        if body.iter().all(u8::is_ascii_whitespace) {
            return Ok(Self::default());
        }
        super::object(body)
    }

    /// The body.
    pub fn to_body(&self) -> Vec<u8> {
        // Fails only for maps with keys that are not text, of which there is none.
        serde_json::to_vec(self).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bodies_of_real_clients_are_read() {
        let parse = |body: &'static str| RegistrationRequest::parse(body.as_bytes()).unwrap();
        for body in ["", " ", "{}", r#"{"payload":null,"csr":null,"tpm":null}"#] {
            assert_eq!(parse(body), RegistrationRequest::default(), "{body}");
        }
        let python = parse(r#"{"payload": null, "registrationId": "dev1"}"#);
        assert_eq!(python.registration_id.as_deref(), Some("dev1"));
        let c = parse(r#"{"registrationId":"dev1","csr":"MIHR\/a+b=","payload":{"a":[1]},"unknown":1}"#);
        assert_eq!(c.csr.as_deref(), Some("MIHR/a+b="), "an escaped slash is a slash");
        assert_eq!(c.payload, Some(serde_json::json!({"a": [1]})));
    }

    #[test]
    fn other_bodies_are_refused() {
        for body in ["{", "[]", "1", r#"{"csr":5}"#, "{}x", "\u{1}"] {
            assert!(RegistrationRequest::parse(body.as_bytes()).is_err(), "{body}");
        }
        let deep = "[".repeat(100_000);
        let payload = format!(r#"{{"payload":{deep}"#);
        assert!(RegistrationRequest::parse(payload.as_bytes()).is_err(), "no stack overflow");
    }

    #[test]
    fn only_present_fields_are_written() {
        let request = RegistrationRequest {
            registration_id: Some("dev1".into()),
            csr: Some("MIHR".into()),
            ..RegistrationRequest::default()
        };
        assert_eq!(request.to_body(), br#"{"registrationId":"dev1","csr":"MIHR"}"#);
        assert_eq!(RegistrationRequest::default().to_body(), b"{}");
    }
}
