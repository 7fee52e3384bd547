//! Sessions with the hub that outlive the attempt which made them.

use std::time::Duration;

use fleetstorm::device::{Connector, Credential, HoldEnd, HubSession, LocalEnd, MemoryConnector, reconnect};
use fleetstorm::domain::FailureClass;
use fleetstorm::protocol::mqtt::{ConnectReturnCode, Packet, PubAck, Publish, QoS};
use tokio::time::{Instant, timeout};

use super::renew::provisioned;
use super::service::{Accept, Service, World};

type Session = HubSession<<MemoryConnector as Connector>::Stream>;

/// A device in the middle of its life: its session and the hub's end of it.
pub(super) struct Life {
    pub(super) world: World,
    pub(super) credential: Credential,
    pub(super) connector: MemoryConnector,
    pub(super) accept: Accept,
    pub(super) session: Session,
    pub(super) hub: Service,
}

impl Life {
    /// Connected, without telemetry.
    pub(super) async fn connected() -> Self {
        let mut world = World::new();
        let credential = provisioned(&mut world).await;
        world.settings.hub.as_mut().unwrap().telemetry = None;
        let (connector, peers) = MemoryConnector::new();
        let mut accept = Accept::new(peers);
        let end = LocalEnd::new(&world.settings, 0);
        let device = reconnect(&world.settings, &connector, &end, &credential, true);
        let service = async {
            let mut hub = accept.next().await;
            hub.accepts(ConnectReturnCode::Success).await;
            hub
        };
        let (done, hub) = tokio::join!(device, service);
        done.result.unwrap();
        let session = done.session.expect("it is kept");
        Self { world, credential, connector, accept, session, hub }
    }
}

/// Some seconds from now.
fn after(seconds: u64) -> Option<Instant> {
    Some(Instant::now() + Duration::from_secs(seconds))
}

#[tokio::test(start_paused = true)]
async fn a_held_session_pings_and_acknowledges() {
    let Life { mut session, mut hub, .. } = Life::connected().await;
    let start = Instant::now();
    let service = async {
        for _ in 0..3 {
            assert_eq!(hub.hears().await, Some(Packet::PingReq));
            assert_eq!(start.elapsed().as_secs() % 60, 0, "{:?}", start.elapsed());
            hub.says(&[Packet::PingResp]).await;
        }
        let message = Publish::new("devices/dev-1/messages/devicebound/", QoS::AtLeastOnce, "x");
        hub.says(&[Packet::Publish(Publish { pkid: 5, ..message })]).await;
        assert_eq!(hub.hears().await, Some(Packet::PubAck(PubAck::new(5))));
    };
    let (held, ()) = tokio::join!(session.hold(after(200)), service);
    assert_eq!((held, start.elapsed().as_secs()), (HoldEnd::Until, 200));
}

#[tokio::test(start_paused = true)]
async fn a_hold_may_be_dropped_at_any_point() {
    let Life { mut session, mut hub, .. } = Life::connected().await;
    let device = async {
        // Every second something else comes first, also exactly when a ping is due.
        for _ in 0..200 {
            let _ = timeout(Duration::from_secs(1), session.hold(None)).await;
        }
    };
    let service = async {
        for _ in 0..3 {
            assert_eq!(hub.hears().await, Some(Packet::PingReq));
            hub.says(&[Packet::PingResp]).await;
        }
    };
    let ((), ()) = tokio::join!(device, service);
}

#[tokio::test(start_paused = true)]
async fn losses_are_told() {
    let Life { mut session, hub, .. } = Life::connected().await;
    drop(hub);
    let HoldEnd::Lost(failure) = session.hold(None).await else { panic!("it is lost") };
    assert_eq!(failure.to_string(), "network: the hub closed the connection");

    let Life { mut session, mut hub, .. } = Life::connected().await;
    let start = Instant::now();
    let HoldEnd::Lost(failure) = session.hold(None).await else { panic!("it is lost") };
    assert_eq!(failure.to_string(), "timeout: no PINGRESP of the hub within 30 s");
    assert_eq!(start.elapsed().as_secs(), 90, "60 s of silence, 30 s for the answer");
    assert_eq!(hub.hears().await, Some(Packet::PingReq));

    let Life { mut session, mut hub, .. } = Life::connected().await;
    hub.says(&[Packet::PingReq]).await;
    let HoldEnd::Lost(failure) = session.hold(None).await else { panic!("it is lost") };
    assert_eq!(failure.class, FailureClass::Protocol);

    let Life { mut session, mut hub, .. } = Life::connected().await;
    hub.says_bytes(&[0xff; 40]).await;
    let HoldEnd::Lost(failure) = session.hold(None).await else { panic!("it is lost") };
    assert_eq!(failure.class, FailureClass::Protocol);
}

#[tokio::test(start_paused = true)]
async fn telemetry_goes_over_the_held_session() {
    let Life { world, credential, connector, mut session, mut hub, .. } = Life::connected().await;
    let service = async {
        for number in 1..=2 {
            let Some(Packet::Publish(publish)) = hub.hears().await else { panic!("no message") };
            assert_eq!(
                (publish.pkid, &*publish.topic),
                (number, "devices/dev-1/messages/events/$.ct=application%2Fjson&$.ce=utf-8")
            );
            tokio::time::sleep(Duration::from_secs(7)).await;
            hub.says(&[Packet::PingResp, Packet::PubAck(PubAck::new(number))]).await;
        }
        assert!(matches!(hub.hears().await, Some(Packet::Publish(_))));
        assert_eq!(hub.hears().await, Some(Packet::PingReq));
        hub.says(&[Packet::PubAck(PubAck::new(3))]).await;
        hub.hears_the_end().await;
    };
    let device = async {
        for _ in 0..2 {
            let time = session.send_telemetry(&world.settings, &credential).await.unwrap();
            assert_eq!(time, Duration::from_secs(7));
        }
        // An acknowledgement that is late is no loss.
        let failure = session.send_telemetry(&world.settings, &credential).await.unwrap_err();
        assert_eq!(failure.to_string(), "timeout: no PUBACK of the telemetry within 30 s");
        assert_eq!(session.hold(after(40)).await, HoldEnd::Until);
        session.close(&connector).await;
    };
    tokio::join!(device, service);
}

#[tokio::test(start_paused = true)]
async fn futures_of_waiting_devices_are_small() {
    let Life { world, credential, connector, mut session, .. } = Life::connected().await;
    let end = LocalEnd::new(&world.settings, 0);
    let size = size_of_val(&reconnect(&world.settings, &connector, &end, &credential, true));
    assert!(size <= 512, "an attempt: {size} bytes");
    let size = size_of_val(&session.send_telemetry(&world.settings, &credential));
    assert!(size <= 512, "a message: {size} bytes");
    let size = size_of_val(&session.hold(None));
    assert!(size <= 1024, "holding: {size} bytes");
    assert!(size_of::<Session>() <= 320, "a session: {} bytes", size_of::<Session>());
    assert!(size_of::<LocalEnd>() <= 32, "a local end: {} bytes", size_of::<LocalEnd>());
}
