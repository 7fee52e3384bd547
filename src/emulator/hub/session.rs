use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::time::Instant;

use super::connect::{self, Proof};
use super::limits::{MAX_METHOD_PAYLOAD, MAX_TELEMETRY, message_size};
use super::{methods, renewal, subscriptions, telemetry, twin};
use crate::emulator::core::Core;
use crate::emulator::counters::Event;
use crate::emulator::registry::{Device, DeviceLink, DeviceState};
use crate::emulator::service_model::{QueueFull, ServiceStep};
use crate::emulator::transport::conversation::{AfterPacket, End, PeerChain, Refused, silence_allowed};
use crate::emulator::transport::outbox::Outbox;
use crate::protocol::mqtt::{Connect, ConnectReturnCode, LastWill, Packet, Publish, QoS, Subscribe};
use crate::protocol::topic::{HubRequest, HubUserName};

/// A device's MQTT connection with its hub.
#[derive(Debug)]
pub(crate) struct HubSession {
    device: Arc<Device>,
    proof: Proof,
    silence: Duration,
    link: DeviceLink,
    /// Published when the device leaves without a word.
    will: Option<Box<LastWill>>,
    /// Its API version knows certificate renewal.
    renews: bool,
}

impl HubSession {
    /// Whether CONNECT is good, as far as can be said now.
    pub(crate) fn would_begin(core: &Core, connect: &Connect, name: &HubUserName<'_>, peer: &PeerChain) -> bool {
        connect::authorize(core, connect, name, peer).is_ok()
    }

    /// Judges CONNECT and, if it is good, answers it. A device has one connection: an earlier one ends.
    pub(crate) fn begin(
        core: &Core,
        connect: &Connect,
        name: &HubUserName<'_>,
        peer: &PeerChain,
        out: &mut Outbox,
    ) -> Result<Self, Refused> {
        let (device, proof) = connect::authorize(core, connect, name, peer)?;
        let session = Self {
            device,
            proof,
            silence: silence_allowed(connect.keep_alive),
            link: DeviceLink::new(),
            will: connect.last_will.as_ref().map(|will| Box::new(own(will))),
            renews: renewal::is_known_to(name.api_version.unwrap_or_default()),
        };
        session.device.with(|state| {
            let (earlier, present) = state.begin_session(session.link.clone(), connect.clean_session);
            if let Some(earlier) = earlier {
                earlier.wake();
            }
            out.connack(ConnectReturnCode::Success, present);
            if present {
                session.deliver(core, state, out);
            }
        });
        core.tally.count(Event::HubConnected);
        if core.faults.is_any() {
            // Whoever ends all sessions may have looked just before this one was there: it looks for itself.
            session.link.wake();
        }
        Ok(session)
    }

    /// Deals with a packet.
    pub(crate) fn packet(&mut self, core: &Arc<Core>, packet: Packet, out: &mut Outbox) -> AfterPacket {
        match packet {
            Packet::Publish(publish) => self.publish(core, &publish, out),
            Packet::Subscribe(subscribe) => self.subscribe(core, subscribe, out),
            Packet::Unsubscribe(unsubscribe) => {
                self.device.with(|state| state.subscriptions.remove(&unsubscribe.topics));
                out.unsuback(unsubscribe.pkid);
                AfterPacket::Continue
            }
            Packet::PubAck(ack) => {
                self.device.with(|state| acknowledged(state, ack.pkid));
                AfterPacket::Continue
            }
            _ => AfterPacket::End(End::Violation),
        }
    }

    /// Something about its device changed.
    pub(crate) fn woken(&self, core: &Core, out: &mut Outbox) -> AfterPacket {
        self.device.with(|state| {
            if self.link.is_cut() {
                AfterPacket::End(End::Injected)
            } else if core.faults.hub_outage(Instant::now()).is_some() {
                // It was let in while those before it were cut.
                core.tally.count(Event::FaultDisconnected);
                AfterPacket::End(End::Injected)
            } else if state.session.as_ref() != Some(&self.link) {
                AfterPacket::End(End::TakenOver)
            } else if self.proof.is_of_ended_authority(core) {
                core.tally.count(Event::FaultDisconnected);
                AfterPacket::End(End::Dismissed)
            } else if !self.proof.stands(state) {
                AfterPacket::End(End::Dismissed)
            } else {
                self.deliver(core, state, out);
                AfterPacket::Continue
            }
        })
    }

    /// Clears up.
    pub(crate) fn end(&self, core: &Core, end: End) {
        self.device.with(|state| state.end_session(&self.link));
        if let Some(will) = self.will.as_deref().filter(|_| end != End::Left) {
            telemetry::receive_will(core, &self.device, will);
        }
    }

