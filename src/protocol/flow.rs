//! What conversations without I/O have in common: what they are told, what they ask for, how long they wait. Keep-alive
//! is not theirs but the session's that carries them.

use std::time::Duration;

use bytes::BytesMut;

use crate::domain::{Failure, FailureClass, FleetTime, TimeScale};
use crate::protocol::mqtt::{Packet, encode};

/// What happened.
#[derive(Debug)]
pub enum Input {
    /// A packet came.
    Packet(Packet),
    /// The time of [`AfterSend::Read`] came.
    Wake,
    /// The connection is of no more use.
    Lost(Failure),
}

/// What to do after sending the bytes that a conversation put out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AfterSend<T> {
    /// Wait for a packet, but not longer.
    Read {
        /// Time on the caller's clock.
        until: Duration,
    },
    /// It ended well. What was put out are acknowledgements; DISCONNECT is the caller's.
    Done(T),
    /// It failed.
    Failed(Failure),
}

/// Time limits of a conversation, and how fast its device lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TimeLimits {
    /// For each answer, from its request.
    pub answer: Duration,
    /// For the whole conversation, as a point on the caller's clock.
    pub deadline: Duration,
    /// How fast fleet time passes on it.
    pub scale: TimeScale,
}

impl TimeLimits {
    /// Until when an answer to a request sent at `since` is waited for.
    pub fn answer_until(&self, since: Duration) -> Duration {
        since.saturating_add(self.answer).min(self.deadline)
    }

    /// The failure when `what` did not come until `now`.
    pub fn failure(&self, what: &str, since: Duration, now: Duration) -> Failure {
        let message = if now >= self.deadline && now < since.saturating_add(self.answer) {
            format!("the attempt's time was up while waiting for the {what}")
        } else {
            format!("no {what} within {} s", self.answer.as_secs_f64())
        };
        Failure::new(FailureClass::Timeout, message)
    }
}

/// How long a device really waits before it sends a refused request again, when it is to wait for `wait`: never for no time at all,
/// so that none spins.
pub fn wait_after_refusal(wait: FleetTime, scale: TimeScale) -> Duration {
    match scale.to_real(wait) {
        Duration::ZERO => Duration::from_millis(1),
        wait => wait,
    }
}

/// Puts a packet out.
pub(crate) fn write_packet(packet: &Packet, out: &mut BytesMut) -> Result<(), Failure> {
    // Names of the peer's were looked at: only settings are left.
    encode(packet, out).map_err(|error| {
        let message = format!("cannot write {}: {error}", packet_name(packet));
        Failure::new(FailureClass::Configuration, message)
    })
}

/// The packet's name in the standard.
pub const fn packet_name(packet: &Packet) -> &'static str {
    match packet {
        Packet::Connect(_) => "CONNECT",
        Packet::ConnAck(_) => "CONNACK",
        Packet::Publish(_) => "PUBLISH",
        Packet::PubAck(_) => "PUBACK",
        Packet::PubRec(_) => "PUBREC",
        Packet::PubRel(_) => "PUBREL",
        Packet::PubComp(_) => "PUBCOMP",
        Packet::Subscribe(_) => "SUBSCRIBE",
        Packet::SubAck(_) => "SUBACK",
        Packet::Unsubscribe(_) => "UNSUBSCRIBE",
        Packet::UnsubAck(_) => "UNSUBACK",
        Packet::PingReq => "PINGREQ",
        Packet::PingResp => "PINGRESP",
        Packet::Disconnect => "DISCONNECT",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_ran_out_is_told_the_answer_or_the_attempt() {
        let limits =
            TimeLimits { answer: Duration::from_secs(10), deadline: Duration::from_secs(15), scale: TimeScale::REAL };
        let told = |since, now| limits.failure("CONNACK", Duration::from_secs(since), Duration::from_secs(now)).message;
        assert_eq!(told(0, 10), "no CONNACK within 10 s");
        assert_eq!(told(8, 15), "the attempt's time was up while waiting for the CONNACK");
        assert_eq!(told(5, 15), "no CONNACK within 10 s", "both at once: the answer had all of its time");
        assert_eq!(limits.answer_until(Duration::from_secs(8)), limits.deadline);
        assert_eq!(limits.answer_until(Duration::from_secs(2)), Duration::from_secs(12));
    }

    #[test]
    fn a_refused_device_really_waits_however_short_it_is_told_to() {
        let second = Duration::from_secs(1);
        let day = TimeScale::new(FleetTime::from_secs(86_400), second).unwrap();
        let waits = |fleet, scale| wait_after_refusal(fleet, scale);
        assert_eq!(waits(FleetTime::from_secs(30), TimeScale::REAL), 30 * second);
        assert_eq!(waits(FleetTime::from_secs(86_400), day), second);
        for none in [FleetTime::ZERO, FleetTime::from_nanos(86_399)] {
            assert_eq!(waits(none, day), Duration::from_millis(1), "{none}");
        }
    }

    #[test]
    fn packets_are_called_as_in_the_standard() {
        assert_eq!(
            [Packet::PingReq, Packet::PingResp, Packet::Disconnect].map(|packet| packet_name(&packet)),
            ["PINGREQ", "PINGRESP", "DISCONNECT"]
        );
    }
}
