use std::sync::Arc;
use std::time::{Duration, SystemTime};

use fleetstorm::domain::{CryptoProvider, FleetTime, KeyAlgorithm};
use fleetstorm::emulator::Individual;
use fleetstorm::pki::csr;
use fleetstorm::pki::issuing_ca::RootCa;
use fleetstorm::pki::key::DeviceKey;
use fleetstorm::pki::sas::SymmetricKey;
use fleetstorm::protocol::mqtt::ConnectReturnCode::{BadUserNamePassword, NotAuthorized};
use fleetstorm::protocol::mqtt::QoS;
use fleetstorm::protocol::topic::DPS_RESPONSES;
use hyper::Method;

use super::super::fleet::Fleet;
use super::super::management::Control;
use super::Expected::{Hub, In};
use super::{Credential, Door, Row, Running, Said, Side, judge, malformed, row, sas, tampered};
use crate::emulator::client::{API, SCOPE, accepted, dps_connect, dps_user, key_and_csr};

const REFUSED: super::Expected = Hub(NotAuthorized, 401, "IotHubUnauthorizedAccess");
const MALFORMED: super::Expected = Hub(BadUserNamePassword, 401, "IotHubUnauthorizedAccess");
const DISABLED: super::Expected = Hub(NotAuthorized, 403, "DeviceDisabled");
const UNKNOWN: super::Expected = Hub(NotAuthorized, 404, "DeviceNotFound");
const DAY: Duration = Duration::from_secs(86_400);

fn resource(id: &str) -> String {
    format!("localhost/devices/{id}")
}

impl Running {
    /// What a device is issued that registers with its key.
    pub(super) async fn issued(&self, id: &str) -> Credential {
        let (chain, key) = self.world().provision(id).await;
        Credential::certificates(&chain, &Arc::new(key))
    }

    /// Lets a device attest with a certificate and get no other.
    pub(super) async fn attested(&self, id: &str, credential: &Credential) {
        assert_eq!(self.dps(Door::Mqtt, id, credential).await, Said::In);
    }
}

#[tokio::test]
async fn tokens_at_the_hub() {
    let fleet = Fleet::new();
    let by_root = fleet.by_root();
    let emulator = Running::with_doors(by_root).await;
    for id in ["dev1", "dev2", "off", "gone"] {
        emulator.world().provision(id).await;
    }
    emulator.attested("x509", &Credential::identity(fleet.identity("x509", 365, SystemTime::now()))).await;
    emulator.service.set_device_enabled("off", false).unwrap();
    emulator.service.delete_device("gone").unwrap();
    let (group, now) = (emulator.service.group_key(), emulator.seconds());
    let (key, later) = (group.derive("dev1"), now + 3600);
    let signed = |key: &SymmetricKey, resource: &str, expiry| Credential::token(sas(key, resource, expiry));
    let good = sas(&key, &resource("dev1"), later);
    let of = |id: &str| signed(&group.derive(id), &resource(id), later);
    let mut rows = vec![
        row("a token", "dev1", Credential::token(good.clone()), In),
        row("a token that expired an hour ago", "dev1", signed(&key, &resource("dev1"), now - 3600), REFUSED),
        row("a token that expired a second ago", "dev1", signed(&key, &resource("dev1"), now - 1), REFUSED),
        row("a token that expires now", "dev1", signed(&key, &resource("dev1"), now), REFUSED),
        row("a token that expired in 1970", "dev1", signed(&key, &resource("dev1"), 0), REFUSED),
        row("the token of another device", "dev2", Credential::token(good.clone()), REFUSED),
        row("a token for another device", "dev1", signed(&key, &resource("dev2"), later), REFUSED),
        row("a token for part of the device's name", "dev1", signed(&key, &resource("dev"), later), REFUSED),
        row("a token for another case of the name", "dev1", signed(&key, &resource("DEV1"), later), REFUSED),
        row("a token for all devices", "dev1", signed(&key, "localhost/devices", later), REFUSED),
        row("a token for the hub", "dev1", signed(&key, "localhost", later), REFUSED),
        row("a token for a module", "dev1", signed(&key, "localhost/devices/dev1/modules/m", later), REFUSED),
        row("a token for another hub", "dev1", signed(&key, "elsewhere/devices/dev1", later), REFUSED),
        row("a token for DPS", "dev1", signed(&key, &format!("{SCOPE}/registrations/dev1"), later), REFUSED),
        row("a token for nothing", "dev1", signed(&key, "", later), REFUSED),
        row(
            "a token signed with another key",
            "dev1",
            signed(&SymmetricKey::random(), &resource("dev1"), later),
            REFUSED,
        ),
        row(
            "a token signed with another device's key",
            "dev1",
            signed(&group.derive("dev2"), &resource("dev1"), later),
            REFUSED,
        ),
        row("a token signed with the group's key", "dev1", signed(group, &resource("dev1"), later), REFUSED),
        row("a token of a device that came with a certificate", "x509", of("x509"), REFUSED),
        row("a token of a device that is switched off", "off", of("off"), DISABLED),
        row("a wrong token of a device that is switched off", "off", Credential::token(good.clone()), REFUSED),
        row("a token of a device that was deleted", "gone", of("gone"), UNKNOWN),
        row("a token of a device that never came", "dev3", of("dev3"), UNKNOWN),
        row("no credential", "dev1", Credential::default(), REFUSED),
    ];
    rows.extend(
        malformed(&good).into_iter().map(|(what, token)| row(what, "dev1", Credential::token(token), MALFORMED)),
    );
    let tampered = tampered(&good, later);
    rows.extend(tampered.into_iter().map(|(what, token)| row(what, "dev1", Credential::token(token), REFUSED)));
    judge(&emulator, Side::Hub, false, &rows).await;
    keys_are_those_of_the_last_registration(&emulator).await;
    emulator.service.advance_clock(FleetTime::new(DAY));
    let late = [row("a token that was good yesterday", "dev1", Credential::token(good), REFUSED)];
    judge(&emulator, Side::Hub, false, &late).await;
    emulator.stop().await;
}

