use bytes::{Bytes, BytesMut};

use super::registry::packet_id;
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

    /// Publishes an answer or a notification, whose acknowledgement means nothing. One whose topic is too long, as the
    /// request id in it was, cannot be published.
    pub(crate) fn publish(&mut self, topic: String, qos: QoS, payload: impl Into<Bytes>) {
        if topic.len() > usize::from(u16::MAX) {
            return;
        }
        let pkid = if qos == QoS::AtMostOnce { 0 } else { self.next_packet_id() };
        let payload = payload.into();
        self.push(&Packet::Publish(Publish { dup: false, qos, retain: false, topic, pkid, payload }));
    }

    /// Publishes at QoS 1 with a packet id of the caller's, by which it will know the acknowledgement.
    pub(crate) fn publish_as(&mut self, pkid: u16, dup: bool, topic: String, payload: impl Into<Bytes>) {
        let (qos, payload) = (QoS::AtLeastOnce, payload.into());
        self.push(&Packet::Publish(Publish { dup, qos, retain: false, topic, pkid, payload }));
    }

    /// What is to be written; the caller clears it.
    pub(crate) const fn bytes(&mut self) -> &mut BytesMut {
        &mut self.buffer
    }

    /// Bytes waiting.
    pub(crate) fn len(&self) -> usize {
        self.buffer.len()
    }

    /// A packet id. Answers are few at a time, so none is still in use after a whole round.
    const fn next_packet_id(&mut self) -> u16 {
        self.last_packet_id = packet_id::ANSWERS.after(self.last_packet_id);
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
    fn an_answer_whose_topic_does_not_fit_is_not_sent() {
        let mut out = Outbox::default();
        out.publish("t".repeat(65_536), QoS::AtMostOnce, "");
        assert_eq!(out.len(), 0);
        out.publish("t".repeat(65_535), QoS::AtLeastOnce, "");
        assert_eq!(out.len(), 65_543);
    }
}
