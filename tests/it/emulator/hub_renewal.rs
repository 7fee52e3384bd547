//! Certificate renewal over the hub: answers, delivery, what may be pending.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use fleetstorm::domain::FleetTime;
use fleetstorm::emulator::{Event, LatencySettings, RenewalBody, RenewalCodes};
use fleetstorm::protocol::mqtt::{ConnectReturnCode, Packet, PubAck, QoS};
use serde_json::{Value, json};
use tokio::time::sleep;

use super::client::{Answer, Peer, SECOND, World, accepted, hub_connect, key_and_csr, refused};
use super::hub_client::{Device, Feature};

const RENEW: &str = "$iothub/credentials/POST/issueCertificate/?$rid=";

fn body(csr: &str) -> String {
    json!({"id": "dev1", "csr": csr}).to_string()
}

fn topic(status: u16, rid: &str) -> String {
    format!("$iothub/credentials/res/{status}/?$rid={rid}")
}

/// A hub that holds the results of renewals back for a minute.
fn slow() -> World {
    World::with(|config| config.model.renewal_issue.latency = LatencySettings::Fixed { ms: 60_000.0 })
}

/// A device that is connected and subscribed.
async fn ready(world: &World) -> (Device, Peer) {
    let device = Device::new(world, "dev1").await;
    let mut peer = device.connect(world).await;
    peer.wants(Feature::Credentials).await;
    (device, peer)
}

impl Peer {
    async fn renew(&mut self, rid: &str, body: &str) -> Answer {
        self.request(&format!("{RENEW}{rid}"), body).await
    }

    /// Asks; asserts that it is accepted and gives the answer.
    async fn begin_renewal(&mut self, rid: &str, body: &str) -> Value {
        let answer = self.renew(rid, body).await;
        assert_eq!(answer.topic, topic(202, rid), "{}", answer.body);
        answer.json()
    }

    /// The final answer, which must be a chain, acknowledged.
    async fn renewed(&mut self, rid: &str) -> Value {
        let publish = self.published().await;
        assert_eq!(publish.topic, topic(200, rid));
        self.acknowledge(&publish).await;
        serde_json::from_slice(&publish.payload).unwrap()
    }
}

fn chain(issued: &Value) -> Vec<Vec<u8>> {
    let decode = |text: &Value| STANDARD.decode(text.as_str().unwrap()).unwrap();
    issued["certificates"].as_array().unwrap().iter().map(decode).collect()
}

#[tokio::test(start_paused = true)]
async fn a_renewed_certificate_opens_the_hub_and_the_old_one_does_too() {
    let world = World::with(|config| config.adr.leaf_validity_seconds = Some(1000));
    let (mut device, mut peer) = ready(&world).await;
    world.service.advance_clock(FleetTime::from_secs(900));
    let (_, csr) = key_and_csr("dev1");
    let begun = peer.begin_renewal("156089087", &body(&csr)).await;
    assert_eq!(begun.as_object().unwrap().keys().collect::<Vec<_>>(), ["correlationId", "operationExpires"]);
    let expires = begun["operationExpires"].as_str().unwrap();
    assert_eq!((expires.len(), &expires[19..20], &expires[29..]), (30, ".", "Z"), "{expires}");
    let issued = peer.renewed("156089087").await;
    assert_eq!(issued["correlationId"], begun["correlationId"]);
    peer.is_quiet().await;
    let new = chain(&issued);
    assert_eq!((new.len(), new[1..] == device.chain[1..], new[0] == device.chain[0]), (3, true, false));

    device.connect(&world).await.leave().await;
    let old = std::mem::replace(&mut device.chain, new);
    device.connect(&world).await.leave().await;
    world.service.advance_clock(FleetTime::from_secs(200));
    assert_eq!(world.open_with(old).connect(hub_connect("dev1", "")).await, refused(ConnectReturnCode::NotAuthorized));
    device.connect(&world).await;
    let counted = [Event::RenewalsAccepted, Event::Renewed, Event::Issued].map(|event| world.count(event));
    assert_eq!(counted, [1, 1, 2]);
}

