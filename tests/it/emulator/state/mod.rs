//! State that survives a restart, or a kill.

mod crash;

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::SystemTime;

use fleetstorm::domain::{FleetTime, KeyAlgorithm};
use fleetstorm::emulator::{CaEntry, Config, GroupEntry, Service, StartError, StateError};
use fleetstorm::pki::bootstrap;
use fleetstorm::pki::sas::SymmetricKey;
use fleetstorm::protocol::mqtt::ConnectReturnCode;
use hyper::Method;
use serde_json::{Value, json};

use super::client::{Peer, World, accepted, hub_connect, key_and_csr, refused};
use super::hub_client::Feature;
use super::management::Control;

const REGISTER: &str = "$dps/registrations/PUT/iotdps-register/?$rid=1";

/// What lives as long as one process does; afterwards nothing of it runs.
fn incarnation<F: Future>(folder: &Path, life: impl FnOnce(World) -> F) -> F::Output {
    incarnation_with(folder, |_| {}, life)
}

fn incarnation_with<F: Future>(
    folder: &Path,
    change: impl FnOnce(&mut Config),
    life: impl FnOnce(World) -> F,
) -> F::Output {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let world = World::with(|config| {
        config.state = Some(folder.to_owned());
        change(config);
    });
    runtime.block_on(life(world))
}

/// The registration state at the end of a registration with a CSR, and the chain.
async fn provision(world: &World, id: &str) -> (Value, Vec<Vec<u8>>) {
    use base64::Engine as _;
    let mut peer = world.dps(id).await;
    let body = json!({"csr": key_and_csr(id).1}).to_string();
    let operation = peer.request(REGISTER, &body).await.json()["operationId"].as_str().unwrap().to_owned();
    assert!(world.service.durable().await);
    let state = peer.poll(&operation).await.json()["registrationState"].clone();
    assert_eq!(state["status"], "assigned", "{state}");
    let decode = |text: &Value| base64::engine::general_purpose::STANDARD.decode(text.as_str().unwrap()).unwrap();
    let chain = state["issuedCertificateChain"].as_array().unwrap().iter().map(decode).collect();
    (state, chain)
}

/// Changes something through the control plane, whatever its tag is.
async fn done(control: &mut Control, method: Method, uri: &str, body: &str) {
    let if_match: &[_] = if uri == "/enrollments/one" { &[] } else { &[("if-match", "*")] };
    let reply = control.ask(method, uri, if_match, body).await;
    assert!(reply.status.is_success(), "{uri}: {}", reply.body);
}

async fn hub(world: &World, id: &str, chain: &[Vec<u8>]) -> Peer {
    let mut peer = world.open_with(chain.to_vec());
    assert_eq!(peer.connect(hub_connect(id, "")).await, accepted(), "{id}");
    peer
}

