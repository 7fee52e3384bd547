//! The device's side of its twin.

use std::sync::Arc;

use serde_json::Value;

use super::error::ErrorBody;
use crate::emulator::core::Core;
use crate::emulator::counters::Event;
use crate::emulator::registry::{Device, DeviceState, Invalid, Notification};
use crate::emulator::transport::outbox::Outbox;
use crate::protocol::topic::HubDelivery;

/// Answers a device that reads its twin. The body of the request does not matter.
pub(crate) fn get(core: &Core, device: &Device, rid: &str, out: &mut Outbox) {
    core.tally.count(Event::TwinReads);
    device.with(|state| {
        let body = state.twin().device_view().to_string();
        answer(state, 200, rid, None, body.into_bytes(), out);
    });
}

/// Merges what a device reports into its twin.
pub(crate) fn patch(core: &Core, device: &Arc<Device>, rid: &str, body: &[u8], out: &mut Outbox) {
    let patch = match serde_json::from_slice(body) {
        Ok(Value::Object(patch)) => Ok(patch),
        Ok(_) => Err(Invalid::NotAnObject),
        Err(_) => Err(Invalid::Json),
    };
    let reported = device.with(|state| match patch.and_then(|patch| state.twin().report(patch)) {
        Ok(version) => {
            core.tally.count(Event::TwinUpdates);
            answer(state, 204, rid, Some(version), Vec::new(), out);
            true
        }
        Err(invalid) => {
            let error = ErrorBody::new(code(&invalid), invalid.to_string(), core.clock.now());
            answer(state, error.status(), rid, None, error.to_body(), out);
            false
        }
    });
    if reported {
        core.registry.changed(device);
    }
}

/// Has the device told of a change of its desired properties if it is connected and subscribed now. Else it is forgotten:
/// a device that wants to know reads its twin when it connects.
pub(crate) fn notify(state: &mut DeviceState, change: Notification) {
    let topic = HubDelivery::TwinDesired { version: change.version }.to_string();
    if state.session.is_some() && state.subscriptions.qos(&topic).is_some() {
        state.notify(change);
    }
}

/// Tells of changes of the desired properties.
pub(crate) fn deliver(state: &mut DeviceState, out: &mut Outbox) {
    while let Some(change) = state.next_change() {
        let topic = HubDelivery::TwinDesired { version: change.version }.to_string();
        if let Some(qos) = state.subscriptions.qos(&topic) {
            out.publish(topic, qos, change.body);
        }
    }
}

/// The code for a refused patch. 400 for bad JSON is documented, the sub-codes and 413 are chosen.
pub(crate) const fn code(invalid: &Invalid) -> u32 {
    match invalid {
        Invalid::Json | Invalid::NotAnObject => 400_006,
        Invalid::Name | Invalid::Text | Invalid::Integer | Invalid::Depth => 400_004,
        Invalid::TooLarge { .. } | Invalid::Uncounted { .. } => 413_001,
    }
}

fn answer(state: &DeviceState, status: u16, rid: &str, version: Option<u64>, body: Vec<u8>, out: &mut Outbox) {
    let topic = HubDelivery::TwinResponse { status, rid, version }.to_string();
    if let Some(qos) = state.subscriptions.qos(&topic) {
        out.publish(topic, qos, body);
    }
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::*;
    use crate::emulator::registry::{DeviceLink, Registration, test_group};
    use crate::protocol::mqtt::{QoS, SubscribeFilter};
    use crate::protocol::topic::TWIN_DESIRED;

    #[test]
    fn a_change_waits_for_a_device_that_is_connected_and_subscribed_and_for_no_other() {
        for (connected, subscribed) in [(true, true), (true, false), (false, true), (false, false)] {
            let device = Device::new(Registration::new(test_group(), "d".into(), SystemTime::UNIX_EPOCH, None));
            device.with(|state| {
                let link = DeviceLink::new();
                state.begin_session(link.clone(), false);
                if subscribed {
                    state.subscriptions.grant(SubscribeFilter::new(TWIN_DESIRED.to_owned(), QoS::AtMostOnce), 1);
                }
                if !connected {
                    state.end_session(&link);
                }
                notify(state, Notification { version: 2, body: String::new() });
                assert_eq!(state.next_change().is_some(), connected && subscribed, "{connected} {subscribed}");
            });
        }
    }
}