/// An enrollment gets another key: the device's identity at the hub has it after the next registration.
async fn keys_are_those_of_the_last_registration(emulator: &Running) {
    let mut control = Control::new(&emulator.world()).await;
    let later = emulator.seconds() + 3600;
    let keys = [SymmetricKey::random(), SymmetricKey::random()];
    let [old, new] = keys.each_ref().map(|key| Credential::token(sas(key, &resource("keyed"), later)));
    let enroll = |key: &SymmetricKey| {
        let key = &*key.to_base64();
        let keys = serde_json::json!({"primaryKey": key, "secondaryKey": key});
        let attestation = serde_json::json!({"type": "symmetricKey", "symmetricKey": keys});
        serde_json::json!({"registrationId": "keyed", "attestation": attestation}).to_string()
    };
    for (key, [old_is, new_is]) in keys.iter().zip([[In, REFUSED], [REFUSED, In]]) {
        let stored = control.ask(Method::PUT, "/enrollments/keyed", &[("if-match", "*")], &enroll(key)).await;
        let stored = if stored.status == 412 {
            control.ask(Method::PUT, "/enrollments/keyed", &[], &enroll(key)).await
        } else {
            let rows = [row("before it registers again", "keyed", old.clone(), In)];
            judge(emulator, Side::Hub, false, &rows).await;
            stored
        };
        assert_eq!(stored.status, 200, "{}", stored.body);
        emulator.attested("keyed", &Credential::token(sas(key, &format!("{SCOPE}/registrations/keyed"), later))).await;
        let rows = [row("the old key", "keyed", old.clone(), old_is), row("the new key", "keyed", new.clone(), new_is)];
        judge(emulator, Side::Hub, false, &rows).await;
    }
}

