//! The service model: how long things take, how much happens at once, and what is over a quota.

use std::time::Duration;

use fleetstorm::domain::QuotaProfile;
use fleetstorm::emulator::{Config, Event, Excess, LatencySettings, StepModel};
use fleetstorm::protocol::mqtt::ConnectReturnCode;
use tokio::time::Instant;

use super::client::{SECOND, World, accepted, hub_connect, key_and_csr, refused};

const REGISTER: &str = "$dps/registrations/PUT/iotdps-register/?$rid=1";

fn takes(ms: f64) -> StepModel {
    StepModel { latency: LatencySettings::Fixed { ms }, ..StepModel::default() }
}

#[tokio::test(start_paused = true)]
async fn every_answer_of_dps_takes_the_time_of_its_step() {
    let world = World::with(|config| {
        config.model.register = takes(200.0);
        config.model.assign = takes(3000.0);
        config.model.poll = takes(50.0);
    });
    let mut peer = world.dps("dev1").await;
    let begun = Instant::now();
    let operation = peer.request(REGISTER, "").await.json()["operationId"].as_str().unwrap().to_owned();
    assert_eq!(begun.elapsed(), Duration::from_millis(200));
    assert_eq!(peer.poll(&operation).await.json()["status"], "assigning");
    assert_eq!(begun.elapsed(), Duration::from_millis(250));
    tokio::time::advance(Duration::from_millis(2949)).await;
    assert_eq!(peer.poll(&operation).await.json()["status"], "assigning", "3199 ms after the request");
    assert_eq!(peer.poll(&operation).await.json()["status"], "assigned");
    // Nobody waits for the others: the session is served meanwhile.
    peer.publish(REGISTER, fleetstorm::protocol::mqtt::QoS::AtMostOnce, "").await;
    peer.is_quiet().await;
}

#[tokio::test(start_paused = true)]
async fn what_is_over_the_capacity_waits_and_what_is_over_the_queue_is_answered_429() {
    let world = World::with(|config| {
        config.model.register = StepModel { capacity: 1, queue: 1, ..takes(1000.0) };
    });
    let (mut first, mut second, mut third) = (world.dps("a").await, world.dps("b").await, world.dps("c").await);
    let begun = Instant::now();
    let timed = async |peer: &mut super::client::Peer| (peer.request(REGISTER, "").await, begun.elapsed());
    let (first, second, third) = tokio::join!(timed(&mut first), timed(&mut second), timed(&mut third));
    assert_eq!((first.1, second.1, third.1), (SECOND, 2 * SECOND, Duration::ZERO));
    assert_eq!(third.0.topic, "$dps/registrations/res/429/?$rid=1&retry-after=3");
    assert_eq!((third.0.json()["errorCode"].as_u64(), world.count(Event::Throttled)), (Some(429_001), 1));
}

#[tokio::test(start_paused = true)]
async fn registrations_over_the_quota_are_answered_429_until_it_allows_more() {
    let world = World::with(|config| {
        config.quota = QuotaProfile::DpsDefault;
        config.quotas.registrations_per_minute = Some(2);
        config.quotas.retry_after_seconds = 25;
    });
    for id in ["a", "b"] {
        world.dps(id).await.register("").await;
    }
    let mut peer = world.dps("c").await;
    let answer = peer.request(REGISTER, "").await;
    assert_eq!(answer.topic, "$dps/registrations/res/429/?$rid=1&retry-after=25");
    let error = answer.json();
    assert_eq!((&error["errorCode"], &error["message"]), (&429_001.into(), &"Too many requests.".into()));
    tokio::time::advance(30 * SECOND).await;
    peer.register("").await;
}

