//! One device against the emulator over loopback: TCP, TLS, mutual TLS, issuance, all of it.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use fleetstorm::device::{
    Connector, DeviceAttestation, Done, Endpoint, HoldEnd, LocalEnd, Prepared, Settings, TcpConnector, WallClock,
    prepare, provision, renew,
};
use fleetstorm::domain::{CryptoProvider, FailureClass, IdScope, KeyAlgorithm, Phase, RegistrationId, TlsVersions};
use fleetstorm::emulator::{Config, Emulator, Event, Service};
use fleetstorm::pki::chain::ChainVerifier;
use fleetstorm::pki::sas::SymmetricKey;
use fleetstorm::pki::tls::ClientTls;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// A running emulator and settings that fit it.
pub(super) struct Target {
    pub(super) settings: Settings,
    pub(super) server_root: Vec<u8>,
    pub(super) service: Service,
    shutdown: CancellationToken,
}

impl Target {
    pub(super) async fn start(adjust: impl FnOnce(&mut Config)) -> Self {
        let mut config = Config::default();
        config.listen.mqtt_port = 0;
        config.dps.retry_after_seconds = 0;
        adjust(&mut config);
        let id_scope = IdScope::new(&config.id_scope).unwrap();
        let mut dps = Endpoint::new(config.dps_host.clone());
        let emulator = Emulator::bind(config).await.unwrap();
        let (endpoints, service) = (emulator.endpoints().clone(), emulator.service().clone());
        let attestation = DeviceAttestation::SymmetricKey {
            group_key: service.group_key().clone(),
            token_life: fleetstorm::domain::FleetTime::from_secs(3600),
        };
        let chain = Arc::new(ChainVerifier::new(&[service.issuing_root().to_vec()]).unwrap());
        let shutdown = CancellationToken::new();
        tokio::spawn(emulator.run(shutdown.clone()));
        dps.address = Some(endpoints.mqtt);
        let mut settings =
            Settings::new(dps, id_scope, attestation, tls(&endpoints.server_root, TlsVersions::Any), chain);
        settings.hub.as_mut().unwrap().address = Some(endpoints.mqtt);
        Self { settings, server_root: endpoints.server_root, service, shutdown }
    }

    pub(super) fn prepared(&self, index: u32) -> Prepared {
        let id = RegistrationId::new(&format!("dev-{index}")).unwrap();
        prepare(&self.settings, index, 1, &id).unwrap()
    }

    pub(super) async fn provision(&self, index: u32) -> Done<<TcpConnector as Connector>::Stream> {
        let prepared = self.prepared(index);
        let end = LocalEnd::new(&self.settings, index);
        provision(&self.settings, &TcpConnector::new(), &end, &prepared, false).await
    }
}

impl Drop for Target {
    fn drop(&mut self) {
        self.shutdown.cancel();
    }
}

pub(super) fn tls(root: &[u8], versions: TlsVersions) -> ClientTls {
    ClientTls::new(&[root.to_vec()], versions, CryptoProvider::AwsLc).unwrap()
}

#[tokio::test]
async fn provisions_with_every_key_algorithm() {
    let mut target = Target::start(|_| ()).await;
    let algorithms = [KeyAlgorithm::EcdsaP256, KeyAlgorithm::EcdsaP384, KeyAlgorithm::Rsa2048];
    for (index, algorithm) in (0..).zip(algorithms) {
        target.settings.algorithm = algorithm;
        let provisioned = target.provision(index).await;
        let credential = provisioned.result.unwrap();
        assert_eq!(credential.device_id, format!("dev-{index}"));
        assert_eq!(credential.chain.len(), 3);
        assert!(provisioned.facts.phases.get(Phase::TelemetryAck).is_some());
        assert!(provisioned.facts.polls >= 1);
    }
}

#[tokio::test]
async fn provisions_over_each_tls_version() {
    let mut target = Target::start(|_| ()).await;
    for versions in [TlsVersions::Tls12, TlsVersions::Tls13] {
        target.settings.tls = tls(&target.server_root, versions);
        assert!(target.provision(0).await.result.is_ok(), "{versions:?}");
    }
}

#[tokio::test]
async fn a_wrong_group_key_is_refused_by_dps() {
    let mut target = Target::start(|_| ()).await;
    target.settings.attestation = DeviceAttestation::SymmetricKey {
        group_key: SymmetricKey::random(),
        token_life: fleetstorm::domain::FleetTime::from_secs(60),
    };
    let failure = target.provision(0).await.result.unwrap_err();
    assert_eq!((failure.class, failure.code / 1000), (FailureClass::Rejected, 401));
}

#[tokio::test]
async fn a_hub_that_was_not_synced_refuses_the_certificate() {
    let target = Target::start(|config| config.hub.synced = false).await;
    let failure = target.provision(0).await.result.unwrap_err();
    assert_eq!(failure.to_string(), "rejected 5: the hub refused CONNECT: not authorized");
}

