//! Faults that were asked for, each at its place.

use std::time::Duration;

use fleetstorm::emulator::{Chance, Delay, Event, Faults, Outage, OutageEffect, ServerError};
use fleetstorm::protocol::mqtt::{Packet, PubAck, QoS};
use tokio::time::Instant;

use super::client::{SECOND, World, key_and_csr};

const REGISTER: &str = "$dps/registrations/PUT/iotdps-register/?$rid=1";

fn always() -> Chance {
    Chance { probability: 1.0, ..Chance::default() }
}

async fn with_faults(change: impl FnOnce(&mut Faults)) -> World {
    World::with(|config| change(&mut config.faults))
}

#[tokio::test(start_paused = true)]
async fn a_connection_is_cut_before_or_after_puback() {
    let world = with_faults(|faults| faults.drop_before_puback = always()).await;
    let mut peer = world.dps("dev1").await;
    peer.publish(REGISTER, QoS::AtLeastOnce, "").await;
    assert_eq!(peer.ended().await, "a fault was injected");
    assert_eq!((world.count(Event::Registered), world.count(Event::FaultDropped)), (0, 1));

    let world = with_faults(|faults| faults.drop_after_puback = always()).await;
    let mut peer = world.dps("dev1").await;
    peer.publish(REGISTER, QoS::AtLeastOnce, "").await;
    assert_eq!(peer.next().await, Some(Packet::PubAck(PubAck { pkid: 7 })));
    assert_eq!(peer.ended().await, "a fault was injected");
    assert_eq!((world.count(Event::Registered), world.count(Event::FaultDropped)), (1, 1));

    let mut peer = world.dps("dev1").await;
    peer.publish(REGISTER, QoS::AtMostOnce, "").await;
    assert!(peer.answer().await.topic.starts_with("$dps/registrations/res/202/"), "there is no PUBACK at QoS 0");
}

#[tokio::test(start_paused = true)]
async fn results_come_late() {
    let delay = Delay { probability: 1.0, delay_ms: 7000, ..Delay::default() };
    let world = with_faults(|faults| faults.delayed_result = delay).await;
    let mut peer = world.dps("dev1").await;
    let begun = Instant::now();
    assert_eq!(peer.register("").await["status"], "assigned");
    assert_eq!((begun.elapsed(), world.count(Event::FaultDelayed)), (7 * SECOND, 1));
}

#[tokio::test(start_paused = true)]
async fn server_errors_have_their_status_and_a_wait() {
    let error = ServerError { probability: 1.0, status: 503, for_seconds: Some(5.0), ..ServerError::default() };
    let world = with_faults(|faults| faults.server_error = error).await;
    let mut peer = world.dps("dev1").await;
    let answer = peer.request(REGISTER, "").await;
    assert_eq!(answer.topic, "$dps/registrations/res/503/?$rid=1&retry-after=3");
    assert_eq!((answer.json()["errorCode"].as_u64(), world.count(Event::FaultServerError)), (Some(503_000), 1));
    tokio::time::advance(5 * SECOND).await;
    peer.register("").await;
}

#[tokio::test(start_paused = true)]
async fn without_its_authority_dps_waits_or_fails() {
    let outage = |effect| Outage { from_seconds: 0.0, for_seconds: 20.0, effect };
    let body = format!(r#"{{"csr":"{}"}}"#, key_and_csr("dev1").1);

    let world = with_faults(|faults| faults.ca_outage = outage(OutageEffect::Wait)).await;
    let mut peer = world.dps("dev1").await;
    peer.register("").await;
    let operation = peer.request(REGISTER, &body).await.json()["operationId"].as_str().unwrap().to_owned();
    assert_eq!(peer.poll(&operation).await.json()["status"], "assigning");
    tokio::time::advance(20 * SECOND).await;
    assert_eq!(peer.poll(&operation).await.json()["status"], "assigned");

    let world = with_faults(|faults| faults.ca_outage = outage(OutageEffect::Fail)).await;
    let mut peer = world.dps("dev1").await;
    let done = peer.register(&body).await;
    assert_eq!((&done["status"], &done["registrationState"]["errorCode"]), (&"failed".into(), &500_000.into()));
    tokio::time::advance(20 * SECOND).await;
    assert_eq!(peer.register(&body).await["status"], "assigned");
    assert_eq!(world.count(Event::FaultCaOutage), 1);
}

#[tokio::test(start_paused = true)]
async fn the_plan_can_be_changed_while_it_runs() {
    let world = World::new();
    let mut peer = world.dps("dev1").await;
    peer.register("").await;
    let mut plan =
        Faults { server_error: ServerError { probability: 1.0, ..ServerError::default() }, ..Faults::default() };
    world.service.set_faults(plan.clone()).unwrap();
    tokio::time::advance(Duration::from_secs(9)).await;
    assert_eq!(world.service.faults(), plan);
    assert!(peer.request(REGISTER, "").await.topic.contains("/res/500/"));
    plan.server_error.probability = 2.0;
    let refused = world.service.set_faults(plan).unwrap_err();
    let told: Vec<&str> = refused.iter().map(|problem| problem.message()).collect();
    assert_eq!(told, ["`server_error.probability` cannot be 2"]);
    world.service.set_faults(Faults::default()).unwrap();
    peer.register("").await;
}
