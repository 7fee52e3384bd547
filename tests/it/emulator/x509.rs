//! X.509 attestation: which enrollment a device's certificates lead to, and what they are refused with.

use std::time::{Duration, SystemTime};

use fleetstorm::domain::{CryptoProvider, FleetTime, KeyAlgorithm};
use fleetstorm::emulator::{CaEntry, Config, GroupEntry, Individual};
use fleetstorm::pki::bootstrap;
use fleetstorm::pki::ca::Validity;
use fleetstorm::pki::description::describe;
use fleetstorm::pki::key::DeviceKey;
use fleetstorm::protocol::mqtt::{ConnectReturnCode, QoS};
use fleetstorm::protocol::topic::DPS_RESPONSES;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, DnValue, IsCa, Issuer, KeyPair, KeyUsagePurpose,
};
use serde_json::Value;

use super::client::{API, Answer, Peer, World, accepted, dps_connect, dps_user, hub_connect, key_and_csr, refused};
use super::fleet::Fleet;

const REGISTER: &str = "$dps/registrations/PUT/iotdps-register/?$rid=1";

async fn connected(world: &World, id: &str, chain: Vec<Vec<u8>>) -> Peer {
    let mut peer = world.open_with(chain);
    assert_eq!(peer.connect(dps_connect(id, &dps_user(id, API), "")).await, accepted());
    peer.subscribe(DPS_RESPONSES, QoS::AtLeastOnce).await;
    peer
}

async fn register(world: &World, id: &str, chain: Vec<Vec<u8>>, body: &str) -> Answer {
    connected(world, id, chain).await.request(REGISTER, body).await
}

/// The state after a registration that goes well.
async fn assigned(world: &World, id: &str, chain: Vec<Vec<u8>>, body: &str) -> Value {
    let done = connected(world, id, chain).await.register(body).await;
    assert_eq!(done["status"], "assigned", "{done}");
    done["registrationState"].clone()
}

async fn group_of(world: &World, id: &str, chain: Vec<Vec<u8>>) -> String {
    let state = assigned(world, id, chain, "").await;
    state["x509"]["enrollmentGroupId"].as_str().unwrap_or("none").to_owned()
}

async fn refusal(world: &World, id: &str, chain: Vec<Vec<u8>>) -> (u64, String) {
    let answer = register(world, id, chain, "").await;
    assert_eq!(answer.topic, "$dps/registrations/res/401/?$rid=1", "{}", answer.body);
    let error = answer.json();
    (error["errorCode"].as_u64().unwrap(), error["message"].as_str().unwrap().to_owned())
}

fn ca_not_found() -> (u64, String) {
    (401_002, "CA certificate not found.".to_owned())
}

fn invalid_certificate() -> (u64, String) {
    (401_002, "Invalid certificate.".to_owned())
}

fn not_enrolled() -> (u64, String) {
    (401_000, "Unauthorized".to_owned())
}

