use std::time::{Duration, SystemTime};

use fleetstorm::domain::{CryptoProvider, FleetTime, KeyAlgorithm};
use fleetstorm::emulator::{CaEntry, Config, GroupEntry, Individual};
use fleetstorm::pki::bootstrap;
use fleetstorm::pki::key::DeviceKey;
use fleetstorm::pki::sas::SymmetricKey;
use fleetstorm::protocol::mqtt::ConnectReturnCode::{BadUserNamePassword, NotAuthorized};
use hyper::Method;

use super::super::fleet::Fleet;
use super::super::management::Control;
use super::Expected::{Disabled, Dps, DpsConnect, In};
use super::{Credential, Row, Running, Side, ago, judge, malformed, row, sas, tampered};
use crate::emulator::client::SCOPE;

const WRONG_KEY: super::Expected = Dps(401_002, "Unauthorized");
const NOT_ENROLLED: super::Expected = Dps(401_000, "Unauthorized");
const INVALID: super::Expected = Dps(401_002, "Invalid certificate.");
const CA_NOT_FOUND: super::Expected = Dps(401_002, "CA certificate not found.");
const EXPIRED: super::Expected = DpsConnect(NotAuthorized, 401_002, "Unauthorized");
const MALFORMED: super::Expected = DpsConnect(BadUserNamePassword, 401_002, "Unauthorized");

fn resource(id: &str) -> String {
    format!("{SCOPE}/registrations/{id}")
}

fn symmetric_rows(emulator: &Running, own: &SymmetricKey) -> Vec<Row> {
    let (group, now) = (emulator.service.group_key(), emulator.seconds());
    let (key, later) = (group.derive("dev1"), now + 3600);
    let signed = |key: &SymmetricKey, resource: &str, expiry| Credential::token(sas(key, resource, expiry));
    let good = sas(&key, &resource("dev1"), later);
    let mut rows = vec![
        row("a token", "dev1", Credential::token(good.clone()), In),
        row("a token that expired an hour ago", "dev1", signed(&key, &resource("dev1"), now - 3600), EXPIRED),
        row("a token that expired a second ago", "dev1", signed(&key, &resource("dev1"), now - 1), EXPIRED),
        row("a token that expires now", "dev1", signed(&key, &resource("dev1"), now), EXPIRED),
        row("a token that expired in 1970", "dev1", signed(&key, &resource("dev1"), 0), EXPIRED),
        row("the token of another device", "dev2", Credential::token(good.clone()), WRONG_KEY),
        row("a token for another device", "dev1", signed(&key, &resource("dev2"), later), WRONG_KEY),
        row("a token for part of the device's name", "dev1", signed(&key, &resource("dev"), later), WRONG_KEY),
        row("a token for all devices", "dev1", signed(&key, &format!("{SCOPE}/registrations"), later), WRONG_KEY),
        row("a token for the id scope", "dev1", signed(&key, SCOPE, later), WRONG_KEY),
        row(
            "a token for more than the device",
            "dev1",
            signed(&key, &format!("{}/x", resource("dev1")), later),
            WRONG_KEY,
        ),
        row("a token for another scope", "dev1", signed(&key, "0ne0000FFFF/registrations/dev1", later), WRONG_KEY),
        row("a token for the hub", "dev1", signed(&key, "localhost/devices/dev1", later), WRONG_KEY),
        row("a token for nothing", "dev1", signed(&key, "", later), WRONG_KEY),
        row(
            "a token signed with another key",
            "dev1",
            signed(&SymmetricKey::random(), &resource("dev1"), later),
            WRONG_KEY,
        ),
        row(
            "a token signed with another device's key",
            "dev1",
            signed(&group.derive("dev2"), &resource("dev1"), later),
            WRONG_KEY,
        ),
        row("a token signed with the group's key", "dev1", signed(group, &resource("dev1"), later), WRONG_KEY),
        row(
            "a token in another scope",
            "dev1@0ne0000FFFF",
            Credential::token(good.clone()),
            Dps(404_000, "There is no provisioning service with this ID scope."),
        ),
        row("no credential", "dev1", Credential::default(), NOT_ENROLLED),
        row("a token signed with an own key", "own", signed(own, &resource("own"), later), In),
        row(
            "the group's token for a device with a key of its own",
            "own",
            signed(&group.derive("own"), &resource("own"), later),
            WRONG_KEY,
        ),
        row(
            "a token for a device with a certificate of its own",
            "certified",
            signed(&group.derive("certified"), &resource("certified"), later),
            WRONG_KEY,
        ),
        row("a token of a device that is switched off", "off", signed(own, &resource("off"), later), Disabled),
        row("a wrong token of a device that is switched off", "off", signed(&key, &resource("off"), later), WRONG_KEY),
        row(
            "a token signed with the key of an enrollment that is gone",
            "gone",
            signed(own, &resource("gone"), later),
            WRONG_KEY,
        ),
    ];
    rows.extend(
        malformed(&good).into_iter().map(|(what, token)| row(what, "dev1", Credential::token(token), MALFORMED)),
    );
    let tampered = tampered(&good, later);
    rows.extend(tampered.into_iter().map(|(what, token)| row(what, "dev1", Credential::token(token), WRONG_KEY)));
    rows
}

