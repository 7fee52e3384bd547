//! Below TLS: what is no handshake, or half of one.

use std::sync::Arc;

use fleetstorm::domain::{CryptoProvider, TlsVersions};
use fleetstorm::pki::issuing_ca::RootCa;
use fleetstorm::pki::tls::ClientTls;
use rustls::ClientConnection;

use super::tool::{Case, Door, Step, cut_at_every_byte};

/// What a client says first.
fn hello() -> Vec<u8> {
    let root = RootCa::for_servers("nobody", std::time::SystemTime::now()).unwrap();
    let tls = ClientTls::new(&[root.der().to_vec()], TlsVersions::Any, CryptoProvider::AwsLc).unwrap();
    let mut client = ClientConnection::new(Arc::clone(&tls.anonymous()), "localhost".try_into().unwrap()).unwrap();
    let mut bytes = Vec::new();
    client.write_tls(&mut bytes).unwrap();
    bytes
}

pub(super) fn cases() -> Vec<Case> {
    let hello = hello();
    let changed = |at: usize, value: u8| {
        let mut bytes = hello.clone();
        bytes[at] = value;
        bytes
    };
    let single: Vec<Vec<Step>> = vec![
        vec![],
        vec![Step::HalfClose],
        vec![Step::Send(vec![0; 100])],
        vec![Step::Send(vec![0xff; 70_000])],
        vec![Step::Send(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n".to_vec())],
        vec![Step::Send(b"\x10\x0c\x00\x04MQTT\x04\x02\x00\x3c\x00\x00".to_vec())],
        // A record of 65,535 bytes, and one that never comes whole.
        vec![Step::Send(b"\x16\x03\x01\xff\xff".to_vec()), Step::Flood(vec![1; 1000], 100)],
        vec![Step::Send(b"\x16\x03\x01\x02\x00\x01".to_vec())],
        // A message of 16 MB in records.
        vec![Step::Flood([&b"\x16\x03\x01\x40\x00\x01\xff\xff\xff"[..], &[0; 16_380]].concat(), 64)],
        // Records of nothing, alerts, changes of cipher that nobody asked for.
        vec![Step::Flood(b"\x16\x03\x03\x00\x00".to_vec(), 10_000)],
        vec![Step::Flood(b"\x15\x03\x03\x00\x02\x01\x5a".to_vec(), 10_000)],
        vec![Step::Send(hello.clone()), Step::Flood(b"\x14\x03\x03\x00\x01\x01".to_vec(), 10_000)],
        vec![Step::Send(b"\x80\x2e\x01\x00\x02\x00\x15\x00\x00\x00\x10".to_vec())],
        // TLS 1.0, a version that is none, a hello that lies about its length.
        vec![Step::Send(changed(10, 1))],
        vec![Step::Send(changed(1, 9))],
        vec![Step::Send(changed(8, 0xff))],
        vec![Step::Send(changed(43, 0xff))],
        vec![Step::Send(hello.clone()), Step::Read],
        vec![Step::Send(hello.clone()), Step::HalfClose],
        vec![Step::Send(hello.clone()), Step::Send(hello.clone())],
        vec![Step::Send(hello.clone()), Step::Read, Step::Send(b"\x17\x03\x03\x00\x20".to_vec())],
        vec![Step::Crumbs(hello.clone())],
    ];
    let both = [Door::MqttTcp, Door::HttpsTcp];
    let single = single.into_iter().flat_map(|steps| both.map(|door| Case::new(door, steps.clone())));
    single.chain(cut_at_every_byte(Door::MqttTcp, &hello)).collect()
}