/// Certificates for `dev1` of an authority with the names of the emulator's.
fn forged() -> Credential {
    let now = SystemTime::now();
    let foreign = RootCa::generate("fleetstorm emulator ADR root", now).unwrap();
    let foreign = foreign.issuing_ca("fleetstorm emulator policy default", now).unwrap();
    let key = DeviceKey::generate(KeyAlgorithm::EcdsaP256, CryptoProvider::AwsLc).unwrap();
    let request = csr::verify(&csr::build(&key, "dev1").unwrap()).unwrap();
    let leaf = foreign.issue(&request, "dev1", uuid::Uuid::nil(), now - DAY, now + DAY).unwrap().der;
    Credential::certificates(&[leaf], &Arc::new(key))
}

#[tokio::test]
async fn operational_certificates_at_the_hub() {
    let emulator = Running::with_doors(|_| ()).await;
    let [dev1, dev2] = [emulator.issued("dev1").await, emulator.issued("dev2").await];
    let [off, gone, revoked] =
        [emulator.issued("off").await, emulator.issued("gone").await, emulator.issued("revoked").await];
    emulator.service.set_device_enabled("off", false).unwrap();
    emulator.service.delete_device("gone").unwrap();
    emulator.service.revoke_device_certificates("revoked").unwrap();
    let (old, new) = (emulator.issued("renewed").await, emulator.issued("renewed").await);
    let (before, again) = (emulator.issued("again").await, {
        emulator.service.delete_device("again").unwrap();
        emulator.issued("again").await
    });
    let mut with_foreign_leaf = forged();
    with_foreign_leaf.chain.extend_from_slice(&dev1.chain[1..]);
    let token = sas(&emulator.service.group_key().derive("dev1"), &resource("dev1"), 1);
    let rows = [
        row("a certificate", "dev1", dev1.clone(), In),
        row("a certificate alone", "dev1", dev1.clone().first(1), In),
        row("the certificate of another device", "dev2", dev1.clone(), REFUSED),
        row("the certificate of yet another device", "dev1", dev2, REFUSED),
        row("a certificate of another authority of that name", "dev1", forged(), REFUSED),
        row("a certificate of another authority, with this one presented", "dev1", with_foreign_leaf, REFUSED),
        row("a certificate of a device that is switched off", "off", off, DISABLED),
        row("a certificate of a device that was deleted", "gone", gone, UNKNOWN),
        row("a certificate from before the device was deleted and came again", "again", before, REFUSED),
        row("a certificate from after that", "again", again, In),
        row("a certificate that was revoked", "revoked", revoked.clone(), REFUSED),
        row("a certificate that was renewed", "renewed", old.clone(), In),
        row("the one that it was renewed with", "renewed", new, In),
        row("a good certificate and a token that has expired", "dev1", dev1.clone().and_token(token), REFUSED),
        row("a good certificate and no token", "dev1", dev1.clone().and_token("secret"), MALFORMED),
    ];
    judge(&emulator, Side::Hub, false, &rows).await;
    let rows = [
        row("one that it got afterwards", "revoked", emulator.issued("revoked").await, In),
        row("a certificate that was revoked, still", "revoked", revoked, REFUSED),
    ];
    judge(&emulator, Side::Hub, false, &rows).await;

    emulator.service.advance_clock(FleetTime::new(31 * DAY));
    let fresh = emulator.issued("dev1").await;
    let rows = [
        row("a certificate that has expired", "dev1", dev1, REFUSED),
        row("a certificate that was renewed and has expired", "renewed", old, REFUSED),
        row("a fresh certificate", "dev1", fresh.clone(), In),
    ];
    judge(&emulator, Side::Hub, false, &rows).await;

    emulator.service.revoke_policy("default").unwrap();
    let unsynced = emulator.issued("dev1").await;
    let rows = [
        row("a certificate of a policy that was revoked", "dev1", fresh, REFUSED),
        row("a certificate of an authority that the hub has not heard of", "dev1", unsynced.clone(), REFUSED),
    ];
    judge(&emulator, Side::Hub, false, &rows).await;
    emulator.service.sync_credentials().unwrap();
    judge(&emulator, Side::Hub, false, &[row("a certificate of an authority that it heard of", "dev1", unsynced, In)])
        .await;
    emulator.stop().await;
}

