use std::time::SystemTime;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use fleetstorm::domain::{CryptoProvider, KeyAlgorithm, RegistrationId};
use fleetstorm::pki::bootstrap;
use fleetstorm::pki::ca::CertificateAuthority;
use fleetstorm::pki::key::DeviceKey;
use fleetstorm::pki::store::certificates_to_pem;
use hyper::Method;
use serde_json::{Value, json};

use super::super::client::{API, World, accepted, dps_connect, dps_user};
use super::Control;
use fleetstorm::protocol::mqtt::QoS;
use fleetstorm::protocol::topic::DPS_RESPONSES;

fn root() -> CertificateAuthority {
    bootstrap::root("fleet root", KeyAlgorithm::EcdsaP256, 3650, SystemTime::now()).unwrap()
}

fn upload(der: &[u8]) -> String {
    let pem = certificates_to_pem(&[der]);
    json!({"properties": {"certificate": STANDARD.encode(pem), "isVerified": false}}).to_string()
}

fn etag(shown: &Value) -> String {
    shown["etag"].as_str().unwrap().to_owned()
}

/// The status of a registration with the certificate of a device, or the code that refuses it.
async fn register(world: &World, id: &str, ca: &CertificateAuthority) -> Value {
    let key = DeviceKey::generate(KeyAlgorithm::EcdsaP256, CryptoProvider::AwsLc).unwrap();
    let id = RegistrationId::new(id).unwrap();
    let above = [ca.der().to_vec()];
    let chain = bootstrap::device(ca, &above, &id, key, 365, SystemTime::now()).unwrap().chain;
    let mut peer = world.open_with(chain);
    assert_eq!(peer.connect(dps_connect(id.as_str(), &dps_user(id.as_str(), API), "")).await, accepted());
    peer.subscribe(DPS_RESPONSES, QoS::AtLeastOnce).await;
    let answer = peer.request("$dps/registrations/PUT/iotdps-register/?$rid=1", "").await.json();
    match answer["operationId"].as_str() {
        Some(operation) => peer.poll(operation).await.json()["status"].clone(),
        None => answer["errorCode"].clone(),
    }
}

#[tokio::test(start_paused = true)]
async fn an_authority_lets_devices_in_once_possession_is_proved() {
    let world = World::new();
    let mut control = Control::new(&world).await;
    let ca = root();
    let uploaded = control.put("/certificates/fleet-root", &upload(ca.der())).await;
    let properties = &uploaded["properties"];
    assert_eq!((&properties["isVerified"], &properties["subject"]), (&false.into(), &"CN=fleet root".into()));
    assert!(properties["expiry"].as_str().unwrap().ends_with(" GMT"), "{uploaded}");
    assert_eq!(properties["certificate"], STANDARD.encode(ca.der()));
    let group = r#"{"attestation":{"type":"x509","x509":{"caReferences":{"primary":"fleet-root"}}}}"#;
    let group = control.put("/enrollmentGroups/by-root", group).await;
    assert_eq!(group["attestation"]["x509"]["caReferences"]["primary"], "fleet-root");
    assert_eq!(register(&world, "dev1", &ca).await, 401_002, "not verified yet");

    let first = etag(&uploaded);
    let generate = "/certificates/fleet-root/generateVerificationCode";
    assert_eq!(control.ask(Method::POST, generate, &[], "").await.refusal(), (400, 400_000), "no If-Match");
    let code = control.ask(Method::POST, generate, &[("if-match", &first)], "").await.json();
    assert_eq!(control.ask(Method::POST, generate, &[("if-match", &first)], "").await.refusal(), (412, 412_000));
    let second = etag(&code);
    let code = code["properties"]["verificationCode"].as_str().unwrap();
    assert_eq!(code.len(), 48);
    let shown = control.get("/certificates/fleet-root").await;
    assert_eq!((etag(&shown), shown["properties"].get("verificationCode")), (second.clone(), None));

    let verify = "/certificates/fleet-root/verify";
    let proof = |ca: &CertificateAuthority, code: &str| {
        let proof = bootstrap::proof_of_possession(ca, code, 30, SystemTime::now()).unwrap();
        json!({"certificate": certificates_to_pem(&[proof])}).to_string()
    };
    let good = proof(&ca, code);
    assert_eq!(control.ask(Method::POST, verify, &[("if-match", &first)], &good).await.refusal(), (412, 412_000));
    for bad in [proof(&root(), code), proof(&ca, "another code"), r#"{"certificate":"?"}"#.to_owned()] {
        assert_eq!(control.ask(Method::POST, verify, &[("if-match", &second)], &bad).await.refusal(), (400, 400_000));
    }
    let verified = control.ask(Method::POST, verify, &[("if-match", &second)], &good).await;
    assert_eq!(verified.json()["properties"]["isVerified"], true, "{}", verified.body);
    assert_eq!(register(&world, "dev1", &ca).await, "assigned");

    let third = etag(&verified.json());
    assert_eq!(control.get("/certificates").await["value"].as_array().unwrap().len(), 1);
    let delete = control.ask(Method::DELETE, "/certificates/fleet-root", &[("if-match", &third)], "").await;
    assert_eq!(delete.status, 204);
    assert_eq!(control.ask(Method::GET, "/certificates/fleet-root", &[], "").await.refusal(), (404, 404_201));
    assert_eq!(register(&world, "dev2", &ca).await, 401_002);
}

