//! Devices behind an impaired network.

use std::time::Duration;

use fleetstorm::device::{LocalEnd, MemoryConnector, TcpConnector, provision, reconnect};
use fleetstorm::domain::{FailureClass, Phase};
use fleetstorm::model::NetworkImpairment;
use fleetstorm::protocol::mqtt::ConnectReturnCode;

use super::emulator::Target;
use super::renew::provisioned;
use super::service::{Accept, MemoryDone, World};

/// Provisions against a service that answers at once.
async fn impaired(network: NetworkImpairment, seed: u64, connections: u32) -> Vec<MemoryDone> {
    let mut world = World::new();
    (world.settings.network, world.settings.seed, world.settings.hub) = (network, seed, None);
    let (connector, peers) = MemoryConnector::new();
    let end = LocalEnd::new(&world.settings, 3);
    let device = async {
        let mut all = Vec::new();
        for _ in 0..connections {
            all.push(provision(&world.settings, &connector, &end, &world.device(), false).await);
        }
        drop(connector);
        all
    };
    let service = async {
        let mut accept = Accept::new(peers);
        while let Some(mut dps) = accept.next_or_end().await {
            dps.assigns_or_is_left(|csr| world.issue(csr, "dev-1")).await;
        }
    };
    tokio::join!(device, service).0
}

#[tokio::test(start_paused = true)]
async fn every_answer_is_a_round_trip_later() {
    let network = NetworkImpairment { latency: Duration::from_millis(80), ..NetworkImpairment::default() };
    let done = impaired(network, 7, 1).await.remove(0);
    assert!(done.result.is_ok(), "{:?}", done.result);
    for phase in [Phase::Tcp, Phase::Tls, Phase::Connack, Phase::Suback, Phase::Register, Phase::Assign] {
        assert_eq!(done.facts.phases.get(phase), Some(Duration::from_millis(80)), "{phase}");
    }
    assert_eq!(done.facts.phases.get(Phase::PollWait), Some(Duration::from_secs(3)));
}

#[tokio::test(start_paused = true)]
async fn jitter_follows_from_the_seed() {
    let network = NetworkImpairment {
        latency: Duration::from_millis(20),
        jitter: Duration::from_millis(100),
        ..NetworkImpairment::default()
    };
    let times = |done: &MemoryDone| {
        [Phase::Tcp, Phase::Tls, Phase::Connack, Phase::Suback, Phase::Register]
            .map(|p| done.facts.phases.get(p).unwrap())
    };
    let first: Vec<_> = impaired(network, 7, 2).await.iter().map(times).collect();
    let again: Vec<_> = impaired(network, 7, 2).await.iter().map(times).collect();
    let other: Vec<_> = impaired(network, 8, 2).await.iter().map(times).collect();
    assert_eq!(first, again);
    assert!(first != other && first[0] != first[1], "{first:?}");
    assert!(first.iter().flatten().all(|time| (20..122).contains(&time.as_millis())), "{first:?}");
}

#[tokio::test(start_paused = true)]
async fn connections_are_reset_early() {
    let network = NetworkImpairment { reset: 1.0, ..NetworkImpairment::default() };
    let all = impaired(network, 7, 40).await;
    let mut last_phases = Vec::new();
    for done in all {
        last_phases.push(done.facts.phases.present().map(|(phase, _)| phase).last().unwrap());
        assert_eq!(done.result.unwrap_err().to_string(), "network: DPS reset the connection");
    }
    for phase in [Phase::Connack, Phase::Suback, Phase::Register] {
        assert!(last_phases.contains(&phase), "none in {phase}");
    }
    let some = NetworkImpairment { reset: 0.3, ..NetworkImpairment::default() };
    let outcome = |all: Vec<MemoryDone>| all.iter().map(|done| done.result.is_ok()).collect::<Vec<_>>();
    let (first, again) = (outcome(impaired(some, 7, 40).await), outcome(impaired(some, 7, 40).await));
    assert_eq!(first, again);
    assert!((20..36).contains(&first.iter().filter(|good| **good).count()), "{first:?}");
}

#[tokio::test(start_paused = true)]
async fn the_end_of_a_connection_comes_as_late_as_anything_else() {
    let mut world = World::new();
    let credential = provisioned(&mut world).await;
    world.settings.network.latency = Duration::from_millis(80);
    let (connector, peers) = MemoryConnector::new();
    let end = LocalEnd::new(&world.settings, 0);
    let service = async {
        let mut hub = Accept::new(peers).next().await;
        hub.accepts(ConnectReturnCode::Success).await;
        hub.hears().await;
    };
    let device = reconnect(&world.settings, &connector, &end, &credential, true);
    let (done, ()) = tokio::join!(device, service);
    assert_eq!(done.facts.phases.get(Phase::HubConnack), Some(Duration::from_millis(80)));
    assert_eq!(done.facts.phases.get(Phase::TelemetryAck), Some(Duration::from_millis(80)));
    assert_eq!(done.result.unwrap_err().class, FailureClass::Network);
}

#[tokio::test]
async fn handshakes_over_tcp_feel_it() {
    let mut target = Target::start(|_| ()).await;
    target.settings.network.latency = Duration::from_millis(20);
    let done = target.provision(0).await;
    assert!(done.result.is_ok(), "{:?}", done.result);
    for phase in [Phase::Tcp, Phase::Tls, Phase::Connack, Phase::HubTcp, Phase::HubTls, Phase::HubConnack] {
        assert!(done.facts.phases.get(phase).unwrap() >= Duration::from_millis(20), "{phase}");
    }

    target.settings.network.reset = 1.0;
    let end = LocalEnd::new(&target.settings, 1);
    for _ in 0..10 {
        let done = provision(&target.settings, &TcpConnector::new(), &end, &target.prepared(1), false).await;
        let failure = done.result.unwrap_err();
        assert_eq!(failure.to_string(), "network: DPS reset the connection");
    }
}
