use fleetstorm::pki::sas::SymmetricKey;
use hyper::Method;
use serde_json::{Value, json};

use super::super::client::{API, SCOPE, World, accepted, dps_connect, dps_user, sas};
use super::Control;
use fleetstorm::protocol::mqtt::QoS;
use fleetstorm::protocol::topic::DPS_RESPONSES;

const SYMMETRIC: &str = r#"{"attestation":{"type":"symmetricKey"}}"#;

/// What the registration of `id` with `key` comes to: the state, or the error.
async fn register(world: &World, id: &str, key: &SymmetricKey) -> Value {
    let token = sas(key, &format!("{SCOPE}/registrations/{id}"), None);
    let mut peer = world.open();
    assert_eq!(peer.connect(dps_connect(id, &dps_user(id, API), &token)).await, accepted());
    peer.subscribe(DPS_RESPONSES, QoS::AtLeastOnce).await;
    let answer = peer.request("$dps/registrations/PUT/iotdps-register/?$rid=1", "").await.json();
    let Some(operation) = answer["operationId"].as_str().filter(|id| !id.is_empty()) else { return answer };
    peer.poll(operation).await.json()["registrationState"].clone()
}

fn key(mechanism: &Value, which: &str) -> SymmetricKey {
    SymmetricKey::from_base64(mechanism["symmetricKey"][which].as_str().unwrap()).unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_group_is_made_used_disabled_and_deleted() {
    let world = World::new();
    let mut control = Control::new(&world).await;
    let uri = "/enrollmentGroups/My-Group?api-version=2025-07-01-preview";
    let body = r#"{"enrollmentGroupId":"My-Group","attestation":{"type":"symmetricKey"},"capabilities":{"iotEdge":false},
        "credentialPolicyName":"default","iotHubHostName":null,"provisioningStatus":"enabled","allocationPolicy":"static",
        "initialTwin":{"tags":{"line":4},"properties":{"desired":{"interval":5}}},"iotHubs":["localhost"]}"#;
    let made = control.put(uri, body).await;
    assert_eq!(made["enrollmentGroupId"], "My-Group");
    assert_eq!(made["attestation"], json!({"type": "symmetricKey"}), "no keys");
    assert_eq!((&made["credentialPolicyName"], &made["allocationPolicy"]), (&"default".into(), &"static".into()));
    assert_eq!(made["initialTwin"]["tags"]["line"], 4);
    assert_eq!(control.get("/enrollmentGroups/my-group").await, made, "ids have no case");

    let mechanism = control.post("/enrollmentGroups/My-Group/attestationmechanism", "").await.json();
    for which in ["primaryKey", "secondaryKey"] {
        let state = register(&world, "dev1", &key(&mechanism, which).derive("dev1")).await;
        assert_eq!(state["symmetricKey"]["enrollmentGroupId"], "My-Group", "{state}");
    }
    let twin = control.get("/twins/dev1").await;
    assert_eq!((&twin["tags"], &twin["version"]), (&json!({"line": 4}), &1.into()));
    assert_eq!(twin["properties"]["desired"], json!({"interval": 5, "$version": 1}));

    // Read, changed, written back, as official SDKs do: keys that were not shown stay.
    let mut changed = control.get("/enrollmentGroups/My-Group").await;
    changed["provisioningStatus"] = "disabled".into();
    let etag = changed["etag"].as_str().unwrap().to_owned();
    let reply = control.ask(Method::PUT, uri, &[("if-match", &etag)], &changed.to_string()).await;
    assert_eq!(reply.status, 200, "{}", reply.body);
    assert_ne!(reply.json()["etag"], changed["etag"]);
    assert_eq!(reply.json()["createdDateTimeUtc"], changed["createdDateTimeUtc"]);
    assert_eq!(control.post("/enrollmentGroups/My-Group/attestationmechanism", "").await.json(), mechanism);
    let device_key = key(&mechanism, "primaryKey").derive("dev1");
    assert_eq!(register(&world, "dev1", &device_key).await["status"], "disabled");

    let stale = control.ask(Method::DELETE, uri, &[("if-match", &etag)], "").await;
    assert_eq!(stale.refusal(), (412, 412_000));
    // Python's SDK means `*` when it sends it in quotes.
    let whatever = control.ask(Method::PUT, uri, &[("if-match", "\"*\"")], &changed.to_string()).await;
    assert_eq!(whatever.status, 200, "{}", whatever.body);
    assert_eq!(control.ask(Method::DELETE, uri, &[("if-match", "\"*\"")], "").await.status, 204);
    assert_eq!(control.ask(Method::DELETE, uri, &[], "").await.refusal(), (404, 404_201));
    assert_eq!(control.ask(Method::GET, uri, &[], "").await.refusal(), (404, 404_201));
    assert_eq!(register(&world, "dev1", &device_key).await["errorCode"], 401_002);
}

