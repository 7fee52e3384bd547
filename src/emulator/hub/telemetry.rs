//! Device-to-cloud messages: counted, and shown to whoever watches.

use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::broadcast;

use crate::emulator::core::Core;
use crate::emulator::counters::Event;
use crate::emulator::registry::Device;
use crate::protocol::mqtt::LastWill;

/// A device-to-cloud message, as the hub's telemetry endpoint would show it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TelemetryMessage {
    /// The device.
    pub device_id: Arc<str>,
    /// System and application properties: `name=value` pairs, percent-encoded as the device sent them, and those that
    /// the hub adds.
    pub properties: String,
    /// The body.
    pub body: Bytes,
}

/// Those who watch the messages of all devices.
#[derive(Debug)]
pub(crate) struct Watchers(broadcast::Sender<Arc<TelemetryMessage>>);

impl Watchers {
    /// Messages kept for a watcher that is slow; it is told how many it missed beyond.
    const KEPT: usize = 256;

    pub(crate) fn new() -> Self {
        Self(broadcast::Sender::new(Self::KEPT))
    }

    /// All messages from now on.
    pub(crate) fn watch(&self) -> broadcast::Receiver<Arc<TelemetryMessage>> {
        self.0.subscribe()
    }
}

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
    let watchers = &core.watchers.0;
    if watchers.receiver_count() == 0 {
        return;
    }
    let parts = [Some(properties).filter(|p| !p.is_empty()), added];
    let message = TelemetryMessage {
        device_id: Arc::clone(&device.id),
        properties: parts.into_iter().flatten().collect::<Vec<_>>().join("&"),
        // A copy: the body is a slice of the connection's buffer, which may be much larger.
        body: Bytes::copy_from_slice(body),
    };
    // The last watcher may have left meanwhile.
    let _ = watchers.send(Arc::new(message));
}
