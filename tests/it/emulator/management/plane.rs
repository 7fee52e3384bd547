use std::time::SystemTime;

use fleetstorm::pki::sas::SymmetricKey;
use hyper::Method;
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::super::client::{World, accepted, hub_connect, sas};
use super::{Control, connection};
use crate::metrics::check_metrics;

#[tokio::test(start_paused = true)]
async fn every_request_needs_the_token_but_for_health() {
    let world = World::new();
    let mut control = Control::new(&world).await;
    let health = control.peer.send(Method::GET, "/healthz", "", "").await;
    assert_eq!((health.status.as_u16(), health.body.as_str()), (200, "ok\n"));
    for path in ["/counters", "/metrics", "/devices", "/enrollments/x", "/nothing"] {
        for authorization in ["", "Bearer wrong", "Basic eDp5"] {
            let refused = control.peer.send(Method::GET, path, authorization, "").await;
            assert_eq!(refused.refusal(), (401, 401_002), "{path}");
            assert_eq!(refused.header("www-authenticate"), "Bearer");
        }
    }
    let key = SymmetricKey::from_base64(control.management.token()).unwrap();
    let signed = sas(&key, "localhost", Some("provisioningserviceowner"));
    assert_eq!(control.peer.send(Method::GET, "/counters", &signed, "").await.status, 200);
    let debug = format!("{:?}", control.management);
    assert!(!debug.contains(control.management.token()), "no secret in Debug");
}

