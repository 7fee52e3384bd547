//! The keys of JSON keep the order in which they came, and `$version` is last: clients that read it as a stream stop there.

use fleetstorm::protocol::mqtt::QoS;
use hyper::Method;

use super::client::World;
use super::hub_client::{Device, Feature};
use super::management::Control;

const GET: &str = "$iothub/twin/GET/?$rid=1";
const REPORT: &str = "$iothub/twin/PATCH/properties/reported/?$rid=2";

/// Asserts that the texts are in `body`, one behind the other.
#[track_caller]
fn in_order(body: &str, texts: &[&str]) {
    let places: Vec<_> = texts.iter().map(|text| body.find(text).unwrap_or_else(|| panic!("{text}: {body}"))).collect();
    assert!(places.is_sorted(), "{texts:?}: {body}");
}

#[tokio::test(start_paused = true)]
async fn twins_and_their_changes() {
    let world = World::new();
    let mut control = Control::new(&world).await;
    let mut peer = Device::new(&world, "dev1").await.connect(&world).await;
    peer.wants(Feature::Twin).await;
    peer.wants(Feature::Desired).await;
    let mut patch = async |body: &str| {
        let reply = control.ask(Method::PATCH, "/twins/dev1", &[], body).await;
        assert_eq!(reply.status, 200, "{}", reply.body);
        reply.body
    };
    let body = r#"{"tags":{"z":1,"a":2},"properties":{"desired":{"zulu":{"y":1,"b":2},"mike":1,"alpha":2}}}"#;
    let shown = patch(body).await;
    in_order(&shown, &[r#""tags":{"z":1,"a":2}"#, r#"{"zulu":{"y":1,"b":2},"mike":1,"alpha":2,"$version":2}"#]);
    assert_eq!(peer.answer().await.body, r#"{"zulu":{"y":1,"b":2},"mike":1,"alpha":2,"$version":2}"#);

    // What is changed stays in its place, what is removed leaves the others in theirs, what is new comes last.
    patch(r#"{"properties":{"desired":{"$version":9,"new":true,"zulu":{"b":3,"c":4,"y":null},"alpha":5}}}"#).await;
    assert_eq!(peer.answer().await.body, r#"{"new":true,"zulu":{"b":3,"c":4,"y":null},"alpha":5,"$version":3}"#);
    patch(r#"{"properties":{"desired":{"mike":null}}}"#).await;
    assert_eq!(peer.answer().await.body, r#"{"mike":null,"$version":4}"#);
    peer.ask(REPORT, r#"{"t":1,"s":[{"r":1,"q":2}],"u":0}"#).await;
    peer.ask(REPORT, r#"{"t":null,"a":1}"#).await;
    assert_eq!(
        peer.ask(GET, "").await.body,
        "{\"desired\":{\"zulu\":{\"b\":3,\"c\":4},\"alpha\":5,\"new\":true,\"$version\":4},\
         \"reported\":{\"s\":[{\"r\":1,\"q\":2}],\"u\":0,\"a\":1,\"$version\":3}}"
    );
}

#[tokio::test(start_paused = true)]
async fn payloads_of_methods_there_and_back() {
    let world = World::new();
    let mut control = Control::new(&world).await;
    let mut peer = Device::new(&world, "dev1").await.connect(&world).await;
    peer.wants(Feature::Methods).await;
    let call = r#"{"methodName":"m","payload":{"zulu":1,"alpha":{"y":2,"b":3}}}"#;
    let answer = async {
        let called = peer.answer().await;
        assert_eq!(called.body, r#"{"zulu":1,"alpha":{"y":2,"b":3}}"#);
        let rid = called.topic.split_once("$rid=").unwrap().1;
        peer.publish(&format!("$iothub/methods/res/200/?$rid={rid}"), QoS::AtMostOnce, r#"{"q":1,"d":2}"#).await;
    };
    let (result, ()) = tokio::join!(control.ask(Method::POST, "/twins/dev1/methods", &[], call), answer);
    assert_eq!(result.body, r#"{"status":200,"payload":{"q":1,"d":2}}"#);
}

#[tokio::test(start_paused = true)]
async fn documents_of_enrollments() {
    let world = World::new();
    let mut control = Control::new(&world).await;
    let body = r#"{"registrationId":"dev1","attestation":{"type":"symmetricKey"},"iotHubs":["localhost"],
        "optionalDeviceInformation":{"zulu":1,"alpha":2},"deviceId":"dev1","capabilities":{"iotEdge":false},
        "initialTwin":{"tags":{"y":1,"b":2},"properties":{"desired":{"x":1,"c":2}}}}"#;
    let reply = control.ask(Method::PUT, "/enrollments/dev1", &[], body).await;
    assert_eq!(reply.status, 200, "{}", reply.body);
    let shown = control.ask(Method::GET, "/enrollments/dev1", &[], "").await.body;
    in_order(
        &shown,
        &[
            r#"{"registrationId":"dev1","attestation":"#,
            r#""optionalDeviceInformation":{"zulu":1,"alpha":2}"#,
            r#""initialTwin":{"tags":{"y":1,"b":2},"properties":{"desired":{"x":1,"c":2}}}"#,
        ],
    );
}
