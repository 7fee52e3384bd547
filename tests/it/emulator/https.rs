//! DPS and hub over HTTPS, below TLS: every answer with its headers, and peers that break the rules.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use fleetstorm::emulator::{CloudToDevice, Event, LatencySettings};
use fleetstorm::pki::sas::SymmetricKey;
use hyper::{Method, StatusCode};
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::client::{API, SCOPE, World, key_and_csr, sas};
use super::http_client::{HttpPeer, Reply};

fn registration(id: &str, rest: &str) -> String {
    format!("/{SCOPE}/registrations/{id}{rest}?api-version={API}")
}

impl World {
    async fn http(&self) -> HttpPeer {
        HttpPeer::new(self.open_https(Vec::new()).0).await
    }

    async fn http_with(&self, certificates: Vec<Vec<u8>>) -> HttpPeer {
        HttpPeer::new(self.open_https(certificates).0).await
    }

    async fn register(&self, peer: &mut HttpPeer, id: &str, body: &str) -> Reply {
        peer.send(Method::PUT, &registration(id, "/register"), &self.token(id), body).await
    }
}

#[tokio::test(start_paused = true)]
async fn a_device_registers_asks_and_gets_its_chain() {
    let world = World::new();
    let mut peer = world.http().await;
    let body = format!(r#"{{"registrationId":"dev1","csr":"{}","payload":{{}}}}"#, key_and_csr("dev1").1);
    let accepted = world.register(&mut peer, "dev1", &body).await;
    assert_eq!(accepted.status, StatusCode::ACCEPTED, "{}", accepted.body);
    assert_eq!(accepted.header("retry-after"), "3");
    assert_eq!(accepted.header("content-type"), "application/json; charset=utf-8");
    assert_eq!(accepted.header("location"), format!("https://dps.example/{SCOPE}/registrations/dev1/register"));
    assert_eq!(accepted.header("strict-transport-security"), "max-age=31536000; includeSubDomains");
    assert!(!accepted.header("x-ms-request-id").is_empty() && !accepted.header("date").is_empty());
    assert_eq!(accepted.json()["status"], "assigning");

    let operation = accepted.json()["operationId"].as_str().unwrap().to_owned();
    let uri = registration("dev1", &format!("/operations/{operation}"));
    // One SDK sends a body with it, which means nothing.
    let done = peer.send(Method::GET, &uri, &world.token("dev1"), "{}").await;
    assert_eq!((done.status, done.header("retry-after"), done.header("location")), (StatusCode::OK, "", ""));
    let state = &done.json()["registrationState"];
    assert_eq!((&state["status"], &state["assignedHub"]), (&Value::from("assigned"), &Value::from("localhost")));
    assert_eq!(state["issuedCertificateChain"].as_array().unwrap().len(), 3);

    let lookup = peer.send(Method::POST, &registration("dev1", ""), &world.token("dev1"), "").await;
    assert_eq!(lookup.status, StatusCode::OK, "{}", lookup.body);
    let looked_up = lookup.json();
    assert_eq!(looked_up["deviceId"], "dev1");
    assert_eq!(looked_up.get("issuedCertificateChain"), None);
    assert_eq!(world.count(Event::HttpRequest), 3);
}

#[tokio::test(start_paused = true)]
async fn an_operation_in_progress_is_202_with_a_wait() {
    let world = World::with(|config| config.model.assign.latency = LatencySettings::Fixed { ms: 1000.0 });
    let mut peer = world.http().await;
    let accepted = world.register(&mut peer, "dev1", "").await.json();
    let uri = registration("dev1", &format!("/operations/{}", accepted["operationId"].as_str().unwrap()));
    let pending = peer.send(Method::GET, &uri, &world.token("dev1"), "").await;
    assert_eq!((pending.status, pending.header("retry-after")), (StatusCode::ACCEPTED, "3"));
    assert!(pending.header("location").starts_with("https://"));
    assert_eq!(pending.json()["registrationState"]["status"], "assigning");
}

#[tokio::test(start_paused = true)]
async fn tokens_are_taken_however_their_resource_is_written() {
    let world = World::new();
    let mut peer = world.http().await;
    let key = world.service.group_key().derive("dev1");
    let plain = format!("{SCOPE}/registrations/dev1");
    for sr in [plain.clone(), plain.replace('/', "%2f"), plain.replace('/', "%2F")] {
        // A token whose resource is sent as it stands is signed as it stands.
        let mut token = key.sign(&plain, u64::MAX / 2, None);
        token.sr.clone_from(&sr);
        let signature = ring::hmac::sign(
            &ring::hmac::Key::new(ring::hmac::HMAC_SHA256, &STANDARD.decode(&*key.to_base64()).unwrap()),
            token.string_to_sign().as_bytes(),
        );
        token.sig = STANDARD.encode(signature);
        let uri = registration("dev1", "/register");
        let accepted = peer.send(Method::PUT, &uri, &token.to_text(), "").await;
        assert_eq!(accepted.status, StatusCode::ACCEPTED, "{sr}: {}", accepted.body);
    }
}

#[tokio::test(start_paused = true)]
async fn refusals_of_dps_have_their_codes() {
    let world = World::new();
    let mut peer = world.http().await;
    let good = world.token("dev1");
    let uri = registration("dev1", "/register");
    let (key, csr) = (SymmetricKey::random(), key_and_csr("dev1").1);
    let stranger = sas(&key, &format!("{SCOPE}/registrations/dev1"), None);
    let old = uri.replace(API, "2021-06-01");
    let csr = format!(r#"{{"csr":"{csr}"}}"#);
    let lookup = registration("dev1", "");
    let unknown = registration("dev1", "/operations/5.0000000000000000.00000000-0000-0000-0000-000000000000");
    for (method, uri, token, body, refusal) in [
        (Method::PUT, uri.as_str(), "", "", (401, 401_000)),
        (Method::PUT, &uri, "SharedAccessSignature nonsense", "", (401, 401_002)),
        (Method::PUT, &uri, "Bearer x", "", (401, 401_002)),
        (Method::PUT, &uri, &stranger, "", (401, 401_002)),
        (Method::PUT, &uri, &good, "{", (400, 400_012)),
        (Method::PUT, &uri, &good, r#"{"registrationId":"dev2"}"#, (400, 400_000)),
        (Method::PUT, &old, &good, &csr, (400, 400_012)),
        (Method::PUT, &uri.replace(SCOPE, "0neOther"), &good, "", (404, 404_000)),
        (Method::PUT, &uri.replace("dev1", "dev%20"), &good, "", (400, 400_000)),
        (Method::PUT, uri.split('?').next().unwrap(), &good, "", (400, 400_000)),
        (Method::POST, &uri, &good, "", (405, 405_000)),
        (Method::GET, &unknown, &good, "", (404, 404_000)),
        (Method::GET, &unknown, &stranger, "", (401, 401_002)),
        (Method::POST, &lookup, &good, "", (404, 404_201)),
        (Method::POST, &lookup, &good, &csr, (400, 400_000)),
        (Method::GET, "/nothing/here", &good, "", (404, 404_000)),
    ] {
        let refused = peer.send(method, uri, token, body).await;
        assert_eq!(refused.refusal(), refusal, "{uri} {token} {body}: {}", refused.body);
    }
    let long = " ".repeat(96 * 1024 + 1);
    assert_eq!(world.register(&mut peer, "dev1", &long).await.refusal(), (413, 413_000));
}

#[tokio::test(start_paused = true)]
async fn throttling_names_a_wait() {
    let world = World::with(|config| config.dps.max_registrations = 1);
    let mut peer = world.http().await;
    assert_eq!(world.register(&mut peer, "dev1", "").await.status, StatusCode::ACCEPTED);
    let refused = world.register(&mut peer, "dev2", "").await;
    assert_eq!((refused.refusal(), refused.header("retry-after")), ((429, 429_001), "3"));
}

const EVENTS: &str = "/devices/dev1/messages/events?api-version=2021-04-12";
const MESSAGES: &str = "/devices/dev1/messages/devicebound?api-version=2021-04-12";

#[tokio::test(start_paused = true)]
async fn telemetry_is_taken_with_a_token_or_the_certificate() {
    let world = World::new();
    let (chain, _) = world.provision("dev1").await;
    let token = sas(&world.service.group_key().derive("dev1"), "localhost/devices/dev1", None);
    let mut by_token = world.http().await;
    let mut by_certificate = world.http_with(chain).await;
    let large = "x".repeat(200 * 1024);
    for sent in [
        by_token.send(Method::POST, EVENTS, &token, "{}").await,
        by_token.send(Method::POST, EVENTS, &token, &large).await,
        by_certificate.send(Method::POST, EVENTS, "", "{}").await,
        by_certificate.send(Method::GET, MESSAGES, "", "").await,
    ] {
        assert_eq!((sent.status, sent.body.as_str()), (StatusCode::NO_CONTENT, ""));
    }
    assert_eq!(world.count(Event::Telemetry), 3);
}

/// What the official SDKs send: bodies in base64, or texts that are marked so.
#[tokio::test(start_paused = true)]
async fn a_batch_is_as_many_messages_as_are_in_it_or_none() {
    let world = World::with(|config| config.model.telemetry.latency = LatencySettings::Fixed { ms: 20.0 });
    let (chain, _) = world.provision("dev1").await;
    let mut watch = world.service.watch_telemetry();
    let mut peer = world.http_with(chain).await;
    let batch = [("content-type", "application/vnd.microsoft.iothub.json"), ("iothub-app-outside", "1")];
    let body = r#"[{"body":"e30=","properties":{"zone":"a b","iothub-app-line":"4"}},{"body":"IQ=="},
        {"body":"plain","base64Encoded":false,"properties":{"iothub-messageid":"m-1"}}]"#;
    // The path as Node's SDK for back ends writes paths.
    let sent = peer.send_with(Method::POST, &EVENTS.replace("?", "/?"), &batch, body).await;
    assert_eq!((sent.status, sent.body.as_str()), (StatusCode::NO_CONTENT, ""));
    let mut seen = || watch.try_recv().map(|message| (message.properties.clone(), message.body.to_vec())).ok();
    for (properties, body) in [("zone=a%20b&line=4", "{}"), ("", "!"), ("%24.mid=m-1", "plain")] {
        assert_eq!(seen(), Some((properties.to_owned(), body.into())));
    }
    assert_eq!(seen(), None);
    let telemetry = || world.service.device("dev1").unwrap().telemetry_messages;
    assert_eq!((world.count(Event::Telemetry), telemetry()), (3, 3));

    for body in ["", "[]", "{}", r#"[{"body":"e30="},{"body":"no base64!"}]"#, r#"[{"body":"e30="},{}]"#] {
        let refused = peer.send_with(Method::POST, EVENTS, &batch, body).await;
        let error = (refused.status.as_u16(), refused.header("iothub-errorcode"));
        assert_eq!(error, (400, "ArgumentInvalid"), "{body}");
        assert!(refused.body.contains("no batch"), "{}", refused.body);
    }
    assert_eq!((seen(), telemetry()), (None, 3), "all of a batch or nothing");
}

#[tokio::test(start_paused = true)]
async fn every_message_of_a_batch_takes_capacity() {
    let world = World::with(|config| {
        config.model.telemetry.latency = LatencySettings::Fixed { ms: 100.0 };
        config.model.telemetry.capacity = 1;
        config.model.telemetry.queue = 2;
    });
    let (chain, _) = world.provision("dev1").await;
    let mut peer = world.http_with(chain).await;
    let batch = [("content-type", "application/vnd.microsoft.iothub.json")];
    let mut send = async |count: usize| {
        let begun = tokio::time::Instant::now();
        let body = format!("[{}]", vec![r#"{"body":"e30="}"#; count].join(","));
        let status = peer.send_with(Method::POST, EVENTS, &batch, &body).await.status;
        (status.as_u16(), begun.elapsed().as_millis())
    };
    assert_eq!(send(3).await, (204, 300));
    assert_eq!(send(4).await, (429, 0));
    assert_eq!(world.count(Event::Telemetry), 3);
}

#[tokio::test(start_paused = true)]
async fn properties_count_towards_the_size_of_a_message() {
    let world = World::new();
    let (chain, _) = world.provision("dev1").await;
    let mut peer = world.http_with(chain).await;
    let body = "x".repeat(256 * 1024 - 8);
    for (value, status) in [("1234", 204), ("12345", 413)] {
        let sent = peer.send_with(Method::POST, EVENTS, &[("iothub-app-name", value)], &body).await;
        assert_eq!(sent.status.as_u16(), status, "{value}");
    }
    assert_eq!(world.count(Event::Telemetry), 1);
}

#[tokio::test(start_paused = true)]
async fn a_message_is_taken_given_back_and_completed() {
    let world = World::new();
    let (chain, _) = world.provision("dev1").await;
    let message = CloudToDevice {
        payload: "blink".into(),
        message_id: Some("m-1".to_owned()),
        properties: vec![("colour".to_owned(), Some("deep red".to_owned()))],
        ..CloudToDevice::default()
    };
    world.service.send_cloud_to_device("dev1", &message).unwrap();
    let mut peer = world.http_with(chain).await;
    let settle = |etag: &str, rest: &str| MESSAGES.replace("?", &format!("/{}{rest}?", etag.trim_matches('"')));
    let first = peer.send(Method::GET, MESSAGES, "", "").await;
    assert_eq!((first.status.as_u16(), first.body.as_str()), (200, "blink"));
    assert_eq!((first.header("iothub-messageid"), first.header("iothub-app-colour")), ("m-1", "deep red"));
    assert_eq!(first.header("iothub-to"), "/devices/dev1/messages/deviceBound");
    assert_eq!(peer.send(Method::GET, MESSAGES, "", "").await.status, 204, "it is locked");
    let abandon = settle(first.header("etag"), "/abandon");
    assert_eq!(peer.send(Method::POST, &abandon, "", "").await.status, 204);
    let lost = peer.send(Method::POST, &abandon, "", "").await;
    assert_eq!((lost.status.as_u16(), lost.header("iothub-errorcode")), (412, "DeviceMessageLockLost"));
    let again = peer.send(Method::GET, MESSAGES, "", "").await;
    let complete = settle(again.header("etag"), "");
    assert_eq!(peer.send(Method::DELETE, &complete, "", "").await.status, 204);
    assert_eq!(peer.send(Method::DELETE, &complete, "", "").await.status, 412);
    assert_eq!(peer.send(Method::GET, MESSAGES, "", "").await.status, 204, "it is gone");
}

#[tokio::test(start_paused = true)]
async fn refusals_of_the_hub_are_in_its_form() {
    let world = World::new();
    let (chain, _) = world.provision("dev1").await;
    world.provision("dev2").await;
    let mut peer = world.http_with(chain).await;
    let foreign = sas(&world.service.group_key().derive("dev2"), "localhost/devices/dev2", None);
    let long = "x".repeat(257 * 1024);
    for (method, uri, token, body, refusal) in [
        (Method::POST, EVENTS, foreign.as_str(), "", (401, "IotHubUnauthorizedAccess")),
        (Method::POST, EVENTS, "nonsense", "", (401, "IotHubUnauthorizedAccess")),
        (Method::POST, &EVENTS.replace("dev1", "dev2"), "", "", (401, "IotHubUnauthorizedAccess")),
        (Method::POST, &EVENTS.replace("dev1", "dev3"), "", "", (404, "DeviceNotFound")),
        (Method::PUT, EVENTS, "", "", (405, "MethodNotAllowed")),
        (Method::POST, "/devices/dev1/messages/events", "", "", (400, "InvalidProtocolVersion")),
        (Method::POST, EVENTS, "", &long, (413, "MessageTooLarge")),
    ] {
        let refused = peer.send(method, uri, token, body).await;
        assert_eq!((refused.status.as_u16(), refused.header("iothub-errorcode")), refusal, "{uri}");
        let body = refused.json();
        assert!(body["Message"].as_str().unwrap().starts_with(&format!("ErrorCode:{};", refusal.1)), "{body}");
        assert!(body["ExceptionMessage"].as_str().unwrap().starts_with("Tracking ID:"), "{body}");
    }
    assert_eq!(world.count(Event::Telemetry), 0);
}

/// What comes until the connection ends, when `bytes` are sent to it.
async fn answer_to(world: &World, bytes: &[u8]) -> String {
    let (mut stream, served) = world.open_https(Vec::new());
    // The emulator may have closed already.
    let _ = stream.write_all(bytes).await;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    served.await.unwrap();
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test(start_paused = true)]
async fn bodies_may_come_in_chunks() {
    let world = World::new();
    world.provision("dev1").await;
    let token = sas(&world.service.group_key().derive("dev1"), "localhost/devices/dev1", None);
    let head = format!("POST {EVENTS} HTTP/1.1\r\nHost: h\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n");
    let request = format!("{head}Authorization: {token}\r\n\r\n3\r\n{{\"a\r\n5\r\n\": 1}}\r\n0\r\n\r\n");
    let answer = answer_to(&world, request.as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 204 No Content\r\n"), "{answer}");
    let endless = format!("{head}Authorization: {token}\r\n\r\n{}", format!("8000\r\n{:32768}\r\n", "").repeat(9));
    let answer = answer_to(&world, endless.as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
}

/// With paused time every limit is reached at once when nothing else happens.
#[tokio::test(start_paused = true)]
async fn garbage_and_slow_peers_end_their_own_connection() {
    let world = World::new();
    let fits = format!("GET /nothing HTTP/1.1\r\nx: {}\r\n\r\n", "y".repeat(16_000));
    let long = format!("GET / HTTP/1.1\r\nx: {}\r\n\r\n", "y".repeat(20_000));
    let many = format!("GET / HTTP/1.1\r\n{}\r\n", "x: y\r\n".repeat(70));
    for (bytes, begins) in [
        ("", ""),
        ("GET / HT", ""),
        ("GET / HTTP/1.1\r\nHost: x\r\n", ""),
        (&fits, "HTTP/1.1 404 "),
        ("\u{1}\u{2}\u{3}\r\n\r\n", "HTTP/1.1 400 "),
        ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", ""),
        (&long, "HTTP/1.1 431 "),
        (&many, "HTTP/1.1 431 "),
        ("GET /a b HTTP/1.1\r\n\r\n", "HTTP/1.1 400 "),
        ("PUT / HTTP/1.1\r\nContent-Length: nine\r\n\r\n", "HTTP/1.1 400 "),
    ] {
        let answer = answer_to(&world, bytes.as_bytes()).await;
        assert!(answer.starts_with(begins) && answer.is_empty() == begins.is_empty(), "{bytes:?}: {answer}");
    }
    let unfinished = format!(
        "PUT {} HTTP/1.1\r\nAuthorization: {}\r\nContent-Length: 9\r\n\r\n{{",
        registration("dev1", "/register"),
        world.token("dev1")
    );
    let answer = answer_to(&world, unfinished.as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
}

#[tokio::test(start_paused = true)]
async fn answers_that_nobody_reads_do_not_pile_up() {
    let world = World::new();
    let (mut stream, served) = world.open_https(Vec::new());
    let (mut reading, mut writing) = tokio::io::split(&mut stream);
    let request = b"GET /nothing HTTP/1.1\r\nHost: h\r\n\r\n";
    let flood = async {
        let mut sent = 0;
        while writing.write_all(&request.repeat(100)).await.is_ok() {
            sent += 100;
            assert!(sent < 100_000, "the emulator takes requests for ever");
        }
        sent
    };
    flood.await;
    served.await.unwrap();
    // What was answered before it was cut can be read still.
    let mut answers = Vec::new();
    let _ = reading.read_to_end(&mut answers).await;
    assert!(answers.len() <= 64 * 1024);
}
