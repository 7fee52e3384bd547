//! CA certificates of DPS, with their proof of possession. Source: Azure REST API specification, DPS resource manager,
//! `DpsCertificate`.

use std::time::SystemTime;

use axum::extract::{Path, State};
use axum::routing::{get, post};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use hyper::StatusCode;
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};

use super::Plane;
use super::answer::Json;
use super::error::{ManagementRefusal, ManagementResult};
use super::request::{self, IfMatch};
use super::routes::Routes;
use crate::domain::{BYTE_ORDER_MARK, RegistrationId};
use crate::emulator::registry::{CaCertificate, ChangeError};
use crate::pki::csr::to_base64;
use crate::pki::pem_text;

/// `/certificates`.
pub(super) fn routes() -> Routes {
    Routes::new()
        .route("/certificates", get(list))
        .route("/certificates/{name}", get(show).put(put).delete(delete))
        .route("/certificates/{name}/generateVerificationCode", post(generate_code))
        .route("/certificates/{name}/verify", post(verify))
}

/// DER of a certificate as clients write it: PEM, or base64 of PEM or DER. Only the first certificate counts.
pub(super) fn certificate_der(text: &str) -> Option<Vec<u8>> {
    let of_pem = |text: &[u8]| pem_text::certificates(text).ok()?.into_iter().next();
    if pem_text::is_pem(text) {
        return of_pem(text.as_bytes());
    }
    let text: String = text.trim_start_matches(BYTE_ORDER_MARK).split_ascii_whitespace().collect();
    let bytes = STANDARD.decode(text).ok()?;
    match str::from_utf8(&bytes) {
        Ok(pem) if pem_text::is_pem(pem) => of_pem(&bytes),
        _ => Some(bytes),
    }
}

#[derive(Deserialize)]
struct Upload {
    properties: Properties,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Properties {
    certificate: String,
    is_verified: Option<bool>,
}

#[derive(Deserialize)]
struct Proof {
    certificate: String,
}

async fn list(State(plane): State<Plane>) -> Json {
    let cas = plane.core().registry.enrollments.cas();
    Json(json!({"value": cas.iter().map(|ca| shown(ca, false)).collect::<Vec<_>>()}))
}

async fn show(State(plane): State<Plane>, Path(name): Path<String>) -> ManagementResult {
    let ca = plane.core().registry.enrollments.ca(&name).ok_or_else(|| unknown(&name))?;
    Ok(Json(shown(&ca, false)))
}

async fn put(State(plane): State<Plane>, Path(name): Path<String>, if_match: IfMatch, body: Bytes) -> ManagementResult {
    // The rule for names is that for registration ids, as far as it is documented.
    RegistrationId::new(&name)
        .map_err(|error| ManagementRefusal::bad_request(format!("The name {name:?} cannot be: {error}.")))?;
    let Upload { properties } = request::json(&body)?;
    let der = der(&properties.certificate)?;
    let core = plane.core();
    let enrollments = &core.registry.enrollments;
    let ca = enrollments
        .put_ca(&name, &der, properties.is_verified.unwrap_or(false), if_match.or_absent(), core.clock.now())
        .map_err(|error| match error {
            ChangeError::Precondition if if_match.is_absent() => ManagementRefusal::conflict("certificate", &name),
            error => refusal(&name, error),
        })?;
    Ok(Json(shown(&ca, false)))
}

async fn delete(
    State(plane): State<Plane>,
    Path(name): Path<String>,
    if_match: IfMatch,
) -> ManagementResult<StatusCode> {
    let deleted = plane.core().registry.enrollments.delete_ca(&name, if_match.required()?);
    deleted.map_err(|error| refusal(&name, error))?;
    Ok(StatusCode::NO_CONTENT)
}

async fn generate_code(State(plane): State<Plane>, Path(name): Path<String>, if_match: IfMatch) -> ManagementResult {
    let core = plane.core();
    let ca = core.registry.enrollments.generate_code(&name, if_match.required()?, core.clock.now());
    Ok(Json(shown(&ca.map_err(|error| refusal(&name, error))?, true)))
}

async fn verify(
    State(plane): State<Plane>,
    Path(name): Path<String>,
    if_match: IfMatch,
    body: Bytes,
) -> ManagementResult {
    let Proof { certificate } = request::json(&body)?;
    let (core, proof) = (plane.core(), der(&certificate)?);
    let ca = core.registry.enrollments.verify_ca(&name, &proof, if_match.required()?, core.clock.now());
    Ok(Json(shown(&ca.map_err(|error| refusal(&name, error))?, false)))
}

fn der(text: &str) -> ManagementResult<Vec<u8>> {
    certificate_der(text)
        .ok_or_else(|| ManagementRefusal::bad_request("certificate must be PEM, or base64 of PEM or DER."))
}

fn unknown(name: &str) -> ManagementRefusal {
    ManagementRefusal::not_found("certificate", name)
}

fn refusal(name: &str, error: ChangeError) -> ManagementRefusal {
    match error {
        ChangeError::NotFound => unknown(name),
        error => error.into(),
    }
}

/// A CA certificate as the service shows it. The verification code is shown when it was made, and not again.
fn shown(ca: &CaCertificate, with_code: bool) -> Value {
    let mut properties = json!({
        "subject": ca.certificate.info.subject,
        "expiry": date(ca.certificate.info.not_after),
        "thumbprint": ca.certificate.info.sha1_thumbprint,
        "isVerified": ca.verified,
        "created": date(ca.revision.created),
        "updated": date(ca.revision.updated),
        "certificate": to_base64(&ca.certificate.der),
    });
    if let Some(code) = ca.verification_code.as_ref().filter(|_| with_code) {
        properties["verificationCode"] = code.code.as_str().into();
    }
    json!({
        "name": &*ca.name,
        "type": "Microsoft.Devices/ProvisioningServices/Certificates",
        "etag": ca.revision.etag.to_string(),
        "properties": properties,
    })
}

/// A moment as the resource manager of DPS writes it: `Sat, 31 Oct 2020 20:59:09 GMT`.
fn date(at: SystemTime) -> String {
    Timestamp::try_from(at).map_or_else(|_| String::new(), |at| at.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn certificates_are_read_as_clients_write_them() {
        let pem = pem::encode(&pem::Pem::new("CERTIFICATE", b"der".to_vec()));
        let trusted = pem.replace("CERTIFICATE", "TRUSTED CERTIFICATE");
        let after_text = format!("subject=CN = x\n{pem}");
        let marked = format!("\u{feff}{}", STANDARD.encode(format!("\u{feff}{pem}")));
        let plain = [pem.clone(), STANDARD.encode(&pem), STANDARD.encode(b"der"), "ZG\nVy ".to_owned()];
        for text in plain.into_iter().chain([trusted, after_text, marked]) {
            assert_eq!(certificate_der(&text).as_deref(), Some(&b"der"[..]), "{text}");
        }
        let key = pem.replace("CERTIFICATE", "PRIVATE KEY");
        for text in [&key, "-----BEGIN", "not base64!", &STANDARD.encode("-----BEGIN nothing")] {
            assert_eq!(certificate_der(text), None, "{text}");
        }
    }

    #[test]
    fn dates_are_those_of_http() {
        assert_eq!(date(SystemTime::UNIX_EPOCH), "Thu, 01 Jan 1970 00:00:00 GMT");
    }
}
