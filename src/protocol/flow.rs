//! What conversations without I/O have in common: what they are told, what they ask for, how long they wait. Keep-alive
//! is not theirs but the session's that carries them.

use std::time::Duration;

use rand::RngExt;

use crate::domain::{Failure, FailureClass, rng};
use crate::protocol::mqtt::Packet;

/// What happened.
#[derive(Debug)]
pub enum Input {
    /// A packet came.
    Packet(Packet),
    /// The time of [`Next::Read`] came.
    Wake,
    /// The connection is of no more use.
    Lost(Failure),
}

/// What to do after sending the bytes that a conversation put out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Next<T> {
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

/// Time limits of a conversation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// For each answer, from its request.
    pub answer: Duration,
    /// For the whole conversation, as a point on the caller's clock.
    pub deadline: Duration,
}

impl Limits {
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

/// How long a device waits before it asks again.
#[derive(Debug, Clone, Copy)]
pub(super) struct Waits {
    /// Real length of a second of the service.
    pub(super) second: Duration,
    pub(super) honours_retry_after: bool,
    /// Seconds above which a retry-after is not believed.
    pub(super) longest_retry_after: u32,
    pub(super) default_wait: Duration,
    pub(super) jitter: Duration,
    pub(super) jitter_on_retry_after: bool,
}

impl Waits {
    /// The wait after an answer that named `retry_after` seconds, or none.
    pub(super) fn after(&self, retry_after: Option<u32>, draws: &mut Draws) -> Duration {
        let believed = |seconds: &u32| self.honours_retry_after && *seconds <= self.longest_retry_after;
        match retry_after.filter(believed) {
            Some(seconds) if self.jitter_on_retry_after => self.real(seconds).saturating_add(self.random(draws)),
            Some(seconds) => self.real(seconds),
            None => self.default_wait.saturating_add(self.random(draws)),
        }
    }

    /// The wait before a refused request goes out again: never none at all, so that no device spins.
    pub(super) fn after_refusal(&self, retry_after: Option<u32>, draws: &mut Draws) -> Duration {
        match self.after(retry_after, draws) {
            Duration::ZERO => Duration::from_millis(1),
            wait => wait,
        }
    }

    /// How long those seconds of the service really take.
    pub(super) const fn real(&self, seconds: u32) -> Duration {
        self.second.saturating_mul(seconds)
    }

    fn random(&self, draws: &mut Draws) -> Duration {
        self.jitter.mul_f64(draws.draw())
    }
}

/// Whether something may be done once more that was `done` so often; `most` of [`u16::MAX`] is without end.
pub(super) const fn once_more(done: u16, most: u16) -> bool {
    most == u16::MAX || done < most
}

/// A device's random draws: the same seed gives the same draws, wherever and whenever they are made.
#[derive(Debug, Clone)]
pub struct Draws {
    seed: u64,
    made: u64,
}

impl Draws {
    /// Those of a device.
    pub const fn new(seed: u64) -> Self {
        Self { seed, made: 0 }
    }

    /// The next one, from 0 (included) to 1 (not included). Draws are rare, so that no generator is kept.
    pub fn draw(&mut self) -> f64 {
        self.made += 1;
        rng(self.seed, "draw", self.made).random()
    }
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
        let limits = Limits { answer: Duration::from_secs(10), deadline: Duration::from_secs(15) };
        let told = |since, now| limits.failure("CONNACK", Duration::from_secs(since), Duration::from_secs(now)).message;
        assert_eq!(told(0, 10), "no CONNACK within 10 s");
        assert_eq!(told(8, 15), "the attempt's time was up while waiting for the CONNACK");
        assert_eq!(told(5, 15), "no CONNACK within 10 s", "both at once: the answer had all of its time");
        assert_eq!(limits.answer_until(Duration::from_secs(8)), limits.deadline);
        assert_eq!(limits.answer_until(Duration::from_secs(2)), Duration::from_secs(12));
    }

    #[test]
    fn packets_are_called_as_in_the_standard() {
        assert_eq!(
            [Packet::PingReq, Packet::PingResp, Packet::Disconnect].map(|packet| packet_name(&packet)),
            ["PINGREQ", "PINGRESP", "DISCONNECT"]
        );
    }

    #[test]
    fn without_end_is_more_than_any_number() {
        assert!(once_more(0, 1) && !once_more(1, 1) && !once_more(0, 0));
        assert!(
            once_more(u16::MAX - 1, u16::MAX) && once_more(u16::MAX, u16::MAX) && !once_more(u16::MAX, u16::MAX - 1)
        );
    }
}