#[tokio::test(start_paused = true)]
async fn a_bootstrap_certificate_and_a_csr_give_an_operational_certificate() {
    let fleet = Fleet::new();
    let world = World::with(fleet.by_root());
    let chain = fleet.chain("dev1");
    let (key, csr) = key_and_csr("dev1");
    let state = assigned(&world, "dev1", chain.clone(), &format!(r#"{{"csr":"{csr}"}}"#)).await;
    assert!(state.get("symmetricKey").is_none(), "{state}");
    let x509 = &state["x509"];
    assert_eq!(x509["enrollmentGroupId"], "by-root");
    let leaf = describe(&chain[0]).unwrap();
    let info = &x509["certificateInfo"];
    assert_eq!(info["subjectName"], "CN=dev1");
    assert_eq!((&info["sha1Thumbprint"], &info["version"]), (&leaf.sha1_thumbprint.into(), &3.into()));
    assert_eq!(x509["signingCertificateInfo"]["subjectName"], "CN=fleet root");
    let issued = state["issuedCertificateChain"].as_array().unwrap();
    assert_eq!(issued.len(), 3);

    // The hub takes what was issued and not what it was issued for.
    let (operational, _) = provisioned_again(&world, "dev1", &chain, &key).await;
    let mut hub = world.open_with(operational);
    assert_eq!(hub.connect(hub_connect("dev1", "")).await, accepted());
    let mut hub = world.open_with(chain);
    assert_eq!(hub.connect(hub_connect("dev1", "")).await, refused(ConnectReturnCode::NotAuthorized));
}

/// Registers once more with the same CSR key, as devices do whose certificate has expired.
async fn provisioned_again(world: &World, id: &str, bootstrap: &[Vec<u8>], key: &DeviceKey) -> (Vec<Vec<u8>>, Value) {
    use base64::Engine as _;
    let csr = fleetstorm::pki::csr::to_base64(&fleetstorm::pki::csr::build(key, id).unwrap());
    let state = assigned(world, id, bootstrap.to_vec(), &format!(r#"{{"csr":"{csr}"}}"#)).await;
    let texts = state["issuedCertificateChain"].as_array().unwrap();
    let decode = |text: &Value| base64::engine::general_purpose::STANDARD.decode(text.as_str().unwrap()).unwrap();
    (texts.iter().map(decode).collect(), state)
}

#[tokio::test(start_paused = true)]
async fn without_a_csr_the_bootstrap_certificate_is_the_credential_at_the_hub() {
    let fleet = Fleet::new();
    let world = World::with(fleet.by_root());
    let chain = fleet.chain("dev1");
    assert!(assigned(&world, "dev1", chain.clone(), "").await.get("issuedCertificateChain").is_none());
    let mut hub = world.open_with(chain.clone());
    assert_eq!(hub.connect(hub_connect("dev1", "")).await, accepted());
    let mut hub = world.open_with(fleet.chain("dev1"));
    assert_eq!(hub.connect(hub_connect("dev1", "")).await, refused(ConnectReturnCode::NotAuthorized));
}

#[tokio::test(start_paused = true)]
async fn every_certificate_up_to_the_enrolled_one_must_be_presented() {
    let fleet = Fleet::new();
    let world = World::with(fleet.by_root());
    let chain = fleet.chain("dev1");
    for length in [2, 3] {
        assert_eq!(group_of(&world, "dev1", chain[..length].to_vec()).await, "by-root");
    }
    assert_eq!(refusal(&world, "dev1", chain[..1].to_vec()).await, ca_not_found());
    assert_eq!(refusal(&world, "dev1", Fleet::new().chain("dev1")).await, ca_not_found(), "another root of that name");
}

/// An authority of the test's own making, with the name as it is given.
fn authority(name: DnValue) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    params
}

#[tokio::test(start_paused = true)]
async fn what_stands_above_the_lowest_trusted_authority_spoils_nothing() {
    let fleet = Fleet::new();
    let intermediate = fleet.intermediate_ca();
    let world = World::with(|config| {
        config.ca_certificates = vec![intermediate];
        config.groups = vec![GroupEntry::by_ca_references("by-intermediate", &["intermediate"])];
    });
    let expired = SystemTime::now() - Duration::from_secs(10 * 24 * 3600);
    let expired = bootstrap::root("fleet root", KeyAlgorithm::EcdsaP256, 1, expired).unwrap();
    let ed25519 = KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap();
    let ed25519 = authority("fleet root".into()).self_signed(&ed25519).unwrap();
    let mut chain = fleet.chain("dev1");
    for root in [fleet.root.der(), expired.der(), ed25519.der(), b"no certificate"] {
        chain[2] = root.to_vec();
        assert_eq!(group_of(&world, "dev1", chain.clone()).await, "by-intermediate");
    }
}

#[tokio::test(start_paused = true)]
async fn a_device_may_present_the_old_certificate_of_a_renewed_authority() {
    let fleet = Fleet::new();
    let key = DeviceKey::from_pem(&fleet.intermediate.key().to_pem().unwrap(), CryptoProvider::AwsLc).unwrap();
    let before = Validity::days(1, SystemTime::now() - Duration::from_secs(10 * 24 * 3600));
    let old = fleet.root.subordinate(key, "fleet intermediate", 0, before).unwrap();
    let mut chain = fleet.chain("dev1");
    chain[1] = old.der().to_vec();
    let cas = [fleet.root_ca(), fleet.intermediate_ca()];
    for (name, every_ca_verified) in [("intermediate", false), ("intermediate", true), ("root", false), ("root", true)]
    {
        let world = World::with(|config| {
            config.ca_certificates = cas.to_vec();
            config.groups = vec![GroupEntry::by_ca_references("renewed", &[name])];
            config.dps.every_ca_verified = every_ca_verified;
        });
        assert_eq!(group_of(&world, "dev1", chain.clone()).await, "renewed", "{name}, {every_ca_verified}");
    }
}

#[tokio::test(start_paused = true)]
async fn issuers_are_compared_by_what_they_say_and_not_by_how_it_is_encoded() {
    let key = KeyPair::generate().unwrap();
    let uploaded = DnValue::PrintableString("Contoso  Fleet CA".try_into().unwrap());
    let uploaded = authority(uploaded).self_signed(&key).unwrap().der().to_vec();
    let written = authority("CONTOSO fleet ca".into());
    let device = KeyPair::generate().unwrap();
    let mut leaf = CertificateParams::default();
    leaf.distinguished_name = DistinguishedName::new();
    leaf.distinguished_name.push(DnType::CommonName, "dev1");
    let presented = written.self_signed(&key).unwrap().der().to_vec();
    let leaf = leaf.signed_by(&device, &Issuer::new(written, key)).unwrap().der().to_vec();
    let by_reference = GroupEntry::by_ca_references("contoso", &["ca"]);
    let by_certificate = GroupEntry::by_signing_certificates("contoso", vec![uploaded.clone()]);
    for group in [by_reference, by_certificate] {
        let world = World::with(|config| {
            config.ca_certificates = vec![CaEntry::new("ca", uploaded.clone())];
            config.groups = vec![group];
        });
        for chain in [vec![leaf.clone()], vec![leaf.clone(), uploaded.clone()], vec![leaf.clone(), presented.clone()]] {
            assert_eq!(group_of(&world, "dev1", chain).await, "contoso");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn names_are_compared_without_case_and_must_agree() {
    let fleet = Fleet::new();
    let world = World::with(fleet.by_root());
    assert_eq!(group_of(&world, "DEV1", fleet.chain("dev1")).await, "by-root");
    assert_eq!(refusal(&world, "dev2", fleet.chain("dev1")).await, invalid_certificate());
    world.service.advance_clock(FleetTime::from_secs(366 * 24 * 3600));
    assert_eq!(refusal(&world, "dev1", fleet.chain("dev1")).await, invalid_certificate(), "expired");
}

#[tokio::test(start_paused = true)]
async fn a_ca_certificate_counts_once_it_is_verified() {
    let fleet = Fleet::new();
    let (root, by_root) = (fleet.root_ca(), GroupEntry::by_ca_references("by-root", &["root"]));
    let unverified = CaEntry { verified: false, ..root.clone() };
    let world = World::with(|config| {
        config.ca_certificates = vec![unverified];
        config.groups = vec![by_root];
    });
    assert_eq!(refusal(&world, "dev1", fleet.chain("dev1")).await, ca_not_found());

    let world = World::with(|config| config.ca_certificates = vec![root]);
    assert_eq!(refusal(&world, "dev1", fleet.chain("dev1")).await, not_enrolled(), "no group names it");
}

#[tokio::test(start_paused = true)]
async fn groups_go_from_the_certificate_nearest_the_leaf_up_and_the_first_match_counts() {
    let fleet = Fleet::new();
    let cas = [fleet.root_ca(), fleet.intermediate_ca()];
    let by_root = GroupEntry::by_ca_references("by-root", &["root"]);
    let mut by_intermediate = GroupEntry::by_ca_references("by-intermediate", &["intermediate", "root"]);
    let world = World::with(|config| {
        config.ca_certificates = cas.to_vec();
        config.groups = vec![by_root.clone(), by_intermediate.clone()];
    });
    assert_eq!(group_of(&world, "dev1", fleet.chain("dev1")).await, "by-intermediate");

    by_intermediate.disabled = true;
    let world = World::with(|config| {
        config.ca_certificates = cas.to_vec();
        config.groups = vec![by_root, by_intermediate];
    });
    let answer = register(&world, "dev1", fleet.chain("dev1"), "").await;
    assert_eq!(answer.json()["status"], "disabled", "though the group of the root would let it in");
}

#[tokio::test(start_paused = true)]
async fn signing_certificates_need_no_upload_unless_every_ca_must_be_verified() {
    let fleet = Fleet::new();
    let by_intermediate = || GroupEntry::by_signing_certificates("own", vec![fleet.intermediate.der().to_vec()]);
    let world = World::with(|config| config.groups = vec![by_intermediate()]);
    assert_eq!(group_of(&world, "dev1", fleet.chain("dev1")[..1].to_vec()).await, "own");

    for (cas, all_there) in [
        (vec![], false),
        (vec![fleet.intermediate_ca()], false),
        (vec![fleet.root_ca()], false),
        (vec![fleet.root_ca(), fleet.intermediate_ca()], true),
    ] {
        let world = World::with(|config| {
            config.dps.every_ca_verified = true;
            config.groups = vec![by_intermediate()];
            config.ca_certificates = cas;
        });
        for length in 1..=3 {
            let chain = fleet.chain("dev1")[..length].to_vec();
            match all_there {
                true => assert_eq!(group_of(&world, "dev1", chain).await, "own"),
                false => assert_eq!(refusal(&world, "dev1", chain).await, ca_not_found()),
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn an_individual_enrollment_is_preferred_and_wants_its_very_certificate() {
    let fleet = Fleet::new();
    let (own, next) = (fleet.chain("dev1"), fleet.chain("dev1"));
    let individual = Individual {
        certificates: vec![own[0].clone(), next[0].clone()],
        device_id: Some("pump-7".to_owned()),
        ..Individual::new("dev1")
    };
    let by_root = fleet.by_root();
    let world = World::with(|config| {
        by_root(config);
        config.enrollments = vec![individual, Individual::new("dev2")];
    });
    for chain in [own, next] {
        let state = assigned(&world, "dev1", chain[..1].to_vec(), "").await;
        assert_eq!((&state["deviceId"], state["x509"].get("enrollmentGroupId")), (&"pump-7".into(), None));
        assert!(state["x509"].get("signingCertificateInfo").is_none(), "{state}");
    }
    assert_eq!(refusal(&world, "dev1", fleet.chain("dev1")).await, invalid_certificate());
    assert_eq!(refusal(&world, "dev2", fleet.chain("dev2")).await, invalid_certificate(), "it has a key");
    assert_eq!(group_of(&world, "dev3", fleet.chain("dev3")).await, "by-root");
}

#[tokio::test(start_paused = true)]
async fn a_token_does_not_open_an_enrollment_by_certificates() {
    let fleet = Fleet::new();
    let world = World::with(fleet.by_root());
    let mut peer = world.dps("dev1").await;
    assert_eq!(peer.register("").await["registrationState"]["symmetricKey"]["enrollmentGroupId"], "fleet");
    // With both, the token counts.
    let mut peer = world.open_with(fleet.chain("dev1"));
    let connect = dps_connect("dev1", &dps_user("dev1", API), &world.token("dev1"));
    assert_eq!(peer.connect(connect).await, accepted());
    peer.subscribe(DPS_RESPONSES, QoS::AtLeastOnce).await;
    assert!(peer.register("").await["registrationState"].get("x509").is_none());
}

#[test]
fn settings_that_cannot_be_name_the_entry() {
    let fleet = Fleet::new();
    let refused = |change: &dyn Fn(&mut Config)| {
        let mut config = Config::default();
        change(&mut config);
        fleetstorm::emulator::Service::new(config).unwrap_err().to_string()
    };
    let error = refused(&|config| config.groups = vec![GroupEntry::by_ca_references("g", &["absent"])]);
    assert!(error.contains("`groups` \"g\"") && error.contains("absent"), "{error}");
    let leaf = fleet.chain("dev1").remove(0);
    let error = refused(&|config| config.ca_certificates = vec![CaEntry::new("leaf", leaf.clone())]);
    assert!(error.contains("`ca_certificates` \"leaf\"") && error.contains("CA:TRUE"), "{error}");
    let error = refused(&|config| {
        config.groups = vec![GroupEntry {
            ca_references: vec!["root".to_owned()],
            ..GroupEntry::by_signing_certificates("g", vec![fleet.root.der().to_vec()])
        }];
    });
    assert!(error.contains("one kind of attestation"), "{error}");
    let error = refused(&|config| {
        config.enrollments = vec![Individual { certificates: vec![b"junk".to_vec()], ..Individual::new("d") }];
    });
    assert!(error.contains("enrollments.certificate_files"), "{error}");
}
