//! Direct methods: a back end calls, the device answers.

use std::time::Duration;

use fleetstorm::emulator::{HubError, MethodResult};
use fleetstorm::protocol::mqtt::QoS;
use serde_json::{Value, json};
use tokio::task::JoinHandle;

use super::client::{SECOND, World};
use super::hub_client::{Device, Feature};

const PATIENCE: Duration = Duration::from_secs(30);

fn call(world: &World, id: &str, method: &str, payload: Option<Value>) -> JoinHandle<Result<MethodResult, HubError>> {
    let (service, id, method) = (world.service.clone(), id.to_owned(), method.to_owned());
    tokio::spawn(async move { service.invoke_method(&id, &method, payload.as_ref(), PATIENCE).await })
}

fn rid(topic: &str) -> &str {
    topic.split_once("?$rid=").unwrap().1
}

#[tokio::test(start_paused = true)]
async fn a_call_reaches_the_device_and_its_answer_the_caller() {
    let world = World::new();
    let mut peer = Device::new(&world, "dev1").await.connect(&world).await;
    peer.wants(Feature::Methods).await;
    let reboot = call(&world, "dev1", "reboot", Some(json!({"delay": 3})));
    let request = peer.answer().await;
    assert_eq!(request.topic, format!("$iothub/methods/POST/reboot/?$rid={}", rid(&request.topic)));
    assert_eq!((request.json(), request.qos), (json!({"delay": 3}), QoS::AtMostOnce));
    let blink = call(&world, "dev1", "blink", None);
    let second = peer.answer().await;
    assert_eq!(second.body, "");
    assert_ne!(rid(&request.topic), rid(&second.topic));

    peer.publish(&format!("$iothub/methods/res/-7/?$rid={}", rid(&second.topic)), QoS::AtMostOnce, "").await;
    assert_eq!(blink.await.unwrap(), Ok(MethodResult { status: -7, payload: Value::Null }));
    let topic = format!("$iothub/methods/res/200/?$rid={}", rid(&request.topic));
    peer.publish(&topic, QoS::AtLeastOnce, r#"{"done":true}"#).await;
    assert_eq!(reboot.await.unwrap(), Ok(MethodResult { status: 200, payload: json!({"done": true}) }));
}

#[tokio::test(start_paused = true)]
async fn a_device_that_is_not_there_or_not_subscribed_is_not_online() {
    let world = World::new();
    let device = Device::new(&world, "dev1").await.persistent();
    assert_eq!(call(&world, "dev1", "reboot", None).await.unwrap(), Err(HubError::DeviceNotOnline));
    let mut peer = device.connect(&world).await;
    assert_eq!(call(&world, "dev1", "reboot", None).await.unwrap(), Err(HubError::DeviceNotOnline));
    peer.wants(Feature::Methods).await;
    peer.leave().await;
    let error = call(&world, "dev1", "reboot", None).await.unwrap().unwrap_err();
    assert_eq!((error.code(), error.status()), (404_103, 404));
    let error = call(&world, "dev2", "reboot", None).await.unwrap().unwrap_err();
    assert_eq!(error.code(), 404_001);
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_does_not_come_ends_the_call_in_time_and_one_that_comes_late_is_ignored() {
    let world = World::new();
    let device = Device::new(&world, "dev1").await;
    let mut peer = device.connect(&world).await;
    peer.wants(Feature::Methods).await;
    let begun = tokio::time::Instant::now();
    let waiting = call(&world, "dev1", "reboot", None);
    let topic = peer.answer().await.topic;
    assert_eq!(waiting.await.unwrap(), Err(HubError::Timeout(PATIENCE)));
    assert_eq!(begun.elapsed().as_secs(), 30);
    for rid in [rid(&topic), "ffffffff", "no number"] {
        peer.publish(&format!("$iothub/methods/res/200/?$rid={rid}"), QoS::AtMostOnce, "{}").await;
    }
    peer.is_quiet().await;

    let waiting = call(&world, "dev1", "reboot", None);
    peer.answer().await;
    peer.leave().await;
    assert_eq!(waiting.await.unwrap(), Err(HubError::DeviceNotOnline), "it left");
    let mut peer = device.connect(&world).await;
    peer.wants(Feature::Methods).await;
    peer.is_quiet().await;
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_is_not_json_is_the_devices_fault() {
    let world = World::new();
    let mut peer = Device::new(&world, "dev1").await.connect(&world).await;
    peer.wants(Feature::Methods).await;
    let waiting = call(&world, "dev1", "reboot", None);
    let topic = peer.answer().await.topic;
    peer.publish(&format!("$iothub/methods/res/200/?$rid={}", rid(&topic)), QoS::AtMostOnce, "done").await;
    assert_eq!(waiting.await.unwrap(), Err(HubError::BadAnswer));
}

#[tokio::test(start_paused = true)]
async fn calls_are_bounded_in_number_and_size_and_have_names() {
    let world = World::new();
    let mut peer = Device::new(&world, "dev1").await.connect(&world).await;
    peer.wants(Feature::Methods).await;
    for name in ["", "a b", "a/b", "#", &"x".repeat(101), "é"] {
        let error = call(&world, "dev1", name, None).await.unwrap().unwrap_err();
        assert_eq!(error.code(), 400_004, "{name}");
    }
    let large = call(&world, "dev1", "m", Some("x".repeat(128 * 1024).into())).await.unwrap().unwrap_err();
    assert_eq!(large.code(), 413_001);
    let waiting: Vec<_> = (0..32).map(|_| call(&world, "dev1", "m", None)).collect();
    tokio::time::sleep(SECOND).await;
    assert_eq!(call(&world, "dev1", "m", None).await.unwrap(), Err(HubError::TooManyCalls));
    for waiting in waiting {
        assert_eq!(waiting.await.unwrap(), Err(HubError::Timeout(PATIENCE)));
    }
    let again = call(&world, "dev1", "m", None);
    for _ in 0..33 {
        peer.answer().await;
    }
    peer.leave().await;
    assert_eq!(again.await.unwrap(), Err(HubError::DeviceNotOnline));
}
