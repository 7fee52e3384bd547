//! The device's certificate renewal over a hub session: subscribe, ask, 202, 200 with the new chain.
//!
//! There is nothing to poll: the hub sends the chain when it has it, to whoever is subscribed. Source: the official SDKs
//! and Microsoft's tests of the service; Microsoft Learn's text about the topics is not what the service does.
//!
//! | state | event | next |
//! |---|---|---|
//! | asked | 202 | accepted |
//! | asked, accepted | 200 | done |
//! | asked | 409, when `replace_pending` | asked again with `replace`, at most 10 times |
//! | asked with `replace` | 412 | asked again without: the pending request ended by itself |
//! | asked, accepted | 429xxx, 500001, 503001 | paused, then asked again, at most `max_repeats` times |
//! | asked, accepted | any other refusal | failed |
//! | asked, accepted | silence | failed |

use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Duration;

use bytes::{Bytes, BytesMut};

use crate::domain::{AttemptFacts, DueStep, Failure, FailureClass, FleetTime, Lateness, Phase, TimeScale};
use crate::model::{Draws, Waits, once_more};
use crate::protocol::flow::{AfterSend, Input, packet_name, wait_after_refusal, write_packet};
use crate::protocol::mqtt::{Packet, PubAck, Publish, QoS, SubAck, Subscribe, SubscribeReasonCode};
use crate::protocol::packet_ids::PacketIds;
use crate::protocol::payload::{CertificateRequest, CertificatesIssued, RenewalError, decode_chain};
use crate::protocol::topic::{CREDENTIAL_RESPONSES, HubDelivery, HubRequest, TopicError};
use crate::protocol::unasked::Unasked;
use crate::protocol::words::plain_words;

/// How patient a renewal is. The defaults are those of the official SDKs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RenewalPolicy {
    /// From the subscription and from each request until the hub's first word.
    pub accept: Duration,
    /// From the 202 until the chain.
    pub issue: Duration,
    /// How long it waits when it is refused.
    pub waits: Waits,
    /// How often a request is repeated before the renewal fails. [`u16::MAX`]: without end.
    pub max_repeats: u16,
    /// Whether a request that is still pending is given up for this one.
    pub replace_pending: bool,
}

impl Default for RenewalPolicy {
    fn default() -> Self {
        Self {
            accept: Duration::from_secs(90),
            issue: Duration::from_secs(180),
            waits: Waits::default(),
            max_repeats: 10,
            replace_pending: true,
        }
    }
}

/// What a renewal asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RenewalRequest {
    /// Device id at the hub.
    pub device_id: String,
    /// Base64 of the new CSR in DER.
    pub csr: String,
    /// Packet ids that the session used; the renewal goes on from there.
    pub packet_ids: PacketIds,
    /// Whether the session is subscribed to the answers already.
    pub subscribed: bool,
}

/// A renewal. Appends the packets to send to `out`; they are to be sent before the next packet is waited for.
#[derive(Debug)]
pub struct RenewalFlow {
    request: RenewalRequest,
    policy: RenewalPolicy,
    deadline: Duration,
    scale: TimeScale,
    draws: Draws,
    /// Request ids follow from the CSR too: a hub answers an id that it knows with what it answered before, and the ids of an
    /// earlier run with the same seed may be known.
    rids: Draws,
    rid: String,
    /// The pending request that this one gives up.
    replace: Option<String>,
    state: State,
    unasked: Unasked,
    /// When the present state began.
    since: Duration,
    repeats: u16,
    replacements: u16,
    facts: AttemptFacts,
    /// Of the request that the end of a pause made due.
    late: Option<Lateness>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Subscribing,
    Asked,
    Accepted,
    Paused { until: Duration },
    Ended,
}

/// The new chain in DER, leaf first.
pub type IssuedChain = Vec<Vec<u8>>;

impl RenewalFlow {
    /// How often at most a pending request is given up for this one; there is no pause in between.
    const REPLACEMENTS: u16 = 10;