fn individuals(key: &SymmetricKey) -> Vec<Individual> {
    let own = |id: &str| Individual { primary_key: Some(key.clone()), ..Individual::new(id) };
    vec![own("own"), Individual { disabled: true, ..own("off") }, own("gone")]
}

async fn symmetric(at_connect: bool) {
    let own = SymmetricKey::random();
    let certificate = Fleet::new().chain("certified").remove(0);
    let emulator = Running::with_doors(|config| {
        config.dps.reject_at_connect = at_connect;
        config.enrollments = individuals(&own);
        config.enrollments.push(Individual { certificates: vec![certificate], ..Individual::new("certified") });
    })
    .await;
    let mut control = Control::new(&emulator.world()).await;
    assert_eq!(control.ask(Method::DELETE, "/enrollments/gone", &[], "").await.status, 204);
    judge(&emulator, Side::Dps, at_connect, &symmetric_rows(&emulator, &own)).await;
    assert_eq!(control.ask(Method::DELETE, "/enrollmentGroups/fleet", &[], "").await.status, 204);
    let later = emulator.seconds() + 3600;
    let of = |key: &SymmetricKey, id: &str| Credential::token(sas(key, &resource(id), later));
    let rows = [
        row(
            "a token of a group that is gone",
            "dev1",
            of(&emulator.service.group_key().derive("dev1"), "dev1"),
            NOT_ENROLLED,
        ),
        row("a token signed with an own key, though the group is gone", "OWN", of(&own, "OWN"), In),
    ];
    judge(&emulator, Side::Dps, at_connect, &rows).await;
    emulator.stop().await;
}

#[tokio::test]
async fn tokens_at_dps() {
    symmetric(false).await;
}

#[tokio::test]
async fn tokens_at_a_dps_that_judges_connect() {
    symmetric(true).await;
}

/// Fleets of the same names, each with another fault; and the enrollments for them.
struct Fleets {
    good: Fleet,
    stranger: Fleet,
    unverified: Fleet,
    off: Fleet,
    groupless: Fleet,
    taken: Fleet,
    expired: Fleet,
}

impl Fleets {
    fn new() -> Self {
        let mut expired = Fleet::new();
        expired.root = bootstrap::root("fleet root", KeyAlgorithm::EcdsaP256, 9, ago(10)).unwrap();
        expired.intermediate =
            bootstrap::intermediate(&expired.root, "fleet intermediate", KeyAlgorithm::EcdsaP256, 99, ago(10)).unwrap();
        let [good, stranger, unverified, off, groupless, taken] = std::array::from_fn(|_| Fleet::new());
        Self { good, stranger, unverified, off, groupless, taken, expired }
    }

    fn enroll(&self, config: &mut Config, own: Vec<Vec<u8>>) {
        for (name, fleet) in [
            ("good", &self.good),
            ("unverified", &self.unverified),
            ("off", &self.off),
            ("groupless", &self.groupless),
            ("taken", &self.taken),
            ("expired", &self.expired),
        ] {
            let entry = CaEntry::new(name, fleet.root.der().to_vec());
            config.ca_certificates.push(CaEntry { verified: name != "unverified", ..entry });
            let group = GroupEntry::by_ca_references(name, &[name]);
            config.groups.push(GroupEntry { disabled: name == "off", ..group });
        }
        config.enrollments = vec![Individual { certificates: own, ..Individual::new("own") }, Individual::new("keyed")];
    }
}

