//! The service: right in everything but what the case of the device says. Which device connects shows in its source address
//! before it has said a word.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::BytesMut;
use fleetstorm::domain::{TlsVersions, Transport};
use fleetstorm::pki::csr;
use fleetstorm::pki::issuing_ca::{IssuingCa, RootCa};
use fleetstorm::pki::tls::{resumable, server_config};
use fleetstorm::protocol::mqtt::{
    ConnAck, ConnectReturnCode, Packet, PubAck, Publish, QoS, SubAck, SubscribeReasonCode, encode,
};
use fleetstorm::protocol::payload::{RegistrationRequest, decode_csr};
use rustls::ServerConfig;
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::cases::{Act, At, Case, Door, TlsFault};
use super::reply::{Reply, assigned, assigning};
use super::wire::{Pieces, Wire, switching};

pub(super) const DPS: &str = "dps.hostile.example";
const HUB: &str = "hub.hostile.example";

/// Where devices come from: number 0 from this address, the others from those after it.
const FIRST: u32 = Ipv4Addr::new(127, 1, 0, 0).to_bits();

/// A service that treats each device of a fleet as its case says.
pub(super) struct Hostile {
    transport: Transport,
    cases: Vec<Case>,
    pub(super) server_root: RootCa,
    pub(super) root: RootCa,
    issuing: IssuingCa,
    good: Arc<ServerConfig>,
    devices: Mutex<HashMap<u32, Device>>,
}

/// What is known of a device.
#[derive(Default)]
struct Device {
    connections: u32,
    /// CSR of its registration.
    csr: Vec<u8>,
}

/// A connection with a device.
struct Visit<'a> {
    service: &'a Hostile,
    case: Option<&'a Case>,
    index: u32,
    door: Door,
    /// Connections of the device so far, this one included.
    number: u32,
    wire: Wire<TlsStream<Pieces<TcpStream>>>,
}

/// The visit is over.
struct Over;

fn config_of(root: &RootCa, name: &str, now: SystemTime) -> Arc<ServerConfig> {
    let names: Vec<String> = [name.to_owned(), format!("also.{name}")].to_vec();
    let names = if name == DPS { vec![DPS.to_owned(), HUB.to_owned()] } else { names };
    let (certificate, key) = root.server_certificate(&names, now).unwrap();
    server_config(certificate, key, TlsVersions::Any).unwrap()
}

impl Hostile {
    pub(super) fn new(transport: Transport, cases: Vec<Case>) -> Self {
        let now = SystemTime::now();
        let root = RootCa::generate("devices", now).unwrap();
        let server_root = RootCa::for_servers("servers", now).unwrap();
        let issuing = root.issuing_ca("issuing", now).unwrap();
        let good = config_of(&server_root, DPS, now);
        Self { transport, cases, server_root, root, issuing, good, devices: Mutex::default() }
    }

    /// Serves until it is dropped.
    pub(super) async fn serve(self: Arc<Self>, listener: TcpListener) {
        loop {
            let (stream, peer) = listener.accept().await.unwrap();
            let service = Arc::clone(&self);
            tokio::spawn(async move { service.visited(stream, peer).await });
        }
    }

    async fn visited(&self, stream: TcpStream, peer: SocketAddr) {
        let IpAddr::V4(address) = peer.ip() else { unreachable!("it listens at 127.0.0.1") };
        let index = address.to_bits().wrapping_sub(FIRST);
        let case = self.cases.get(index as usize);
        let number = {
            let mut devices = self.devices.lock().unwrap();
            let device = devices.entry(index).or_default();
            device.connections += 1;
            device.connections
        };
        // Over HTTPS a device may come to DPS more than once, and no case is about the TLS of its hub.
        let door = if number == 1 { Door::Dps } else { Door::Hub };
        let fault = case.and_then(|case| match (&case.act, case.at) {
            (Act::Tls(fault), At::Tls(at)) if at == door => Some(*fault),
            _ => None,
        });
        stream.set_nodelay(true).unwrap();
        let single_bytes = matches!(case, Some(Case { act: Act::SingleBytes, .. }));
        let stream = Pieces { inner: stream, single_bytes };
        let Some(stream) = self.secured(stream, fault).await else { return };
        let mut visit = Visit { service: self, case, index, door, number, wire: Wire::new(stream) };
        if fault == Some(TlsFault::GarbageAfter) {
            let record = [&b"\x17\x03\x03\x00\x20"[..], &[0; 32]].concat();
            let _ = visit.wire.stream_mut().get_mut().0.write_all(&record).await;
            return visit.wire.is_left().await;
        }
        let _ = visit.goes().await;
    }