    /// The longest silence allowed.
    pub(crate) const fn silence(&self) -> Duration {
        self.silence
    }

    /// When its token runs out, and the session with it, as far as the wall clock can tell now.
    pub(crate) fn expiry(&self, core: &Core) -> Option<Instant> {
        match self.proof {
            Proof::Token(expiry) => expiry.and_then(|expiry| core.clock.when(expiry)),
            Proof::Certificate(..) | Proof::Thumbprint => None,
        }
    }

    /// By which others wake it.
    pub(crate) const fn link(&self) -> &DeviceLink {
        &self.link
    }

    /// Sends what waits for the device and is subscribed to.
    fn deliver(&self, core: &Core, state: &mut DeviceState, out: &mut Outbox) {
        methods::deliver(core, state, out);
        twin::deliver(state, out);
        renewal::deliver(core, state, out);
        let all = super::messages::deliver(core, state, out);
        if !all {
            // More than should be held in memory: after it was written, the rest.
            self.link.wake();
        }
    }

    fn subscribe(&self, core: &Core, subscribe: Subscribe, out: &mut Outbox) -> AfterPacket {
        let pkid = subscribe.pkid;
        let Some(codes) = subscriptions::subscribe(core, &self.device, subscribe, self.renews) else {
            return AfterPacket::End(End::Violation);
        };
        out.suback(pkid, codes);
        self.device.with(|state| self.deliver(core, state, out));
        AfterPacket::Continue
    }

    fn publish(&self, core: &Arc<Core>, publish: &Publish, out: &mut Outbox) -> AfterPacket {
        // Before PUBACK: what was acknowledged the device need not send again.
        let Some(request) = self.permitted(publish) else { return AfterPacket::End(End::Violation) };
        let due = match &request {
            HubRequest::Telemetry { .. } => match core.model.admit(ServiceStep::Telemetry, Instant::now()) {
                Ok(due) => due,
                Err(QueueFull) => return AfterPacket::End(End::Throttled),
            },
            _ => None,
        };
        if publish.qos == QoS::AtLeastOnce {
            out.puback_at(due, publish.pkid);
        }
        match request {
            HubRequest::Telemetry { properties, .. } => {
                telemetry::receive(core, &self.device, properties, &publish.payload, publish.retain);
            }
            HubRequest::TwinGet { rid } => twin::get(core, &self.device, rid, out),
            HubRequest::TwinPatch { rid } => twin::patch(core, &self.device, rid, &publish.payload, out),
            HubRequest::MethodResult { status, rid } => methods::answer(&self.device, status, rid, &publish.payload),
            HubRequest::IssueCertificate { rid } => renewal::request(core, &self.device, rid, &publish.payload, out),
        }
        AfterPacket::Continue
    }

    /// What a PUBLISH asks for, if the hub takes it: a device may speak for itself only, of what its API version has, not at
    /// QoS 2, and not too long.
    fn permitted<'a>(&self, publish: &'a Publish) -> Option<HubRequest<'a>> {
        let request = HubRequest::parse(&publish.topic).ok().filter(|_| publish.qos != QoS::ExactlyOnce)?;
        let permitted = match request {
            HubRequest::Telemetry { device_id, properties } => {
                device_id == &*self.device.id && message_size(properties, &publish.payload) <= MAX_TELEMETRY
            }
            HubRequest::MethodResult { .. } => publish.payload.len() <= MAX_METHOD_PAYLOAD,
            HubRequest::IssueCertificate { .. } => self.renews,
            // What is too long of a twin is told in the answer.
            HubRequest::TwinGet { .. } | HubRequest::TwinPatch { .. } => true,
        };
        permitted.then_some(request)
    }
}

fn acknowledged(state: &mut DeviceState, packet_id: u16) {
    if !state.inbox.acknowledge(packet_id) && state.renewal.as_ref().is_some_and(|r| r.is_acknowledged_by(packet_id)) {
        state.renewal = None;
    }
}

/// A copy that does not keep the buffer of CONNECT alive.
fn own(will: &LastWill) -> LastWill {
    LastWill { message: Bytes::copy_from_slice(&will.message), ..will.clone() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_will_does_not_keep_what_came_with_it() {
        let connect = Bytes::from(vec![b'x'; 90_000]);
        let will = LastWill { message: connect.slice(..4), ..LastWill::new("t", "", QoS::AtLeastOnce, true) };
        let own = own(&will);
        assert_eq!(own, will);
        assert!(own.message.is_unique(), "a buffer of its own");
    }
}
