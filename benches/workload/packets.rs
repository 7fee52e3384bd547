//! The packets of one registration over MQTT.

use bytes::{Bytes, BytesMut};
use fleetstorm::protocol::mqtt::{
    ConnAck, Connect, ConnectReturnCode, Login, Packet, Protocol, PubAck, Publish, QoS, SubAck, Subscribe,
    SubscribeReasonCode, encode,
};
use fleetstorm::protocol::topic::{DPS_RESPONSES, DpsRequest, DpsResponse};

pub(crate) const OPERATION: &str = "5.afa73db6918a13a9.cf71e45a-b81b-437d-9b4f-6b4c574be43a";
pub(crate) const USER_NAME: &str =
    "0ne00000001/registrations/device-000001/api-version=2025-07-01-preview&ClientVersion=fleetstorm%2F0.1.0";

/// The answer to a registration, with a chain of the sizes that the service was seen to issue.
pub(crate) fn assigned() -> String {
    let certificate = |bytes: usize| "M".repeat(bytes.div_ceil(3) * 4);
    let chain = [1521, 1190, 547].map(certificate).join("\",\"");
    format!(
        r#"{{"operationId":"{OPERATION}","status":"assigned","registrationState":{{"symmetricKey":{{"enrollmentGroupId":"g"}},"registrationId":"device-000001","createdDateTimeUtc":"2020-04-10T03:11:13.0276997Z","assignedHub":"contoso.azure-devices.net","deviceId":"device-000001","status":"assigned","substatus":"initialAssignment","lastUpdatedDateTimeUtc":"2020-04-10T03:11:13.2096201Z","etag":"IjYx","issuedCertificateChain":["{chain}"]}}}}"#
    )
}

pub(crate) fn publish(pkid: u16, topic: String, payload: impl Into<Bytes>) -> Packet {
    Packet::Publish(Publish { pkid, ..Publish::from_bytes(topic, QoS::AtLeastOnce, payload.into()) })
}

/// What the device sends, then what the service sends.
pub(crate) fn conversation() -> (Vec<Packet>, Vec<Packet>) {
    let connect = Connect {
        protocol: Protocol::V4,
        keep_alive: 60,
        client_id: "device-000001".to_owned(),
        clean_session: true,
        last_will: None,
        login: Some(Login::new(USER_NAME, "x".repeat(160))),
    };
    let register = format!(r#"{{"registrationId":"device-000001","csr":"{}"}}"#, "M".repeat(284));
    let poll = DpsRequest::OperationStatus { rid: "2", operation_id: OPERATION }.to_string();
    let device = vec![
        Packet::Connect(connect),
        Packet::Subscribe(Subscribe { pkid: 1, ..Subscribe::new(DPS_RESPONSES, QoS::AtLeastOnce) }),
        publish(2, DpsRequest::Register { rid: "1" }.to_string(), register),
        Packet::PubAck(PubAck::new(1)),
        publish(3, poll, Bytes::new()),
        Packet::PubAck(PubAck::new(2)),
        Packet::Disconnect,
    ];
    let answer = |status, rid, retry_after| DpsResponse { status, rid, retry_after }.to_string();
    let service = vec![
        Packet::ConnAck(ConnAck::new(ConnectReturnCode::Success, false)),
        Packet::SubAck(SubAck::new(1, vec![SubscribeReasonCode::Success(QoS::AtLeastOnce)])),
        Packet::PubAck(PubAck::new(2)),
        publish(1, answer(202, "1", Some(3)), format!(r#"{{"operationId":"{OPERATION}","status":"assigning"}}"#)),
        Packet::PubAck(PubAck::new(3)),
        publish(2, answer(200, "2", None), assigned()),
    ];
    (device, service)
}

pub(crate) fn bytes(packets: &[Packet]) -> BytesMut {
    let mut buffer = BytesMut::with_capacity(16 * 1024);
    for packet in packets {
        encode(packet, &mut buffer).expect("valid packets");
    }
    buffer
}
