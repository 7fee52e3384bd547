use fleetstorm::protocol::mqtt::ConnectReturnCode;
use hyper::Method;
use serde_json::{Value, json};

use super::super::client::{World, accepted, hub_connect, refused};
use super::Control;

fn validity(leaf: &Value) -> String {
    json!({"properties": {"certificate": {
        "certificateAuthorityConfiguration": {"keyType": "ECC"},
        "leafCertificateConfiguration": leaf,
    }}})
    .to_string()
}

async fn connects(world: &World, id: &str, chain: &[Vec<u8>]) -> bool {
    let mut peer = world.open_with(chain.to_vec());
    let answer = peer.connect(hub_connect(id, "")).await;
    assert!(answer == accepted() || answer == refused(ConnectReturnCode::NotAuthorized));
    answer == accepted()
}

#[tokio::test(start_paused = true)]
async fn a_policy_of_ones_own_signs_once_the_hub_was_synchronized() {
    let world = World::new();
    let mut control = Control::new(&world).await;
    let made = control.put("/policies/short", &validity(&json!({"validityPeriodInDays": 7}))).await;
    let properties = &made["properties"];
    assert_eq!((&made["name"], &properties["synchronized"]), (&"short".into(), &false.into()));
    assert_eq!(properties["certificate"]["leafCertificateConfiguration"], json!({"validityPeriodInDays": 7}));
    let authority = &properties["certificate"]["certificateAuthorityConfiguration"];
    assert_eq!(authority["subject"], "CN=fleetstorm emulator policy short", "{authority}");
    assert_eq!(control.get("/policies").await["value"].as_array().unwrap().len(), 2);

    let mut group = control.get("/enrollmentGroups/fleet").await;
    group["credentialPolicyName"] = "short".into();
    let etag = group["etag"].as_str().unwrap();
    control.ask(Method::PUT, "/enrollmentGroups/fleet", &[("if-match", etag)], &group.to_string()).await;
    let (chain, _) = world.provision("dev1").await;
    assert!(!connects(&world, "dev1", &chain).await, "the hub does not know the authority");
    control.post("/credentials/default/synchronize", "").await;
    assert!(connects(&world, "dev1", &chain).await);
    assert_eq!(control.get("/policies/short").await["properties"]["synchronized"], true);
    control.post("/clock", r#"{"advance":"P8D"}"#).await;
    assert!(!connects(&world, "dev1", &chain).await, "expired");
}

#[tokio::test(start_paused = true)]
async fn a_revoked_policy_gets_another_authority_and_its_certificates_are_refused() {
    let world = World::new();
    let mut control = Control::new(&world).await;
    let (old, _) = world.provision("dev1").await;
    let before = control.get("/chains").await;
    let revoked = control.post("/policies/default/revoke", "").await.json();
    assert_eq!(revoked["properties"]["synchronized"], false);
    assert_ne!(control.get("/chains").await, before);
    assert!(!connects(&world, "dev1", &old).await);
    let (new, _) = world.provision("dev1").await;
    assert!(!connects(&world, "dev1", &new).await, "not synchronized yet");
    control.post("/credentials/default/synchronize", "").await;
    assert!(connects(&world, "dev1", &new).await && !connects(&world, "dev1", &old).await);
    // Another validity does not bring back the old authority.
    let after = control.get("/chains").await;
    control.put("/policies/default", &validity(&json!({"validityPeriodInSeconds": 90}))).await;
    assert_eq!(control.get("/chains").await, after);
}

#[tokio::test(start_paused = true)]
async fn policies_that_cannot_be_are_refused() {
    let world = World::with(|config| config.adr.max_policies = 2);
    let mut control = Control::new(&world).await;
    let good = validity(&json!({"validityPeriodInDays": 30}));
    for (uri, body, refusal) in [
        ("/policies/ab", good.as_str(), (400, 400_000)),
        ("/policies/abc", "{}", (400, 400_012)),
        ("/policies/abc", &validity(&json!({"validityPeriodInDays": 91})), (400, 400_000)),
        ("/policies/abc", &good.replace("ECC", "RSA"), (400, 400_000)),
    ] {
        assert_eq!(control.ask(Method::PUT, uri, &[], body).await.refusal(), refusal, "{uri} {body}");
    }
    control.put("/policies/abc", &good).await;
    assert_eq!(control.ask(Method::PUT, "/policies/abcd", &[], &good).await.refusal(), (400, 400_000));
    for (method, uri) in [(Method::GET, "/policies/absent"), (Method::POST, "/policies/absent/revoke")] {
        assert_eq!(control.ask(method, uri, &[], "").await.status, 404, "{uri}");
    }
}