    /// A renewal not yet begun; `seed` decides its jitter, with the CSR its request ids. A wait that reaches `deadline` on the caller's
    /// clock, on which fleet time passes as fast as `scale` says, is not begun: the refusal that asks for it is final.
    pub fn new(
        request: RenewalRequest,
        policy: RenewalPolicy,
        deadline: Duration,
        scale: TimeScale,
        seed: u64,
    ) -> Self {
        let mut hasher = DefaultHasher::new();
        (seed, &request.csr).hash(&mut hasher);
        Self {
            request,
            policy,
            deadline,
            scale,
            draws: Draws::new(seed),
            rids: Draws::new(hasher.finish()),
            rid: String::new(),
            replace: None,
            state: State::Ended,
            unasked: Unasked::default(),
            since: Duration::ZERO,
            repeats: 0,
            replacements: 0,
            facts: AttemptFacts::default(),
            late: None,
        }
    }

    /// Begins by subscribing, or by asking when that was done before.
    pub fn begin(&mut self, now: Duration, out: &mut BytesMut) -> AfterSend<IssuedChain> {
        if self.request.subscribed {
            return self.ask(now, out);
        }
        self.enter(State::Subscribing, now);
        let pkid = self.request.packet_ids.advance();
        let subscribe = Subscribe { pkid, ..Subscribe::new(CREDENTIAL_RESPONSES, QoS::AtLeastOnce) };
        self.put(&Packet::Subscribe(subscribe), now, out)
    }

    /// Something happened. Packets that do not belong to the renewal are acknowledged and left alone.
    pub fn handle(&mut self, input: Input, now: Duration, out: &mut BytesMut) -> AfterSend<IssuedChain> {
        match (input, self.state) {
            (Input::Lost(failure), _) => self.fail(failure, now),
            (Input::Packet(Packet::SubAck(suback)), State::Subscribing) => self.subscribed(&suback, now, out),
            (Input::Packet(Packet::Publish(publish)), _) => self.published(&publish, now, out),
            (Input::Packet(Packet::PubAck(PubAck { pkid }) | Packet::SubAck(SubAck { pkid, .. })), _) => {
                self.acknowledged(pkid, now)
            }
            (Input::Packet(Packet::PingResp), _) => self.unasked(now),
            (Input::Packet(packet), _) => {
                self.breach(format!("the hub sent {} out of turn", packet_name(&packet)), now)
            }
            (Input::Wake, State::Paused { until }) if now >= until => {
                let late = Lateness { step: DueStep::Repeat, by: now.saturating_sub(until) };
                self.facts.did(late);
                self.late = Some(late);
                self.ask(now, out)
            }
            (Input::Wake, State::Paused { .. } | State::Ended) => self.wait(),
            (Input::Wake, state) => self.late(state, now),
        }
    }

    /// What it has found out so far. Phases are those of [`Self::phase`]; what a phase took that goes on is not in it yet.
    pub const fn facts(&self) -> &AttemptFacts {
        &self.facts
    }

    /// How late the request was that the end of a pause made due: once for each, after [`Self::handle`].
    pub const fn take_late(&mut self) -> Option<Lateness> {
        self.late.take()
    }

    /// Whether the session is subscribed to the answers by now.
    pub const fn is_subscribed(&self) -> bool {
        self.request.subscribed
    }

    /// Packet ids used on the session.
    pub const fn packet_ids(&self) -> PacketIds {
        self.request.packet_ids
    }

    /// A packet that changes nothing.
    fn unasked(&mut self, now: Duration) -> AfterSend<IssuedChain> {
        match self.unasked.count("the hub") {
            Ok(()) => self.wait(),
            Err(failure) => self.fail(failure, now),
        }
    }

    /// The hub did what the protocol does not allow.
    fn breach(&mut self, what: impl Into<String>, now: Duration) -> AfterSend<IssuedChain> {
        self.fail(Failure::new(FailureClass::Protocol, what), now)
    }

