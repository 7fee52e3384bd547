//! The device's side of cloud-to-device messages.

use crate::emulator::core::Core;
use crate::emulator::counters::Event;
use crate::emulator::registry::DeviceState;
use crate::emulator::transport::outbox::Outbox;
use crate::protocol::mqtt::QoS;

/// Sends the messages that wait and that a subscription wants, the oldest first; false when it stopped before the last
/// one, because enough is in `out`.
///
/// At QoS 1 a message is kept until the device acknowledges it, and sent again in the next session; at QoS 0 it is done
/// with when it is sent.
pub(super) fn deliver(core: &Core, state: &mut DeviceState, out: &mut Outbox) -> bool {
    if state.inbox.is_empty() {
        return true;
    }
    let now = core.clock.now();
    while let Some(letter) = state.inbox.next(now) {
        let (topic, payload) = (letter.topic.to_string(), letter.payload.clone());
        let Some(qos) = state.subscriptions.qos(&topic) else { return true };
        if out.is_above_high_water() {
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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use bytes::Bytes;

    use super::*;
    use crate::emulator::config::Config;
    use crate::emulator::registry::{Device, Letter, Registration, test_group};
    use crate::protocol::mqtt::SubscribeFilter;
    use crate::protocol::topic::cloud_to_device_filter;

    #[tokio::test]
    async fn messages_that_are_more_than_should_be_held_come_bit_by_bit() {
        let core = Core::new(Config::default()).unwrap();
        let now = core.clock.now();
        let device = Device::new(Registration::new(test_group(), "d".into(), now, None));
        device.with(|state| {
            state.subscriptions.grant(SubscribeFilter::new(cloud_to_device_filter("d"), QoS::AtMostOnce), 1);
            for _ in 0..9 {
                let (topic, payload) = ("devices/d/messages/devicebound/".into(), Bytes::from(vec![0; 20_000]));
                state.inbox.push(Letter::new(topic, payload, now + Duration::from_secs(3600)), now).unwrap();
            }
            let mut out = Outbox::default();
            for (all, waiting) in [(false, 5), (false, 1), (true, 0)] {
                assert_eq!((deliver(&core, state, &mut out), state.inbox.len(now)), (all, waiting));
                out.bytes().clear();
            }
        });
        assert_eq!(core.tally.snapshot().get(Event::CloudToDevice), 9);
    }
}
