//! MQTT 3.1.1 packets on a byte buffer: rumqttc's codec, with limits and without its panics.

use bytes::BytesMut;
pub use rumqttc::mqttbytes::QoS;
pub use rumqttc::mqttbytes::v4::{
    ConnAck, Connect, ConnectReturnCode, LastWill, Login, Packet, PubAck, Publish, SubAck, Subscribe, SubscribeFilter,
    SubscribeReasonCode, UnsubAck, Unsubscribe,
};

/// Why bytes are not a packet.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PacketError {
    /// Larger than the limit.
    #[error("packet of {size} bytes is over the limit of {limit}")]
    TooLarge {
        /// Its size.
        size: usize,
        /// The limit.
        limit: usize,
    },
    /// CONNECT with another protocol name or level than `MQTT` 4 (answer: CONNACK 1).
    #[error("unacceptable protocol name or level")]
    ProtocolLevel,
    /// Anything else.
    #[error("malformed packet: {0}")]
    Malformed(String),
}

/// Takes the next whole packet out of `buffer`; `Ok(None)` when more bytes are needed. Never panics, never reserves
/// more than `limit` (bytes of the whole packet).
pub fn decode(_buffer: &mut BytesMut, _limit: usize) -> Result<Option<Packet>, PacketError> {
    todo!()
}

/// Appends the bytes of `packet`.
pub fn encode(_packet: &Packet, _buffer: &mut BytesMut) -> Result<(), PacketError> {
    todo!()
}
