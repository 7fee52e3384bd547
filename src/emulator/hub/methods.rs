//! The device's side of direct methods.

use bytes::Bytes;

use crate::emulator::core::Core;
use crate::emulator::counters::Event;
use crate::emulator::registry::{Device, DeviceState, MethodAnswer};
use crate::emulator::transport::outbox::Outbox;
use crate::protocol::mqtt::QoS;
use crate::protocol::topic::HubDelivery;

/// Topic of a call. Request ids are hexadecimal, as the service's are.
pub(crate) fn topic(method: &str, id: u32) -> String {
    HubDelivery::MethodCall { name: method, rid: &format!("{id:x}") }.to_string()
}

/// Sends the calls that wait. A call whose subscription is gone is given up, which its caller notices.
///
/// Calls have QoS 0 whatever the subscription. Source: Microsoft Learn, "Understand and invoke direct methods from IoT
/// Hub", method invocation.
pub(crate) fn deliver(core: &Core, state: &mut DeviceState, out: &mut Outbox) {
    while let Some((id, method, payload)) = state.calls.next() {
        let topic = topic(&method, id);
        if state.subscriptions.qos(&topic).is_some() {
            core.tally.count(Event::MethodCalls);
            out.publish(topic, QoS::AtMostOnce, payload);
        } else {
            state.calls.give_up(id);
        }
    }
}

/// Takes the answer of a device. One that nobody waits for, any more or at all, is ignored.
pub(crate) fn answer(device: &Device, status: i32, rid: &str, body: &Bytes) {
    let Ok(id) = u32::from_str_radix(rid, 16) else { return };
    let answer = MethodAnswer { status, payload: Bytes::copy_from_slice(body) };
    device.with(|state| state.calls.answer(id, answer));
}
