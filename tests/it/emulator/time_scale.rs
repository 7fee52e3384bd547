//! A day of the fleet in a second: what passes faster, and what does not.

use std::time::{Duration, SystemTime};

use fleetstorm::domain::{FleetTime, TimeScale};
use fleetstorm::emulator::{Config, Delay, Disconnect, LatencySettings, StepModel};
use fleetstorm::protocol::mqtt::ConnectReturnCode::NotAuthorized;
use tokio::time::Instant;

use super::client::{SECOND, World, accepted, hub_connect, refused};
use super::hub_client::{Device, Feature};

const DAY: Duration = Duration::from_secs(86_400);
const REGISTER: &str = "$dps/registrations/PUT/iotdps-register/?$rid=1";

/// A day in a second, and a wall clock that goes with paused time.
fn days_in_seconds(change: impl FnOnce(&mut Config)) -> World {
    World::with(|config| {
        config.time_scale = TimeScale::new(FleetTime::new(DAY), Duration::from_secs(1)).unwrap();
        config.virtual_time = Some(SystemTime::now());
        change(config);
    })
}

#[tokio::test(start_paused = true)]
async fn certificates_and_sessions_with_tokens_last_their_days_in_seconds_once_it_has_begun() {
    let world = days_in_seconds(|_| {});
    let device = Device::new(&world, "dev1").await;
    tokio::time::advance(40 * SECOND).await;
    device.connect(&world).await.leave().await;

    let key = world.service.group_key().derive("dev1");
    let expiry = world.service.now().duration_since(SystemTime::UNIX_EPOCH).unwrap() + 3 * DAY;
    let token = key.sign("localhost/devices/dev1", expiry.as_secs(), None).to_text();
    let mut peer = world.open();
    assert_eq!(peer.connect(hub_connect("dev1", &token)).await, accepted());

    let anchor = world.service.now();
    world.service.begin(anchor);
    let begun = Instant::now();
    peer.is_quiet().await;
    assert_eq!(peer.ended().await, "its token expired");
    let lasted = begun.elapsed();
    assert!(lasted > Duration::from_millis(2900) && lasted <= 3 * SECOND, "{lasted:?}");

    tokio::time::advance(26 * SECOND).await;
    device.connect(&world).await.leave().await;
    tokio::time::advance(SECOND).await;
    assert!(world.service.now() - 30 * DAY >= anchor);
    let answer = world.open_with(device.chain.clone()).connect(device.connect.clone()).await;
    assert_eq!(answer, refused(NotAuthorized), "after 30 days");
}

#[tokio::test(start_paused = true)]
async fn time_travel_ends_sessions_whose_token_it_passes() {
    let world = World::with(|config| config.virtual_time = Some(SystemTime::now()));
    world.provision("dev1").await;
    let key = world.service.group_key().derive("dev1");
    let expiry = world.service.now().duration_since(SystemTime::UNIX_EPOCH).unwrap() + DAY;
    let token = key.sign("localhost/devices/dev1", expiry.as_secs(), None).to_text();
    let mut peer = world.open();
    assert_eq!(peer.connect(hub_connect("dev1", &token)).await, accepted());
    world.service.advance_clock(FleetTime::new(DAY - 10 * SECOND));
    let begun = Instant::now();
    peer.is_quiet().await;
    assert_eq!(peer.ended().await, "its token expired");
    assert!(begun.elapsed() <= 10 * SECOND);
}

#[tokio::test(start_paused = true)]
async fn quotas_and_times_of_faults_are_of_the_fleet_and_latencies_are_not() {
    let world = days_in_seconds(|config| {
        config.quotas.registrations_per_minute = Some(1);
        config.model.register = StepModel { latency: LatencySettings::Fixed { ms: 200.0 }, ..StepModel::default() };
        config.faults.hub_disconnect = Disconnect { at_seconds: vec![2.0 * DAY.as_secs_f64()] };
        let week = DAY.as_secs_f64() * 7.0;
        config.faults.delayed_result =
            Delay { probability: 1.0, delay_ms: 1500, from_seconds: week, for_seconds: Some(week) };
    });
    let service = world.service.clone();
    tokio::spawn(async move { service.tend().await });
    let device = Device::new(&world, "dev1").await;
    let mut peer = world.dps("dev2").await;
    let begun = Instant::now();
    assert!(peer.request(REGISTER, "").await.topic.contains("/res/202/"), "the minute is over");
    assert_eq!(begun.elapsed(), Duration::from_millis(200));

    let mut peer = device.connect(&world).await;
    peer.wants(Feature::Twin).await;
    tokio::time::advance(Duration::from_millis(1000)).await;
    world.service.begin(world.service.now());
    let begun = Instant::now();
    assert_eq!(peer.ended().await, "a fault was injected");
    assert_eq!(begun.elapsed(), 2 * SECOND);

    tokio::time::advance(5 * SECOND).await;
    let mut peer = world.dps("dev3").await;
    let begun = Instant::now();
    assert_eq!(peer.register("").await["status"], "assigned");
    assert_eq!(begun.elapsed(), Duration::from_millis(1700));
}

#[tokio::test(start_paused = true)]
async fn a_renewal_is_pending_for_half_a_second() {
    let world = days_in_seconds(|config| {
        config.model.renewal_issue =
            StepModel { latency: LatencySettings::Fixed { ms: 60_000.0 }, ..StepModel::default() };
    });
    let device = Device::new(&world, "dev1").await;
    let mut peer = device.connect(&world).await;
    peer.wants(Feature::Credentials).await;
    world.service.begin(world.service.now());
    let csr = super::client::key_and_csr("dev1").1;
    let body = format!(r#"{{"id":"dev1","csr":"{csr}"}}"#);
    let topic = |rid| format!("$iothub/credentials/POST/issueCertificate/?$rid={rid}");
    assert!(peer.request(&topic("first-1"), &body).await.topic.contains("/202/"));
    let body = format!(r#"{{"id":"dev1","csr":"{}"}}"#, super::client::key_and_csr("dev1").1);
    assert!(peer.request(&topic("second-2"), &body).await.topic.contains("/409/"));
    tokio::time::advance(Duration::from_millis(501)).await;
    assert!(peer.request(&topic("second-2"), &body).await.topic.contains("/202/"), "12 hours later");
}