#[tokio::test]
async fn an_unexpected_authority_is_a_wrong_certificate() {
    let mut target = Target::start(|_| ()).await;
    let other = Target::start(|_| ()).await;
    target.settings.chain = other.settings.chain.clone();
    let failure = target.provision(0).await.result.unwrap_err();
    assert_eq!(failure.class, FailureClass::Verification);
}

#[tokio::test]
async fn renews_over_a_held_session_while_the_old_certificate_is_valid() {
    let target = Target::start(|_| ()).await;
    let (settings, connector, end) = (&target.settings, TcpConnector::new(), LocalEnd::new(&target.settings, 0));
    let done = provision(settings, &connector, &end, &target.prepared(0), true).await;
    let old = done.result.unwrap();
    let prepared = prepare(settings, 0, 2, &RegistrationId::new("dev-0").unwrap()).unwrap();
    let done = renew(settings, &connector, &end, &old, done.session, &prepared, true).await;
    let new = done.result.unwrap();
    assert_ne!(new.leaf.serial, old.leaf.serial);
    assert_ne!(new.key.spki_der(), old.key.spki_der());
    assert!(done.facts.phases.get(Phase::RenewAccept).is_some() && done.facts.phases.get(Phase::RenewIssue).is_some());
    let mut session = done.session.expect("it is kept");
    session.send_telemetry(settings, &new).await.unwrap();
    let held = session.hold(Some(Instant::now() + Duration::from_millis(20))).await;
    assert_eq!(held, HoldEnd::Until);
    session.close(&connector).await;
    // Without a session it connects with the old credential first.
    let prepared = prepare(settings, 0, 3, &RegistrationId::new("dev-0").unwrap()).unwrap();
    let done = renew(settings, &connector, &end, &new, None, &prepared, false).await;
    assert!(done.session.is_none());
    done.result.unwrap();
}

#[tokio::test]
async fn renewals_take_no_connection_over_and_acknowledge_their_certificate() {
    const DEVICES: u64 = 12;
    let target = Target::start(|_| ()).await;
    let (settings, connector) = (&target.settings, TcpConnector::new());
    for index in 0..DEVICES as u32 {
        let end = LocalEnd::new(settings, index);
        let done = provision(settings, &connector, &end, &target.prepared(index), true).await;
        let (mut credential, mut session) = (done.result.unwrap(), done.session);
        // First over the connection that it holds, then without one.
        for (attempt, held) in [(2, true), (3, false)] {
            let id = RegistrationId::new(&credential.device_id).unwrap();
            let prepared = prepare(settings, index, attempt, &id).unwrap();
            if !held && let Some(session) = session.take() {
                session.close(&connector).await;
            }
            let done = renew(settings, &connector, &end, &credential, session.take(), &prepared, held).await;
            assert_eq!(
                done.facts.phases.get(Phase::RenewTls).is_some(),
                !held,
                "what it needs to ask is counted apart"
            );
            assert!(done.facts.phases.get(Phase::HubTls).is_some());
            (credential, session) = (done.result.unwrap(), done.session);
        }
        assert!(session.is_none());
    }
    let count = |event| target.service.counters().get(event);
    assert_eq!((count(Event::TakenOver), count(Event::Renewed)), (0, 2 * DEVICES), "none is sent twice");
    // One to be provisioned with, one more for the first renewal, two for the second.
    assert_eq!(count(Event::HubConnected), 4 * DEVICES);
}

/// A clock that is slow by so much.
#[derive(Debug)]
struct Slow(Duration);

impl WallClock for Slow {
    fn now(&self) -> SystemTime {
        SystemTime::now() - self.0
    }
}

#[tokio::test]
async fn a_certificate_that_becomes_valid_soon_is_taken_and_a_hub_that_is_not_may_blame_the_clocks() {
    const MINUTE: Duration = Duration::from_secs(60);
    // The authority lets certificates begin a minute before it signs them, in whole seconds.
    let mut target = Target::start(|_| ()).await;
    target.settings.clock = Arc::new(Slow(3 * MINUTE));
    let early_by = target.provision(0).await.result.unwrap().leaf.early_by;
    assert!(early_by > MINUTE && early_by <= 2 * MINUTE, "{early_by:?}");
    target.settings.clock = Arc::new(Slow(10 * MINUTE));
    let failure = target.provision(1).await.result.unwrap_err();
    assert_eq!(failure.class, FailureClass::Verification);
    assert!(failure.message.contains("(notBefore), and here it is"), "{failure}");

    let mut refusing = Target::start(|config| config.hub.synced = false).await;
    refusing.settings.clock = Arc::new(Slow(3 * MINUTE));
    let failure = refusing.provision(0).await.result.unwrap_err();
    assert_eq!((failure.class, failure.code), (FailureClass::Rejected, 5));
    assert!(failure.message.ends_with("the authority and the hub)"), "{failure}");
}
