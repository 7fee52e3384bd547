//! The device's side of cloud-to-device messages.

use crate::emulator::core::Core;
use crate::emulator::counters::Event;
use crate::emulator::outbox::Outbox;
use crate::emulator::registry::State;
use crate::protocol::mqtt::QoS;

/// Sends the messages that wait and that a subscription wants, the oldest first; false when it stopped before the last
/// one, because enough is in `out`.
///
/// At QoS 1 a message is kept until the device acknowledges it, and sent again in the next session; at QoS 0 it is done
/// with when it is sent.
pub(super) fn deliver(core: &Core, state: &mut State, out: &mut Outbox) -> bool {
    if state.inbox.is_empty() {
        return true;
    }
    let now = core.clock.now();
    while let Some(letter) = state.inbox.next(now) {
        let (topic, payload) = (letter.topic.to_string(), letter.payload.clone());
        let Some(qos) = state.subscriptions.qos(&topic) else { return true };
        if out.len() > Outbox::HIGH_WATER {
            return false;
        }
        core.tally.count(Event::CloudToDevice);
        if qos == QoS::AtMostOnce {
            state.inbox.forget();
            out.publish(topic, qos, payload);
        } else if let Some((packet_id, again)) = state.inbox.sent() {
            out.publish_as(packet_id, again, topic, payload);
        }
    }
    true
}
