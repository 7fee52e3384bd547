//! Who is let in: every credential that must not be good, at every door (DPS and hub; MQTT, MQTT over WebSocket, HTTPS), on
//! sockets. What a credential is refused with is in the tables of [`dps`] and [`hub`]; whatever a door says is compared with
//! them in one place, here.

mod dps;
mod hub;
mod sessions;

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use fleetstorm::emulator::Port;
use fleetstorm::pki::bootstrap::BootstrapIdentity;
use fleetstorm::pki::key::DeviceKey;
use fleetstorm::pki::sas::SymmetricKey;
use fleetstorm::protocol::mqtt::ConnectReturnCode::{self, NotAuthorized, Success};
use fleetstorm::protocol::mqtt::{HUB_PACKET_LIMIT, QoS};
use fleetstorm::protocol::topic::DPS_RESPONSES;
use fleetstorm::protocol::websocket::WebSocketBytes;
use hyper::Method;
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::client::{API, Answer, Peer, SCOPE, World, dps_connect, dps_user, hub_connect};
use super::http_client::{HttpPeer, Reply};
use super::sockets::Running;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Door {
    Mqtt,
    WebSocket,
    Https,
}

const DOORS: [Door; 3] = [Door::Mqtt, Door::WebSocket, Door::Https];

/// What a device shows.
#[derive(Clone, Default)]
struct Credential {
    token: String,
    chain: Vec<Vec<u8>>,
    key: Option<Arc<DeviceKey>>,
}

impl Credential {
    fn token(text: impl Into<String>) -> Self {
        Self { token: text.into(), ..Self::default() }
    }

    fn certificates(chain: &[Vec<u8>], key: &Arc<DeviceKey>) -> Self {
        Self { chain: chain.to_vec(), key: Some(Arc::clone(key)), ..Self::default() }
    }

    fn identity(identity: BootstrapIdentity) -> Self {
        Self { chain: identity.chain, key: Some(Arc::new(identity.key)), ..Self::default() }
    }

    /// The same with the first certificates alone.
    fn first(mut self, count: usize) -> Self {
        self.chain.truncate(count);
        self
    }

    fn and_token(mut self, text: impl Into<String>) -> Self {
        self.token = text.into();
        self
    }
}

