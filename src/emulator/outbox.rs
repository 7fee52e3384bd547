use bytes::{Bytes, BytesMut};

use crate::protocol::mqtt::{
    self, ConnAck, ConnectReturnCode, Packet, PacketError, PubAck, Publish, QoS, SubAck, SubscribeReasonCode, UnsubAck,
};

/// What a session sends: packets are collected here and written in one go, so that an acknowledgement and the answer
/// that follows it share a TLS record.
#[derive(Debug, Default)]
pub(crate) struct Outbox {
    buffer: BytesMut,
    last_packet_id: u16,
}

impl Outbox {
    /// Above so many bytes the session writes before it reads on.
    pub(crate) const HIGH_WATER: usize = 64 * 1024;

    /// Answers CONNECT.
    pub(crate) fn connack(&mut self, code: ConnectReturnCode, session_present: bool) {
        self.push(&Packet::ConnAck(ConnAck { session_present, code }));
    }

    /// Acknowledges a PUBLISH of QoS 1.
    pub(crate) fn puback(&mut self, pkid: u16) {
        self.push(&Packet::PubAck(PubAck { pkid }));
    }

    /// Answers SUBSCRIBE.
    pub(crate) fn suback(&mut self, pkid: u16, return_codes: Vec<SubscribeReasonCode>) {
        self.push(&Packet::SubAck(SubAck { pkid, return_codes }));
    }

    /// Answers UNSUBSCRIBE.
    pub(crate) fn unsuback(&mut self, pkid: u16) {
        self.push(&Packet::UnsubAck(UnsubAck { pkid }));
    }

    /// Answers PINGREQ.
    pub(crate) fn pingresp(&mut self) {
        self.push(&Packet::PingResp);
    }

    /// Publishes to the device.
    pub(crate) fn publish(&mut self, topic: String, qos: QoS, payload: impl Into<Bytes>) {
        let pkid = if qos == QoS::AtMostOnce { 0 } else { self.next_packet_id() };
        let payload = payload.into();
        self.push(&Packet::Publish(Publish { dup: false, qos, retain: false, topic, pkid, payload }));
    }

    /// What is to be written; the caller clears it.
    pub(crate) const fn bytes(&mut self) -> &mut BytesMut {
        &mut self.buffer
    }

    /// Bytes waiting.
    pub(crate) fn len(&self) -> usize {
        self.buffer.len()
    }

    /// A packet id that is not zero. Only answers are published, a few at a time, so none is still in use after a whole
    /// round.
    const fn next_packet_id(&mut self) -> u16 {
        self.last_packet_id = match self.last_packet_id {
            u16::MAX => 1,
            id => id + 1,
        };
        self.last_packet_id
    }

    fn push(&mut self, packet: &Packet) {
        if let Err(error) = mqtt::encode(packet, &mut self.buffer) {
            // Every packet is built here from parts that fit: texts come from packets that came in.
            debug_assert!(matches!(error, PacketError::TooLarge { .. }), "{error}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packet_ids_go_round_without_zero() {
        let mut out = Outbox { last_packet_id: u16::MAX - 1, ..Outbox::default() };
        assert_eq!([out.next_packet_id(), out.next_packet_id()], [u16::MAX, 1]);
    }
}
