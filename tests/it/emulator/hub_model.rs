//! The service model and the faults at the hub: telemetry, renewal, connections.

use std::time::Duration;

use fleetstorm::emulator::{
    Chance, Config, Delay, Disconnect, Event, LatencySettings, Outage, OutageEffect, ServerError, StepModel,
};
use fleetstorm::protocol::mqtt::{Packet, PubAck, QoS};
use serde_json::json;
use tokio::time::Instant;

use super::client::{Peer, SECOND, World, key_and_csr};
use super::hub_client::{Device, Feature};

const TELEMETRY: &str = "devices/dev1/messages/events/";
const RENEW: &str = "$iothub/credentials/POST/issueCertificate/?$rid=rid-1";

fn takes(ms: f64) -> StepModel {
    StepModel { latency: LatencySettings::Fixed { ms }, ..StepModel::default() }
}

async fn connected(change: impl FnOnce(&mut Config)) -> (World, Peer) {
    let world = World::with(change);
    let mut peer = Device::new(&world, "dev1").await.connect(&world).await;
    peer.wants(Feature::Credentials).await;
    (world, peer)
}

fn body() -> String {
    json!({"id": "dev1", "csr": key_and_csr("dev1").1}).to_string()
}

#[tokio::test(start_paused = true)]
async fn telemetry_is_acknowledged_when_it_is_stored_and_in_its_order() {
    let (world, mut peer) = connected(|config| {
        config.model.telemetry.latency = LatencySettings::Uniform { min_ms: 1.0, max_ms: 1000.0 };
    })
    .await;
    let begun = Instant::now();
    for pkid in 1..=20 {
        let mut message = fleetstorm::protocol::mqtt::Publish::new(TELEMETRY, QoS::AtLeastOnce, "{}");
        message.pkid = pkid;
        peer.send(Packet::Publish(message)).await;
    }
    for pkid in 1..=20 {
        assert_eq!(peer.next().await, Some(Packet::PubAck(PubAck { pkid })));
    }
    assert!(begun.elapsed() > Duration::from_millis(500), "{:?}", begun.elapsed());
    assert_eq!(world.count(Event::Telemetry), 20);
}

#[tokio::test(start_paused = true)]
async fn telemetry_over_the_capacity_ends_the_connection() {
    let (world, mut peer) = connected(|config| {
        config.model.telemetry = StepModel { capacity: 1, queue: 1, ..takes(1000.0) };
    })
    .await;
    for _ in 0..3 {
        peer.publish(TELEMETRY, QoS::AtMostOnce, "{}").await;
    }
    assert_eq!(peer.ended().await, "there was too much to do");
    assert_eq!((world.count(Event::Telemetry), world.count(Event::Throttled)), (2, 1));
}