#[tokio::test(start_paused = true)]
async fn uploads_that_cannot_be_are_refused_and_replaced_by_tag_only() {
    let world = World::new();
    let mut control = Control::new(&world).await;
    let (ca, key) = (root(), DeviceKey::generate(KeyAlgorithm::EcdsaP256, CryptoProvider::AwsLc).unwrap());
    let id = RegistrationId::new("dev1").unwrap();
    let leaf = bootstrap::device(&ca, &[], &id, key, 365, SystemTime::now()).unwrap().chain.remove(0);
    for (body, code) in [
        (upload(&leaf), 400_000),
        (upload(b"nothing"), 400_000),
        (r#"{"properties":{"certificate":"?"}}"#.to_owned(), 400_000),
        ("{}".to_owned(), 400_012),
    ] {
        assert_eq!(control.ask(Method::PUT, "/certificates/ca", &[], &body).await.refusal(), (400, code), "{body}");
    }
    let first = control.put("/certificates/ca", &upload(ca.der())).await;
    assert_eq!(control.ask(Method::PUT, "/certificates/ca", &[], &upload(ca.der())).await.refusal(), (409, 409_000));
    let verified = json!({"properties": {"certificate": STANDARD.encode(ca.der()), "isVerified": true}}).to_string();
    let second = control.ask(Method::PUT, "/certificates/ca", &[("if-match", &etag(&first))], &verified).await;
    assert_eq!(second.json()["properties"]["isVerified"], true, "{}", second.body);
    let stale = control.ask(Method::PUT, "/certificates/ca", &[("if-match", &etag(&first))], &verified).await;
    assert_eq!(stale.refusal(), (412, 412_000));
}

#[tokio::test(start_paused = true)]
async fn signing_and_client_certificates_are_shown_without_themselves_and_kept() {
    let world = World::new();
    let mut control = Control::new(&world).await;
    let ca = root();
    let pem = certificates_to_pem(&[ca.der()]);
    let body =
        json!({"attestation": {"type": "x509", "x509": {"signingCertificates": {"primary": {"certificate": pem}}}}});
    let made = control.put("/enrollmentGroups/signed", &body.to_string()).await;
    let primary = &made["attestation"]["x509"]["signingCertificates"]["primary"];
    assert_eq!((&primary["info"]["subjectName"], primary.get("certificate")), (&"CN=fleet root".into(), None));
    assert_eq!(register(&world, "dev1", &ca).await, "assigned");
    let etag = made["etag"].as_str().unwrap();
    let again = control.ask(Method::PUT, "/enrollmentGroups/signed", &[("if-match", etag)], &made.to_string()).await;
    assert_eq!(again.status, 200, "{}", again.body);
    assert_eq!(register(&world, "dev1", &ca).await, "assigned");
    let mechanism = control.post("/enrollmentGroups/signed/attestationmechanism", "").await.json();
    assert_eq!(mechanism["x509"]["signingCertificates"]["primary"]["certificate"], STANDARD.encode(ca.der()));
    let individual = control.ask(Method::PUT, "/enrollments/dev1", &[], &body.to_string()).await;
    assert_eq!(individual.refusal(), (400, 400_000), "not for individual enrollments");
}

/// One authority as other programs write it.
const FORMS: [&str; 3] = [
    include_str!("../../../data/pem-forms/bom.pem"),
    include_str!("../../../data/pem-forms/trusted.pem"),
    include_str!("../../../data/pem-forms/x509label.pem"),
];

#[tokio::test(start_paused = true)]
async fn certificates_are_taken_in_every_form_of_pem() {
    let world = World::new();
    let mut control = Control::new(&world).await;
    let der = STANDARD.encode(fleetstorm::pki::pem_text::certificates(FORMS[0].as_bytes()).unwrap().remove(0));
    for (index, form) in FORMS.into_iter().enumerate() {
        for (way, text) in
            [form.to_owned(), format!("subject=CN = x\n{form}"), STANDARD.encode(form)].iter().enumerate()
        {
            let path = format!("/certificates/ca-{index}-{way}");
            let body = json!({"properties": {"certificate": text}}).to_string();
            assert_eq!(control.put(&path, &body).await["properties"]["certificate"], der, "{form}");
            let path = format!("/enrollmentGroups/group-{index}-{way}");
            let certificates = json!({"signingCertificates": {"primary": {"certificate": text}}});
            let body = json!({"attestation": {"type": "x509", "x509": certificates}}).to_string();
            let group = control.put(&path, &body).await;
            let info = &group["attestation"]["x509"]["signingCertificates"]["primary"]["info"];
            assert_eq!(info["subjectName"], "CN=fleetstorm emulator TLS root", "{group}");
        }
    }
}
