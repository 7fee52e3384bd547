//! Faults that concern everybody at once: the hub is away, nothing is answered, a policy is revoked.

use std::time::Duration;

use fleetstorm::emulator::{Event, Faults, HubOutage, HubOutageEffect, Pause, Revocation};
use fleetstorm::protocol::mqtt::ConnectReturnCode::{NotAuthorized, ServiceUnavailable};
use fleetstorm::protocol::mqtt::QoS;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream};
use tokio::time::{Instant, advance, sleep};

use super::client::{SECOND, World, accepted, hub_connect, refused, sas};
use super::hub_client::{Device, Feature};

const DISMISSED: &str = "its device was disabled or deleted, or its certificate revoked";
const INJECTED: &str = "a fault was injected";

/// A world whose faults happen, and no device of which has begun yet.
fn tended(change: impl FnOnce(&mut Faults)) -> World {
    let world = World::new();
    let mut faults = Faults::default();
    change(&mut faults);
    world.service.set_faults(faults).unwrap();
    let service = world.service.clone();
    tokio::spawn(async move { service.tend().await });
    world
}

const fn outage(effect: HubOutageEffect) -> HubOutage {
    HubOutage { from_seconds: 5.0, for_seconds: 10.0, effect }
}

#[tokio::test(start_paused = true)]
async fn a_hub_that_is_away_ends_its_sessions_and_refuses_or_drops_new_ones_until_it_is_back() {
    for effect in [HubOutageEffect::Refuse, HubOutageEffect::Drop] {
        let world = tended(|faults| faults.hub_outage = outage(effect));
        let device = Device::new(&world, "dev1").await;
        let mut peer = device.connect(&world).await;
        peer.is_quiet().await;
        let begun = Instant::now();
        assert_eq!(peer.ended().await, INJECTED);
        assert_eq!(begun.elapsed(), 5 * SECOND);
        let mut peer = world.open_with(device.chain.clone());
        let answer = peer.connect(device.connect.clone()).await;
        match effect {
            HubOutageEffect::Refuse => assert_eq!(answer, refused(ServiceUnavailable)),
            HubOutageEffect::Drop => {
                assert_eq!(answer, None);
                assert_eq!(peer.ended().await, INJECTED);
            }
        }
        Device::new(&world, "dev2").await;
        assert_eq!((world.count(Event::FaultDisconnected), world.count(Event::FaultHubOutage)), (1, 1));
        advance(10 * SECOND).await;
        device.connect(&world).await.is_quiet().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_hub_that_is_away_is_so_over_https_too() {
    let request = "POST /devices/dev1/messages/events?api-version=2021-04-12 HTTP/1.1\r\nHost: h\r\n\
                   Connection: close\r\nContent-Length: 2\r\n\r\n{}";
    let ask = async |mut stream: DuplexStream| {
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    };
    let world = tended(|faults| faults.hub_outage = HubOutage { from_seconds: 0.0, ..outage(HubOutageEffect::Refuse) });
    let device = Device::new(&world, "dev1").await;
    let (stream, _) = world.open_https(device.chain.clone());
    let answer = ask(stream).await;
    assert!(answer.starts_with("HTTP/1.1 503 ") && answer.contains("iothub-errorcode: ServiceUnavailable"), "{answer}");
    let world = tended(|faults| faults.hub_outage = HubOutage { from_seconds: 0.0, ..outage(HubOutageEffect::Drop) });
    let (stream, served) = world.open_https(Vec::new());
    assert_eq!(ask(stream).await, "");
    served.await.unwrap();
    assert_eq!(world.count(Event::FaultHubOutage), 1);
}

#[tokio::test(start_paused = true)]
async fn in_a_pause_nothing_is_answered_and_afterwards_all_go_on() {
    let world = tended(|faults| faults.pause = Pause { from_seconds: 1.0, for_seconds: 1000.0 });
    let device = Device::new(&world, "dev1").await;
    let mut hub = device.connect(&world).await;
    hub.wants(Feature::Twin).await;
    let mut dps = world.dps("dev2").await;
    sleep(SECOND).await;
    let begun = Instant::now();
    // Time-outs and keep-alive do not count: 1000 s are longer than all of them.
    let registered = async {
        dps.register("").await;
        begun.elapsed()
    };
    let asked = async {
        let answer = hub.request("$iothub/twin/GET/?$rid=1", "").await;
        assert!(answer.topic.starts_with("$iothub/twin/res/200/"), "{}", answer.topic);
        begun.elapsed()
    };
    let came = async {
        sleep(500 * SECOND).await;
        world.dps("dev3").await;
        begun.elapsed()
    };
    let (registered, asked, came) = tokio::join!(registered, asked, came);
    assert_eq!([registered, asked, came], [1000 * SECOND; 3]);
    hub.is_quiet().await;
    assert_eq!((world.count(Event::FaultPaused), world.count(Event::TimedOut)), (3, 0));
    sleep(89 * SECOND).await;
    hub.is_quiet().await;
    assert_eq!(hub.ended().await, "the peer was silent for too long");
}

#[tokio::test(start_paused = true)]
async fn a_pause_ends_with_its_plan() {
    let world = tended(|faults| faults.pause = Pause { from_seconds: 0.0, for_seconds: 1000.0 });
    let begun = Instant::now();
    let lift = async {
        sleep(3 * SECOND).await;
        world.service.set_faults(Faults::default()).unwrap();
    };
    let (_, ()) = tokio::join!(world.dps("dev1"), lift);
    assert_eq!(begun.elapsed(), 3 * SECOND);
}

#[tokio::test(start_paused = true)]
async fn a_revoked_policy_ends_the_sessions_of_its_certificates_and_the_hub_learns_of_the_new_one() {
    let world = tended(|faults| {
        faults.policy_revoked = Revocation { at_seconds: vec![5.0], sync_after_seconds: 2.0, ..Revocation::default() };
    });
    let device = Device::new(&world, "dev1").await;
    let peer = device.connect(&world).await;
    let token = sas(&world.service.group_key().derive("dev1"), "localhost/devices/dev1", None);
    let other = Device::new(&world, "dev2").await;
    let token_of_other = sas(&world.service.group_key().derive("dev2"), "localhost/devices/dev2", None);
    let mut unconcerned = world.open();
    assert_eq!(unconcerned.connect(hub_connect("dev2", &token_of_other)).await, accepted());
    let begun = Instant::now();
    assert_eq!(peer.ended().await, DISMISSED);
    assert_eq!(begun.elapsed(), 5 * SECOND);
    unconcerned.is_quiet().await;
    assert_eq!((world.count(Event::FaultPolicyRevoked), world.count(Event::FaultDisconnected)), (1, 1));
    let connect = async |device: &Device| world.open_with(device.chain.clone()).connect(device.connect.clone()).await;
    assert_eq!(connect(&device).await, refused(NotAuthorized));
    let renewed = Device::new(&world, "dev1").await;
    assert_eq!(connect(&renewed).await, refused(NotAuthorized), "the hub has not learned of it yet");
    advance(2 * SECOND).await;
    sleep(Duration::from_millis(1)).await;
    renewed.connect(&world).await.is_quiet().await;
    assert_eq!(connect(&other).await, refused(NotAuthorized));
    assert_eq!(world.open().connect(hub_connect("dev1", &token)).await, accepted());
}

#[tokio::test(start_paused = true)]
async fn a_revoked_policy_may_leave_sessions_alone() {
    let world = tended(|faults| {
        faults.policy_revoked = Revocation { at_seconds: vec![5.0], end_sessions: false, sync_after_seconds: 0.0 };
    });
    let old = Device::new(&world, "dev1").await;
    let mut peer = old.connect(&world).await;
    sleep(6 * SECOND).await;
    peer.is_quiet().await;
    let answer = world.open_with(old.chain.clone()).connect(old.connect.clone()).await;
    assert_eq!(answer, refused(NotAuthorized));
    let renewed = Device::new(&world, "dev1").await;
    renewed.connect(&world).await.publish("devices/dev1/messages/events/", QoS::AtMostOnce, "{}").await;
}
