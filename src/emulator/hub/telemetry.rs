//! Device-to-cloud messages: counted, and shown to whoever watches.

use std::sync::Arc;

use bytes::Bytes;

use crate::emulator::core::Core;
use crate::emulator::counters::Event;
use crate::emulator::registry::{Device, TelemetryMessage};
use crate::protocol::mqtt::LastWill;

/// Takes a message. `retain` is the flag of the PUBLISH, which the hub turns into a property.
pub(crate) fn receive(core: &Core, device: &Device, properties: &str, body: &Bytes, retain: bool) {
    take(core, device, properties, body, retain.then_some("mqtt-retain=true"));
}

/// Takes the last will of a device that left without a word.
pub(super) fn receive_will(core: &Core, device: &Device, will: &LastWill) {
    let topic = will.topic.split_once("/messages/events").map_or("", |(_, properties)| properties);
    core.tally.count(Event::Wills);
    take(core, device, topic.trim_start_matches('/'), &will.message, Some("iothub-MessageType=Will"));
}

fn take(core: &Core, device: &Device, properties: &str, body: &Bytes, added: Option<&str>) {
    device.with(|state| state.telemetry += 1);
    core.tally.count(Event::Telemetry);
    if !core.watchers.are_there() {
        return;
    }
    let parts = [Some(properties).filter(|p| !p.is_empty()), added];
    core.watchers.show(TelemetryMessage {
        device_id: Arc::clone(&device.id),
        properties: parts.into_iter().flatten().collect::<Vec<_>>().join("&"),
        // A copy: the body is a slice of the connection's buffer, which may be much larger.
        body: Bytes::copy_from_slice(body),
    });
}
