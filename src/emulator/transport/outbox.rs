use std::collections::VecDeque;

use bytes::{Bytes, BytesMut};
use tokio::time::Instant;

use crate::emulator::packet_id;
use crate::protocol::mqtt::{
    self, ConnAck, ConnectReturnCode, Packet, PacketError, PubAck, Publish, QoS, SubAck, SubscribeReasonCode, UnsubAck,
};

/// What a session sends: packets are collected here and written in one go, so that an acknowledgement and the answer
/// that follows it share a TLS record.
#[derive(Debug, Default)]
pub(crate) struct Outbox {
    buffer: BytesMut,
    last_packet_id: u16,
    /// What is not to be sent yet, the next one first.
    later: VecDeque<(Instant, Packet)>,
}

impl Outbox {
    /// Above so many bytes the session writes before it reads on.
    const HIGH_WATER: usize = 64 * 1024;

    /// So many packets may wait for their time; a peer is not read from while there are more.
    const MAX_LATER: usize = 256;

    /// Answers CONNECT.
    pub(crate) fn connack(&mut self, code: ConnectReturnCode, session_present: bool) {
        self.push(&Packet::ConnAck(ConnAck { session_present, code }));
    }

    /// Acknowledges a PUBLISH of QoS 1; see [`Self::puback_at`].
    pub(crate) fn puback(&mut self, pkid: u16) {
        self.puback_at(None, pkid);
    }

    /// Acknowledges a PUBLISH of QoS 1, not before `due`, nor before those that came earlier (MQTT 3.1.1, section 4.6).
    pub(crate) fn puback_at(&mut self, due: Option<Instant>, pkid: u16) {
        let acknowledges = |(_, packet): &&(Instant, Packet)| matches!(packet, Packet::PubAck(_));
        let earlier = self.later.iter().rev().find(acknowledges).map(|(due, _)| *due);
        self.push_at(due.max(earlier), Packet::PubAck(PubAck { pkid }));
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
        self.publish_at(None, topic, qos, payload);
    }

    /// Publishes as [`Self::publish`] does, not before `due`.
    pub(crate) fn publish_at(&mut self, due: Option<Instant>, topic: String, qos: QoS, payload: impl Into<Bytes>) {
        if topic.len() > usize::from(u16::MAX) {
            return;
        }
        let pkid = if qos == QoS::AtMostOnce { 0 } else { self.next_packet_id() };
        let payload = payload.into();
        self.push_at(due, Packet::Publish(Publish { dup: false, qos, retain: false, topic, pkid, payload }));
    }

    /// Makes ready to write what is due.
    pub(crate) fn release(&mut self, now: Instant) {
        while let Some((_, packet)) = self.later.pop_front_if(|(due, _)| *due <= now) {
            self.push(&packet);
        }
    }

    /// When the next packet is due that waits for its time.
    pub(crate) fn next_due(&self) -> Option<Instant> {
        self.later.front().map(|(due, _)| *due)
    }

    /// Whether no more requests may be taken before some of what waits has been sent.
    pub(crate) fn is_full(&self) -> bool {
        self.later.len() >= Self::MAX_LATER
    }

    /// Takes back what was pushed since the outbox had `length` bytes, but for the PUBACK that came first.
    pub(crate) fn keep_puback_since(&mut self, length: usize) {
        const PUBACK: usize = 4;
        self.buffer.truncate(length + PUBACK);
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

    /// Whether so much waits that it is to be written before anything is added.
    pub(crate) fn is_above_high_water(&self) -> bool {
        self.buffer.len() > Self::HIGH_WATER
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

    /// Packets due at the same moment keep their order.
    fn push_at(&mut self, due: Option<Instant>, packet: Packet) {
        match due {
            None => self.push(&packet),
            Some(due) => {
                let place = self.later.partition_point(|(other, _)| *other <= due);
                self.later.insert(place, (due, packet));
            }
        }
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

    #[tokio::test(start_paused = true)]
    async fn packets_wait_for_their_time_and_acknowledgements_keep_their_order() {
        let (mut out, now) = (Outbox::default(), Instant::now());
        let after = |ms| now + std::time::Duration::from_millis(ms);
        out.puback_at(Some(after(20)), 1);
        out.puback(2);
        out.puback_at(Some(after(10)), 3);
        out.publish_at(Some(after(15)), "t".to_owned(), QoS::AtMostOnce, "");
        assert_eq!((out.len(), out.next_due()), (0, Some(after(15))));
        out.release(after(15));
        assert_eq!((out.len(), out.next_due()), (5, Some(after(20))));
        out.release(after(20));
        assert_eq!(&out.buffer[5..], [0x40, 2, 0, 1, 0x40, 2, 0, 2, 0x40, 2, 0, 3]);
    }

    #[test]
    fn an_answer_whose_topic_does_not_fit_is_not_sent() {
        let mut out = Outbox::default();
        out.publish("t".repeat(65_536), QoS::AtMostOnce, "");
        assert_eq!(out.len(), 0);
        out.publish("t".repeat(65_535), QoS::AtLeastOnce, "");
        assert_eq!(out.len(), 65_543);
    }

    #[test]
    fn answers_are_told_apart_by_their_packet_ids() {
        let mut out = Outbox::default();
        for expected in [1, 2] {
            out.publish("t".to_owned(), QoS::AtLeastOnce, "");
            let packet = mqtt::decode(out.bytes(), usize::MAX).unwrap();
            assert!(matches!(&packet, Some(Packet::Publish(publish)) if publish.pkid == expected), "{packet:?}");
        }
    }

    #[test]
    fn no_more_than_64_kib_wait_to_be_written_and_256_packets_for_their_time() {
        let (mut out, now) = (Outbox::default(), Instant::now());
        out.bytes().resize(65_536, 0);
        assert!(!out.is_above_high_water());
        out.bytes().resize(65_537, 0);
        assert!(out.is_above_high_water());
        for pkid in 1..=255 {
            out.puback_at(Some(now), pkid);
        }
        assert!(!out.is_full());
        out.puback_at(Some(now), 256);
        assert!(out.is_full());
    }
}