#[tokio::test(start_paused = true)]
async fn a_renewal_is_accepted_and_issued_in_their_time() {
    let (_world, mut peer) = connected(|config| {
        config.model.renewal_accept = takes(500.0);
        config.model.renewal_issue = takes(2000.0);
    })
    .await;
    let begun = Instant::now();
    assert_eq!(peer.request(RENEW, &body()).await.topic, "$iothub/credentials/res/202/?$rid=rid-1");
    assert_eq!(begun.elapsed(), Duration::from_millis(500));
    assert_eq!(peer.answer().await.topic, "$iothub/credentials/res/200/?$rid=rid-1");
    assert_eq!(begun.elapsed(), Duration::from_millis(2500));
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_takes_time_comes_before_a_result_that_takes_none() {
    let (_world, mut peer) = connected(|config| config.model.renewal_accept = takes(500.0)).await;
    for status in [202, 200] {
        let answer = if status == 202 { peer.request(RENEW, &body()).await } else { peer.answer().await };
        assert_eq!(answer.topic, format!("$iothub/credentials/res/{status}/?$rid=rid-1"));
    }
}

#[tokio::test(start_paused = true)]
async fn renewals_over_the_quota_are_answered_429002_with_a_wait() {
    let (world, mut peer) = connected(|config| {
        config.quotas.renewals_per_minute = Some(1);
        config.quotas.retry_after_seconds = 40;
    })
    .await;
    peer.request(RENEW, &body()).await;
    let issued = peer.published().await;
    peer.acknowledge(&issued).await;
    let answer = peer.request(RENEW, &body()).await;
    assert_eq!(answer.topic, "$iothub/credentials/res/429/?$rid=rid-1");
    let error = answer.json();
    assert_eq!((&error["errorCode"], &error["retryAfter"]), (&429_002.into(), &40.into()));
    assert_eq!(world.count(Event::Throttled), 1);
}

#[tokio::test(start_paused = true)]
async fn faults_of_renewal_are_server_errors_late_results_and_an_absent_authority() {
    let (_world, mut peer) = connected(|config| {
        // Registrations draw from the same dice, so the fault comes after them.
        config.faults.server_error =
            ServerError { probability: 1.0, status: 503, from_seconds: 10.0, ..ServerError::default() };
    })
    .await;
    tokio::time::advance(10 * SECOND).await;
    let answer = peer.request(RENEW, &body()).await;
    assert_eq!(answer.topic, "$iothub/credentials/res/503/?$rid=rid-1");
    assert_eq!(answer.json()["errorCode"], 503_001);

    let late = Delay { probability: 1.0, delay_ms: 4000, from_seconds: 10.0, ..Delay::default() };
    let (_world, mut peer) = connected(|config| config.faults.delayed_result = late).await;
    tokio::time::advance(10 * SECOND).await;
    let begun = Instant::now();
    peer.request(RENEW, &body()).await;
    assert_eq!(peer.answer().await.topic, "$iothub/credentials/res/200/?$rid=rid-1");
    assert_eq!(begun.elapsed(), 4 * SECOND);

    for (effect, status, after) in [(OutageEffect::Wait, 200, 20), (OutageEffect::Fail, 400, 0)] {
        let outage = Outage { from_seconds: 10.0, for_seconds: 20.0, effect };
        let (world, mut peer) = connected(|config| config.faults.ca_outage = outage).await;
        tokio::time::advance(10 * SECOND).await;
        let begun = Instant::now();
        assert_eq!(peer.request(RENEW, &body()).await.topic, "$iothub/credentials/res/202/?$rid=rid-1");
        assert_eq!(peer.answer().await.topic, format!("$iothub/credentials/res/{status}/?$rid=rid-1"));
        assert_eq!((begun.elapsed(), world.count(Event::FaultCaOutage)), (after * SECOND, 1));
    }
}

#[tokio::test(start_paused = true)]
async fn telemetry_is_lost_before_puback_or_its_puback_is_the_last_word() {
    for (before, received) in [(true, 0), (false, 1)] {
        let chance = Chance { probability: 1.0, from_seconds: 10.0, ..Chance::default() };
        let (world, mut peer) = connected(|config| {
            let faults = &mut config.faults;
            *(if before { &mut faults.drop_before_puback } else { &mut faults.drop_after_puback }) = chance;
        })
        .await;
        tokio::time::advance(10 * SECOND).await;
        peer.publish(TELEMETRY, QoS::AtLeastOnce, "{}").await;
        if !before {
            assert_eq!(peer.next().await, Some(Packet::PubAck(PubAck { pkid: 7 })));
        }
        assert_eq!(peer.ended().await, "a fault was injected");
        assert_eq!((world.count(Event::Telemetry), world.count(Event::FaultDropped)), (received, 1));
    }
}

#[tokio::test(start_paused = true)]
async fn the_hub_ends_all_its_connections_at_a_moment_or_when_told() {
    let (world, first) = connected(|config| config.faults.hub_disconnect = Disconnect { at_seconds: vec![60.0] }).await;
    let second = Device::new(&world, "dev2").await.connect(&world).await;
    let service = world.service.clone();
    let tending = tokio::spawn(async move { service.tend().await });
    let begun = Instant::now();
    assert_eq!(first.ended().await, "a fault was injected");
    assert_eq!((second.ended().await.as_str(), begun.elapsed()), ("a fault was injected", 60 * SECOND));
    assert_eq!(world.count(Event::FaultDisconnected), 2);
    tending.abort();

    let again = Device::new(&world, "dev1").await.connect(&world).await;
    assert_eq!(world.service.disconnect_hub(), 1);
    assert_eq!(again.ended().await, "a fault was injected");
}

#[tokio::test(start_paused = true)]
async fn a_device_is_not_read_from_while_too_many_answers_wait_for_their_time() {
    let (world, mut peer) = connected(|config| config.model.telemetry = takes(30_000.0)).await;
    for pkid in 1..=300 {
        let mut message = fleetstorm::protocol::mqtt::Publish::new(TELEMETRY, QoS::AtLeastOnce, "{}");
        message.pkid = pkid;
        peer.send(Packet::Publish(message)).await;
    }
    tokio::time::sleep(SECOND).await;
    assert_eq!(world.count(Event::Telemetry), 256);
    for pkid in 1..=300 {
        assert_eq!(peer.next().await, Some(Packet::PubAck(PubAck { pkid })));
    }
    assert_eq!(world.count(Event::Telemetry), 300);
}
