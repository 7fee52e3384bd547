//! Device twins: what devices read and report, what back ends want.

use fleetstorm::emulator::{ConnectionState, Event, HubError};
use fleetstorm::protocol::mqtt::{Packet, PubAck, QoS};
use serde_json::{Value, json};

use super::client::World;
use super::hub_client::{Device, Feature};

const GET: &str = "$iothub/twin/GET/?$rid=1";
const PATCH: &str = "$iothub/twin/PATCH/properties/reported/?$rid=10";

#[tokio::test(start_paused = true)]
async fn a_new_twin_has_version_1_and_is_read_at_both_qos() {
    let world = World::new();
    let mut peer = Device::new(&world, "dev1").await.connect(&world).await;
    peer.wants(Feature::Twin).await;
    let expected = json!({"desired": {"$version": 1}, "reported": {"$version": 1}});
    for (qos, body) in [(QoS::AtMostOnce, ""), (QoS::AtLeastOnce, " ")] {
        let answer = match qos {
            QoS::AtMostOnce => peer.ask(GET, body).await,
            _ => peer.request(GET, body).await,
        };
        assert_eq!((answer.topic.as_str(), answer.json()), ("$iothub/twin/res/200/?$rid=1", expected.clone()));
        assert_eq!(answer.qos, QoS::AtLeastOnce, "as it was subscribed");
    }
    peer.subscribe("$iothub/twin/res/#", QoS::AtMostOnce).await;
    assert_eq!(peer.ask(GET, "").await.qos, QoS::AtMostOnce);
    assert_eq!(world.count(Event::TwinReads), 3);
}

#[tokio::test(start_paused = true)]
async fn reported_properties_are_merged_and_null_removes() {
    let world = World::new();
    let mut peer = Device::new(&world, "dev1").await.connect(&world).await;
    peer.wants(Feature::Twin).await;
    let answer = peer.ask(PATCH, r#"{"certificate":{"validFrom":"2026","old":1},"gone":1}"#).await;
    assert_eq!((answer.topic.as_str(), answer.body.as_str()), ("$iothub/twin/res/204/?$rid=10&$version=2", ""));
    let answer = peer.request(PATCH, r#"{"certificate":{"old":null,"validUntil":"2027"},"gone":null}"#).await;
    assert_eq!(answer.topic, "$iothub/twin/res/204/?$rid=10&$version=3");
    let reported = json!({"certificate": {"validFrom": "2026", "validUntil": "2027"}, "$version": 3});
    assert_eq!(peer.ask(GET, "").await.json()["reported"], reported);
    let twin = world.service.twin("dev1").unwrap();
    assert_eq!((twin.version, &twin.reported, &twin.desired), (3, &reported, &json!({"$version": 1})));
}

#[tokio::test(start_paused = true)]
async fn patches_that_break_a_rule_are_refused_and_change_nothing() {
    let world = World::new();
    let mut peer = Device::new(&world, "dev1").await.connect(&world).await;
    peer.wants(Feature::Twin).await;
    let large = json!((0..9).map(|i| (i.to_string(), "x".repeat(4000).into())).collect::<serde_json::Map<_, _>>());
    for (body, status, code) in [
        ("{\"a\":", 400, 400_006),
        ("", 400, 400_006),
        ("[1]", 400, 400_006),
        (r#"{"a.b":1}"#, 400, 400_004),
        (&"[".repeat(100_000), 400, 400_006),
        (&large.to_string(), 413, 413_001),
    ] {
        let answer = peer.ask(PATCH, body).await;
        assert_eq!(answer.topic, format!("$iothub/twin/res/{status}/?$rid=10"));
        let error = answer.json();
        assert_eq!(error["errorCode"], code);
        assert!(error["message"].is_string() && error["trackingId"].is_string(), "{error}");
    }
    assert_eq!(peer.ask(GET, "").await.json()["reported"], json!({"$version": 1}));
}

#[tokio::test(start_paused = true)]
async fn a_subscribed_device_is_told_what_is_desired() {
    let world = World::new();
    let device = Device::new(&world, "dev1").await;
    let told = |patch: Value| world.service.patch_desired("dev1", &patch).unwrap();
    assert_eq!(told(json!({"before": true})).desired["$version"], 2, "it is not connected and not told");
    let mut peer = device.connect(&world).await;
    told(json!({"before": true}));
    peer.wants(Feature::Desired).await;
    peer.is_quiet().await;
    told(json!({"interval": 5, "before": null}));
    told(json!({"interval": 6}));
    for (version, body) in [(4, json!({"interval": 5, "before": null})), (5, json!({"interval": 6}))] {
        let answer = peer.answer().await;
        assert_eq!(answer.topic, format!("$iothub/twin/PATCH/properties/desired/?$version={version}"));
        let mut expected = body;
        expected["$version"] = version.into();
        assert_eq!((answer.json(), answer.qos), (expected, QoS::AtLeastOnce));
    }
    peer.wants_no_more(Feature::Desired).await;
    told(json!({"interval": 7}));
    peer.wants(Feature::Twin).await;
    assert_eq!(peer.ask(GET, "").await.json()["desired"], json!({"interval": 7, "$version": 6}));
}

#[tokio::test(start_paused = true)]
async fn back_ends_see_more_than_devices() {
    let world = World::new();
    let device = Device::new(&world, "dev1").await;
    let twin = world.service.patch_twin("dev1", Some(&json!({"site": {"floor": 1}})), None).unwrap();
    assert_eq!((twin.version, twin.connection_state), (2, ConnectionState::Disconnected));
    assert_eq!(twin.tags["site"]["floor"], 1);
    let mut peer = device.connect(&world).await;
    peer.wants(Feature::Twin).await;
    assert!(!peer.ask(GET, "").await.body.contains("site"));
    assert_eq!(world.service.twin("dev1").unwrap().connection_state, ConnectionState::Connected);
    assert_eq!(world.service.twin("dev2"), Err(HubError::DeviceNotFound("dev2".to_owned())));
    let error = world.service.patch_desired("dev1", &json!([1])).unwrap_err();
    assert_eq!((error.code(), error.status()), (400_004, 400));
}

#[tokio::test(start_paused = true)]
async fn without_a_subscription_or_a_request_id_nothing_is_answered() {
    let world = World::new();
    let device = Device::new(&world, "dev1").await;
    let mut peer = device.connect(&world).await;
    peer.publish(GET, QoS::AtLeastOnce, "").await;
    assert_eq!(peer.next().await, Some(Packet::PubAck(PubAck { pkid: 7 })));
    peer.publish(PATCH, QoS::AtMostOnce, r#"{"a":1}"#).await;
    peer.is_quiet().await;
    assert_eq!(world.service.twin("dev1").unwrap().reported["a"], 1, "done all the same");
    peer.publish("$iothub/twin/GET/", QoS::AtMostOnce, "").await;
    assert_eq!(peer.ended().await, "the peer broke a rule of the protocol");
}

#[tokio::test(start_paused = true)]
async fn a_request_id_too_long_to_answer_harms_nobody() {
    let world = World::new();
    let mut peer = Device::new(&world, "dev1").await.connect(&world).await;
    peer.wants(Feature::Twin).await;
    let rid = "r".repeat(65_535 - "$iothub/twin/GET/?$rid=".len());
    peer.publish(&format!("$iothub/twin/GET/?$rid={rid}"), QoS::AtMostOnce, "").await;
    peer.is_quiet().await;
}
