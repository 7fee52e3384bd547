use fleetstorm::protocol::mqtt::{ConnectReturnCode, QoS};
use hyper::Method;
use serde_json::json;

use super::super::client::{World, accepted, hub_connect, refused};
use super::super::hub_client::{Device, Feature};
use super::Control;

#[tokio::test(start_paused = true)]
async fn devices_are_listed_watched_disabled_revoked_and_deleted() {
    let world = World::new();
    let mut control = Control::new(&world).await;
    let (first, second) = (Device::new(&world, "dev1").await, Device::new(&world, "dev2").await);
    let mut peer = first.connect(&world).await;
    peer.publish("devices/dev1/messages/events/", QoS::AtMostOnce, "{}").await;
    peer.is_quiet().await;
    let shown = control.get("/devices/dev1").await;
    assert_eq!(shown["deviceId"], "dev1");
    assert_eq!((&shown["telemetryMessages"], &shown["connectionState"]), (&1.into(), &"Connected".into()));
    assert_eq!((&shown["status"], &shown["cloudToDeviceMessageCount"]), (&"enabled".into(), &0.into()));
    let page = control.ask(Method::GET, "/devices", &[("x-ms-max-item-count", "1")], "").await;
    assert_eq!((page.json()[0]["deviceId"].as_str(), page.header("x-ms-continuation")), (Some("dev1"), "dev1"));

    let disabled = control.ask(Method::PATCH, "/devices/dev1", &[], r#"{"status":"disabled"}"#).await;
    assert_eq!((disabled.status.as_u16(), &disabled.json()["status"]), (200, &"disabled".into()));
    assert_eq!(peer.next().await, None, "its session ended");
    let connect = async |device: &Device| {
        let mut peer = world.open_with(device.chain.clone());
        peer.connect(hub_connect(device.id, "")).await
    };
    assert_eq!(connect(&first).await, refused(ConnectReturnCode::NotAuthorized));
    control.ask(Method::PATCH, "/devices/dev1", &[], r#"{"status":"enabled"}"#).await;
    assert_eq!(connect(&first).await, accepted());

    let revoked = control.post("/devices/dev1/revoke", "").await.json();
    assert_ne!(revoked["uniqueId"], shown["uniqueId"]);
    assert_eq!(connect(&first).await, refused(ConnectReturnCode::NotAuthorized));
    assert_eq!(connect(&second).await, accepted());
    assert_eq!(control.ask(Method::DELETE, "/devices/dev2", &[], "").await.status, 204);
    assert_eq!(connect(&second).await, refused(ConnectReturnCode::NotAuthorized));
    for (method, uri, body) in [
        (Method::GET, "/devices/dev2", ""),
        (Method::PATCH, "/devices/dev2", r#"{"status":"enabled"}"#),
        (Method::DELETE, "/devices/dev2", ""),
        (Method::POST, "/devices/dev2/revoke", ""),
        (Method::POST, "/devices/dev2/messages/deviceBound", ""),
        (Method::GET, "/twins/dev2", ""),
        (Method::PATCH, "/twins/dev2", "{}"),
        (Method::POST, "/twins/dev2/methods", r#"{"methodName":"m"}"#),
    ] {
        assert_eq!(control.ask(method, uri, &[], body).await.refusal(), (404, 404_001), "{uri}");
    }
    for body in [r#"{"status":"off"}"#, r#"{"state":"enabled"}"#, "{}"] {
        assert_eq!(control.ask(Method::PATCH, "/devices/dev1", &[], body).await.refusal(), (400, 400_012), "{body}");
    }
}

#[tokio::test(start_paused = true)]
async fn messages_reach_the_device_with_their_properties() {
    let world = World::new();
    let mut control = Control::new(&world).await;
    let device = Device::new(&world, "dev1").await;
    let mut peer = device.connect(&world).await;
    peer.wants(Feature::Messages("dev1")).await;
    let uri = "/devices/dev1/messages/deviceBound";
    let headers = [
        ("iothub-messageid", "m-1"),
        ("iothub-ack", "full"),
        ("iothub-app-colour", "deep red"),
        ("content-type", "application/json"),
    ];
    let sent = control.ask(Method::POST, uri, &headers, r#"{"blink":true}"#).await;
    assert_eq!(sent.status, 204, "{}", sent.body);
    let message = peer.published().await;
    assert_eq!(&*message.payload, br#"{"blink":true}"#);
    assert_eq!(
        message.topic,
        "devices/dev1/messages/devicebound/%24.mid=m-1&%24.to=%2Fdevices%2Fdev1%2Fmessages%2FdeviceBound\
         &iothub-ack=full&colour=deep%20red"
    );
    for header in [("iothub-ack", "maybe"), ("iothub-expiry", "soon"), ("iothub-expiry", "1969-01-01T00:00:00Z")] {
        let refused = control.ask(Method::POST, uri, &[header], "").await;
        assert_eq!(refused.refusal(), (400, 400_000), "{header:?}");
    }
    let large = "x".repeat(65 * 1024);
    assert_eq!(control.ask(Method::POST, uri, &[], &large).await.refusal(), (413, 413_001));
}

#[tokio::test(start_paused = true)]
async fn twins_are_read_and_changed_by_tag() {
    let world = World::new();
    let mut control = Control::new(&world).await;
    let device = Device::new(&world, "dev1").await;
    let mut peer = device.connect(&world).await;
    peer.wants(Feature::Desired).await;
    let twin = control.get("/twins/dev1").await;
    assert_eq!((&twin["version"], &twin["properties"]["desired"]), (&1.into(), &json!({"$version": 1})));
    let etag = twin["etag"].as_str().unwrap().to_owned();
    let patch = r#"{"tags":{"line":4},"properties":{"desired":{"interval":5}}}"#;
    let changed = control.ask(Method::PATCH, "/twins/dev1", &[("if-match", &etag)], patch).await;
    assert_eq!(changed.status, 200, "{}", changed.body);
    assert_eq!(
        (&changed.json()["tags"], &changed.json()["connectionState"]),
        (&json!({"line": 4}), &"Connected".into())
    );
    let told = peer.published().await;
    assert_eq!(
        serde_json::from_slice::<serde_json::Value>(&told.payload).unwrap(),
        json!({"interval": 5, "$version": 2})
    );
    let quoted = format!("W/\"{etag}\", \"x\"");
    for stale in [&etag, &format!("\"{etag}\""), &quoted] {
        let stale = control.ask(Method::PATCH, "/twins/dev1", &[("if-match", stale)], patch).await;
        assert_eq!(stale.refusal(), (412, 412_000));
    }
    // As Python's SDK sends it, unless it is told otherwise.
    let whatever = control.ask(Method::PATCH, "/twins/dev1", &[("if-match", "\"*\"")], patch).await;
    let etag = whatever.json()["etag"].as_str().unwrap().to_owned();
    for good in [format!("\"x\", \"{etag}\""), "*".to_owned()] {
        let reply = control.ask(Method::PATCH, "/twins/dev1", &[("if-match", &good)], "{}").await;
        assert_eq!(reply.status, 200, "{good}: {}", reply.body);
    }
    let array = control.ask(Method::PATCH, "/twins/dev1", &[("if-match", "*")], r#"{"tags":[]}"#).await;
    assert_eq!(array.refusal(), (400, 400_004));
}

#[tokio::test(start_paused = true)]
async fn a_method_is_called_and_answered() {
    let world = World::new();
    let mut control = Control::new(&world).await;
    let device = Device::new(&world, "dev1").await;
    let call =
        r#"{"methodName":"reboot","payload":{"delay":3},"responseTimeoutInSeconds":30,"connectTimeoutInSeconds":0}"#;
    let uri = "/twins/dev1/methods";
    assert_eq!(control.ask(Method::POST, uri, &[], call).await.refusal(), (404, 404_103), "not online");
    let mut peer = device.connect(&world).await;
    peer.wants(Feature::Methods).await;
    let answer = async {
        let called = peer.published().await;
        assert_eq!(&*called.payload, br#"{"delay":3}"#);
        let (_, rid) = called.topic.split_once("$rid=").unwrap();
        assert!(called.topic.starts_with("$iothub/methods/POST/reboot/?"));
        let topic = format!("$iothub/methods/res/200/?$rid={rid}");
        peer.publish(&topic, QoS::AtMostOnce, r#"{"done":true}"#).await;
    };
    let (result, ()) = tokio::join!(control.post(uri, call), answer);
    assert_eq!(result.json(), json!({"status": 200, "payload": {"done": true}}));
    // Nobody answers this one.
    assert_eq!(control.ask(Method::POST, uri, &[], call).await.refusal(), (504, 504_101));
    for bad in [
        r#"{"methodName":"m","responseTimeoutInSeconds":4}"#,
        r#"{"methodName":"m","connectTimeoutInSeconds":5}"#,
        r#"{"methodName":""}"#,
    ] {
        assert_eq!(control.ask(Method::POST, uri, &[], bad).await.status, 400, "{bad}");
    }
}
