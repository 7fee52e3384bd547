//! One device against a scripted service, over connections in memory and with paused time.

mod breaches;
mod emulator;
mod loopback;
mod mutation;
mod network;
mod prepare;
mod renew;
mod resumption;
mod service;
mod session;
mod source;
mod transports;

use std::sync::Arc;
use std::time::Duration;

use fleetstorm::device::{Done, prepare};
use fleetstorm::domain::{CryptoProvider, FailureClass, KeyAlgorithm, Phase, RegistrationId};
use fleetstorm::pki::chain::{ChainError, ChainVerifier};
use fleetstorm::pki::csr;
use fleetstorm::pki::key::DeviceKey;
use fleetstorm::protocol::mqtt::{ConnectReturnCode, Packet, PubAck, Publish, QoS};
use fleetstorm::protocol::payload::ErrorDetails;
use rcgen::{
    BasicConstraints, CertificateParams, CertificateSigningRequestParams, CustomExtension, IsCa, Issuer, KeyPair,
};

use service::{Accept, HUB, World, assigned, assigning};

/// Makes a chain of a CSR.
type Issue<'a> = &'a dyn Fn(&[u8]) -> Vec<Vec<u8>>;

fn failure<S>(provisioned: Done<S>) -> String {
    provisioned.result.unwrap_err().to_string()
}

