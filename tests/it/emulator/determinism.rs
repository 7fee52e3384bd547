//! In virtual time two runs with the same seed are the same to the nanosecond: every answer, every cut, in the same order.

use std::fmt::Write as _;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use fleetstorm::domain::QuotaProfile;
use fleetstorm::emulator::{
    Chance, Config, Delay, Disconnect, Event, Excess, HubOutage, HubOutageEffect, LatencySettings, Pause, ServerError,
    StepModel,
};
use fleetstorm::protocol::mqtt::{ConnectReturnCode, Packet, QoS};
use serde_json::Value;
use tokio::time::{Instant, sleep, sleep_until, timeout_at};

use super::client::{Peer, SECOND, World, decode_chain, hub_connect, key_and_csr};

const DEVICES: usize = 300;
const REGISTER: &str = "$dps/registrations/PUT/iotdps-register/?$rid=1";

/// A service with everything that is drawn, queued or lost.
fn hard_service(config: &mut Config) {
    config.virtual_time = Some(SystemTime::now());
    config.seed = 7;
    config.quota = QuotaProfile::HubS1;
    config.quotas.registrations_per_minute = Some(200);
    config.quotas.hub_connections_per_second = Some(40);
    config.quotas.hub_connections_over = Excess::Delay;
    config.dps.max_operations = 150;
    config.dps.operation_ttl_seconds = 10;
    let latency = LatencySettings::LogNormal { median_ms: 300.0, sigma: 0.8 };
    config.model.register = StepModel { latency: latency.clone(), capacity: 10, queue: 50 };
    config.model.assign = StepModel { latency: latency.clone(), capacity: 20, queue: 1000 };
    config.model.telemetry = StepModel { latency, ..StepModel::default() };
    config.faults.drop_after_puback = Chance { probability: 0.02, ..Chance::default() };
    config.faults.delayed_result = Delay { probability: 0.1, delay_ms: 1500, ..Delay::default() };
    config.faults.server_error = ServerError { probability: 0.05, ..ServerError::default() };
    config.faults.pause = Pause { from_seconds: 12.0, for_seconds: 2.0 };
    config.faults.hub_disconnect = Disconnect { at_seconds: vec![40.0] };
    config.faults.hub_outage = HubOutage { from_seconds: 55.0, for_seconds: 6.0, effect: HubOutageEffect::Refuse };
}

/// What happened to whom, and when.
#[derive(Clone)]
struct Log {
    begun: Instant,
    text: Arc<Mutex<String>>,
}

impl Log {
    fn note(&self, device: usize, event: &str) {
        let nanos = self.begun.elapsed().as_nanos();
        writeln!(self.text.lock().unwrap(), "{nanos} {device} {event}").unwrap();
    }
}

/// One conversation with DPS: the chain, if it came to that.
async fn register(world: &World, log: &Log, device: usize, csr: &str) -> Option<Vec<Vec<u8>>> {
    let mut peer = world.dps(&format!("dev{device}")).await;
    log.note(device, "dps");
    let mut topic = REGISTER.to_owned();
    loop {
        peer.publish(&topic, QoS::AtLeastOnce, &format!(r#"{{"csr":"{csr}"}}"#)).await;
        assert!(matches!(peer.next().await?, Packet::PubAck(_)));
        let Packet::Publish(answer) = peer.next().await? else { panic!("no answer") };
        let (status, rest) = answer.topic["$dps/registrations/res/".len()..].split_once('/').unwrap();
        log.note(device, status);
        let body: Value = serde_json::from_slice(&answer.payload).unwrap();
        if status == "200" {
            return Some(decode_chain(&body["registrationState"]));
        }
        let wait = rest.split_once("retry-after=").map_or(1, |(_, seconds)| seconds.parse().unwrap());
        sleep(Duration::from_secs(wait)).await;
        topic = match (status, body["operationId"].as_str()) {
            ("202", Some(id)) => {
                format!("$dps/registrations/GET/iotdps-get-operationstatus/?$rid=2&operationId={id}")
            }
            // Throttled, failed or forgotten: from the beginning.
            _ => REGISTER.to_owned(),
        };
    }
}

/// Telemetry every five seconds until the hub ends it or the test does.
async fn operate(peer: &mut Peer, log: &Log, device: usize, until: Instant) {
    let telemetry = format!("devices/dev{device}/messages/events/");
    loop {
        peer.publish(&telemetry, QoS::AtLeastOnce, "{}").await;
        let next = Instant::now() + 5 * SECOND;
        while let Ok(packet) = timeout_at(next.min(until), peer.next()).await {
            if packet.is_none() {
                return log.note(device, "ended");
            }
            log.note(device, "acknowledged");
        }
        if Instant::now() >= until {
            return;
        }
    }
}

async fn live(world: Arc<World>, log: Log, device: usize, csr: String) {
    let until = log.begun + 90 * SECOND;
    let chain = loop {
        if let Some(chain) = register(&world, &log, device, &csr).await {
            break chain;
        }
        log.note(device, "cut");
        sleep(SECOND).await;
    };
    while Instant::now() < until {
        let mut peer = world.open_with(chain.clone());
        let answer = peer.connect(hub_connect(&format!("dev{device}"), "")).await.map(|ack| ack.code);
        log.note(device, &format!("{answer:?}"));
        if answer == Some(ConnectReturnCode::Success) {
            operate(&mut peer, &log, device, until).await;
        }
        sleep(Duration::from_millis(700)).await;
    }
}

/// A whole run on a runtime of its own.
fn run(csrs: &[String]) -> String {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    runtime.block_on(async {
        let world = Arc::new(World::with(hard_service));
        let service = world.service.clone();
        tokio::spawn(async move { service.tend().await });
        sleep_until(Instant::now() + SECOND).await;
        world.service.begin(world.service.now());
        let log = Log { begun: Instant::now(), text: Arc::default() };
        let devices = csrs
            .iter()
            .enumerate()
            .map(|(device, csr)| tokio::spawn(live(Arc::clone(&world), log.clone(), device, csr.clone())));
        for device in devices.collect::<Vec<_>>() {
            device.await.unwrap();
        }
        for event in [
            Event::Throttled,
            Event::FaultDropped,
            Event::FaultDelayed,
            Event::FaultServerError,
            Event::FaultPaused,
            Event::FaultHubOutage,
        ] {
            assert!(world.count(event) > 0, "{event:?}");
        }
        assert!(world.count(Event::FaultDisconnected) > DEVICES as u64, "{}", world.service.counters());
        Arc::into_inner(log.text).unwrap().into_inner().unwrap()
    })
}

#[test]
fn two_runs_with_the_same_seed_are_the_same() {
    let csrs: Vec<_> = (0..DEVICES).map(|device| key_and_csr(&format!("dev{device}")).1).collect();
    let (first, second) = (run(&csrs), run(&csrs));
    let difference = first.lines().zip(second.lines()).find(|(first, second)| first != second);
    assert_eq!(difference, None);
    assert_eq!(first.len(), second.len());
    assert!(first.lines().count() > 10 * DEVICES);
}
