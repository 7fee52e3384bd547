use std::fmt::Write;
use std::time::Duration;

use bytes::{Bytes, BytesMut};

use super::{Answer, Assignment, RegistrationFlow, RegistrationPolicy, RegistrationStep, Request};
use crate::domain::{AttemptFacts, Failure, FailureClass, Lateness, Phase};
use crate::protocol::flow::{AfterSend, Input, TimeLimits, packet_name, write_packet};
use crate::protocol::mqtt::{
    ConnAck, Connect, Login, Packet, Protocol, PubAck, Publish, QoS, SubAck, Subscribe, SubscribeReasonCode,
};
use crate::protocol::packet_ids::PacketIds;
use crate::protocol::topic::{DPS_RESPONSES, DpsRequest, DpsResponse, TopicError};
use crate::protocol::unasked::Unasked;
use crate::protocol::words::connack_failure;

/// What a device says to DPS.
#[derive(Clone)]
pub struct DpsSession {
    /// The registration id, which is the client id too.
    pub registration_id: String,
    /// The user name, see [`DpsUserName`](crate::protocol::topic::DpsUserName).
    pub user_name: String,
    /// The SAS token; empty with X.509 attestation, which sends no password.
    pub password: String,
    /// Keep-alive in seconds, 0 for none.
    pub keep_alive: u16,
    /// Body of the registration.
    pub body: Bytes,
}

/// A registration over MQTT: CONNECT, SUBSCRIBE, then requests as PUBLISH with QoS 1 and their answers.
///
/// Every method appends the packets to send to `out`; they are to be sent before the next packet is waited for. Packets
/// are told apart by their ids, not by their order, which differs from server to server.
pub struct MqttRegistration {
    session: DpsSession,
    core: RegistrationFlow,
    limits: TimeLimits,
    stage: SessionState,
    /// When CONNECT or SUBSCRIBE was sent.
    since: Duration,
    packet_ids: PacketIds,
    unasked: Unasked,
    request_id: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum SessionState {
    Connecting,
    Subscribing,
    Conversing,
}

impl MqttRegistration {
    /// A conversation not yet begun; `seed` decides all its random draws.
    pub fn new(session: DpsSession, policy: RegistrationPolicy, limits: TimeLimits, seed: u64) -> Self {
        Self {
            core: RegistrationFlow::new(&session.registration_id, policy, limits, seed),
            session,
            limits,
            stage: SessionState::Connecting,
            since: Duration::ZERO,
            packet_ids: PacketIds::default(),
            unasked: Unasked::default(),
            request_id: 0,
        }
    }

    /// Begins with CONNECT.
    pub fn begin(&mut self, now: Duration, out: &mut BytesMut) -> AfterSend<Assignment> {
        let connect = Connect {
            protocol: Protocol::V4,
            keep_alive: self.session.keep_alive,
            client_id: self.session.registration_id.clone(),
            clean_session: true,
            last_will: None,
            login: Some(Login::new(&*self.session.user_name, std::mem::take(&mut self.session.password))),
        };
        self.since = now;
        self.put(&Packet::Connect(connect), now, out)
    }

    /// Something happened.
    pub fn handle(&mut self, input: Input, now: Duration, out: &mut BytesMut) -> AfterSend<Assignment> {
        match input {
            Input::Packet(packet) => self.packet(packet, now, out),
            Input::Wake => self.wake(now, out),
            Input::Lost(failure) => self.fail(failure, now),
        }
    }

    /// The phase that it is in; none once it has ended.
    pub const fn phase(&self) -> Option<Phase> {
        match self.stage {
            SessionState::Connecting => Some(Phase::Connack),
            SessionState::Subscribing => Some(Phase::Suback),
            SessionState::Conversing => self.core.phase(),
        }
    }

    /// What it has found out so far; see [`RegistrationFlow::facts`].
    pub const fn facts(&self) -> &AttemptFacts {
        self.core.facts()
    }

    /// See [`RegistrationFlow::take_late`].
    pub const fn take_late(&mut self) -> Option<Lateness> {
        self.core.take_late()
    }

    fn packet(&mut self, packet: Packet, now: Duration, out: &mut BytesMut) -> AfterSend<Assignment> {
        match (self.stage, packet) {
            (SessionState::Connecting, Packet::ConnAck(connack)) => self.connected(&connack, now, out),
            // The first packet of a server (MQTT 3.1.1, section 3.2).
            (SessionState::Connecting, packet) => {
                self.breach(format!("DPS sent {} before CONNACK", packet_name(&packet)), now)
            }
            (SessionState::Subscribing, Packet::SubAck(suback)) => self.subscribed(&suback, now, out),
            (SessionState::Subscribing | SessionState::Conversing, Packet::Publish(publish)) => {
                self.published(&publish, now, out)
            }
            (_, Packet::PubAck(puback)) if !self.packet_ids.has_used(puback.pkid) => {
                self.breach("DPS acknowledged a packet that was never sent", now)
            }
            (_, Packet::PubAck(_) | Packet::PingResp) => self.unasked(now),
            (_, packet) => self.breach(format!("DPS sent {} out of turn", packet_name(&packet)), now),
        }
    }

    /// A packet that changes nothing.
    fn unasked(&mut self, now: Duration) -> AfterSend<Assignment> {
        match self.unasked.count("DPS") {
            Ok(()) => self.wait(),
            Err(failure) => self.fail(failure, now),
        }
    }

    /// DPS did what the protocol does not allow.
    fn breach(&mut self, what: impl Into<String>, now: Duration) -> AfterSend<Assignment> {
        self.fail(Failure::new(FailureClass::Protocol, what), now)
    }