#[tokio::test(start_paused = true)]
async fn an_individual_enrollment_names_its_device_and_shows_its_registration() {
    let world = World::new();
    let mut control = Control::new(&world).await;
    let device = SymmetricKey::random();
    let body = json!({
        "registrationId": "dev1",
        "deviceId": "Press-1",
        "attestation": {"type": "symmetricKey", "symmetricKey": {"primaryKey": *device.to_base64()}},
        "optionalDeviceInformation": {"colour": "red"},
    });
    let made = control.put("/enrollments/Dev1", &body.to_string()).await;
    assert_eq!((&made["registrationId"], &made["deviceId"]), (&"dev1".into(), &"Press-1".into()));
    assert_eq!(made.get("registrationState"), None);
    let state = register(&world, "dev1", &device).await;
    assert_eq!((&state["deviceId"], &state["symmetricKey"]), (&"Press-1".into(), &json!({})));
    let shown = control.get("/enrollments/dev1").await;
    assert_eq!(shown["registrationState"]["status"], "assigned");
    assert_eq!(shown["optionalDeviceInformation"], json!({"colour": "red"}));
    assert_eq!(control.get("/registrations/DEV1").await, shown["registrationState"]);
    let delete = control.ask(Method::DELETE, "/registrations/dev1", &[("if-match", "\"stale\"")], "").await;
    assert_eq!(delete.refusal(), (412, 412_000));
    assert_eq!(control.ask(Method::DELETE, "/registrations/dev1", &[], "").await.status, 204);
    assert_eq!(control.ask(Method::GET, "/registrations/dev1", &[], "").await.refusal(), (404, 404_201));
}

#[tokio::test(start_paused = true)]
async fn what_exists_is_replaced_by_its_tag_only() {
    let world = World::new();
    let mut control = Control::new(&world).await;
    let uri = "/enrollments/dev1";
    let etag = |made: &Value| made["etag"].as_str().unwrap().to_owned();
    let absent = control.ask(Method::PUT, uri, &[("if-match", "*")], SYMMETRIC).await;
    assert_eq!(absent.refusal(), (412, 412_000), "it is not there");
    let first = etag(&control.put(uri, SYMMETRIC).await);
    assert_eq!(control.ask(Method::PUT, uri, &[], SYMMETRIC).await.refusal(), (409, 409_000));
    let second = control.ask(Method::PUT, uri, &[("if-match", &first)], SYMMETRIC).await;
    assert_eq!(second.status, 200);
    assert_eq!(control.ask(Method::PUT, uri, &[("if-match", &first)], SYMMETRIC).await.refusal(), (412, 412_000));
    assert_eq!(control.ask(Method::PUT, uri, &[("if-match", "*")], SYMMETRIC).await.status, 200);
}

