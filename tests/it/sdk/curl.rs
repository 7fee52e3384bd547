//! curl does the HTTPS registration; openssl judges the certificate.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use fleetstorm::domain::{CryptoProvider, KeyAlgorithm};
use fleetstorm::pki::csr;
use fleetstorm::pki::key::DeviceKey;
use fleetstorm::pki::sas::SymmetricKey;
use serde_json::Value;

use super::lab::Lab;

const API: &str = "api-version=2025-07-01-preview";

/// One request; gives the status and the body.
fn curl(lab: &Lab, method: &str, path: &str, authorization: &str, body: Option<&Value>) -> (u16, Value) {
    let port = lab.connection.https.unwrap().port();
    let mut command = Command::new("curl");
    command
        .args(["--silent", "--show-error", "--request", method, "--write-out", "\n%{http_code}", "--cacert"])
        .arg(&lab.connection.ca_file)
        .args(["--header", "Content-Type: application/json", "--header", "Content-Encoding: utf-8", "--header"])
        .arg(format!("Authorization: {authorization}"));
    if let Some(body) = body {
        command.arg("--data").arg(body.to_string());
    }
    let output = command.arg(format!("https://localhost:{port}{path}")).output().expect("curl is needed");
    let text = String::from_utf8(output.stdout).unwrap();
    let (body, status) =
        text.rsplit_once('\n').unwrap_or_else(|| panic!("{}", String::from_utf8_lossy(&output.stderr)));
    (status.parse().unwrap(), serde_json::from_str(body).unwrap_or(Value::Null))
}

#[test]
fn registers_over_https_and_openssl_accepts_the_chain() {
    let lab = Lab::get();
    let (id, scope) = ("curl-1", &lab.connection.id_scope);
    let group = SymmetricKey::from_base64(&std::fs::read_to_string(&lab.connection.group_key_file).unwrap()).unwrap();
    let expiry = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() + 3600;
    let token = |key: &SymmetricKey| {
        key.derive(id).sign(&format!("{scope}/registrations/{id}"), expiry, Some("registration")).to_text()
    };
    let register = format!("/{scope}/registrations/{id}/register?{API}");

    let (status, body) = curl(lab, "PUT", &register, &token(&SymmetricKey::random()), Some(&Value::Null));
    assert_eq!((status, &body["errorCode"]), (401, &401_002.into()), "{body}");

    let key = DeviceKey::generate(KeyAlgorithm::EcdsaP256, CryptoProvider::AwsLc).unwrap();
    let request = serde_json::json!({
        "registrationId": id,
        "csr": csr::to_base64(&csr::build(&key, id).unwrap()),
    });
    let token = token(&group);
    let (status, body) = curl(lab, "PUT", &register, &token, Some(&request));
    assert_eq!((status, &body["status"]), (202, &"assigning".into()), "{body}");
    let operation = body["operationId"].as_str().unwrap();
    let poll = format!("/{scope}/registrations/{id}/operations/{operation}?{API}");
    let assigned = (0..20)
        .map(|_| {
            std::thread::sleep(Duration::from_secs(1));
            curl(lab, "GET", &poll, &token, None)
        })
        .find(|(status, _)| *status == 200)
        .expect("assigned in time")
        .1;
    assert_eq!(assigned["status"], "assigned", "{assigned}");

    let chain = assigned["registrationState"]["issuedCertificateChain"].as_array().unwrap();
    let files = ["leaf", "issuing", "root"].map(|name| lab.folder().join(format!("{id}.{name}.pem")));
    for (certificate, file) in chain.iter().zip(&files) {
        let der = STANDARD.decode(certificate.as_str().unwrap()).unwrap();
        std::fs::write(file, pem::encode(&pem::Pem::new("CERTIFICATE", der))).unwrap();
    }
    openssl_accepts(&files[0], &files[1], &files[2]);
}

fn openssl_accepts(leaf: &Path, issuing: &Path, root: &Path) {
    let output = Command::new("openssl")
        .args(["verify", "-x509_strict", "-purpose", "sslclient", "-CAfile"])
        .arg(root)
        .arg("-untrusted")
        .args([issuing, leaf])
        .output()
        .expect("openssl is needed: apt-get install openssl");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}