fn certificate_rows(emulator: &Running, fleets: &Fleets, own: &[Credential; 2], issued: Credential) -> Vec<Row> {
    let now = SystemTime::now();
    let of = |fleet: &Fleet, id: &str| Credential::identity(fleet.identity(id, 365, now));
    let good = of(&fleets.good, "dev1");
    let lasting = |days, from| Credential::identity(fleets.good.identity("dev1", days, from));
    let expired_middle = {
        let middle =
            bootstrap::intermediate(&fleets.good.root, "fleet intermediate", KeyAlgorithm::EcdsaP256, 9, ago(10));
        let (root, intermediate) = (Fleet::new().root, middle.unwrap());
        of(&Fleet { root, intermediate }, "dev1")
    };
    let forged = {
        // Another authority with the names of the good one, below what is presented of the good one.
        let mut forged = of(&fleets.stranger, "dev1");
        forged.chain.truncate(1);
        forged.chain.extend([fleets.good.intermediate.der().to_vec(), fleets.good.root.der().to_vec()]);
        forged
    };
    let device_as_authority = {
        let key = DeviceKey::generate(KeyAlgorithm::EcdsaP256, CryptoProvider::AwsLc).unwrap();
        let player = fleets.good.identity("player", 365, now);
        let authority = fleetstorm::pki::ca::CertificateAuthority::new(player.chain[0].clone(), player.key).unwrap();
        let id = fleetstorm::domain::RegistrationId::new("dev1").unwrap();
        Credential::identity(bootstrap::device(&authority, &player.chain, &id, key, 30, now).unwrap())
    };
    let token = |expiry| sas(&emulator.service.group_key().derive("dev1"), &resource("dev1"), expiry);
    let tomorrow = now + Duration::from_secs(86_400);
    vec![
        row("a certificate", "dev1", good.clone(), In),
        row("a certificate without the root", "dev1", good.clone().first(2), In),
        row("a certificate alone", "dev1", good.clone().first(1), CA_NOT_FOUND),
        row("the certificate of another device", "dev2", good.clone(), INVALID),
        row("a certificate that expired yesterday", "dev1", lasting(9, ago(10)), INVALID),
        row("a certificate that becomes valid tomorrow", "dev1", lasting(9, tomorrow), INVALID),
        row("a certificate of an authority that has expired", "dev1", expired_middle, INVALID),
        row("a certificate of a root that has expired", "dev1", of(&fleets.expired, "dev1"), INVALID),
        row("a certificate of another authority of that name", "dev1", of(&fleets.stranger, "dev1"), CA_NOT_FOUND),
        row("a certificate of another authority, with that one presented", "dev1", forged, CA_NOT_FOUND),
        row("a certificate that a device signed", "dev1", device_as_authority, INVALID),
        row("a certificate of an authority that is not verified", "dev1", of(&fleets.unverified, "dev1"), CA_NOT_FOUND),
        row("a certificate of an authority that was taken away", "dev1", of(&fleets.taken, "dev1"), CA_NOT_FOUND),
        row("a certificate of an authority whose group is gone", "dev1", of(&fleets.groupless, "dev1"), NOT_ENROLLED),
        row("a certificate of a group that is switched off", "dev1", of(&fleets.off, "dev1"), Disabled),
        row("a certificate of its own", "own", own[0].clone(), In),
        row("a certificate of its own, in capitals", "OWN", own[0].clone(), In),
        row("the certificate of another device's own", "dev1", own[0].clone(), INVALID),
        row("a certificate of its own that becomes valid tomorrow", "own", own[1].clone(), INVALID),
        row("a group's certificate for a device with one of its own", "own", of(&fleets.good, "own"), INVALID),
        row("a certificate for a device with a key", "keyed", of(&fleets.good, "keyed"), INVALID),
        row("the certificate for the hub", "issued", issued, CA_NOT_FOUND),
        row("a good certificate and a token that has expired", "dev1", good.clone().and_token(token(1)), EXPIRED),
        row("a good certificate and a token of another device", "dev2", good.and_token(token(u64::MAX)), WRONG_KEY),
    ]
}

async fn certificates(at_connect: bool) {
    let fleets = Fleets::new();
    let stranger = Fleet::new();
    let (now, day) = (SystemTime::now(), Duration::from_secs(86_400));
    let own = [now, now + day].map(|begin| Credential::identity(stranger.identity("own", 9, begin)));
    let enrolled = own.iter().map(|credential| credential.chain[0].clone()).collect();
    let emulator = Running::with_doors(|config| {
        config.dps.reject_at_connect = at_connect;
        fleets.enroll(config, enrolled);
    })
    .await;
    let mut control = Control::new(&emulator.world()).await;
    for uri in ["/enrollmentGroups/groupless", "/certificates/taken"] {
        let deleted = control.ask(Method::DELETE, uri, &[("if-match", "*")], "").await;
        assert!(deleted.status.is_success(), "{uri}: {}", deleted.body);
    }
    let (chain, key) = emulator.world().provision("issued").await;
    let issued = Credential::certificates(&chain, &std::sync::Arc::new(key));
    judge(&emulator, Side::Dps, at_connect, &certificate_rows(&emulator, &fleets, &own, issued)).await;
    // What was good becomes bad with time: every certificate, and its authority.
    emulator.service.advance_clock(FleetTime::new(9 * day));
    let late = [
        row("a certificate of its own that has expired", "own", own[0].clone(), INVALID),
        row("the second certificate of its own", "own", own[1].clone(), In),
    ];
    judge(&emulator, Side::Dps, at_connect, &late).await;
    emulator.stop().await;
}

#[tokio::test]
async fn certificates_at_dps() {
    certificates(false).await;
}

#[tokio::test]
async fn certificates_at_a_dps_that_judges_connect() {
    certificates(true).await;
}