    /// Makes the TLS handshake, unless the case breaks it.
    async fn secured(
        &self,
        stream: Pieces<TcpStream>,
        fault: Option<TlsFault>,
    ) -> Option<TlsStream<Pieces<TcpStream>>> {
        let now = SystemTime::now();
        let config = match fault {
            None | Some(TlsFault::GarbageAfter) => Arc::clone(&self.good),
            Some(TlsFault::WrongName) => config_of(&self.server_root, "other.example", now),
            Some(TlsFault::Expired) => config_of(&self.server_root, DPS, now - Duration::from_secs(800 * 86_400)),
            Some(TlsFault::UnknownCa) => config_of(&RootCa::for_servers("stranger", now).unwrap(), DPS, now),
            Some(TlsFault::Tickets(count)) => {
                let mut config = ServerConfig::clone(&*resumable(&self.good).unwrap());
                config.send_tls13_tickets = count;
                Arc::new(config)
            }
            Some(TlsFault::Says(bytes)) => {
                let mut wire = Wire::new(stream);
                wire.first_byte().await?;
                wire.says(bytes).await;
                wire.is_left().await;
                return None;
            }
            Some(TlsFault::Silent) => {
                Wire::new(stream).is_left().await;
                return None;
            }
            Some(TlsFault::Closes) => {
                // What is not read would make a reset of it.
                let _ = timeout(Duration::from_millis(200), Wire::new(stream).is_left()).await;
                return None;
            }
        };
        TlsAcceptor::from(config).accept(stream).await.ok()
    }

    /// A chain for the CSR, as base64, leaf first.
    fn issue(&self, csr: &[u8], device: &str) -> Vec<String> {
        let now = SystemTime::now();
        let csr = csr::verify(csr).unwrap();
        let until = now + Duration::from_secs(30 * 86_400);
        let leaf = self.issuing.issue(&csr, device, uuid::Uuid::new_v4(), now, until).unwrap();
        [&leaf.der, self.issuing.der(), self.root.der()].map(|der| STANDARD.encode(der)).to_vec()
    }
}