/// What is to come of a credential.
#[derive(Debug, Clone, Copy)]
enum Expected {
    In,
    /// DPS knows the device and lets it in nowhere.
    Disabled,
    /// DPS: the code and words of the answer to the registration, in HTTP and MQTT.
    Dps(u32, &'static str),
    /// DPS refuses CONNECT, and over HTTPS the registration, with code and words.
    DpsConnect(ConnectReturnCode, u32, &'static str),
    /// The hub refuses CONNECT; over HTTPS every request with status and name.
    Hub(ConnectReturnCode, u16, &'static str),
}

/// What a door says.
#[derive(Debug, PartialEq, Eq)]
enum Said {
    In,
    Disabled,
    ConnAck(ConnectReturnCode),
    Dps(u64, String),
    Hub(u16, String),
}

impl Expected {
    /// At a door; `at_connect`: DPS is one that judges CONNECT.
    fn at(self, door: Door, at_connect: bool) -> Said {
        match (self, door) {
            (Self::In, _) => Said::In,
            (Self::Disabled, _) => Said::Disabled,
            (Self::Dps(..), Door::Mqtt | Door::WebSocket) if at_connect => Said::ConnAck(NotAuthorized),
            (Self::DpsConnect(code, ..) | Self::Hub(code, ..), Door::Mqtt | Door::WebSocket) => Said::ConnAck(code),
            (Self::Dps(code, words) | Self::DpsConnect(_, code, words), _) => Said::Dps(code.into(), words.to_owned()),
            (Self::Hub(_, status, name), Door::Https) => Said::Hub(status, name.to_owned()),
        }
    }
}

/// One line of a table.
struct Row {
    what: &'static str,
    id: &'static str,
    credential: Credential,
    expected: Expected,
}

fn row(what: &'static str, id: &'static str, credential: Credential, expected: Expected) -> Row {
    Row { what, id, credential, expected }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Side {
    Dps,
    Hub,
}

/// Tries every row at every door of one side, and tells of all that differ.
async fn judge(emulator: &Running, side: Side, at_connect: bool, rows: &[Row]) {
    let mut wrong = Vec::new();
    for Row { what, id, credential, expected } in rows {
        for door in DOORS {
            let said = match side {
                Side::Dps => emulator.dps(door, id, credential).await,
                Side::Hub => emulator.hub(door, id, credential).await,
            };
            let expected = expected.at(door, at_connect);
            if said != expected {
                wrong.push(format!("{what}, {side:?} over {door:?}: {said:?} where {expected:?} is right"));
            }
        }
    }
    assert!(wrong.is_empty(), "of {} credentials:\n{}", rows.len(), wrong.join("\n"));
}

impl Running {
    /// With all doors open.
    async fn with_doors(change: impl FnOnce(&mut fleetstorm::emulator::Config)) -> Self {
        Self::start(|config| {
            config.listen.https_port = Some(Port::At(0));
            config.adr.issue_inline = true;
            config.dps.retry_after_seconds = 3;
            change(config);
        })
        .await
    }

    /// The same service, as tests in memory see it.
    fn world(&self) -> World {
        World { service: self.service.clone() }
    }

    /// Seconds since 1970 by the emulator's clock.
    fn seconds(&self) -> u64 {
        self.service.now().duration_since(UNIX_EPOCH).unwrap().as_secs()
    }

    async fn tls_with(&self, door: Door, credential: &Credential) -> TlsStream<TcpStream> {
        let address = match door {
            Door::Mqtt => self.endpoints.mqtt,
            Door::WebSocket | Door::Https => self.endpoints.https.unwrap(),
        };
        let tls = match &credential.key {
            None => self.tls.anonymous(),
            Some(key) => self.tls.with_identity(&credential.chain, Arc::clone(key)),
        };
        let tcp = TcpStream::connect(address).await.unwrap();
        TlsConnector::from(tls).connect("localhost".try_into().unwrap(), tcp).await.unwrap()
    }

    async fn websocket(&self, credential: &Credential) -> WebSocketBytes<TlsStream<TcpStream>> {
        let tls = self.tls_with(Door::WebSocket, credential).await;
        WebSocketBytes::connect(tls, "localhost", HUB_PACKET_LIMIT).await.unwrap()
    }

    async fn dps(&self, door: Door, id: &str, credential: &Credential) -> Said {
        match door {
            Door::Mqtt => dps_over_mqtt(peer(self.tls_with(door, credential).await), id, &credential.token).await,
            Door::WebSocket => dps_over_mqtt(peer(self.websocket(credential).await), id, &credential.token).await,
            Door::Https => dps_over_https(self.tls_with(door, credential).await, id, &credential.token).await,
        }
    }

    async fn hub(&self, door: Door, id: &str, credential: &Credential) -> Said {
        match door {
            Door::Mqtt => hub_over_mqtt(peer(self.tls_with(door, credential).await), id, &credential.token).await,
            Door::WebSocket => hub_over_mqtt(peer(self.websocket(credential).await), id, &credential.token).await,
            Door::Https => hub_over_https(self.tls_with(door, credential).await, id, &credential.token).await,
        }
    }
}

/// The device's end of a connection whose other end nobody here looks at.
fn peer<S: AsyncRead + AsyncWrite + Unpin>(stream: S) -> Peer<S> {
    Peer::new(stream, tokio::spawn(async { String::new() }))
}

/// An operation that there is not.
const NO_OPERATION: &str = "5.0000000000000000.00000000-0000-0000-0000-000000000000";

/// The id scope that a row's device names; one of the rows is about another one.
fn scope_of(id: &str) -> (&str, &str) {
    id.split_once('@').map_or((SCOPE, id), |(id, scope)| (scope, id))
}

async fn dps_over_mqtt<S: AsyncRead + AsyncWrite + Unpin>(mut peer: Peer<S>, id: &str, token: &str) -> Said {
    let (scope, id) = scope_of(id);
    let user = dps_user(id, API).replace(SCOPE, scope);
    let ack = peer.connect(dps_connect(id, &user, token)).await.expect("an answer to CONNECT");
    if ack.code != Success {
        return Said::ConnAck(ack.code);
    }
    peer.subscribe(DPS_RESPONSES, QoS::AtLeastOnce).await;
    let answer = peer.request("$dps/registrations/PUT/iotdps-register/?$rid=1", "").await;
    let said = of_dps_over_mqtt(&answer);
    if matches!(said, Said::Dps(..)) {
        // Who may not register may not ask for results either.
        let poll = peer.poll(NO_OPERATION).await;
        assert_eq!(of_dps_over_mqtt(&poll), said, "a poll");
    }
    said
}

fn of_dps_over_mqtt(answer: &Answer) -> Said {
    of_dps(answer.topic.split('/').nth(3).unwrap().parse().unwrap(), &answer.json())
}

async fn dps_over_https(stream: TlsStream<TcpStream>, id: &str, token: &str) -> Said {
    let (scope, id) = scope_of(id);
    let mut peer = HttpPeer::new(stream).await;
    let uri = |rest: &str| format!("/{scope}/registrations/{id}{rest}?api-version={API}");
    let reply = peer.send(Method::PUT, &uri("/register"), token, "").await;
    let said = of_dps(reply.status.as_u16(), &reply.json());
    if matches!(said, Said::Dps(..)) {
        let poll = peer.send(Method::GET, &uri(&format!("/operations/{NO_OPERATION}")), token, "").await;
        let lookup = peer.send(Method::POST, &uri(""), token, "").await;
        for other in [poll, lookup] {
            assert_eq!(of_dps(other.status.as_u16(), &other.json()), said, "another request");
        }
    }
    said
}

fn of_dps(status: u16, body: &Value) -> Said {
    match status {
        202 => Said::In,
        200 if body["status"] == "disabled" => Said::Disabled,
        _ => {
            let code = body["errorCode"].as_u64().unwrap_or_else(|| panic!("{status}: {body}"));
            assert_eq!(code / 1000 * 1000, u64::from(status) * 1000, "{body}");
            Said::Dps(code, body["message"].as_str().unwrap().to_owned())
        }
    }
}

async fn hub_over_mqtt<S: AsyncRead + AsyncWrite + Unpin>(mut peer: Peer<S>, id: &str, token: &str) -> Said {
    let ack = peer.connect(hub_connect(id, token)).await.expect("an answer to CONNECT");
    if ack.code != Success {
        return Said::ConnAck(ack.code);
    }
    peer.is_quiet().await;
    Said::In
}

async fn hub_over_https(stream: TlsStream<TcpStream>, id: &str, token: &str) -> Said {
    let mut peer = HttpPeer::new(stream).await;
    let uri = |rest: &str| format!("/devices/{id}/messages/{rest}?api-version=2021-04-12");
    let said = of_hub(&peer.send(Method::POST, &uri("events"), token, "{}").await);
    let lock = uuid::Uuid::nil();
    for (method, rest) in [
        (Method::GET, "devicebound".to_owned()),
        (Method::DELETE, format!("devicebound/{lock}")),
        (Method::POST, format!("devicebound/{lock}/abandon")),
    ] {
        let reply = peer.send(method, &uri(&rest), token, "").await;
        // There is no such lock, which only those are told who are let in.
        let other = if reply.status == 412 { Said::In } else { of_hub(&reply) };
        assert_eq!(other, said, "{rest}");
    }
    said
}

fn of_hub(reply: &Reply) -> Said {
    if reply.status.is_success() {
        return Said::In;
    }
    Said::Hub(reply.status.as_u16(), reply.header("iothub-errorcode").to_owned())
}

/// A token signed with a key, good until then.
fn sas(key: &SymmetricKey, resource: &str, expiry: u64) -> String {
    key.sign(resource, expiry, None).to_text()
}

/// Texts that are no tokens, though something of one is in them.
fn malformed(good: &str) -> Vec<(&'static str, String)> {
    let field = |name: &str| {
        let start = good.find(&format!("{name}=")).unwrap();
        good[start..].split('&').next().unwrap().to_owned()
    };
    let (sr, sig, se) = (field("sr"), field("sig"), field("se"));
    vec![
        ("a token without a resource", format!("SharedAccessSignature {sig}&{se}")),
        ("a token without a signature", format!("SharedAccessSignature {sr}&{se}")),
        ("a token without an expiry", format!("SharedAccessSignature {sr}&{sig}")),
        ("a token that expires in words", format!("SharedAccessSignature {sr}&{sig}&se=never")),
        ("a token that expires before 1970", format!("SharedAccessSignature {sr}&{sig}&se=-1")),
        ("a token with two expiries", format!("{good}&{se}")),
        ("a token of another kind", good.replace("SharedAccessSignature", "Bearer")),
        ("a word", "secret".to_owned()),
    ]
}

/// The same token with something changed that its signature covers, or the signature itself.
fn tampered(good: &str, expiry: u64) -> Vec<(&'static str, String)> {
    vec![
        ("a token that was prolonged", good.replace(&format!("se={expiry}"), &format!("se={}", expiry + 1))),
        ("a token whose resource is written another way", good.replace("%2F", "%2f")),
        ("a token with half a signature", good.replacen("sig=", "sig=AAAA", 1)),
        ("a token with an empty signature", {
            let (front, rest) = good.split_once("sig=").unwrap();
            format!("{front}sig=&{}", rest.split_once('&').unwrap().1)
        }),
    ]
}

/// So long ago.
fn ago(days: u64) -> SystemTime {
    SystemTime::now() - std::time::Duration::from_secs(days * 86_400)
}
