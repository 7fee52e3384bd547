use std::sync::Arc;
use std::time::Duration;

use super::{connect, subscriptions, telemetry};
use crate::emulator::core::Core;
use crate::emulator::counters::Event;
use crate::emulator::outbox::Outbox;
use crate::emulator::registry::{Device, Link};
use crate::emulator::session::{End, Next, PeerChain, Refused, silence_allowed};
use crate::emulator::subscriptions::Subscriptions;
use crate::protocol::mqtt::{Connect, ConnectReturnCode, Packet, Publish, QoS};
use crate::protocol::topic::{HubRequest, HubUserName};

/// A device's MQTT connection with its hub.
#[derive(Debug)]
pub(crate) struct HubSession {
    device: Arc<Device>,
    silence: Duration,
    link: Link,
}

impl HubSession {
    /// Judges CONNECT and, if it is good, answers it. A device has one connection: an earlier one ends.
    pub(crate) fn begin(
        core: &Core,
        connect: &Connect,
        name: &HubUserName<'_>,
        peer: &PeerChain,
        out: &mut Outbox,
    ) -> Result<Self, Refused> {
        let device = connect::authorize(core, connect, name, peer)?;
        let link = Link::new();
        let (earlier, session_present) = device.with(|state| {
            let present = state.persistent && !connect.clean_session;
            if !present {
                state.subscriptions = Subscriptions::default();
            }
            state.persistent = !connect.clean_session;
            (state.session.replace(link.clone()), present)
        });
        if let Some(earlier) = earlier {
            earlier.wake();
        }
        core.tally.count(Event::HubConnected);
        out.connack(ConnectReturnCode::Success, session_present);
        Ok(Self { device, silence: silence_allowed(connect.keep_alive), link })
    }

    /// Deals with a packet.
    pub(crate) fn packet(&mut self, core: &Arc<Core>, packet: Packet, out: &mut Outbox) -> Next {
        match packet {
            Packet::Publish(publish) => self.publish(core, &publish, out),
            Packet::Subscribe(subscribe) => {
                let pkid = subscribe.pkid;
                let Some(codes) = subscriptions::subscribe(core, &self.device, subscribe) else {
                    return Next::End(End::Violation);
                };
                out.suback(pkid, codes);
                Next::Continue
            }
            Packet::Unsubscribe(unsubscribe) => {
                self.device.with(|state| state.subscriptions.remove(&unsubscribe.topics));
                out.unsuback(unsubscribe.pkid);
                Next::Continue
            }
            Packet::PubAck(_) => Next::Continue,
            _ => Next::End(End::Violation),
        }
    }

    /// Something about its device changed.
    pub(crate) fn woken(&mut self, _out: &mut Outbox) -> Next {
        if self.device.is_session(&self.link) { Next::Continue } else { Next::End(End::TakenOver) }
    }

    /// Clears up.
    pub(crate) fn end(&self, _end: End) {
        self.device.with(|state| {
            if state.session.as_ref() == Some(&self.link) {
                state.session = None;
                if !state.persistent {
                    state.subscriptions = Subscriptions::default();
                }
            }
        });
    }

    /// The longest silence allowed.
    pub(crate) const fn silence(&self) -> Duration {
        self.silence
    }

    /// By which others wake it.
    pub(crate) const fn link(&self) -> &Link {
        &self.link
    }

    fn publish(&mut self, core: &Arc<Core>, publish: &Publish, out: &mut Outbox) -> Next {
        let Ok(request) = HubRequest::parse(&publish.topic) else { return Next::End(End::Violation) };
        match publish.qos {
            QoS::AtMostOnce => {}
            QoS::AtLeastOnce => out.puback(publish.pkid),
            QoS::ExactlyOnce => return Next::End(End::Violation),
        }
        match request {
            HubRequest::Telemetry { device_id, .. } if device_id == &*self.device.id => {
                telemetry::receive(core, &self.device);
                Next::Continue
            }
            // A device may speak for itself only, and what is not here yet is not answered with something else.
            _ => Next::End(End::Violation),
        }
    }
}