impl Visit<'_> {
    async fn goes(&mut self) -> Result<(), Over> {
        // MQTT begins with CONNECT, HTTP with the name of a method.
        match self.wire.first_byte().await.ok_or(Over)? {
            0x10 => self.speaks_mqtt().await,
            _ => self.speaks_http().await,
        }
    }

    /// The case's act, if it is for this point.
    fn act(&self, at: At) -> Option<&Act> {
        self.case.filter(|case| case.at == at).map(|case| &case.act)
    }

    /// Says what is right at this point, or does what the case says.
    async fn answers(&mut self, at: At, right: Vec<u8>) -> Result<(), Over> {
        let right = self.wire.framed(&right);
        let Some(act) = self.act(at) else { return self.wire.says(&right).await.then_some(()).ok_or(Over) };
        match act {
            Act::Says(bytes) => {
                let bytes = self.wire.framed(bytes);
                self.wire.says(&bytes).await;
            }
            Act::Raw(bytes) => {
                let bytes = bytes.clone();
                self.wire.says(&bytes).await;
            }
            Act::Twice => {
                let twice = [right.clone(), right].concat();
                return self.wire.says(&twice).await.then_some(()).ok_or(Over);
            }
            Act::CutAt(length) => {
                let length = (*length).min(right.len() - 1);
                self.wire.says(&right[..length]).await;
                return Err(Over);
            }
            Act::Floods(bytes) => {
                let bytes = self.wire.framed(bytes);
                self.wire.floods(&bytes).await;
            }
            Act::FloodsRaw(bytes) => {
                let bytes = bytes.clone();
                self.wire.floods(&bytes).await;
            }
            Act::Trickles(first, more) => {
                let (first, more) = (self.wire.framed(first), self.wire.framed(more));
                self.wire.says(&first).await;
                while self.wire.says(&more).await {
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            }
            Act::Silence => {}
            Act::Closes => return Err(Over),
            Act::Tls(_) | Act::SingleBytes | Act::Reply(_) => unreachable!("it is for another point"),
        }
        self.wire.is_left().await;
        Err(Over)
    }

    /// The same for answers that have parts.
    async fn replies(&mut self, at: At, mut right: Reply, transport: Transport) -> Result<(), Over> {
        if let Some(Act::Reply(change)) = self.act(at) {
            change(&mut right);
            let bytes = self.wire.framed(&right.bytes(transport));
            return self.wire.says(&bytes).await.then_some(()).ok_or(Over);
        }
        self.answers(at, right.bytes(transport)).await
    }

    async fn speaks_http(&mut self) -> Result<(), Over> {
        loop {
            let request = self.wire.request().await.ok_or(Over)?;
            if request.header("upgrade").is_some() {
                self.answers(At::Upgrade(self.door), switching(&request).into_bytes()).await?;
                self.wire.speaks_web_socket();
                return self.speaks_mqtt().await;
            }
            let device = request.head.split('/').nth(3).unwrap().to_owned();
            if request.head.starts_with("PUT") {
                self.knows_csr(&request.body);
                self.replies(At::Registered, Reply::new("", 202, "", &assigning()), Transport::Https).await?;
            } else {
                let body = self.assigned(&device);
                self.replies(At::Assigned, Reply::new("", 200, "", &body), Transport::Https).await?;
            }
        }
    }

    fn knows_csr(&self, body: &[u8]) {
        let request = RegistrationRequest::parse(body).unwrap();
        let csr = decode_csr(&request.csr.unwrap()).unwrap();
        self.service.devices.lock().unwrap().get_mut(&self.index).unwrap().csr = csr;
    }

    fn assigned(&self, device: &str) -> Value {
        let csr = self.service.devices.lock().unwrap()[&self.index].csr.clone();
        assigned(device, HUB, &self.service.issue(&csr, device))
    }

    async fn speaks_mqtt(&mut self) -> Result<(), Over> {
        let mut device = String::new();
        let mut at_dps = false;
        loop {
            match self.wire.packet().await.ok_or(Over)? {
                Packet::Connect(connect) => {
                    at_dps = connect.login.is_some_and(|login| login.username.contains("/registrations/"));
                    self.door = if at_dps { Door::Dps } else { Door::Hub };
                    device = connect.client_id;
                    let connack = Packet::ConnAck(ConnAck::new(ConnectReturnCode::Success, false));
                    self.answers(At::Connack(self.door), bytes(&connack)).await?;
                    // To DPS, to the hub, to the hub for a renewal, to the hub with what came of it: then to stay.
                    if !at_dps && self.number >= 5 && self.act(At::Held).is_some() {
                        self.answers(At::Held, Vec::new()).await?;
                    }
                }
                Packet::Subscribe(subscribe) => {
                    let granted = vec![SubscribeReasonCode::Success(QoS::AtLeastOnce)];
                    let suback = bytes(&Packet::SubAck(SubAck::new(subscribe.pkid, granted)));
                    self.answers(At::Suback(self.door), suback).await?;
                }
                Packet::Publish(publish) => self.is_told(&publish, &device, at_dps).await?,
                Packet::PingReq => {
                    let pong = self.wire.framed(&bytes(&Packet::PingResp));
                    self.wire.says(&pong).await;
                }
                Packet::Disconnect => return Ok(()),
                _ => {}
            }
        }
    }

    async fn is_told(&mut self, publish: &Publish, device: &str, at_dps: bool) -> Result<(), Over> {
        let puback = bytes(&Packet::PubAck(PubAck::new(publish.pkid)));
        let rid = publish.topic.split("$rid=").nth(1).map(|rid| rid.split('&').next().unwrap()).unwrap_or_default();
        let transport = self.service.transport;
        let mqtt = if transport == Transport::Https { Transport::Mqtt } else { transport };
        if publish.topic.contains("/messages/events/") {
            return self.answers(At::Puback, puback).await;
        }
        let puback = self.wire.framed(&puback);
        self.wire.says(&puback).await;
        if at_dps {
            const PREFIX: &str = "$dps/registrations/res/";
            if publish.topic.contains("/PUT/") {
                self.knows_csr(&publish.payload);
                return self.replies(At::Registered, Reply::new(PREFIX, 202, rid, &assigning()), mqtt).await;
            }
            let body = self.assigned(device);
            return self.replies(At::Assigned, Reply::new(PREFIX, 200, rid, &body), mqtt).await;
        }
        const PREFIX: &str = "$iothub/credentials/res/";
        let request: Value = serde_json::from_slice(&publish.payload).unwrap();
        let csr = decode_csr(request["csr"].as_str().unwrap()).unwrap();
        let accepted = json!({ "correlationId": "c", "operationExpires": "2030-01-01T00:00:00.000000000Z" });
        self.replies(At::Accepted, Reply::new(PREFIX, 202, rid, &accepted), mqtt).await?;
        let issued = json!({ "correlationId": "c", "certificates": self.service.issue(&csr, device) });
        self.replies(At::Issued, Reply::new(PREFIX, 200, rid, &issued), mqtt).await
    }
}

fn bytes(packet: &Packet) -> Vec<u8> {
    let mut bytes = BytesMut::new();
    encode(packet, &mut bytes).unwrap();
    bytes.to_vec()
}
