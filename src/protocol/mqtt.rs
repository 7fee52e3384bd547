//! MQTT 3.1.1 packets on a byte buffer: rumqttc's codec, with limits, with the checks of the standard that it leaves
//! out, and without its traps:
//!
//! * its size limit ignores the fixed header, and it reads CONNECT of MQTT 5 as if it were 3.1.1;
//! * it ignores header flags, reserved bits, packet id 0 and bytes after the last field;
//! * it takes a password without a user name, SUBSCRIBE's reserved bits and an UNSUBSCRIBE without filters;
//! * writing, it cuts lengths at 16 bits, leaves half a packet behind when it fails, and puts CONNECT's flags at an
//!   offset from the start of the buffer instead of the packet.
//!
//! Its `matches` panics on non-ASCII topics and never matches topics that begin with `$`: see
//! [`filter_matches`](crate::protocol::topic::filter_matches).

mod check;

use bytes::BytesMut;
pub use rumqttc::mqttbytes::v4::{
    ConnAck, Connect, ConnectReturnCode, LastWill, Login, Packet, PubAck, Publish, SubAck, Subscribe, SubscribeFilter,
    SubscribeReasonCode, UnsubAck, Unsubscribe,
};
use rumqttc::mqttbytes::{Error, check as find_frame};
pub use rumqttc::mqttbytes::{Protocol, QoS};

/// Largest packet of the DPS device endpoint in bytes: 96 KB (Microsoft Learn, "IoT Hub Device Provisioning Service
/// limits", message size).
pub const DPS_PACKET_LIMIT: usize = 96 * 1024;

/// Largest packet of the hub's device endpoint in bytes: a message of 256 KB and its topic (Microsoft Learn, "IoT Hub
/// quotas and throttling", device-to-cloud messaging).
pub const HUB_PACKET_LIMIT: usize = 256 * 1024 + u16::MAX as usize;

/// Why bytes are not a packet, or a packet cannot be written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PacketError {
    /// Larger than the limit.
    #[error("packet of {size} bytes is over the limit of {limit}")]
    TooLarge {
        /// Its size with its fixed header.
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

/// Takes the next whole packet out of `buffer`; `Ok(None)` when more bytes are needed. Never panics and reserves
/// nothing: what a peer announces costs no memory before it is sent. `limit` is the size of the whole packet in bytes.
/// After an error the stream is out of step and must be closed.
pub fn decode(buffer: &mut BytesMut, limit: usize) -> Result<Option<Packet>, PacketError> {
    let Some(&first) = buffer.first() else { return Ok(None) };
    check::first_byte(first)?;
    let frame = match find_frame(buffer.iter(), limit) {
        Ok(header) => header.frame_length(),
        Err(Error::InsufficientBytes(missing)) => {
            return within(buffer.len().saturating_add(missing), limit).map(|()| None);
        }
        Err(Error::PayloadSizeLimitExceeded(size)) => return Err(PacketError::TooLarge { size, limit }),
        Err(error) => return Err(malformed(&error)),
    };
    within(frame, limit)?;
    let header = check::header_length(buffer);
    let connect_flags = check::before(buffer.get(header..frame).unwrap_or_default(), first)?;
    match Packet::read(buffer, limit) {
        Ok(packet) => check::after(&packet, frame - header, connect_flags).map(|()| Some(packet)),
        Err(Error::InvalidProtocol | Error::InvalidProtocolLevel(_)) => Err(PacketError::ProtocolLevel),
        Err(error) => Err(malformed(&error)),
    }
}

/// Appends the bytes of `packet`, all of them or none.
pub fn encode(packet: &Packet, buffer: &mut BytesMut) -> Result<(), PacketError> {
    check::writable(packet)?;
    let before = buffer.len();
    let written = if let Packet::Connect(connect) = packet {
        // The codec patches CONNECT's flags at an offset from the start of its buffer, so it gets one that starts here.
        let mut own = BytesMut::with_capacity(connect.size());
        let written = connect.write(&mut own);
        buffer.unsplit(own);
        written
    } else {
        packet.write(buffer, usize::MAX)
    };
    written.map(|_| ()).map_err(|error| {
        buffer.truncate(before);
        malformed(&error)
    })
}

fn within(size: usize, limit: usize) -> Result<(), PacketError> {
    if size > limit { Err(PacketError::TooLarge { size, limit }) } else { Ok(()) }
}

fn malformed(error: &Error) -> PacketError {
    PacketError::Malformed(error.to_string())
}

#[cfg(test)]
mod tests;