#[tokio::test(start_paused = true)]
async fn provisions_from_csr_to_telemetry() {
    let world = World::new();
    let provisioned = world
        .provision(async |mut accept: Accept| {
            let mut dps = accept.next().await;
            assert_eq!((dps.host.as_str(), dps.port), ("dps.example", 8883));
            dps.assigns(|csr| world.issue(csr, "dev-1")).await;

            let mut hub = accept.next().await;
            assert_eq!((hub.host.as_str(), hub.port), (HUB, 8883));
            let connect = hub.accepts(ConnectReturnCode::Success).await;
            let login = connect.login.unwrap();
            assert_eq!((connect.client_id.as_str(), login.password.as_str()), ("dev-1", ""));
            let version = concat!("fleetstorm%2F", env!("CARGO_PKG_VERSION"));
            assert_eq!(
                login.username,
                format!("{HUB}/dev-1/?api-version=2025-08-01-preview&DeviceClientType={version}")
            );
            // A message of the hub's own must not confuse the device.
            let message = Publish::new("devices/dev-1/messages/devicebound/", QoS::AtLeastOnce, "x");
            hub.says(&[Packet::Publish(Publish { pkid: 5, ..message })]).await;
            let telemetry = hub.is_asked().await;
            assert_eq!(telemetry.topic, "devices/dev-1/messages/events/$.ct=application%2Fjson&$.ce=utf-8");
            assert_eq!(&*telemetry.payload, br#"{"deviceId":"dev-1","temperature":21.5}"#);
            hub.hears_the_end().await;
            assert!(accept.is_over().await);
        })
        .await;
    let credential = provisioned.result.unwrap();
    assert_eq!((credential.hub.as_str(), credential.device_id.as_str()), (HUB, "dev-1"));
    assert_eq!((credential.chain.len(), credential.presented_chain().len()), (3, 2));
    assert_eq!(credential.leaf.serial.len(), 16);
    assert_eq!((provisioned.facts.polls, provisioned.facts.throttled), (1, 0));
    let had: Vec<_> = provisioned.facts.phases.present().map(|(phase, _)| phase).collect();
    let others = [
        Phase::Queued,
        Phase::RenewTcp,
        Phase::RenewTls,
        Phase::RenewConnack,
        Phase::RenewAccept,
        Phase::RenewIssue,
        Phase::Backoff,
        Phase::Recover,
        Phase::Total,
        Phase::TotalRaw,
    ];
    assert_eq!(had, Phase::ALL.into_iter().filter(|p| !others.contains(p)).collect::<Vec<_>>());
    assert_eq!(provisioned.facts.phases.get(Phase::PollWait), Some(Duration::from_secs(3)));
}

#[tokio::test(start_paused = true)]
async fn hub_and_telemetry_can_be_switched_off() {
    let mut world = World::new();
    world.settings.hub = None;
    let provisioned = world
        .provision(async |mut accept: Accept| {
            accept.next().await.assigns(|csr| world.issue(csr, "dev-1")).await;
            assert!(accept.is_over().await, "no second connection");
        })
        .await;
    assert!(provisioned.result.is_ok());
    assert_eq!(provisioned.facts.phases.get(Phase::HubTcp), None);

    let mut world = World::new();
    world.settings.hub.as_mut().unwrap().telemetry = None;
    let provisioned = world
        .provision(async |mut accept: Accept| {
            accept.next().await.assigns(|csr| world.issue(csr, "dev-1")).await;
            let mut hub = accept.next().await;
            hub.accepts(ConnectReturnCode::Success).await;
            hub.hears_the_end().await;
        })
        .await;
    assert!(provisioned.result.is_ok());
    assert_eq!(provisioned.facts.phases.get(Phase::TelemetryAck), None);
}

#[tokio::test(start_paused = true)]
async fn wrong_certificates_are_verification_failures() {
    let world = World::new();
    let other = World::new();
    let other_key = DeviceKey::generate(KeyAlgorithm::EcdsaP256, CryptoProvider::AwsLc).unwrap();
    let other_csr = csr::build(&other_key, "dev-1").unwrap();
    let chain_error = |error: ChainError| format!("verification: {error}");
    let missing = "verification: there is no certificate: link a credential policy to the enrollment".to_owned();
    let cases: [(String, Issue<'_>); 4] = [
        (chain_error(ChainError::Key), &|_| world.issue(&other_csr, "dev-1")),
        (chain_error(ChainError::CommonName), &|csr| world.issue(csr, "dev-2")),
        (chain_error(ChainError::Issuer), &|csr| other.issue(csr, "dev-1")),
        (missing, &|_| Vec::new()),
    ];
    for (expected, chain) in cases {
        let provisioned = world
            .provision(async |mut accept: Accept| {
                accept.next().await.assigns(chain).await;
                assert!(accept.is_over().await, "no connection with a wrong certificate");
            })
            .await;
        assert_eq!(failure(provisioned), expected);
    }
}

#[tokio::test(start_paused = true)]
async fn an_issued_certificate_that_says_what_nobody_here_understands_is_a_wrong_one() {
    let authority_key = KeyPair::generate().unwrap();
    let mut authority = CertificateParams::default();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority_der = authority.self_signed(&authority_key).unwrap().der().to_vec();
    let issuer = Issuer::new(authority, authority_key);
    let mut world = World::new();
    world.settings.chain = Arc::new(ChainVerifier::new(std::slice::from_ref(&authority_der)).unwrap());
    world.settings.hub = None;
    let private: (&[u64], &[u8]) = (&[1, 3, 6, 1, 4, 1, 32473, 9], &[5, 0]);
    let issuer_alternative_name: (&[u64], &[u8]) = (&[2, 5, 29, 18], b"\x30\x03\x82\x01a");
    for (critical, (id, content)) in [(false, private), (true, private), (true, issuer_alternative_name)] {
        let mut extension = CustomExtension::from_oid_content(id, content.to_vec());
        extension.set_criticality(critical);
        let issue = |csr: &[u8]| {
            let mut request = CertificateSigningRequestParams::from_der(&csr.to_vec().into()).unwrap();
            request.params.custom_extensions = vec![extension.clone()];
            vec![request.signed_by(&issuer).unwrap().der().to_vec(), authority_der.clone()]
        };
        let provisioned = world.provision(async |mut accept: Accept| accept.next().await.assigns(issue).await).await;
        match critical {
            false => assert!(provisioned.result.is_ok(), "{id:?}"),
            true => {
                let said = failure(provisioned);
                assert!(
                    said.starts_with("verification: certificate 0 of the chain has the critical extension"),
                    "{said}"
                );
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn dps_refusals_keep_code_and_words_and_the_connection_is_closed_properly() {
    let world = World::new();
    let provisioned = world
        .provision(async |mut accept: Accept| {
            let mut dps = accept.next().await;
            dps.registers().await;
            let details =
                ErrorDetails { error_code: 401_002, message: "No such dev-1".into(), ..ErrorDetails::default() };
            dps.answers(401, "1", None, details.to_body()).await;
            dps.hears_the_end().await;
        })
        .await;
    assert_eq!(provisioned.facts.phases.get(Phase::Register), Some(Duration::ZERO));
    assert_eq!(failure(provisioned), "rejected 401002: No such {device}");

    let provisioned = world
        .provision(async |mut accept: Accept| {
            accept.next().await.accepts(ConnectReturnCode::ServiceUnavailable).await;
        })
        .await;
    assert_eq!(failure(provisioned), "rejected 3: DPS refused CONNECT: service unavailable or busy");
}

#[tokio::test(start_paused = true)]
async fn throttled_registrations_wait_and_try_again() {
    let world = World::new();
    let provisioned = world
        .provision(async |mut accept: Accept| {
            let mut dps = accept.next().await;
            let csr = dps.registers().await;
            dps.answers(429, "1", Some(100), Vec::new()).await;
            // The wait is longer than the keep-alive of 60 s.
            assert_eq!(dps.hears().await, Some(Packet::PubAck(PubAck::new(1))));
            assert_eq!(dps.hears().await, Some(Packet::PingReq));
            dps.says(&[Packet::PingResp]).await;
            dps.is_asked().await;
            dps.answers(200, "2", None, assigned(&world.issue(&csr, "dev-1"))).await;
            dps.hears_the_end().await;
            accept.next().await.accepts(ConnectReturnCode::NotAuthorized).await;
        })
        .await;
    assert_eq!((provisioned.facts.throttled, provisioned.facts.polls), (1, 0));
    assert_eq!(provisioned.facts.phases.get(Phase::PollWait), Some(Duration::from_secs(100)));
    assert_eq!(failure(provisioned), "rejected 5: the hub refused CONNECT: not authorized");
}

#[tokio::test(start_paused = true)]
async fn silence_and_broken_connections_end_with_their_class() {
    let world = World::new();
    let silent = world
        .provision(async |mut accept: Accept| {
            let mut dps = accept.next().await;
            dps.registers().await;
            dps.hears_the_end().await;
        })
        .await;
    assert_eq!(silent.facts.phases.get(Phase::Register), Some(Duration::from_secs(30)));
    assert_eq!(failure(silent), "timeout: no answer to the registration within 30 s");

    let closed = world.provision(async |mut accept: Accept| drop(accept.next().await)).await;
    assert_eq!(closed.result.unwrap_err().class, FailureClass::Network);

    let closed_in_the_wait = world
        .provision(async |mut accept: Accept| {
            let mut dps = accept.next().await;
            dps.registers().await;
            dps.answers(202, "1", Some(200), assigning()).await;
            dps.hears().await;
        })
        .await;
    assert_eq!(closed_in_the_wait.facts.phases.get(Phase::PollWait), Some(Duration::ZERO), "noticed at once");
    assert_eq!(failure(closed_in_the_wait), "network: DPS closed the connection");

    let closed_with_a_word = world
        .provision(async |mut accept: Accept| {
            let mut dps = accept.next().await;
            dps.registers().await;
            dps.answers(202, "late", None, Vec::new()).await;
            dps.answers(401, "1", None, Vec::new()).await;
        })
        .await;
    assert_eq!(failure(closed_with_a_word), "rejected 401: DPS answered 401 without an error code");

    let garbage = world
        .provision(async |mut accept: Accept| {
            let mut dps = accept.next().await;
            dps.hears().await;
            dps.says_bytes(b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
        })
        .await;
    assert_eq!(garbage.result.unwrap_err().class, FailureClass::Protocol);
}

#[tokio::test(start_paused = true)]
async fn an_unacknowledged_message_and_an_endless_attempt_time_out() {
    let mut world = World::new();
    let provisioned = world
        .provision(async |mut accept: Accept| {
            accept.next().await.assigns(|csr| world.issue(csr, "dev-1")).await;
            let mut hub = accept.next().await;
            hub.accepts(ConnectReturnCode::Success).await;
            hub.hears().await;
            hub.hears_the_end().await;
        })
        .await;
    assert_eq!(failure(provisioned), "timeout: no PUBACK of the telemetry within 30 s");

    world.settings.timeouts.attempt = Duration::from_secs(5);
    let provisioned = world
        .provision(async |mut accept: Accept| {
            let mut dps = accept.next().await;
            dps.registers().await;
            dps.answers(202, "1", Some(60), assigning()).await;
            dps.hears_the_end().await;
        })
        .await;
    assert_eq!(failure(provisioned), "timeout: DPS asks to wait for longer than the attempt may take");
}

#[tokio::test(start_paused = true)]
async fn a_dropped_attempt_leaves_nothing_behind() {
    let world = World::new();
    let dropped = tokio::time::timeout(
        Duration::from_secs(1),
        world.provision(async |mut accept: Accept| {
            let mut dps = accept.next().await;
            dps.registers().await;
            std::future::pending::<()>().await;
        }),
    )
    .await;
    assert!(dropped.is_err());
}

#[test]
fn preparing_is_timed_apart_and_shows_no_secret() {
    let mut world = World::new();
    for algorithm in [KeyAlgorithm::EcdsaP256, KeyAlgorithm::EcdsaP384, KeyAlgorithm::Rsa2048] {
        world.settings.algorithm = algorithm;
        let prepared = prepare(&world.settings, 3, 1, &RegistrationId::new("dev-1").unwrap()).unwrap();
        let phases: Vec<_> = prepared.phases().present().map(|(phase, _)| phase).collect();
        assert_eq!(phases, [Phase::Keygen, Phase::Csr, Phase::Sas]);
        let debug = format!("{prepared:?} {:?}", world.settings.attestation);
        assert!(!debug.contains("SharedAccessSignature") && !debug.contains(&service::GROUP_KEY[..10]), "{debug}");
    }
    world.settings.provider = CryptoProvider::Ring;
    let failure = prepare(&world.settings, 3, 1, &RegistrationId::new("dev-1").unwrap()).unwrap_err();
    assert_eq!(failure.to_string(), "generator: ring cannot generate rsa-2048 keys: use aws-lc-rs");
}