    /// The hub acknowledged something else than the present subscription.
    fn acknowledged(&mut self, id: u16, now: Duration) -> AfterSend<IssuedChain> {
        if self.request.packet_ids.has_used(id) {
            self.unasked(now)
        } else {
            self.breach("the hub acknowledged a packet that was never sent", now)
        }
    }

    fn subscribed(&mut self, suback: &SubAck, now: Duration, out: &mut BytesMut) -> AfterSend<IssuedChain> {
        if suback.pkid != self.request.packet_ids.last() {
            return self.acknowledged(suback.pkid, now);
        }
        if suback.return_codes.len() != 1 {
            return self.breach("SUBACK of the hub has not one return code, as the subscription has one topic", now);
        }
        if suback.return_codes.contains(&SubscribeReasonCode::Failure) {
            let message = "the hub refused the subscription to renewal answers";
            return self.fail(Failure::new(FailureClass::Rejected, message), now);
        }
        self.request.subscribed = true;
        self.ask(now, out)
    }

    fn ask(&mut self, now: Duration, out: &mut BytesMut) -> AfterSend<IssuedChain> {
        self.enter(State::Asked, now);
        self.unasked.clear();
        // Nine digits, as the ids that the service was seen with.
        self.rid = format!("{:.0}", 100_000_000.0 + (self.rids.draw() * 899_999_999.0).floor());
        let body = CertificateRequest {
            id: self.request.device_id.as_str().into(),
            csr: self.request.csr.as_str().into(),
            replace: self.replace.as_deref().map(Into::into),
        }
        .to_body();
        let topic = HubRequest::IssueCertificate { rid: Some(&self.rid) }.to_string();
        let pkid = self.request.packet_ids.advance();
        let publish = Publish { pkid, ..Publish::from_bytes(topic, QoS::AtLeastOnce, Bytes::from(body)) };
        self.put(&Packet::Publish(publish), now, out)
    }

    fn published(&mut self, publish: &Publish, now: Duration, out: &mut BytesMut) -> AfterSend<IssuedChain> {
        if publish.qos == QoS::ExactlyOnce {
            return self.breach("the hub published with QoS 2, to which nobody subscribed", now);
        }
        if publish.qos == QoS::AtLeastOnce
            && let failed @ AfterSend::Failed(_) = self.put(&Packet::PubAck(PubAck::new(publish.pkid)), now, out)
        {
            return failed;
        }
        let waiting = matches!(self.state, State::Asked | State::Accepted);
        match HubDelivery::parse(&publish.topic) {
            Ok(HubDelivery::Credential { status, rid }) if waiting && rid == self.rid => match status {
                202 => {
                    if self.state == State::Asked {
                        self.enter(State::Accepted, now);
                    }
                    self.wait()
                }
                200..=299 => self.issued(&publish.payload, now),
                0..200 => self.breach(format!("the hub answered with status {status}, which is no final one"), now),
                _ => self.refused(status, &publish.payload, now, out),
            },
            Ok(_) | Err(TopicError::Unknown) => self.unasked(now),
            Err(error) => self.breach(format!("the hub published on a topic that is none of its own: {error}"), now),
        }
    }

    fn issued(&mut self, body: &[u8], now: Duration) -> AfterSend<IssuedChain> {
        let issued = match CertificatesIssued::parse(body) {
            Ok(issued) => issued,
            Err(error) => {
                // What is not as expected may be named, and is the hub's own text then.
                let words = plain_words(&format!("answer of the hub: {error}"), &self.request.device_id);
                return self.breach(words, now);
            }
        };
        match decode_chain(&issued.certificates) {
            Ok(chain) => {
                self.enter(State::Ended, now);
                AfterSend::Done(chain)
            }
            Err(error) => self.fail(Failure::new(FailureClass::Verification, error.to_string()), now),
        }
    }