#[tokio::test(start_paused = true)]
async fn what_is_not_there_is_refused_in_the_form_of_the_service() {
    let world = World::new();
    let mut control = Control::new(&world).await;
    let long = "x".repeat(1024 * 1024 + 1);
    for (method, uri, body, refusal) in [
        (Method::GET, "/nothing", "", (404, 404_000)),
        (Method::DELETE, "/counters", "", (405, 405_000)),
        (Method::GET, "/enrollments/%ff", "", (400, 400_000)),
        (Method::POST, "/clock", "{", (400, 400_012)),
        (Method::POST, "/clock", r#"{"forward":"P1D"}"#, (400, 400_012)),
        (Method::POST, "/clock", r#"{"advance":"-P1D"}"#, (400, 400_000)),
        (Method::POST, "/clock", r#"{"advance":"P3650DT1S"}"#, (400, 400_000)),
        (Method::PUT, "/enrollments/x", &long[1..], (400, 400_012)),
        (Method::PUT, "/enrollments/x", &long, (413, 413_000)),
    ] {
        let refused = control.ask(method, uri, &[], body).await;
        assert_eq!(refused.refusal(), refusal, "{uri}");
        let error = refused.json();
        assert!(error["trackingId"].is_string() && error["message"].is_string(), "{error}");
        if refusal.0 == 413 {
            // The rest of the body was not read, so the connection ended.
            control.peer = connection(&control.management).await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn the_clock_goes_forward_and_certificates_expire() {
    let world = World::new();
    let mut control = Control::new(&world).await;
    for (advance, sum) in [("P8D", 8.0), ("P3650D", 3658.0)] {
        control.post("/clock", &json!({"advance": advance}).to_string()).await;
        let now = control.get("/clock").await["now"].as_str().unwrap().parse::<jiff::Timestamp>().unwrap();
        let ahead = SystemTime::try_from(now).unwrap().duration_since(SystemTime::now()).unwrap();
        let days = ahead.as_secs_f64() / 86_400.0;
        assert!((sum - 0.1..=sum).contains(&days), "{days}");
    }
}

#[tokio::test(start_paused = true)]
async fn counters_metrics_and_roots_can_be_seen() {
    let world = World::new();
    let mut control = Control::new(&world).await;
    world.provision("dev1").await;
    let counters = control.get("/counters").await;
    assert_eq!((&counters["registered"], &counters["issued"]), (&1.into(), &1.into()), "{counters}");
    let metrics = control.ask(Method::GET, "/metrics", &[], "").await;
    assert_eq!(metrics.header("content-type"), "text/plain; version=0.0.4; charset=utf-8");
    check_metrics(&metrics.body);
    let open = [("accept", "application/openmetrics-text, text/plain;q=0.5")];
    let open = control.ask(Method::GET, "/metrics", &open, "").await;
    assert!(open.header("content-type").starts_with("application/openmetrics-text"));
    for (answer, lines) in [
        (&metrics, ["# TYPE fleetstorm_emulator_issued_total counter", "fleetstorm_emulator_issued_total 1"]),
        (&open, ["# TYPE fleetstorm_emulator_issued counter", "fleetstorm_emulator_issued_total 1"]),
        (&open, ["fleetstorm_emulator_registrations 1", "# EOF"]),
    ] {
        for line in lines {
            assert!(answer.body.lines().any(|l| l == line), "{line}: {}", answer.body);
        }
    }
    let roots = control.get("/roots").await;
    let root = |i: usize| pem::parse(roots["value"][i]["pem"].as_str().unwrap()).unwrap().into_contents();
    assert_eq!((root(0), root(1)), (b"root of the server".to_vec(), world.service.issuing_root().to_vec()));
    let chains = control.get("/chains").await;
    let chain = pem::parse_many(chains["value"][0]["pem"].as_str().unwrap()).unwrap();
    assert_eq!((&chains["value"][0]["policy"], chain.len()), (&"default".into(), 2));
    assert_eq!(chain[1].contents(), world.service.issuing_root());
}

#[tokio::test(start_paused = true)]
async fn faults_are_planned_while_it_runs_and_taken_back() {
    let world = World::new();
    let mut control = Control::new(&world).await;
    let fails = r#"{"server_error":{"probability":1,"status":503}}"#;
    let plan = control.put("/faults", fails).await;
    assert_eq!((&plan["server_error"]["status"], &plan["slow_handshake"]["probability"]), (&503.into(), &0.0.into()));
    assert_eq!(control.get("/faults").await, plan);
    let mut device = world.dps("dev1").await;
    let refused = device.request("$dps/registrations/PUT/iotdps-register/?$rid=1", "").await;
    assert!(refused.topic.starts_with("$dps/registrations/res/503/"), "{}", refused.topic);
    control.put("/faults", "{}").await;
    let again = device.request("$dps/registrations/PUT/iotdps-register/?$rid=1", "").await;
    assert!(again.topic.starts_with("$dps/registrations/res/202/"), "{}", again.topic);
    for (body, code) in
        [(r#"{"server_error":{"probability":2}}"#, 400_000), (r#"{"earthquake":{}}"#, 400_000), ("[]", 400_012)]
    {
        assert_eq!(control.ask(Method::PUT, "/faults", &[], body).await.refusal(), (400, code), "{body}");
    }
    let (chain, _) = world.provision("dev2").await;
    let mut hub = world.open_with(chain);
    assert_eq!(hub.connect(hub_connect("dev2", "")).await, accepted());
    assert_eq!(control.post("/faults/disconnectHub", "").await.json(), json!({"connections": 1}));
    assert_eq!(hub.next().await, None);
}

/// With paused time every limit is reached at once when nothing else happens.
#[tokio::test(start_paused = true)]
async fn garbage_and_silence_end_their_own_connection() {
    let world = World::new();
    let control = Control::new(&world).await;
    let unfinished =
        format!("POST /clock HTTP/1.1\r\nAuthorization: {}\r\nContent-Length: 9\r\n\r\n{{", control.authorization);
    for (bytes, begins) in [
        ("", ""),
        ("GET /counters HTTP/1.1\r\n", ""),
        ("\u{1}\u{2}\r\n\r\n", "HTTP/1.1 400 "),
        (&unfinished, "HTTP/1.1 408 "),
        ("POST /clock HTTP/1.1\r\nContent-Length: 9\r\n\r\n{", "HTTP/1.1 401 "),
    ] {
        let (mut ours, theirs) = tokio::io::duplex(1024);
        let management = control.management.clone();
        let served = tokio::spawn(async move { management.serve_connection(theirs).await });
        ours.write_all(bytes.as_bytes()).await.unwrap();
        let mut answer = String::new();
        ours.read_to_string(&mut answer).await.unwrap();
        served.await.unwrap();
        assert!(answer.starts_with(begins) && answer.is_empty() == begins.is_empty(), "{bytes:?}: {answer}");
    }
}