#[tokio::test(start_paused = true)]
async fn certificates_have_a_quota_of_their_own() {
    let world = World::with(|config| config.quotas.certificates_per_minute = Some(1));
    world.provision("a").await;
    let body = format!(r#"{{"csr":"{}"}}"#, key_and_csr("b").1);
    let mut peer = world.dps("b").await;
    assert_eq!(peer.request(REGISTER, &body).await.topic, "$dps/registrations/res/429/?$rid=1&retry-after=30");
    peer.register("").await;
}

#[tokio::test(start_paused = true)]
async fn a_device_asks_five_times_in_ten_seconds() {
    let world = World::with(|config| config.quota = QuotaProfile::DpsDefault);
    let mut peer = world.dps("dev1").await;
    let operation = peer.request(REGISTER, "").await.json()["operationId"].as_str().unwrap().to_owned();
    for _ in 0..5 {
        assert_eq!(peer.poll(&operation).await.topic, "$dps/registrations/res/200/?$rid=2");
    }
    let answer = peer.poll(&operation).await;
    assert_eq!(answer.topic, "$dps/registrations/res/429/?$rid=2&retry-after=2");
    tokio::time::advance(2 * SECOND).await;
    assert_eq!(peer.poll(&operation).await.topic, "$dps/registrations/res/200/?$rid=2");
}

#[tokio::test(start_paused = true)]
async fn connections_with_the_hub_over_the_quota_are_refused_with_code_3_or_wait() {
    for (over, third) in [(Excess::Refuse, None), (Excess::Delay, Some(Duration::from_millis(500)))] {
        let world = World::with(|config| {
            config.quotas.hub_connections_per_second = Some(2);
            config.quotas.hub_connections_over = over;
        });
        let chain = world.provision("dev1").await.0;
        let begun = Instant::now();
        for _ in 0..2 {
            assert_eq!(world.open_with(chain.clone()).connect(hub_connect("dev1", "")).await, accepted());
        }
        let answer = world.open_with(chain).connect(hub_connect("dev1", "")).await;
        match third {
            None => assert_eq!(answer, refused(ConnectReturnCode::ServiceUnavailable)),
            Some(waited) => assert_eq!((answer, begun.elapsed()), (accepted(), waited)),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn connecting_with_the_hub_takes_its_time_and_has_a_capacity() {
    let world = World::with(|config| {
        config.model.hub_connect = StepModel { capacity: 1, queue: 0, ..takes(300.0) };
    });
    let chain = world.provision("dev1").await.0;
    let begun = Instant::now();
    let (mut first, mut second) = (world.open_with(chain.clone()), world.open_with(chain));
    let (first, second) = tokio::join!(first.connect(hub_connect("dev1", "")), async {
        tokio::task::yield_now().await;
        second.connect(hub_connect("dev1", "")).await
    });
    assert_eq!((first, second), (accepted(), refused(ConnectReturnCode::ServiceUnavailable)));
    assert_eq!(begun.elapsed(), Duration::from_millis(300));
}

#[tokio::test(start_paused = true)]
async fn requests_whose_answers_wait_do_not_pile_up_without_bound() {
    let world = World::with(|config| config.model.poll = takes(60_000.0));
    let mut peer = world.dps("dev1").await;
    let operation = peer.request(REGISTER, "").await.json()["operationId"].as_str().unwrap().to_owned();
    let topic = format!("$dps/registrations/GET/iotdps-get-operationstatus/?$rid=2&operationId={operation}");
    for _ in 0..300 {
        peer.publish(&topic, fleetstorm::protocol::mqtt::QoS::AtMostOnce, "").await;
    }
    for _ in 0..300 {
        peer.answer().await;
    }
    assert_eq!(world.count(Event::Polled), 300);
}

#[test]
fn values_that_cannot_be_name_their_key() {
    let error = |change: &dyn Fn(&mut Config)| {
        let mut config = Config::default();
        change(&mut config);
        fleetstorm::emulator::Service::new(config).unwrap_err().to_string()
    };
    let text = error(&|config| config.model.poll = takes(-1.0));
    assert!(text.contains("`model.poll.latency.fixed.ms` cannot be -1"), "{text}");
    let text = error(&|config| {
        config.model.assign.latency = LatencySettings::Histogram {
            file: "/absent.hlog".into(),
            tag: None,
            unit: fleetstorm::emulator::HistogramUnit::Ns,
        };
    });
    assert!(text.contains("/absent.hlog"), "{text}");
    let text = error(&|config| config.faults.server_error.status = 404);
    assert!(text.contains("`faults.server_error.status` cannot be 404"), "{text}");
    let text = error(&|config| config.quotas.retry_after_seconds = 0);
    assert!(text.contains("quotas.retry_after_seconds"), "{text}");
}

#[test]
fn a_file_says_it_all() {
    let config = Config::read(
        "x",
        r#"
        quota = "hub-s1"
        seed = 7
        [quotas]
        registrations_per_minute = 200
        hub_connections_over = "delay"
        [model.register]
        latency = { log-normal = { median_ms = 120, sigma = 0.6 } }
        capacity = 50
        queue = 1000
        [model.assign]
        latency = { uniform = { min_ms = 800, max_ms = 4000 } }
        [model.telemetry]
        latency = { histogram = { file = "latency.hlog", tag = "telemetry" } }
        [faults]
        drop_after_puback = { probability = 0.01 }
        ca_outage = { from_seconds = 10, for_seconds = 30, effect = "fail" }
        hub_disconnect = { at_seconds = [60, 120] }
        "#,
    )
    .unwrap();
    assert_eq!((config.quota, config.seed, config.model.register.capacity), (QuotaProfile::HubS1, 7, 50));
    assert_eq!(config.faults.hub_disconnect.at_seconds, [60.0, 120.0]);
    config.check().unwrap();
}