#[tokio::test(start_paused = true)]
async fn answers_have_the_granted_qos_and_requests_may_have_qos_0() {
    let world = World::new();
    let mut peer = Device::new(&world, "dev1").await.connect(&world).await;
    peer.subscribe("$iothub/credentials/res/#", QoS::AtMostOnce).await;
    let (_, csr) = key_and_csr("dev1");
    for rid in ["first", "second"] {
        peer.publish(&format!("{RENEW}{rid}"), QoS::AtMostOnce, &body(&csr)).await;
        for status in [202, 200] {
            let answer = peer.answer().await;
            assert_eq!((answer.topic, answer.qos), (topic(status, rid), QoS::AtMostOnce));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn requests_that_are_not_whole_are_refused_in_the_words_of_the_service() {
    let world = World::new();
    let (_, mut peer) = ready(&world).await;
    let (_, csr) = key_and_csr("dev1");
    let request = |id: &str, csr: &str| json!({"id": id, "csr": csr}).to_string();
    let with = |name: &str, value: Value| {
        let mut request = json!({"id": "dev1", "csr": csr});
        request[name] = value;
        request.to_string()
    };
    let mismatch = "'id' field does not match the authenticated device ID. Use the same device ID used for \
                    authentication.";
    let no_id = "'id' field is invalid or missing. Provide the device ID of the authenticated device.";
    let no_csr = "'csr' field is invalid or missing. Provide a valid base64-encoded certificate signing request.";
    let no_base64 = "'csr' field is not valid base64. Ensure the CSR is properly base64-encoded.";
    let long = "'csr' field exceeds maximum allowed length. Reduce the CSR size.";
    let empty = "payload is missing. Include a JSON payload with 'id' and 'csr' fields.";
    let unknown = "payload contains an unknown field. Only 'id', 'csr', and 'replace' fields are allowed.";
    let replace = "'replace' field has an invalid format. An exact request ID must be between 4 and 36 characters, \
                   only have alphanumeric characters and hyphens, and cannot start or end with a hyphen. Use '*' to \
                   replace any pending request.";
    for (body, words) in [
        (String::new(), empty),
        (r#"["not","an","object"]"#.to_owned(), mismatch),
        (request("wrong-device", &csr), mismatch),
        (request("", &csr), no_id),
        (json!({"csr": csr}).to_string(), no_id),
        (request("dev1", ""), no_csr),
        (json!({"id": "dev1"}).to_string(), no_csr),
        (request("dev1", "not-valid-base64!!@@##"), no_base64),
        (request("dev1", &"A".repeat(10 * 1024)), long),
        (with("unknownField", "value".into()), unknown),
        (with("replace", "123".into()), replace),
        (with("replace", "-abcd".into()), replace),
    ] {
        let answer = peer.renew("rid-1", &body).await;
        assert_eq!(answer.topic, topic(400, "rid-1"), "{body}");
        let error = answer.json();
        let message = format!("Issue certificate request {words}");
        assert_eq!((&error["errorCode"], &error["message"]), (&400_004.into(), &message.into()), "{body}");
    }
    let answer = peer.renew("rid-1", r#"{"id":"dev1","csr":"#).await;
    assert_eq!(answer.json()["errorCode"], 400_006);
    assert_eq!(answer.json()["message"], "cannot decode json format");
    assert!(answer.body.ends_with(r#""info":null}"#), "{}", answer.body);
    let time = answer.json()["timestampUtc"].as_str().unwrap().to_owned();
    assert_eq!((time.len(), &time[29..]), (30, "Z"));
    let tracking = answer.json()["trackingId"].as_str().unwrap().to_owned();
    assert!(tracking.contains("-G2:-TimeStamp:") && tracking.find('-') == Some(32), "{tracking}");
    assert_eq!(world.count(Event::RenewalsRefused), 13);
}

#[tokio::test(start_paused = true)]
async fn a_request_id_has_a_form() {
    let world = World::new();
    let (_, mut peer) = ready(&world).await;
    let (_, csr) = key_and_csr("dev1");
    for rid in ["1", "-abc", &"a".repeat(37)] {
        let answer = peer.renew(rid, &body(&csr)).await;
        assert_eq!((answer.topic.clone(), answer.json()["errorCode"].clone()), (topic(400, rid), 400_004.into()));
    }
}

#[tokio::test(start_paused = true)]
async fn null_means_that_nothing_is_to_be_replaced_and_slashes_may_be_escaped() {
    let world = World::new();
    let (_, mut peer) = ready(&world).await;
    let (_, csr) = key_and_csr("dev1");
    let escaped = csr.replace('/', "\\/");
    peer.begin_renewal("rid-1", &format!(r#"{{"id":"dev1","csr":"{escaped}","replace":null}}"#)).await;
    peer.renewed("rid-1").await;
}

#[tokio::test(start_paused = true)]
async fn a_csr_that_the_authority_refuses_is_accepted_first() {
    let world = World::new();
    let (_, mut peer) = ready(&world).await;
    let foreign = key_and_csr("dev2").1;
    for csr in ["AAAA", foreign.as_str()] {
        let begun = peer.begin_renewal("rid-1", &body(csr)).await;
        let publish = peer.published().await;
        peer.acknowledge(&publish).await;
        assert_eq!(publish.topic, topic(400, "rid-1"));
        let error: Value = serde_json::from_slice(&publish.payload).unwrap();
        assert_eq!(error["errorCode"], 400_037);
        assert_eq!(error["message"], "Unable to complete the certificate request at this time...");
        assert_eq!(error["info"]["credentialError"], "400000");
        assert_eq!(error["info"]["credentialMessage"], "CSR did not pass verification");
        assert_eq!(error["info"]["correlationId"], begun["correlationId"]);
    }
    peer.begin_renewal("rid-1", &body(&key_and_csr("dev1").1)).await;
    peer.renewed("rid-1").await;
    assert_eq!(world.count(Event::CsrRefused), 2);
}

#[tokio::test(start_paused = true)]
async fn without_a_request_id_or_a_subscription_nothing_happens() {
    let world = World::new();
    let device = Device::new(&world, "dev1").await;
    let mut peer = device.connect(&world).await;
    let request = body(&key_and_csr("dev1").1);
    peer.publish(&format!("{RENEW}156089087"), QoS::AtLeastOnce, &request).await;
    assert_eq!(peer.next().await, Some(Packet::PubAck(PubAck { pkid: 7 })));
    peer.wants(Feature::Credentials).await;
    peer.is_quiet().await;
    for topic in ["$iothub/credentials/POST/issueCertificate/", "$iothub/credentials/POST/issueCertificate/?$rid="] {
        peer.publish(topic, QoS::AtMostOnce, &request).await;
        peer.is_quiet().await;
    }
    assert_eq!((world.count(Event::RenewalsAccepted), world.count(Event::RenewalsRefused)), (0, 0));
    peer.begin_renewal("after", &request).await;
    peer.renewed("after").await;
}

#[tokio::test(start_paused = true)]
async fn one_operation_is_pending_and_another_one_is_a_conflict() {
    let world = slow();
    let (_, mut peer) = ready(&world).await;
    let csr = key_and_csr("dev1").1;
    let begun = peer.begin_renewal("304937152", &body(&csr)).await;
    let answer = peer.renew("other-one", &body(&key_and_csr("dev1").1)).await;
    assert_eq!(answer.topic, topic(409, "other-one"));
    let error = answer.json();
    assert_eq!(error["errorCode"], 409_004);
    assert_eq!(
        error["message"],
        "A credential management operation is already active. Use the requestId in info to check the status of the \
         existing request, or send a new request with 'replace' to cancel and start a new one."
    );
    let info = json!({"requestId": "304937152", "operationExpires": begun["operationExpires"],
        "correlationId": begun["correlationId"]});
    assert_eq!(error["info"], info);
    sleep(59 * SECOND).await;
    peer.is_quiet().await;
    assert_eq!(peer.renewed("304937152").await["correlationId"], begun["correlationId"]);
    peer.begin_renewal("next-one", &body(&csr)).await;
    peer.renewed("next-one").await;
}

#[tokio::test(start_paused = true)]
async fn a_pending_operation_is_replaced_by_its_name_or_by_any() {
    let world = slow();
    let (_, mut peer) = ready(&world).await;
    let csr = key_and_csr("dev1").1;
    let replacing = |named: &str| json!({"id": "dev1", "csr": csr, "replace": named}).to_string();
    let nothing = peer.renew("first", &replacing("db8c0f73-ac73-4b90-bba4-8a26ae2fcb27")).await;
    assert_eq!(nothing.topic, topic(412, "first"));
    let error = nothing.json();
    assert_eq!(
        (&error["errorCode"], error["info"].clone()),
        (
            &412_001.into(),
            json!({
                "requestId": "db8c0f73-ac73-4b90-bba4-8a26ae2fcb27"
            })
        )
    );
    assert_eq!(
        error["message"],
        "No active certificate request found to replace. Ensure the request ID in the 'replace' property matches an \
         existing pending request."
    );
    peer.begin_renewal("first", &replacing("*")).await;
    let other = peer.renew("second", &replacing("third")).await;
    assert_eq!((other.topic.clone(), other.json()["errorCode"].clone()), (topic(412, "second"), 412_001.into()));
    peer.begin_renewal("second", &replacing("first")).await;
    let last = peer.begin_renewal("third", &replacing("*")).await;
    assert_eq!(peer.renewed("third").await["correlationId"], last["correlationId"]);
    sleep(80 * SECOND).await;
    peer.is_quiet().await;
    assert_eq!(world.count(Event::Renewed), 1);
}

#[tokio::test(start_paused = true)]
async fn the_same_request_again_goes_on_as_it_began() {
    let world = slow();
    let (device, mut peer) = ready(&world).await;
    let csr = key_and_csr("dev1").1;
    let begun = peer.begin_renewal("rid-1", &body(&csr)).await;
    assert_eq!(peer.vanish().await, "the peer closed the connection");
    let mut peer = device.connect(&world).await;
    peer.wants(Feature::Credentials).await;
    assert_eq!(peer.begin_renewal("rid-1", &body(&csr)).await, begun);
    let other = peer.renew("rid-1", &body(&key_and_csr("dev1").1)).await;
    assert_eq!(other.topic, topic(409, "rid-1"), "another CSR is another request");
    assert_eq!(peer.renewed("rid-1").await["correlationId"], begun["correlationId"]);
    assert_eq!(world.count(Event::Issued), 2, "one by DPS, one here");
}

#[tokio::test(start_paused = true)]
async fn a_result_waits_for_a_subscription() {
    let world = slow();
    let (_, mut peer) = ready(&world).await;
    let begun = peer.begin_renewal("rid-1", &body(&key_and_csr("dev1").1)).await;
    peer.wants_no_more(Feature::Credentials).await;
    sleep(80 * SECOND).await;
    peer.is_quiet().await;
    peer.wants(Feature::Credentials).await;
    assert_eq!(peer.renewed("rid-1").await["correlationId"], begun["correlationId"]);
}

#[tokio::test(start_paused = true)]
async fn a_result_waits_for_the_next_session_of_either_kind() {
    let world = slow();
    let device = Device::new(&world, "dev1").await.persistent();
    let mut peer = device.connect(&world).await;
    peer.wants(Feature::Credentials).await;
    peer.begin_renewal("rid-1", &body(&key_and_csr("dev1").1)).await;
    peer.leave().await;
    sleep(3600 * SECOND).await;
    let mut peer = device.resume(&world).await;
    peer.renewed("rid-1").await;

    peer.begin_renewal("rid-2", &body(&key_and_csr("dev1").1)).await;
    peer.leave().await;
    let clean = Device { connect: hub_connect("dev1", ""), ..device };
    let mut peer = clean.connect(&world).await;
    sleep(80 * SECOND).await;
    peer.is_quiet().await;
    peer.wants(Feature::Credentials).await;
    peer.renewed("rid-2").await;
}

#[tokio::test(start_paused = true)]
async fn a_result_that_was_not_acknowledged_comes_again_and_stands_in_nobodys_way() {
    let world = World::new();
    let (device, mut peer) = ready(&world).await;
    peer.begin_renewal("rid-1", &body(&key_and_csr("dev1").1)).await;
    let lost = peer.published().await;
    assert_eq!(lost.topic, topic(200, "rid-1"));
    assert_eq!(peer.vanish().await, "the peer closed the connection");
    let mut peer = device.connect(&world).await;
    peer.wants(Feature::Credentials).await;
    let again = peer.published().await;
    assert_eq!(again.payload, lost.payload);
    peer.begin_renewal("rid-2", &body(&key_and_csr("dev1").1)).await;
    peer.acknowledge(&again).await;
    peer.renewed("rid-2").await;
    peer.leave().await;
    let mut peer = device.connect(&world).await;
    peer.wants(Feature::Credentials).await;
    peer.is_quiet().await;
}

#[tokio::test(start_paused = true)]
async fn an_operation_is_given_up_after_twelve_hours() {
    let world = slow();
    let (device, mut peer) = ready(&world).await;
    peer.begin_renewal("rid-0", &body(&key_and_csr("dev1").1)).await;
    peer.leave().await;
    world.service.advance_clock(FleetTime::from_secs(11 * 3600));
    sleep(80 * SECOND).await;
    let mut peer = device.connect(&world).await;
    peer.wants(Feature::Credentials).await;
    peer.renewed("rid-0").await;
    peer.begin_renewal("rid-1", &body(&key_and_csr("dev1").1)).await;
    peer.leave().await;
    world.service.advance_clock(FleetTime::from_secs(12 * 3600));
    sleep(80 * SECOND).await;
    let mut peer = device.connect(&world).await;
    peer.wants(Feature::Credentials).await;
    peer.is_quiet().await;
    peer.begin_renewal("rid-2", &body(&key_and_csr("dev1").1)).await;
    peer.renewed("rid-2").await;
}

#[tokio::test(start_paused = true)]
async fn older_api_versions_do_not_know_renewal() {
    let world = World::new();
    let mut device = Device::new(&world, "dev1").await;
    for user in ["localhost/dev1/?api-version=2021-04-12", "localhost/dev1"] {
        device.connect.login.as_mut().unwrap().username = user.to_owned();
        let mut peer = device.connect(&world).await;
        peer.publish(&format!("{RENEW}rid-1"), QoS::AtMostOnce, &body(&key_and_csr("dev1").1)).await;
        assert_eq!(peer.ended().await, "the peer broke a rule of the protocol");
        let mut peer = device.connect(&world).await;
        let subscribe = fleetstorm::protocol::mqtt::Subscribe::new("$iothub/credentials/res/#", QoS::AtLeastOnce);
        peer.send(Packet::Subscribe(fleetstorm::protocol::mqtt::Subscribe { pkid: 1, ..subscribe })).await;
        assert_eq!(peer.ended().await, "the peer broke a rule of the protocol");
    }
}

#[tokio::test(start_paused = true)]
async fn a_device_without_a_policy_gets_no_certificate() {
    let world = World::with(|config| config.group.credential_policy = String::new());
    let mut peer = world.dps("dev1").await;
    peer.register("").await;
    let token = super::client::sas(&world.service.group_key().derive("dev1"), "localhost/devices/dev1", None);
    let mut peer = world.open();
    assert_eq!(peer.connect(hub_connect("dev1", &token)).await, accepted());
    peer.wants(Feature::Credentials).await;
    let answer = peer.renew("rid-1", &body(&key_and_csr("dev1").1)).await;
    assert_eq!((answer.topic.clone(), answer.json()["errorCode"].clone()), (topic(403, "rid-1"), 403_010.into()));
}

#[tokio::test(start_paused = true)]
async fn switches_give_the_shapes_and_codes_of_the_sdks() {
    let world = World::with(|config| {
        config.hub.renewal_body = RenewalBody::Array;
        config.hub.renewal_codes = RenewalCodes::Sdk;
        config.model.renewal_issue.latency = LatencySettings::Fixed { ms: 1000.0 };
    });
    let (_, mut peer) = ready(&world).await;
    peer.begin_renewal("rid-1", &body(&key_and_csr("dev1").1)).await;
    let busy = peer.renew("rid-2", &body("AAAA")).await;
    assert_eq!((busy.topic.clone(), busy.json()["errorCode"].clone()), (topic(409, "rid-2"), 409_005.into()));
    let issued = peer.published().await;
    peer.acknowledge(&issued).await;
    let issued: Vec<String> = serde_json::from_slice(&issued.payload).unwrap();
    assert_eq!(issued.len(), 3);
    let refusal = peer.renew("rid-2", "").await;
    assert!(!refusal.body.contains("null"), "{}", refusal.body);
    peer.begin_renewal("rid-2", &body("AAAA")).await;
    let failed = peer.answer().await;
    let error = failed.json();
    assert_eq!((failed.topic, &error["errorCode"]), (topic(400, "rid-2"), &400_040.into()));
    assert_eq!(error["message"], "Credential management operation failed");
    assert_eq!(error["info"]["credentialError"], "FailedToDecodeCsr");
}

#[tokio::test(start_paused = true)]
async fn renewals_that_are_replaced_again_and_again_leave_nothing_behind() {
    let world = slow();
    let (_device, mut peer) = ready(&world).await;
    let body = json!({"id": "dev1", "csr": key_and_csr("dev1").1, "replace": "*"}).to_string();
    let alive = || tokio::runtime::Handle::current().metrics().num_alive_tasks();
    peer.begin_renewal("rid-0", &body).await;
    let before = alive();
    for i in 1..50 {
        peer.begin_renewal(&format!("rid-{i}"), &body).await;
    }
    tokio::task::yield_now().await;
    assert!(alive() <= before + 1, "{before} tasks, then {}", alive());
    peer.renewed("rid-49").await;
}
