use std::sync::Arc;
use std::time::Duration;

use super::answer::Answer;
use super::attest::{Caller, Evidence, attest};
use super::caller::Introduction;
use super::register::{self, register};
use crate::emulator::core::Core;
use crate::emulator::counters::Event;
use crate::emulator::registry::Subscriptions;
use crate::emulator::registry::{Attested, DeviceLink};
use crate::emulator::transport::conversation::{AfterPacket, End, PeerChain, Refused, silence_allowed};
use crate::emulator::transport::outbox::Outbox;
use crate::protocol::mqtt::{Connect, ConnectReturnCode, Packet, Publish, QoS, Subscribe};
use crate::protocol::topic::{DpsRequest, DpsResponse, DpsUserName, filter_is_valid};

/// A device's MQTT connection with DPS.
///
/// As at the service, a CONNECT that makes sense is accepted, and whether its credential is good shows in the answer to
/// the registration (switch `dps.reject_at_connect`).
#[derive(Debug)]
pub(crate) struct DpsSession {
    caller: Caller,
    /// Set once the caller proved who it is.
    attested: Option<Attested>,
    subscriptions: Subscriptions,
    silence: Duration,
    link: DeviceLink,
}

impl DpsSession {
    /// Subscriptions that a device may hold; there is one filter that makes sense.
    const MAX_SUBSCRIPTIONS: usize = 5;

    /// Judges CONNECT and, if it is good, answers it.
    pub(crate) fn begin(
        core: &Core,
        connect: &Connect,
        name: &DpsUserName<'_>,
        peer: PeerChain,
        out: &mut Outbox,
    ) -> Result<Self, Refused> {
        let caller = Caller::new(Introduction {
            id_scope: name.id_scope,
            registration_id: name.registration_id,
            api_version: name.api_version,
            token: connect.login.as_ref().map_or("", |login| login.password.as_str()),
            certificates: peer,
        })
        .map_err(|_| Refused(ConnectReturnCode::BadUserNamePassword))?;
        if !connect.client_id.eq_ignore_ascii_case(&caller.registration_id) {
            return Err(Refused(ConnectReturnCode::BadClientId));
        }
        if let Evidence::Token(token) = &caller.evidence
            && token.se <= core.clock.unix_seconds()
        {
            return Err(Refused(ConnectReturnCode::NotAuthorized));
        }
        let attested = match core.config.dps.reject_at_connect {
            true => Some(attest(core, &caller).map_err(|_| Refused(ConnectReturnCode::NotAuthorized))?),
            false => None,
        };
        let silence = silence_allowed(connect.keep_alive);
        let subscriptions = Subscriptions::default();
        let mut session = Self { caller, attested: None, subscriptions, silence, link: DeviceLink::new() };
        match attested {
            Some(attested) => session.prove(core, attested),
            None => session.take_over(core),
        }
        core.tally.count(Event::DpsConnected);
        out.connack(ConnectReturnCode::Success, false);
        Ok(session)
    }

    /// Deals with a packet.
    pub(crate) fn packet(&mut self, core: &Arc<Core>, packet: Packet, out: &mut Outbox) -> AfterPacket {
        match packet {
            Packet::Publish(publish) => self.publish(core, &publish, out),
            Packet::Subscribe(subscribe) => self.subscribe(subscribe, out),
            Packet::Unsubscribe(unsubscribe) => {
                self.subscriptions.remove(&unsubscribe.topics);
                out.unsuback(unsubscribe.pkid);
                AfterPacket::Continue
            }
            Packet::PubAck(_) => AfterPacket::Continue,
            _ => AfterPacket::End(End::Violation),
        }
    }

    /// Somebody else connected with its client id, or not.
    pub(crate) fn woken(&self, core: &Core) -> AfterPacket {
        if core.registry.is_dps_session(&self.caller.registration_id, &self.link) {
            AfterPacket::Continue
        } else {
            AfterPacket::End(End::TakenOver)
        }
    }

    /// The caller proved who it is.
    fn prove(&mut self, core: &Core, attested: Attested) {
        if self.attested.replace(attested).is_none() {
            self.link.prove();
            self.take_over(core);
        }
    }

    /// A client has one session: an earlier one ends, unless it is better.
    fn take_over(&self, core: &Core) {
        let earlier = core.registry.begin_dps_session(&self.caller.registration_id, self.link.clone());
        if let Some(earlier) = earlier.filter(|earlier| *earlier != self.link) {
            earlier.wake();
        }
    }

    /// Clears up.
    pub(crate) fn end(&self, core: &Core) {
        core.registry.end_dps_session(&self.caller.registration_id, &self.link);
    }

    /// Whether it proved who it is.
    pub(crate) const fn authenticated(&self) -> bool {
        self.attested.is_some()
    }

    /// The longest silence allowed.
    pub(crate) const fn silence(&self) -> Duration {
        self.silence
    }

    /// By which others wake it.
    pub(crate) const fn link(&self) -> &DeviceLink {
        &self.link
    }

    fn subscribe(&mut self, subscribe: Subscribe, out: &mut Outbox) -> AfterPacket {
        let allowed = |path: &str| path.starts_with("$dps/registrations/") && filter_is_valid(path);
        if !subscribe.filters.iter().all(|filter| allowed(&filter.path)) {
            return AfterPacket::End(End::Violation);
        }
        let filters = subscribe.filters.into_iter();
        let codes = filters.map(|filter| self.subscriptions.grant(filter, Self::MAX_SUBSCRIPTIONS)).collect();
        out.suback(subscribe.pkid, codes);
        AfterPacket::Continue
    }

    fn publish(&mut self, core: &Arc<Core>, publish: &Publish, out: &mut Outbox) -> AfterPacket {
        let Ok(request) = DpsRequest::parse(&publish.topic) else { return AfterPacket::End(End::Violation) };
        match publish.qos {
            QoS::AtMostOnce => {}
            // Before the answer: the C# SDK gives up when anything else comes first.
            QoS::AtLeastOnce => out.puback(publish.pkid),
            QoS::ExactlyOnce => return AfterPacket::End(End::Violation),
        }
        let answer = match request {
            DpsRequest::Register { .. } => self.register(core, &publish.payload),
            DpsRequest::OperationStatus { operation_id, .. } => self.operation_status(core, operation_id),
        };
        let topic =
            DpsResponse { status: answer.status, rid: request.rid(), retry_after: answer.retry_after }.to_string();
        if let Some(qos) = self.subscriptions.qos(&topic) {
            out.publish_at(answer.due, topic, qos, answer.body);
        }
        AfterPacket::Continue
    }

    fn register(&mut self, core: &Arc<Core>, body: &[u8]) -> Answer {
        let (answer, attested) = register(core, &self.caller, body);
        if let Some(attested) = attested {
            self.prove(core, attested);
        }
        answer
    }

    fn operation_status(&mut self, core: &Core, operation_id: &str) -> Answer {
        if self.attested.is_none() {
            match attest(core, &self.caller) {
                Ok(attested) => self.prove(core, attested),
                Err(refusal) => return register::refuse(core, refusal),
            }
        }
        register::operation_status(core, &self.caller, operation_id)
    }
}
