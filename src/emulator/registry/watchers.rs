use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::broadcast;

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

    /// Whether there is anybody.
    pub(crate) fn are_there(&self) -> bool {
        self.0.receiver_count() > 0
    }

    /// Shows them a message.
    pub(crate) fn show(&self, message: TelemetryMessage) {
        // The last of them may have left meanwhile.
        let _ = self.0.send(Arc::new(message));
    }

    /// All messages from now on.
    pub(crate) fn watch(&self) -> broadcast::Receiver<Arc<TelemetryMessage>> {
        self.0.subscribe()
    }
}
