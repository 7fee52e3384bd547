//! Answers of DPS and hub as text, so that every part of them can be wrong.

use fleetstorm::domain::Transport;
use serde_json::{Value, json};

/// An answer before it is put into a packet or into HTTP.
#[derive(Debug, Clone)]
pub(super) struct Reply {
    /// What topics of such answers begin with.
    pub(super) prefix: &'static str,
    pub(super) status: String,
    pub(super) rid: String,
    pub(super) retry_after: Option<String>,
    /// First byte of the PUBLISH: QoS 1, where nothing else is said.
    pub(super) publish: u8,
    pub(super) body: Vec<u8>,
}

impl Reply {
    pub(super) fn new(prefix: &'static str, status: u16, rid: &str, body: &Value) -> Self {
        let body = body.to_string().into_bytes();
        Self { prefix, status: status.to_string(), rid: rid.to_owned(), retry_after: None, publish: 0x32, body }
    }

    /// Changes its JSON.
    pub(super) fn edit(&mut self, change: impl FnOnce(&mut Value)) {
        let mut body = serde_json::from_slice(&self.body).expect("it was right so far");
        change(&mut body);
        self.body = body.to_string().into_bytes();
    }

    /// Another chain than the right one.
    pub(super) fn rechain(&mut self, change: impl FnOnce(&mut Vec<Value>)) {
        self.edit(|body| {
            let chain = match body.get("certificates") {
                Some(_) => &mut body["certificates"],
                None => &mut body["registrationState"]["issuedCertificateChain"],
            };
            change(chain.as_array_mut().expect("a chain"));
        });
    }

    /// As bytes.
    pub(super) fn bytes(&self, transport: Transport) -> Vec<u8> {
        let Self { prefix, status, rid, retry_after, publish, body } = self;
        if transport == Transport::Https {
            let wait = retry_after.as_ref().map(|wait| format!("Retry-After: {wait}\r\n")).unwrap_or_default();
            let length = body.len();
            let head = format!("HTTP/1.1 {status} So\r\n{wait}Content-Length: {length}\r\n\r\n");
            return [head.as_bytes(), body].concat();
        }
        let wait = retry_after.as_ref().map(|wait| format!("&retry-after={wait}")).unwrap_or_default();
        publish_packet(*publish, format!("{prefix}{status}/?$rid={rid}{wait}").as_bytes(), body)
    }
}

/// A PUBLISH with packet id 1, when its QoS has one.
pub(super) fn publish_packet(first: u8, topic: &[u8], payload: &[u8]) -> Vec<u8> {
    let id: &[u8] = if first & 0b110 == 0 { &[] } else { &[0, 1] };
    let length = u16::try_from(topic.len()).expect("a short topic").to_be_bytes();
    let body = [&length, topic, id, payload].concat();
    let mut packet = vec![first];
    let mut rest = body.len();
    loop {
        let digit = (rest % 128) as u8;
        rest /= 128;
        packet.push(if rest > 0 { digit | 0x80 } else { digit });
        if rest == 0 {
            break;
        }
    }
    packet.extend(body);
    packet
}

/// The first answer to a registration.
pub(super) fn assigning() -> Value {
    json!({ "operationId": "5.a.b", "status": "assigning" })
}

/// The last one.
pub(super) fn assigned(device: &str, hub: &str, chain: &[String]) -> Value {
    json!({ "operationId": "5.a.b", "status": "assigned", "registrationState": {
        "registrationId": device, "assignedHub": hub, "deviceId": device, "status": "assigned",
        "issuedCertificateChain": chain } })
}
