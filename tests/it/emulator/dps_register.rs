//! Registration: the answers of DPS, word for word.

use fleetstorm::emulator::{Event, Individual, KeyTypes, LatencySettings, RefusedCsr};
use fleetstorm::pki::csr;
use fleetstorm::pki::sas::SymmetricKey;
use fleetstorm::protocol::mqtt::{Packet, QoS};

use super::client::{API, SCOPE, SECOND, World, key_and_csr, sas};

const REGISTER: &str = "$dps/registrations/PUT/iotdps-register/?$rid=1";

#[tokio::test(start_paused = true)]
async fn a_registration_with_csr_ends_with_a_chain_leaf_first() {
    let world = World::new();
    let (_, csr) = key_and_csr("dev1");
    let mut peer = world.dps("dev1").await;
    let accepted = peer.request(REGISTER, &format!(r#"{{"registrationId":"dev1","csr":"{csr}"}}"#)).await;
    assert_eq!(accepted.topic, "$dps/registrations/res/202/?$rid=1&retry-after=3");
    assert_eq!(accepted.qos, QoS::AtLeastOnce);
    let operation = accepted.json()["operationId"].as_str().unwrap().to_owned();
    assert_eq!(accepted.body, format!(r#"{{"operationId":"{operation}","status":"assigning"}}"#));
    let parts: Vec<&str> = operation.split('.').collect();
    assert_eq!(parts.iter().map(|p| p.len()).collect::<Vec<_>>(), [1, 16, 36], "{operation}");

    let done = peer.poll(&operation).await;
    assert_eq!(done.topic, "$dps/registrations/res/200/?$rid=2");
    let json = done.json();
    assert_eq!((&json["operationId"], &json["status"]), (&operation.as_str().into(), &"assigned".into()));
    let state = json["registrationState"].as_object().unwrap();
    let names: Vec<&str> = state.keys().map(String::as_str).collect();
    let expected = [
        "symmetricKey",
        "registrationId",
        "createdDateTimeUtc",
        "assignedHub",
        "deviceId",
        "status",
        "substatus",
        "lastUpdatedDateTimeUtc",
        "etag",
        "issuedCertificateChain",
    ];
    assert_eq!(names, expected, "in the order of the service's answers");
    assert_eq!(state["symmetricKey"]["enrollmentGroupId"], "fleet");
    assert_eq!((&state["assignedHub"], &state["deviceId"]), (&"localhost".into(), &"dev1".into()));
    assert_eq!(state["substatus"], "initialAssignment");
    assert_eq!(state["issuedCertificateChain"].as_array().unwrap().len(), 3);
    assert_eq!((world.count(Event::Issued), world.count(Event::Assigned)), (1, 1));
    peer.poll(parts.join(".").as_str()).await;
    assert_eq!((world.count(Event::Polled), world.count(Event::Assigned)), (2, 1));
}

#[tokio::test(start_paused = true)]
async fn official_sdks_bodies_are_understood() {
    let world = World::new();
    for body in [
        "",
        " ",
        "{}",
        r#"{"registrationId":"dev1"}"#,
        r#"{"registrationId":"DEV1","payload":{"a":1}}"#,
        r#"{"payload": null, "registrationId": "dev1"}"#,
        r#"{"payload":null,"csr":null}"#,
    ] {
        let done = world.dps("dev1").await.register(body).await;
        assert_eq!(done["status"], "assigned", "{body}");
        assert!(done["registrationState"].get("issuedCertificateChain").is_none(), "no CSR, no chain: {body}");
    }
    // One official SDK escapes slashes.
    let (_, csr) = key_and_csr("dev1");
    let escaped = csr.replace('/', r"\/");
    let done = world.dps("dev1").await.register(&format!(r#"{{"csr":"{escaped}"}}"#)).await;
    assert!(done["registrationState"]["issuedCertificateChain"].is_array());
}

#[tokio::test(start_paused = true)]
async fn request_ids_come_back_byte_for_byte_and_qos_0_works() {
    let world = World::new();
    let mut peer = world.dps("dev1").await;
    for rid in ["1", "2c0e9a4c-8d8b-4b0c-9f39-0d3f5f1a8a77", "a%2Fb c=d", "ä"] {
        let topic = format!("$dps/registrations/PUT/iotdps-register/?$rid={rid}");
        peer.publish(&topic, QoS::AtMostOnce, "").await;
        assert_eq!(peer.answer().await.topic, format!("$dps/registrations/res/202/?$rid={rid}&retry-after=3"));
    }
}

#[tokio::test(start_paused = true)]
async fn bodies_that_cannot_be_are_answered_400() {
    let world = World::new();
    let (_, csr) = key_and_csr("dev1");
    let pem = "-----BEGIN CERTIFICATE REQUEST-----";
    for (api, body, code) in [
        (API, "{".to_owned(), 400_012),
        (API, "[]".to_owned(), 400_012),
        (API, r#"{"csr":""}"#.to_owned(), 400_012),
        (API, r#"{"csr":7}"#.to_owned(), 400_012),
        (API, format!(r#"{{"csr":"{pem}"}}"#), 400_012),
        (API, format!(r#"{{"csr":"{csr}="}}"#), 400_012),
        ("2021-06-01", format!(r#"{{"csr":"{csr}"}}"#), 400_012),
        (API, r#"{"registrationId":"dev2"}"#.to_owned(), 400_000),
    ] {
        let mut peer = world.dps_as("dev1", api, &world.token("dev1")).await;
        let answer = peer.request(REGISTER, &body).await;
        assert_eq!(answer.topic, "$dps/registrations/res/400/?$rid=1", "{body}");
        let error = answer.json();
        assert_eq!(error["errorCode"], code, "{body}");
        assert!(error["trackingId"].is_string() && error["timestampUtc"].is_string(), "{error}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_csr_that_the_authority_refuses_fails_the_operation() {
    let world = World::new();
    let (key, good) = key_and_csr("dev1");
    let mut broken = csr::build(&key, "dev1").unwrap();
    *broken.last_mut().unwrap() ^= 1;
    for (csr, words) in
        [(csr::to_base64(&broken), "signature"), ("AAAA".to_owned(), "PKCS#10"), (key_and_csr("dev2").1, "common name")]
    {
        let done = world.dps("dev1").await.register(&format!(r#"{{"csr":"{csr}"}}"#)).await;
        let state = &done["registrationState"];
        assert_eq!((&done["status"], &state["status"]), (&"failed".into(), &"failed".into()));
        assert_eq!(state["errorCode"], 400_000);
        assert!(state["errorMessage"].as_str().unwrap().contains(words), "{done}");
        assert!(state.get("assignedHub").is_none() && state.get("deviceId").is_none());
    }
    assert_eq!((world.count(Event::CsrRefused), world.count(Event::Failed)), (3, 3));

    let strict = World::with(|config| config.adr.key_types = KeyTypes::StrictP384);
    let done = strict.dps("dev1").await.register(&format!(r#"{{"csr":"{good}"}}"#)).await;
    assert_eq!(done["status"], "failed");

    let early = World::with(|config| config.dps.refused_csr = RefusedCsr::BadRequest);
    let answer = early.dps("dev1").await.request(REGISTER, r#"{"csr":"AAAA"}"#).await;
    assert_eq!(answer.json()["errorCode"], 400_012);
}

#[tokio::test(start_paused = true)]
async fn a_group_without_policy_issues_nothing_and_a_disabled_one_lets_nobody_in() {
    let (_, csr) = key_and_csr("dev1");
    let body = format!(r#"{{"csr":"{csr}"}}"#);
    let world = World::with(|config| config.group.credential_policy = String::new());
    let done = world.dps("dev1").await.register(&body).await;
    assert_eq!(done["status"], "assigned");
    assert!(done["registrationState"].get("issuedCertificateChain").is_none());

    let world = World::with(|config| config.group.disabled = true);
    let answer = world.dps("dev1").await.request(REGISTER, &body).await;
    assert_eq!(answer.topic, "$dps/registrations/res/200/?$rid=1");
    assert_eq!(
        answer.body,
        r#"{"operationId":"","status":"disabled","registrationState":{"registrationId":"dev1","status":"disabled"}}"#
    );
}

#[tokio::test(start_paused = true)]
async fn both_keys_of_a_group_are_good_and_ids_have_no_case() {
    let secondary = SymmetricKey::random();
    let world = World::with(|config| config.group.secondary_key = Some(secondary.clone()));
    let primary = world.service.group_key().clone();
    for key in [primary.derive("Dev1"), primary.derive("dev1"), secondary.derive("dev1")] {
        let password = sas(&key, &format!("{SCOPE}/registrations/Dev1"), None);
        let done = world.dps_as("Dev1", API, &password).await.register("").await;
        assert_eq!(done["registrationState"]["deviceId"], "dev1");
    }
}

#[tokio::test(start_paused = true)]
async fn an_individual_enrollment_goes_before_the_group() {
    let own = SymmetricKey::random();
    let world = World::with(|config| {
        config.enrollments.push(Individual {
            device_id: Some("pump-7".to_owned()),
            primary_key: Some(own.clone()),
            ..Individual::new("dev1")
        });
    });
    let answer = world.dps("dev1").await.request(REGISTER, "").await;
    assert_eq!(answer.json()["errorCode"], 401_002, "the group's key is not good for it");
    let password = sas(&own, &format!("{SCOPE}/registrations/dev1"), None);
    let done = world.dps_as("dev1", API, &password).await.register("").await;
    let state = &done["registrationState"];
    assert_eq!((&state["deviceId"], &state["registrationId"]), (&"pump-7".into(), &"dev1".into()));
    assert_eq!(state["symmetricKey"], serde_json::json!({}));
}

#[tokio::test(start_paused = true)]
async fn an_operation_takes_its_time_and_is_nobody_elses() {
    let world = World::with(|config| config.model.assign.latency = LatencySettings::Fixed { ms: 5_000.0 });
    let mut peer = world.dps("dev1").await;
    let accepted = peer.request(REGISTER, "").await;
    let operation = accepted.json()["operationId"].as_str().unwrap().to_owned();
    let waiting = peer.poll(&operation).await;
    assert_eq!(waiting.topic, "$dps/registrations/res/202/?$rid=2&retry-after=3");
    assert_eq!(
        waiting.body,
        format!(
            r#"{{"operationId":"{operation}","status":"assigning","registrationState":{{"registrationId":"dev1","status":"assigning"}}}}"#
        )
    );
    tokio::time::advance(5 * SECOND).await;
    assert_eq!(peer.poll(&operation).await.json()["status"], "assigned");

    let stranger = world.dps("dev2").await.poll(&operation).await;
    assert_eq!(stranger.topic, "$dps/registrations/res/404/?$rid=2");
    assert_eq!(stranger.json()["errorCode"], 404_000);
    for operation in ["", "5.x", "4.0000000000000000.00000000-0000-0000-0000-000000000000"] {
        assert_eq!(peer.poll(operation).await.topic, "$dps/registrations/res/404/?$rid=2");
    }
}

#[tokio::test(start_paused = true)]
async fn too_many_operations_are_answered_429_with_a_wait() {
    let world = World::with(|config| config.dps.max_operations = 1);
    world.dps("dev1").await.register("").await;
    let answer = world.dps("dev2").await.request(REGISTER, "").await;
    assert_eq!(answer.topic, "$dps/registrations/res/429/?$rid=1&retry-after=3");
    assert_eq!(answer.json()["errorCode"], 429_001);
    assert_eq!(world.count(Event::Throttled), 1);
}

#[tokio::test(start_paused = true)]
async fn unsubscribing_is_acknowledged_and_ends_delivery() {
    let world = World::new();
    let mut peer = world.dps("dev1").await;
    let topics = vec![fleetstorm::protocol::topic::DPS_RESPONSES.to_owned()];
    peer.send(Packet::Unsubscribe(fleetstorm::protocol::mqtt::Unsubscribe { pkid: 5, topics })).await;
    assert!(matches!(peer.next().await, Some(Packet::UnsubAck(ack)) if ack.pkid == 5));
    peer.publish(REGISTER, QoS::AtMostOnce, "").await;
    peer.is_quiet().await;
    peer.send(Packet::Disconnect).await;
    assert_eq!(peer.ended().await, "the peer left");
}