#[tokio::test]
async fn bootstrap_certificates_at_the_hub() {
    let fleet = Fleet::new();
    let by_root = fleet.by_root();
    let now = SystemTime::now();
    let unissued = Credential::identity(fleet.identity("unissued", 365, now));
    let certificates = vec![unissued.chain[0].clone()];
    let emulator = Running::with_doors(|config| {
        by_root(config);
        let credential_policy = String::new();
        config.enrollments = vec![Individual { certificates, credential_policy, ..Individual::new("unissued") }];
    })
    .await;
    let identity = |id: &str, days| Credential::identity(fleet.identity(id, days, now));
    let (dev1, dev2, twin) = (identity("dev1", 365), identity("dev2", 365), identity("dev1", 365));
    let (short, off, gone, replaced, next) = (
        identity("short", 9),
        identity("off", 365),
        identity("gone", 365),
        identity("next", 365),
        identity("next", 365),
    );
    for (id, credential) in [("dev1", &dev1), ("dev2", &dev2), ("short", &short), ("off", &off), ("gone", &gone)] {
        emulator.attested(id, credential).await;
    }
    emulator.attested("next", &replaced).await;
    emulator.attested("next", &next).await;
    emulator.service.set_device_enabled("off", false).unwrap();
    emulator.service.delete_device("gone").unwrap();
    let with_operational = identity("operational", 365);
    emulator.attested("operational", &with_operational).await;
    emulator.issued("operational").await;
    // It asks for a certificate, and its enrollment has no policy that would sign one.
    let mut dps = emulator.world().open_with(unissued.chain.clone());
    assert_eq!(dps.connect(dps_connect("unissued", &dps_user("unissued", API), "")).await, accepted());
    dps.subscribe(DPS_RESPONSES, QoS::AtLeastOnce).await;
    let done = dps.register(&format!(r#"{{"csr":"{}"}}"#, key_and_csr("unissued").1)).await;
    assert!(done["registrationState"].get("issuedCertificateChain").is_none(), "{done}");
    let rows: Vec<Row> = vec![
        row("a certificate known by its thumbprint", "dev1", dev1.clone(), In),
        row("the same alone", "dev1", dev1.clone().first(1), In),
        row("the certificate of another device", "dev2", dev1.clone(), REFUSED),
        row("the certificate of yet another device", "dev1", dev2, REFUSED),
        row("another certificate of the same name and authority", "dev1", twin, REFUSED),
        row("one that it has attested with before", "next", replaced, REFUSED),
        row("one that it has attested with after that", "next", next, In),
        row("one of a device that has an operational one", "operational", with_operational, REFUSED),
        row("one of a device that is switched off", "off", off, DISABLED),
        row("one of a device that was deleted", "gone", gone, UNKNOWN),
        row("one of a device that asked for another in vain", "unissued", unissued, In),
        row("one that expires in nine days", "short", short.clone(), In),
        row(
            "an authority's certificate in its place",
            "dev1",
            Credential { chain: dev1.chain[1..].to_vec(), ..authority(&fleet) },
            REFUSED,
        ),
    ];
    judge(&emulator, Side::Hub, false, &rows).await;
    emulator.service.advance_clock(FleetTime::new(10 * DAY));
    let rows = [
        row("one that has expired", "short", short.clone(), REFUSED),
        row("one that has expired, alone", "short", short.first(1), REFUSED),
        row("one that has not", "dev1", dev1.clone(), In),
    ];
    judge(&emulator, Side::Hub, false, &rows).await;
    // The enrollment group is gone; who has registered stays.
    let mut control = Control::new(&emulator.world()).await;
    assert_eq!(control.ask(Method::DELETE, "/enrollmentGroups/by-root", &[], "").await.status, 204);
    judge(&emulator, Side::Hub, false, &[row("one of a group that is gone", "dev1", dev1, In)]).await;
    emulator.stop().await;
}

/// The intermediate's own key and certificate.
fn authority(fleet: &Fleet) -> Credential {
    let key = DeviceKey::from_pem(&fleet.intermediate.key().to_pem().unwrap(), CryptoProvider::AwsLc).unwrap();
    Credential::certificates(&[fleet.intermediate.der().to_vec()], &Arc::new(key))
}