#[test]
fn a_fleet_of_yesterday_connects_and_renews_today() {
    let folder = tempfile::tempdir().unwrap();
    let (root, key, first, chain) = incarnation(folder.path(), |world| async move {
        let (first, chain) = provision(&world, "dev1").await;
        let mut peer = hub(&world, "dev1", &chain).await;
        peer.wants(Feature::Twin).await;
        let reported =
            peer.request("$iothub/twin/PATCH/properties/reported/?$rid=2", r#"{"z":3,"a":{"y":0,"b":1}}"#).await;
        assert_eq!(reported.topic, "$iothub/twin/res/204/?$rid=2&$version=2");
        world.service.patch_twin("dev1", Some(&json!({"site": "x"})), Some(&json!({"x": 4, "c": 2}))).unwrap();
        assert!(world.service.durable().await);
        (world.service.issuing_root().to_vec(), world.service.group_key().to_base64(), first, chain)
    });
    incarnation(folder.path(), |world| async move {
        assert_eq!(world.service.issuing_root(), root);
        assert_eq!(world.service.group_key().to_base64(), key);
        let mut peer = hub(&world, "dev1", &chain).await;
        peer.wants(Feature::Twin).await;
        let twin = peer.request("$iothub/twin/GET/?$rid=1", "").await;
        let in_order = r#"{"desired":{"x":4,"c":2,"$version":2},"reported":{"z":3,"a":{"y":0,"b":1},"$version":2}}"#;
        assert_eq!(twin.body, in_order);
        let twin = twin.json();
        assert_eq!((&twin["reported"]["a"]["b"], &twin["reported"]["$version"]), (&1.into(), &2.into()));
        assert_eq!(twin["desired"]["c"], 2);
        assert_eq!(world.service.twin("dev1").unwrap().tags["site"], "x");

        peer.wants(Feature::Credentials).await;
        let csr = key_and_csr("dev1").1;
        let renew = "$iothub/credentials/POST/issueCertificate/?$rid=rid-1";
        let accepted = peer.request(renew, &json!({"id": "dev1", "csr": csr}).to_string()).await;
        assert_eq!(accepted.topic, "$iothub/credentials/res/202/?$rid=rid-1");
        let issued = peer.answer().await;
        assert_eq!(issued.topic, "$iothub/credentials/res/200/?$rid=rid-1");

        // A registration goes on where it was.
        let (again, _) = provision(&world, "dev1").await;
        assert_eq!(again["createdDateTimeUtc"], first["createdDateTimeUtc"]);
        assert_ne!(again["etag"], first["etag"]);
    });
}

#[test]
fn what_was_changed_from_outside_stays_changed() {
    let folder = tempfile::tempdir().unwrap();
    let root = bootstrap::root("fleet", KeyAlgorithm::EcdsaP256, 30, SystemTime::now()).unwrap();
    let ca = CaEntry::new("fleet", root.der().to_vec());
    let settings = |config: &mut Config| {
        config.ca_certificates = vec![ca.clone()];
        config.groups = vec![GroupEntry::by_ca_references("x509", &["fleet"])];
    };
    let chains = incarnation_with(folder.path(), settings, |world| async move {
        let mut chains = Vec::new();
        for id in ["off", "revoked", "gone", "stays"] {
            chains.push(provision(&world, id).await.1);
        }
        let mut control = Control::new(&world).await;
        done(&mut control, Method::PATCH, "/devices/off", r#"{"status":"disabled"}"#).await;
        done(&mut control, Method::POST, "/devices/revoked/revoke", "").await;
        done(&mut control, Method::DELETE, "/devices/gone", "").await;
        done(&mut control, Method::DELETE, "/registrations/gone", "").await;
        let policy =
            json!({"properties": {"certificate": {"leafCertificateConfiguration": {"validityPeriodInDays": 7}}}});
        done(&mut control, Method::PUT, "/policies/second", &policy.to_string()).await;
        done(&mut control, Method::POST, "/clock", r#"{"advance":"P1D"}"#).await;
        let mut group = control.get("/enrollmentGroups/x509").await;
        group["provisioningStatus"] = "disabled".into();
        done(&mut control, Method::PUT, "/enrollmentGroups/x509", &group.to_string()).await;
        let individual = json!({
            "registrationId": "one", "deviceId": "pump", "attestation": {"type": "symmetricKey", "symmetricKey": {}},
        });
        done(&mut control, Method::PUT, "/enrollments/one", &individual.to_string()).await;
        chains
    });
    // The settings say that the group is enabled: what was stored wins.
    incarnation_with(folder.path(), settings, |world| async move {
        for (id, chain) in ["off", "revoked", "gone"].into_iter().zip(&chains) {
            let answer = world.open_with(chain.clone()).connect(hub_connect(id, "")).await;
            assert_eq!(answer, refused(ConnectReturnCode::NotAuthorized), "{id}");
        }
        hub(&world, "stays", &chains[3]).await;
        let mut control = Control::new(&world).await;
        assert_eq!(control.get("/enrollmentGroups/x509").await["provisioningStatus"], "disabled");
        assert_eq!(control.get("/enrollments/one").await["deviceId"], "pump");
        assert_eq!(control.get("/certificates/fleet").await["properties"]["isVerified"], true);
        let policy = control.get("/policies/second").await;
        let leaf = &policy["properties"]["certificate"]["leafCertificateConfiguration"];
        assert_eq!((&leaf["validityPeriodInDays"], &policy["properties"]["synchronized"]), (&7.into(), &false.into()));
        let now = control.get("/clock").await["now"].as_str().unwrap().parse::<jiff::Timestamp>().unwrap();
        assert!(now.as_second() > jiff::Timestamp::now().as_second() + 86_000);
        assert_eq!(control.ask(Method::GET, "/registrations/gone", &[], "").await.status, 404);
        assert_eq!(control.ask(Method::GET, "/registrations/stays", &[], "").await.status, 200);
    });
}

#[test]
fn a_key_that_is_given_takes_the_place_of_the_stored_one() {
    let folder = tempfile::tempdir().unwrap();
    incarnation(folder.path(), |world| async move { assert!(world.service.durable().await) });
    let given = SymmetricKey::random();
    let set = |config: &mut Config| config.group.primary_key = Some(given.clone());
    incarnation_with(folder.path(), set, |world| async move {
        provision(&world, "dev1").await;
    });
    incarnation(folder.path(), |world| async move {
        assert_eq!(world.service.group_key().to_base64(), given.to_base64());
    });
}

#[test]
fn the_state_is_for_its_owner_and_for_one_emulator() {
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().join("a/state");
    let config = || Config { state: Some(state.clone()), ..Config::default() };
    let first = Service::new(config()).unwrap();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&state), mode(&state.join("state.redb"))), (0o700, 0o600));
    let second = Service::new(config()).unwrap_err();
    assert!(matches!(second, StartError::State(StateError::InUse(_))), "{second}");
    drop(first);
    Service::new(config()).unwrap();
    fs::write(state.join("state.redb"), "something else").unwrap();
    let broken = Service::new(config()).unwrap_err();
    assert!(broken.to_string().contains("state.redb"), "{broken}");
}

#[tokio::test(start_paused = true)]
async fn without_a_folder_nothing_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let world = World::new();
    world.provision("dev1").await;
    assert!(world.service.durable().await, "there is nothing to wait for");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    world.service.advance_clock(FleetTime::from_secs(1));
}