    fn wake(&mut self, now: Duration, out: &mut BytesMut) -> AfterSend<Assignment> {
        match self.stage {
            SessionState::Connecting => self.fail(self.limits.failure("CONNACK of DPS", self.since, now), now),
            SessionState::Subscribing => self.fail(self.limits.failure("SUBACK of DPS", self.since, now), now),
            SessionState::Conversing => {
                let step = self.core.wake(now);
                self.follow(step, now, out)
            }
        }
    }

    fn fail(&mut self, failure: Failure, now: Duration) -> AfterSend<Assignment> {
        self.settle(now);
        match self.core.fail(failure, now) {
            RegistrationStep::Failed(failure) => AfterSend::Failed(failure),
            _ => self.wait(),
        }
    }

    /// Books the time since CONNECT or SUBSCRIBE was sent; what comes after them is the core's.
    fn settle(&mut self, now: Duration) {
        let phase = match self.stage {
            SessionState::Connecting => Phase::Connack,
            SessionState::Subscribing => Phase::Suback,
            SessionState::Conversing => return,
        };
        self.core.facts.phases.set(phase, now.saturating_sub(self.since));
    }

    fn connected(&mut self, connack: &ConnAck, now: Duration, out: &mut BytesMut) -> AfterSend<Assignment> {
        if let Some(failure) = connack_failure("DPS", connack.code) {
            return self.fail(failure, now);
        }
        self.settle(now);
        self.stage = SessionState::Subscribing;
        self.since = now;
        let pkid = self.packet_ids.advance();
        self.put(&Packet::Subscribe(Subscribe { pkid, ..Subscribe::new(DPS_RESPONSES, QoS::AtLeastOnce) }), now, out)
    }

    fn subscribed(&mut self, suback: &SubAck, now: Duration, out: &mut BytesMut) -> AfterSend<Assignment> {
        if suback.pkid != self.packet_ids.last() {
            return self.breach("DPS acknowledged a subscription that nobody made", now);
        }
        if suback.return_codes.len() != 1 {
            return self.breach("SUBACK of DPS has not one return code, as the subscription has one topic", now);
        }
        if suback.return_codes.contains(&SubscribeReasonCode::Failure) {
            let message = "DPS refused the subscription to its answers";
            return self.fail(Failure::new(FailureClass::Rejected, message), now);
        }
        self.settle(now);
        self.stage = SessionState::Conversing;
        let step = self.core.begin(now);
        self.follow(step, now, out)
    }

    fn published(&mut self, publish: &Publish, now: Duration, out: &mut BytesMut) -> AfterSend<Assignment> {
        if publish.qos == QoS::ExactlyOnce {
            return self.breach("DPS published with QoS 2, to which nobody subscribed", now);
        }
        if publish.qos == QoS::AtLeastOnce
            && let failed @ AfterSend::Failed(_) = self.put(&Packet::PubAck(PubAck::new(publish.pkid)), now, out)
        {
            return failed;
        }
        match DpsResponse::parse(&publish.topic) {
            Ok(DpsResponse { status, rid, retry_after })
                if self.core.is_asking() && rid.parse() == Ok(self.request_id) =>
            {
                let step = self.core.answer(Answer { status, retry_after, body: &publish.payload }, now);
                self.follow(step, now, out)
            }
            // Answers to earlier requests and other topics are acknowledged and left alone.
            Ok(_) | Err(TopicError::Unknown) => self.unasked(now),
            Err(error) => self.breach(format!("DPS answered on a topic that is none of its answers: {error}"), now),
        }
    }

    fn follow(&mut self, step: RegistrationStep, now: Duration, out: &mut BytesMut) -> AfterSend<Assignment> {
        match step {
            RegistrationStep::Send => {
                self.unasked.clear();
                self.request_id += 1;
                let pkid = self.packet_ids.advance();
                let (topic, payload) = self.request();
                let publish = Publish { pkid, ..Publish::from_bytes(topic, QoS::AtLeastOnce, payload) };
                self.put(&Packet::Publish(publish), now, out)
            }
            RegistrationStep::Pause => self.wait(),
            RegistrationStep::Done(assignment) => AfterSend::Done(assignment),
            RegistrationStep::Failed(failure) => AfterSend::Failed(failure),
        }
    }

    fn request(&self) -> (String, Bytes) {
        let mut rid = String::with_capacity(4);
        // Writing to a String cannot fail.
        let _ = write!(rid, "{}", self.request_id);
        match self.core.request() {
            Request::Register => (DpsRequest::Register { rid: &rid }.to_string(), self.session.body.clone()),
            Request::OperationStatus(operation_id) => {
                (DpsRequest::OperationStatus { rid: &rid, operation_id }.to_string(), Bytes::new())
            }
        }
    }

    fn put(&mut self, packet: &Packet, now: Duration, out: &mut BytesMut) -> AfterSend<Assignment> {
        match write_packet(packet, out) {
            Ok(()) => self.wait(),
            Err(failure) => self.fail(failure, now),
        }
    }

    fn wait(&self) -> AfterSend<Assignment> {
        let until = match self.stage {
            SessionState::Connecting | SessionState::Subscribing => self.limits.answer_until(self.since),
            SessionState::Conversing => self.core.wake_at(),
        };
        AfterSend::Read { until }
    }
}

#[cfg(test)]
impl MqttRegistration {
    pub(super) const fn request_id(&self) -> u32 {
        self.request_id
    }

    pub(super) const fn packet_id(&self) -> u16 {
        self.packet_ids.last()
    }

    pub(super) fn wake_at(&self) -> Duration {
        self.core.wake_at()
    }
}
