//! CSRs as other programs write them, on every way by which they come.

use std::collections::BTreeMap;

use fleetstorm::pki::certificate::leaf_identity;
use hyper::{Method, StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};

use super::client::{API, SCOPE, World, accepted, decode_chain, hub_connect};
use super::http_client::HttpPeer;
use super::hub_client::Feature;

#[derive(Deserialize)]
struct Case {
    registration_id: String,
    csr: String,
}

/// The cases, each in one line and broken into lines.
fn cases() -> Vec<(String, String)> {
    let cases: BTreeMap<String, Case> = serde_json::from_str(include_str!("../../data/csr-forms/csrs.json")).unwrap();
    let broken = |csr: &str, end: &str| {
        let lines: Vec<&str> = csr.as_bytes().chunks(64).map(|line| str::from_utf8(line).unwrap()).collect();
        lines.join(end) + end
    };
    let all = cases.into_values().flat_map(|Case { registration_id: id, csr }| {
        let forms = [broken(&csr, "\n"), broken(&csr, "\r\n"), csr];
        forms.map(|csr| (id.clone(), csr))
    });
    all.collect()
}

fn issued_to(state: &Value) -> String {
    leaf_identity(&decode_chain(state)[0]).unwrap().common_name
}

#[tokio::test(start_paused = true)]
async fn they_are_taken_over_mqtt() {
    let world = World::new();
    for (id, csr) in cases() {
        let done = world.dps(&id).await.register(&json!({"csr": csr}).to_string()).await;
        assert_eq!(done["status"], "assigned", "{id}: {done}");
        assert_eq!(issued_to(&done["registrationState"]), id);
    }
}

#[tokio::test(start_paused = true)]
async fn they_are_taken_over_https() {
    let world = World::new();
    for (id, csr) in cases() {
        let mut peer = HttpPeer::new(world.open_https(Vec::new()).0).await;
        let uri = |rest: &str| format!("/{SCOPE}/registrations/{id}{rest}?api-version={API}");
        let body = json!({"registrationId": id, "csr": csr}).to_string();
        let begun = peer.send(Method::PUT, &uri("/register"), &world.token(&id), &body).await;
        assert_eq!(begun.status, StatusCode::ACCEPTED, "{id}: {}", begun.body);
        let operation = begun.json()["operationId"].as_str().unwrap().to_owned();
        let done = peer.send(Method::GET, &uri(&format!("/operations/{operation}")), &world.token(&id), "").await;
        assert_eq!(done.json()["status"], "assigned", "{id}: {}", done.body);
        assert_eq!(issued_to(&done.json()["registrationState"]), id);
    }
}

#[tokio::test(start_paused = true)]
async fn they_are_taken_for_a_renewal_over_the_hub() {
    let world = World::new();
    for (id, csr) in cases() {
        let (chain, _) = world.provision(&id).await;
        let mut peer = world.open_with(chain);
        assert_eq!(peer.connect(hub_connect(&id, "")).await, accepted());
        peer.wants(Feature::Credentials).await;
        let body = json!({"id": id, "csr": csr}).to_string();
        let begun = peer.request("$iothub/credentials/POST/issueCertificate/?$rid=1234", &body).await;
        assert_eq!(begun.topic, "$iothub/credentials/res/202/?$rid=1234", "{id}: {}", begun.body);
        let publish = peer.published().await;
        peer.acknowledge(&publish).await;
        let issued: Value = serde_json::from_slice(&publish.payload).unwrap();
        let state = json!({"issuedCertificateChain": issued["certificates"]});
        assert_eq!(issued_to(&state), id, "{issued}");
    }
}
