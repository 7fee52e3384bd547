//! Cloud-to-device messages: delivered, kept, sent again, bounded.

use bytes::Bytes;
use fleetstorm::domain::FleetTime;
use fleetstorm::emulator::{CloudToDevice, HubError};
use fleetstorm::protocol::mqtt::{Packet, QoS};

use super::client::{World, hub_connect};
use super::hub_client::{Device, Feature};

fn message(body: &str) -> CloudToDevice {
    CloudToDevice { payload: Bytes::copy_from_slice(body.as_bytes()), ..CloudToDevice::default() }
}

fn send(world: &World, body: &str) {
    world.service.send_cloud_to_device("dev1", &message(body)).unwrap();
}

fn waiting(world: &World) -> usize {
    world.service.device("dev1").unwrap().cloud_to_device_messages
}

#[tokio::test(start_paused = true)]
async fn a_message_comes_with_its_properties_in_the_topic() {
    let world = World::new();
    let mut peer = Device::new(&world, "dev1").await.connect(&world).await;
    // As one official SDK subscribes.
    peer.subscribe("devices/+/messages/devicebound/#", QoS::AtLeastOnce).await;
    let sent = CloudToDevice {
        message_id: Some("m-1".to_owned()),
        properties: vec![("colour".to_owned(), Some("deep red".to_owned()))],
        ..message("{}")
    };
    world.service.send_cloud_to_device("dev1", &sent).unwrap();
    let publish = peer.published().await;
    assert_eq!(
        publish.topic,
        "devices/dev1/messages/devicebound/\
         %24.mid=m-1&%24.to=%2Fdevices%2Fdev1%2Fmessages%2FdeviceBound&colour=deep%20red"
    );
    assert_eq!((publish.qos, publish.dup, &*publish.payload), (QoS::AtLeastOnce, false, &b"{}"[..]));
    assert_eq!(waiting(&world), 1);
    peer.acknowledge(&publish).await;
    peer.is_quiet().await;
    assert_eq!(waiting(&world), 0);
}

#[tokio::test(start_paused = true)]
async fn an_unacknowledged_message_comes_again_in_the_next_session() {
    let world = World::new();
    let device = Device::new(&world, "dev1").await.persistent();
    let mut peer = device.connect(&world).await;
    peer.wants(Feature::Messages("dev1")).await;
    for body in ["a", "b"] {
        send(&world, body);
    }
    let (a, b) = (peer.published().await, peer.published().await);
    assert_ne!(a.pkid, b.pkid);
    peer.acknowledge(&a).await;
    peer.is_quiet().await;
    assert_eq!(peer.vanish().await, "the peer closed the connection");
    send(&world, "c");

    let mut peer = device.resume(&world).await;
    let (again, c) = (peer.published().await, peer.published().await);
    assert_eq!((&*again.payload, again.dup, again.pkid), (&b"b"[..], true, b.pkid));
    assert_eq!((&*c.payload, c.dup), (&b"c"[..], false));
    peer.acknowledge(&c).await;
    peer.acknowledge(&again).await;
    peer.is_quiet().await;
    peer.leave().await;
    let mut peer = device.resume(&world).await;
    peer.is_quiet().await;
    assert_eq!(waiting(&world), 0);
}

#[tokio::test(start_paused = true)]
async fn messages_wait_for_a_subscription_and_not_for_a_clean_session() {
    let world = World::new();
    let device = Device::new(&world, "dev1").await.persistent();
    send(&world, "a");
    let mut peer = device.connect(&world).await;
    peer.is_quiet().await;
    peer.wants(Feature::Messages("dev1")).await;
    assert_eq!(&*peer.published().await.payload, b"a");
    peer.leave().await;
    assert_eq!(waiting(&world), 1);
    let clean = Device { connect: hub_connect("dev1", ""), ..device };
    let mut peer = clean.connect(&world).await;
    assert_eq!(waiting(&world), 0);
    peer.wants(Feature::Messages("dev1")).await;
    peer.is_quiet().await;
}

