//! What is made ahead of attempts, and used again by further ones.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use fleetstorm::device::{LocalEnd, MemoryConnector, Prepared, SharedKey, WallClock, prepare, provision};
use fleetstorm::domain::{FleetTime, KeyAlgorithm, KeySource, Phase, RegistrationId, SasToken, TimeScale};
use fleetstorm::protocol::mqtt::{ConnectReturnCode, Packet};

use super::service::{Accept, World};

fn made(world: &World, index: u32, number: u32) -> Prepared {
    prepare(&world.settings, index, number, &RegistrationId::new("dev-1").unwrap()).unwrap()
}

/// The CSR that a prepared device registers with, and its key.
async fn csr_and_key(world: &World, prepared: &Prepared) -> (Vec<u8>, Vec<u8>) {
    let (connector, peers) = MemoryConnector::new();
    let end = LocalEnd::new(&world.settings, 0);
    let mut csr = Vec::new();
    let device = async move { provision(&world.settings, &connector, &end, prepared, false).await };
    let service = async {
        Accept::new(peers)
            .next()
            .await
            .assigns(|sent| {
                csr = sent.to_vec();
                world.issue(sent, "dev-1")
            })
            .await;
    };
    let (done, ()) = tokio::join!(device, service);
    (csr, done.result.unwrap().key.spki_der().to_vec())
}

#[tokio::test(start_paused = true)]
async fn a_shared_key_is_one_key_with_a_csr_of_each_device() {
    let mut world = World::new();
    world.settings.hub = None;
    world.settings.keys = KeySource::Shared;
    let (first, second) = (made(&world, 0, 1), made(&world, 1, 1));
    assert!(first.phases().get(Phase::Keygen).is_some(), "the one that was first");
    assert_eq!(second.phases().get(Phase::Keygen), None);
    let (one, other) = (csr_and_key(&world, &first).await, csr_and_key(&world, &second).await);
    assert_eq!(one.1, other.1);
    // ECDSA signatures are random.
    assert_ne!(one.0, other.0);

    world.settings.shared_key = SharedKey::default();
    assert_ne!(csr_and_key(&world, &made(&world, 0, 1)).await.1, one.1, "another class");
    world.settings.algorithm = KeyAlgorithm::EcdsaP384;
    assert!(made(&world, 0, 1).phases().get(Phase::Keygen).is_some(), "another algorithm");
}

#[tokio::test(start_paused = true)]
async fn seeded_keys_differ_with_the_device_and_the_number_of_its_key() {
    let mut world = World::new();
    (world.settings.hub, world.settings.keys) = (None, KeySource::Seeded);
    let mut keys = Vec::new();
    for (index, number) in [(0, 1), (0, 2), (1, 1), (1, 2)] {
        keys.push(csr_and_key(&world, &made(&world, index, number)).await.1);
        let again = csr_and_key(&world, &made(&world, index, number)).await.1;
        assert_eq!(keys.last(), Some(&again));
    }
    keys.sort();
    keys.dedup();
    assert_eq!(keys.len(), 4);
}

/// A clock that tests set, in seconds.
#[derive(Debug)]
struct Clock(AtomicU64);

impl WallClock for Clock {
    fn now(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(self.0.load(Ordering::Relaxed))
    }
}

#[tokio::test(start_paused = true)]
async fn every_attempt_signs_a_token_of_its_own() {
    let mut world = World::new();
    let clock = Arc::new(Clock(AtomicU64::new(1_000)));
    world.settings.clock = Arc::clone(&clock) as Arc<dyn WallClock>;
    let prepared = made(&world, 0, 1);
    let (connector, peers) = MemoryConnector::new();
    let end = LocalEnd::new(&world.settings, 0);
    let device = async {
        let mut phases = Vec::new();
        for now in [2_000, 9_000] {
            clock.0.store(now, Ordering::Relaxed);
            phases.push(provision(&world.settings, &connector, &end, &prepared, false).await.facts.phases);
        }
        phases
    };
    let service = async {
        let mut accept = Accept::new(peers);
        for expected in [2_000 + 3_600, 9_000 + 3_600] {
            let mut dps = accept.next().await;
            let connect = dps.accepts(ConnectReturnCode::NotAuthorized).await;
            assert_eq!(SasToken::parse(&connect.login.unwrap().password).unwrap().se, expected);
            assert_eq!(dps.hears().await, Some(Packet::Disconnect));
        }
    };
    let (phases, ()) = tokio::join!(device, service);
    assert!(phases.iter().all(|phases| phases.get(Phase::Sas).is_some()));
    let keygen: Vec<_> = phases.iter().map(|phases| phases.get(Phase::Keygen).is_some()).collect();
    assert_eq!(keygen, [true, false], "the second attempt made no key");
}

#[tokio::test(start_paused = true)]
async fn services_in_memory_see_the_certificates_of_the_device() {
    let world = World::new();
    let done = world
        .provision(async |mut accept: Accept| {
            let mut dps = accept.next().await;
            assert_eq!(dps.certificates, Vec::<Vec<u8>>::new());
            let mut chain = Vec::new();
            dps.assigns(|csr| {
                chain = world.issue(csr, "dev-1");
                chain.clone()
            })
            .await;
            let mut hub = accept.next().await;
            assert_eq!(hub.certificates, chain[..2], "leaf first, without the root");
            hub.accepts(ConnectReturnCode::Success).await;
            hub.is_asked().await;
            hub.hears_the_end().await;
        })
        .await;
    done.result.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_refused_registration_says_how_long_to_stay_away() {
    let mut world = World::new();
    world.settings.policy.max_repeats = 0;
    world.settings.time_scale = TimeScale::new(FleetTime::from_secs(100), Duration::from_secs(1)).unwrap();
    let done = world
        .provision(async |mut accept: Accept| {
            let mut dps = accept.next().await;
            dps.registers().await;
            dps.answers(429, "1", Some(30), Vec::new()).await;
            dps.hears_the_end().await;
        })
        .await;
    assert_eq!((done.facts.throttled, done.facts.retry_after), (1, Some(FleetTime::from_secs(30))));
}