#[tokio::test(start_paused = true)]
async fn enrollments_that_cannot_be_are_refused_with_the_reason() {
    let world = World::new();
    let mut control = Control::new(&world).await;
    for (uri, body, code, word) in [
        ("/enrollments/dev1", "[]", 400_012, "object"),
        ("/enrollments/dev1", "{}", 400_000, "attestation"),
        ("/enrollments/dev%20", SYMMETRIC, 400_000, "id"),
        ("/enrollments/dev1", r#"{"registrationId":"dev2","attestation":{"type":"symmetricKey"}}"#, 400_000, "URL"),
        ("/enrollments/dev1", r#"{"attestation":{"type":"tpm","tpm":{}}}"#, 400_000, "TPM"),
        ("/enrollments/dev1", r#"{"attestation":{"type":"magic"}}"#, 400_012, "magic"),
        ("/enrollments/dev1", r#"{"attestation":{"type":"x509"}}"#, 400_000, "attestation"),
        ("/enrollments/dev1", r#"{"attestation":{"type":"x509","x509":{}}}"#, 400_000, "clientCertificates"),
        (
            "/enrollments/dev1",
            r#"{"attestation":{"type":"x509","x509":{"clientCertificates":{"primary":{"certificate":"?"}}}}}"#,
            400_000,
            "PEM",
        ),
        (
            "/enrollments/dev1",
            r#"{"attestation":{"type":"symmetricKey","symmetricKey":{"primaryKey":"c2hvcnQ="}}}"#,
            400_000,
            "primaryKey",
        ),
        (
            "/enrollmentGroups/g",
            r#"{"attestation":{"type":"x509","x509":{"caReferences":{"primary":"absent"}}}}"#,
            400_000,
            "absent",
        ),
    ] {
        let refused = control.ask(Method::PUT, uri, &[], body).await;
        assert_eq!(refused.refusal(), (400, code), "{body}");
        assert!(refused.json()["message"].as_str().unwrap().contains(word), "{body}: {}", refused.body);
    }
    for (field, value, word) in [
        ("provisioningStatus", json!("on"), "provisioningStatus"),
        ("credentialPolicyName", json!("absent"), "absent"),
        ("allocationPolicy", json!("custom"), "allocationPolicy"),
        ("iotHubs", json!([1]), "iotHubs"),
        ("initialTwin", json!("x"), "initialTwin"),
        ("initialTwin", json!({"tags": {"a.b": 1}}), "initialTwin: property names"),
        ("deviceId", json!("a b"), "deviceId"),
        ("webhook", json!({}), "webhook"),
    ] {
        let body = json!({"attestation": {"type": "symmetricKey"}, field: value}).to_string();
        let refused = control.ask(Method::PUT, "/enrollments/dev1", &[], &body).await;
        assert_eq!(refused.refusal(), (400, 400_000), "{body}");
        assert!(refused.json()["message"].as_str().unwrap().contains(word), "{body}: {}", refused.body);
    }
}

/// As the SDKs of Node and Python write them.
#[tokio::test(start_paused = true)]
async fn paths_are_found_in_any_case_and_with_a_slash_at_the_end() {
    let world = World::new();
    let mut control = Control::new(&world).await;
    let version = "?api-version=2021-10-01";
    let bulk =
        json!({"mode": "create", "enrollments": [{"registrationId": "dev1", "attestation": {"type": "symmetricKey"}}]});
    let made = control.post(&format!("/enrollments/{version}"), &bulk.to_string()).await.json();
    assert_eq!(made["isSuccessful"], true, "{made}");
    control.put(&format!("/ENROLLMENTGROUPS/My-Group/{version}"), SYMMETRIC).await;
    let shown = control.post(&format!("/enrollmentgroups/My-Group/attestationmechanism{version}"), "").await.json();
    assert_eq!(shown["type"], "symmetricKey");
    let query = control.post(&format!("/enrollmentgroups/Query{version}"), r#"{"query":"SELECT *"}"#).await.json();
    let ids: Vec<_> = query.as_array().unwrap().iter().map(|group| group["enrollmentGroupId"].clone()).collect();
    assert_eq!(ids, ["My-Group", "fleet"], "ids stay as they were sent");
    world.provision("dev2").await;
    for uri in ["/devices/?top=5", "/Devices/dev2", "/TWINS/dev2/", "/registrations/dev2/", "/Policies/", "/HealthZ"] {
        let reply = control.ask(Method::GET, uri, &[], "").await;
        assert_eq!(reply.status, 200, "{uri}: {}", reply.body);
    }
    let sent = control.ask(Method::POST, "/devices/dev2/messages/devicebound", &[], "{}").await;
    assert_eq!(sent.status, 204, "{}", sent.body);
    assert_eq!(control.post("/credentials/Default/Synchronize/", "").await.status, 204);
    for absent in ["/enrollment/dev1", "/enrollments/dev1//", "/devices/dev1/x"] {
        assert_eq!(control.ask(Method::GET, absent, &[], "").await.status, 404, "{absent}");
    }
}

#[tokio::test(start_paused = true)]
async fn bulk_changes_tell_which_failed() {
    let world = World::new();
    let mut control = Control::new(&world).await;
    let one = |id: &str| json!({"registrationId": id, "attestation": {"type": "symmetricKey"}});
    let bulk = |mode: &str, list: Vec<Value>| json!({"mode": mode, "enrollments": list}).to_string();
    let run = async |control: &mut Control, body: String| control.post("/enrollments", &body).await.json();
    let good = json!({"isSuccessful": true, "errors": []});
    assert_eq!(run(&mut control, bulk("create", vec![one("a"), one("b")])).await, good);
    let mixed = run(&mut control, bulk("create", vec![one("b"), one("c")])).await;
    assert_eq!((&mixed["isSuccessful"], mixed["errors"].as_array().unwrap().len()), (&false.into(), 1));
    assert_eq!(
        (&mixed["errors"][0]["registrationId"], &mixed["errors"][0]["errorCode"]),
        (&"b".into(), &409_000.into())
    );
    assert_eq!(run(&mut control, bulk("update", vec![one("c")])).await, good);
    assert_eq!(run(&mut control, bulk("update", vec![one("d")])).await["errors"][0]["errorCode"], 404_201);
    let mut tagged = one("c");
    tagged["etag"] = control.get("/enrollments/c").await["etag"].clone();
    assert_eq!(run(&mut control, bulk("updateIfMatchETag", vec![tagged.clone()])).await, good);
    let stale = run(&mut control, bulk("updateIfMatchETag", vec![tagged])).await;
    assert_eq!(stale["errors"][0]["errorCode"], 412_000);
    assert_eq!(run(&mut control, bulk("delete", vec![one("a"), one("b")])).await, good);
    assert_eq!(run(&mut control, bulk("delete", vec![one("a")])).await["errors"][0]["errorCode"], 404_201);
    for body in [bulk("create", Vec::new()), bulk("create", vec![one("x"); 11])] {
        assert_eq!(control.ask(Method::POST, "/enrollments", &[], &body).await.refusal(), (400, 400_000));
    }
    let unknown = bulk("invert", vec![one("x")]);
    assert_eq!(control.ask(Method::POST, "/enrollments", &[], &unknown).await.refusal(), (400, 400_012));
    let groups = json!({"mode": "create", "enrollmentGroups": [{"enrollmentGroupId": "g", "attestation": {"type": "symmetricKey"}}]});
    assert_eq!(control.post("/enrollmentGroups", &groups.to_string()).await.json(), good);
    assert_eq!(control.get("/enrollmentGroups/g").await["enrollmentGroupId"], "g");
}

#[tokio::test(start_paused = true)]
async fn queries_are_answered_page_by_page() {
    let world = World::new();
    let mut control = Control::new(&world).await;
    for id in ["c", "a", "b"] {
        control.put(&format!("/enrollments/{id}"), SYMMETRIC).await;
        register(&world, &format!("dev-{id}"), &world.service.group_key().derive(&format!("dev-{id}"))).await;
    }
    for (uri, query, field, prefix, kind) in [
        ("/enrollments/query", r#"{"query":"SELECT * FROM enrollments"}"#, "registrationId", "", "enrollment"),
        ("/registrations/fleet/query", "", "registrationId", "dev-", "deviceRegistration"),
    ] {
        let first = control.ask(Method::POST, uri, &[("x-ms-max-item-count", "2")], query).await;
        let ids = |reply: &Value| reply.as_array().unwrap().iter().map(|e| e[field].clone()).collect::<Vec<_>>();
        assert_eq!(ids(&first.json()), [format!("{prefix}a"), format!("{prefix}b")]);
        assert_eq!((first.header("x-ms-item-type"), first.header("x-ms-max-item-count")), (kind, "2"));
        let next = first.header("x-ms-continuation").to_owned();
        let second = [("x-ms-max-item-count", "2"), ("x-ms-continuation", &next)];
        let second = control.ask(Method::POST, uri, &second, query).await;
        assert_eq!(ids(&second.json()), [format!("{prefix}c")]);
        assert_eq!(second.header("x-ms-continuation"), "");
    }
    let groups = control.post("/enrollmentGroups/query", r#"{"query":"select * from enrollmentGroups"}"#).await.json();
    assert_eq!(groups[0]["enrollmentGroupId"], "fleet");
    let where_ = r#"{"query":"SELECT * FROM enrollments WHERE a = 1"}"#;
    assert_eq!(control.ask(Method::POST, "/enrollments/query", &[], where_).await.refusal(), (400, 400_000));
    let none = control.ask(Method::POST, "/registrations/absent/query", &[], "").await;
    assert_eq!(none.refusal(), (404, 404_201));
    let zero = control.ask(Method::POST, "/registrations/fleet/query", &[("x-ms-max-item-count", "0")], "").await;
    assert_eq!(zero.refusal(), (400, 400_000));
}