#[tokio::test(start_paused = true)]
async fn at_qos_0_a_message_is_sent_once() {
    let world = World::new();
    let mut peer = Device::new(&world, "dev1").await.persistent().connect(&world).await;
    peer.subscribe("devices/dev1/messages/devicebound/#", QoS::AtMostOnce).await;
    send(&world, "a");
    assert_eq!(peer.published().await.qos, QoS::AtMostOnce);
    assert_eq!(waiting(&world), 0);
}

#[tokio::test(start_paused = true)]
async fn acknowledgements_of_answers_are_not_taken_for_those_of_messages() {
    let world = World::new();
    let mut peer = Device::new(&world, "dev1").await.connect(&world).await;
    peer.wants(Feature::Messages("dev1")).await;
    peer.wants(Feature::Twin).await;
    send(&world, "a");
    let message = peer.published().await;
    peer.publish("$iothub/twin/GET/?$rid=1", QoS::AtMostOnce, "").await;
    let answer = peer.published().await;
    assert_ne!(answer.pkid, message.pkid);
    peer.acknowledge(&answer).await;
    peer.is_quiet().await;
    assert_eq!(waiting(&world), 1);
}

#[tokio::test(start_paused = true)]
async fn fifty_messages_wait_and_no_more_until_they_expire() {
    let world = World::new();
    Device::new(&world, "dev1").await;
    for _ in 0..50 {
        send(&world, "x");
    }
    let error = world.service.send_cloud_to_device("dev1", &message("x")).unwrap_err();
    assert_eq!((error.clone(), error.code(), error.status()), (HubError::QueueFull, 403_004, 403));
    world.service.advance_clock(FleetTime::from_secs(3600));
    assert_eq!(waiting(&world), 0);
    send(&world, "x");
}

/// Properties count as they are when they are decoded, and are longer in the topic.
#[tokio::test(start_paused = true)]
async fn a_message_may_have_64_kib_and_a_topic_as_long_as_mqtt_has_them() {
    let world = World::new();
    Device::new(&world, "dev1").await;
    let result = |message| world.service.send_cloud_to_device("dev1", &message).map_err(|error| error.code());
    let to = "/devices/dev1/messages/deviceBound";
    let sized = |bytes: usize| message(&"x".repeat(bytes - to.len()));
    assert_eq!([65_536, 65_537].map(|bytes| result(sized(bytes))), [Ok(()), Err(413_001)]);
    let topic = format!("devices/dev1/messages/devicebound/%24.to={}&", to.replace('/', "%2F"));
    let with_topic = |bytes: usize| {
        let left = bytes - topic.len();
        let name = "é".repeat(left / 6) + &"x".repeat(left % 6);
        CloudToDevice { properties: vec![(name, None)], ..message("") }
    };
    assert_eq!([65_535, 65_536].map(|bytes| result(with_topic(bytes))), [Ok(()), Err(413_001)]);
}

#[tokio::test(start_paused = true)]
async fn large_messages_are_refused_and_many_large_ones_all_come() {
    let world = World::new();
    let device = Device::new(&world, "dev1").await.persistent();
    let large = "x".repeat(60_000);
    for _ in 0..50 {
        send(&world, &large);
    }
    let mut peer = device.connect(&world).await;
    peer.wants(Feature::Messages("dev1")).await;
    for _ in 0..50 {
        let publish = peer.published().await;
        assert_eq!(publish.payload.len(), large.len());
        peer.acknowledge(&publish).await;
    }
    peer.is_quiet().await;
    assert_eq!(waiting(&world), 0);
    let too_large = message(&"x".repeat(65_536));
    assert_eq!(world.service.send_cloud_to_device("dev1", &too_large).unwrap_err().code(), 413_001);
    assert_eq!(world.service.send_cloud_to_device("dev2", &message("")).unwrap_err().code(), 404_001);
    peer.send(Packet::Disconnect).await;
}