    fn refused(&mut self, status: u16, body: &[u8], now: Duration, out: &mut BytesMut) -> AfterSend<IssuedChain> {
        let error = RenewalError::parse(body).unwrap_or_else(|| RenewalError {
            error_code: status.into(),
            message: "the hub refused without an error code".into(),
            ..RenewalError::default()
        });
        self.facts.refused(status, error.retry_after);
        if once_more(self.repeats, self.policy.max_repeats) {
            self.repeats = self.repeats.saturating_add(1);
            match (status, error.error_code) {
                (409, _) if self.policy.replace_pending && self.replacements < Self::REPLACEMENTS => {
                    self.replacements += 1;
                    let pending = error.info.as_ref().and_then(|info| info.request_id.as_deref());
                    // What is no request id, the hub would not take.
                    let pending = pending.filter(|id| CertificateRequest::is_request_id(id));
                    self.replace = Some(pending.unwrap_or("*").to_owned());
                    return self.ask(now, out);
                }
                (412, _) if self.replace.take().is_some() => return self.ask(now, out),
                (429, _) | (_, 500_001 | 503_001) => {
                    let wait = self.policy.waits.after(error.retry_after, &mut self.draws);
                    let until = now.saturating_add(wait_after_refusal(wait, self.scale));
                    if until < self.deadline {
                        self.enter(State::Paused { until }, now);
                        return self.wait();
                    }
                }
                _ => {}
            }
        }
        self.facts.retry_after = error.retry_after.map(|seconds| FleetTime::from_secs(seconds.into()));
        let class = if status == 429 { FailureClass::Throttled } else { FailureClass::Rejected };
        let detail = error.info.as_ref().and_then(|info| info.credential_message.as_deref());
        let words = match detail {
            Some(detail) => format!("{} ({detail})", &*error.message),
            None => error.message.to_string(),
        };
        let message = plain_words(&words, &self.request.device_id);
        self.fail(Failure { class, code: error.error_code, message }, now)
    }

    fn late(&mut self, state: State, now: Duration) -> AfterSend<IssuedChain> {
        let (what, limit) = match state {
            State::Subscribing => ("SUBACK of the hub", self.policy.accept),
            State::Accepted => ("chain after the hub accepted the renewal", self.policy.issue),
            _ => ("answer to the renewal", self.policy.accept),
        };
        let message = format!("no {what} within {} s", limit.as_secs_f64());
        self.fail(Failure::new(FailureClass::Timeout, message), now)
    }

    fn fail(&mut self, failure: Failure, now: Duration) -> AfterSend<IssuedChain> {
        self.enter(State::Ended, now);
        AfterSend::Failed(failure)
    }

    /// The phase that it is in; none while it subscribes or waits to ask again, and once it has ended.
    pub const fn phase(&self) -> Option<Phase> {
        match self.state {
            State::Asked => Some(Phase::RenewAccept),
            State::Accepted => Some(Phase::RenewIssue),
            State::Subscribing | State::Paused { .. } | State::Ended => None,
        }
    }

    /// Goes to another state and books the time in the one before.
    fn enter(&mut self, state: State, now: Duration) {
        if let Some(phase) = self.phase() {
            self.facts.phases.add(phase, now.saturating_sub(self.since));
        }
        self.state = state;
        self.since = now;
    }

    fn put(&mut self, packet: &Packet, now: Duration, out: &mut BytesMut) -> AfterSend<IssuedChain> {
        match write_packet(packet, out) {
            Ok(()) => self.wait(),
            Err(failure) => self.fail(failure, now),
        }
    }

    fn wait(&self) -> AfterSend<IssuedChain> {
        let until = match self.state {
            State::Subscribing | State::Asked => self.since.saturating_add(self.policy.accept),
            State::Accepted => self.since.saturating_add(self.policy.issue),
            State::Paused { until } => until,
            State::Ended => Duration::MAX,
        };
        AfterSend::Read { until }
    }
}

#[cfg(test)]
mod tests;
