use serde::Deserialize;
use serde_json::{Value, json};

use crate::emulator::dps::certificate_info;
use crate::emulator::management::certificates::certificate_der;
use crate::emulator::management::error::{ManagementRefusal, ManagementResult};
use crate::emulator::registry::{Certificate, CertificatePair, EnrollmentAttestation};
use crate::pki::sas::SymmetricKey;

/// `AttestationMechanism` of the DPS API, as clients write it.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Mechanism {
    r#type: Type,
    symmetric_key: Option<Keys>,
    x509: Option<X509>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
enum Type {
    None,
    Tpm,
    X509,
    SymmetricKey,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Keys {
    primary_key: Option<String>,
    secondary_key: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct X509 {
    client_certificates: Option<Pair<CertificateText>>,
    signing_certificates: Option<Pair<CertificateText>>,
    ca_references: Option<Pair<String>>,
}

#[derive(Deserialize)]
struct Pair<T> {
    primary: Option<T>,
    secondary: Option<T>,
}

#[derive(Deserialize)]
struct CertificateText {
    certificate: Option<String>,
}

impl Mechanism {
    /// The attestation that is meant. What is secret, or long, may be left out of a change: `current` has it then. New
    /// keys are random where none are given.
    pub(super) fn attestation(
        self,
        current: Option<&EnrollmentAttestation>,
    ) -> ManagementResult<EnrollmentAttestation> {
        match (self.r#type, self.symmetric_key, self.x509) {
            (Type::SymmetricKey, keys, None) => keys_of(keys, current),
            (Type::X509, None, Some(x509)) => x509.attestation(current),
            (Type::None | Type::Tpm, ..) => Err(ManagementRefusal::bad_request(
                "attestation.type must be symmetricKey or x509: TPM is not emulated.",
            )),
            (Type::SymmetricKey | Type::X509, ..) => {
                Err(ManagementRefusal::bad_request("attestation must have what its type names, and nothing else."))
            }
        }
    }
}

fn keys_of(keys: Option<Keys>, current: Option<&EnrollmentAttestation>) -> ManagementResult<EnrollmentAttestation> {
    let (primary, secondary) = keys.map_or((None, None), |keys| (keys.primary_key, keys.secondary_key));
    let (old_primary, old_secondary) = match current {
        Some(EnrollmentAttestation::SymmetricKey { primary, secondary }) => (Some(primary), Some(secondary)),
        _ => (None, None),
    };
    let key = |name: &str, text: Option<String>, old: Option<&SymmetricKey>| match text.filter(|t| !t.is_empty()) {
        Some(text) => SymmetricKey::from_base64(&text)
            .map_err(|error| ManagementRefusal::bad_request(format!("attestation.symmetricKey.{name}: {error}."))),
        None => Ok(old.cloned().unwrap_or_else(SymmetricKey::random)),
    };
    Ok(EnrollmentAttestation::SymmetricKey {
        primary: key("primaryKey", primary, old_primary)?,
        secondary: key("secondaryKey", secondary, old_secondary)?,
    })
}

impl X509 {
    fn attestation(self, current: Option<&EnrollmentAttestation>) -> ManagementResult<EnrollmentAttestation> {
        match (self.client_certificates, self.signing_certificates, self.ca_references) {
            (Some(pair), None, None) => match (certificates(&pair)?, current) {
                (Some(pair), _) => Ok(EnrollmentAttestation::ClientCertificates(pair)),
                (None, Some(EnrollmentAttestation::ClientCertificates(pair))) => {
                    Ok(EnrollmentAttestation::ClientCertificates(pair.clone()))
                }
                (None, _) => Err(no_primary("clientCertificates")),
            },
            (None, Some(pair), None) => match (certificates(&pair)?, current) {
                (Some(pair), _) => Ok(EnrollmentAttestation::SigningCertificates(pair)),
                (None, Some(EnrollmentAttestation::SigningCertificates(pair))) => {
                    Ok(EnrollmentAttestation::SigningCertificates(pair.clone()))
                }
                (None, _) => Err(no_primary("signingCertificates")),
            },
            (None, None, Some(Pair { primary, secondary })) => Ok(EnrollmentAttestation::CaReferences {
                primary: primary.ok_or_else(|| no_primary("caReferences"))?.into(),
                secondary: secondary.filter(|name| !name.is_empty()).map(Into::into),
            }),
            _ => Err(ManagementRefusal::bad_request(
                "attestation.x509 must have one of clientCertificates, signingCertificates and caReferences.",
            )),
        }
    }
}

fn no_primary(of: &str) -> ManagementRefusal {
    ManagementRefusal::bad_request(format!("attestation.x509.{of}.primary is missing."))
}

/// The certificates of a pair; `None` when the first has none.
fn certificates(pair: &Pair<CertificateText>) -> ManagementResult<Option<CertificatePair>> {
    let der = |text: &Option<CertificateText>| {
        let text = text.as_ref().and_then(|text| text.certificate.as_deref()).filter(|text| !text.is_empty());
        let unusable = || ManagementRefusal::bad_request("A certificate must be PEM, or base64 of PEM or DER.");
        text.map(|text| certificate_der(text).ok_or_else(unusable)).transpose()
    };
    let Some(primary) = der(&pair.primary)? else { return Ok(None) };
    let secondary = der(&pair.secondary)?;
    CertificatePair::new(&primary, secondary.as_deref())
        .map(Some)
        .ok_or_else(|| ManagementRefusal::bad_request("A certificate must be an X.509 certificate."))
}

/// What everybody may see of an attestation: no keys, and of certificates what they say.
pub(super) fn shown(attestation: &EnrollmentAttestation) -> Value {
    match attestation {
        EnrollmentAttestation::SymmetricKey { .. } => json!({"type": "symmetricKey"}),
        EnrollmentAttestation::ClientCertificates(pair) => x509("clientCertificates", pair, |_| None),
        EnrollmentAttestation::SigningCertificates(pair) => x509("signingCertificates", pair, |_| None),
        EnrollmentAttestation::CaReferences { primary, secondary } => {
            let mut references = json!({"primary": &**primary});
            if let Some(secondary) = secondary {
                references["secondary"] = (**secondary).into();
            }
            json!({"type": "x509", "x509": {"caReferences": references}})
        }
    }
}

/// All of an attestation.
pub(super) fn whole(attestation: &EnrollmentAttestation) -> Value {
    let text = |certificate: &Certificate| Some(crate::pki::csr::to_base64(&certificate.der));
    match attestation {
        EnrollmentAttestation::SymmetricKey { primary, secondary } => json!({
            "type": "symmetricKey",
            "symmetricKey": {"primaryKey": &**primary.to_base64(), "secondaryKey": &**secondary.to_base64()},
        }),
        EnrollmentAttestation::ClientCertificates(pair) => x509("clientCertificates", pair, text),
        EnrollmentAttestation::SigningCertificates(pair) => x509("signingCertificates", pair, text),
        references @ EnrollmentAttestation::CaReferences { .. } => shown(references),
    }
}

fn x509(name: &str, pair: &CertificatePair, text: impl Fn(&Certificate) -> Option<String>) -> Value {
    let show = |certificate: &Certificate| {
        let mut shown = json!({"info": certificate_info(&certificate.info)});
        if let Some(text) = text(certificate) {
            shown["certificate"] = text.into();
        }
        shown
    };
    let mut certificates = json!({"primary": show(&pair.primary)});
    if let Some(secondary) = &pair.secondary {
        certificates["secondary"] = show(secondary);
    }
    json!({"type": "x509", "x509": {name: certificates}})
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_ca_may_be_named_and_one_without_a_name_is_none() {
        for (second, named) in [(json!("b"), Some("b")), (json!(""), None), (Value::Null, None)] {
            let references = json!({"primary": "a", "secondary": second});
            let mechanism = json!({"type": "x509", "x509": {"caReferences": references}});
            let mechanism: Mechanism = serde_json::from_value(mechanism).unwrap();
            let Ok(attestation) = mechanism.attestation(None) else { panic!("{references}") };
            let mut references = json!({"primary": "a"});
            if let Some(name) = named {
                references["secondary"] = name.into();
            }
            assert_eq!(whole(&attestation), json!({"type": "x509", "x509": {"caReferences": references}}));
        }
    }
}
