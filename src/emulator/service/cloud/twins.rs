use std::sync::Arc;

use serde_json::{Map, Value};

use super::{ConnectionState, HubError, find};
use crate::emulator::counters::Event;
use crate::emulator::hub::twin;
use crate::emulator::registry::{Device, DeviceState};
use crate::emulator::service::Service;

/// A twin, as back ends see it.
#[derive(Debug, Clone, PartialEq)]
pub struct TwinInfo {
    /// The device id.
    pub device_id: Arc<str>,
    /// Version of the whole, which every change increases; it is the entity tag too.
    pub version: u64,
    /// Whether the device may connect.
    pub enabled: bool,
    /// Whether the device is connected.
    pub connection_state: ConnectionState,
    /// What the device does not see.
    pub tags: Map<String, Value>,
    /// Desired properties with their `$version`.
    pub desired: Value,
    /// Reported properties with their `$version`.
    pub reported: Value,
}

impl Service {
    /// The twin of a device.
    ///
    /// # Errors
    /// [`HubError::DeviceNotFound`].
    pub fn twin(&self, id: &str) -> Result<TwinInfo, HubError> {
        let device = find(self.core(), id)?;
        Ok(device.with(|state| info(&device, state)))
    }

    /// Merges tags and desired properties into the twin of a device, both or neither. `null` removes a property. The
    /// device is told of desired properties if it is connected and subscribed.
    ///
    /// # Errors
    /// [`HubError::DeviceNotFound`]; [`HubError::Argument`] when a patch is no object or breaks the rules for names and
    /// values; [`HubError::TooLarge`] when a section would be.
    pub fn patch_twin(&self, id: &str, tags: Option<&Value>, desired: Option<&Value>) -> Result<TwinInfo, HubError> {
        let (tags, desired) = (object("tags", tags)?, object("properties.desired", desired)?);
        let core = self.core();
        let device = find(core, id)?;
        let changed = device.with_session(|state| {
            if let Some(notification) = state.twin().change(tags, desired)? {
                twin::notify(state, notification);
            }
            core.tally.count(Event::TwinUpdates);
            Ok(info(&device, state))
        });
        if changed.is_ok() {
            core.registry.changed(&device);
        }
        changed
    }

    /// Merges desired properties into the twin of a device.
    ///
    /// # Errors
    /// As [`Self::patch_twin`].
    pub fn patch_desired(&self, id: &str, patch: &Value) -> Result<TwinInfo, HubError> {
        self.patch_twin(id, None, Some(patch))
    }
}

fn object(name: &str, value: Option<&Value>) -> Result<Option<Map<String, Value>>, HubError> {
    match value {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Object(object)) => Ok(Some(object.clone())),
        Some(_) => Err(HubError::Argument(format!("`{name}` must be a JSON object"))),
    }
}

fn info(device: &Device, state: &mut DeviceState) -> TwinInfo {
    let (enabled, connection_state) = (state.enabled, ConnectionState::of(state));
    let twin = state.twin();
    TwinInfo {
        device_id: Arc::clone(&device.id),
        version: twin.version,
        enabled,
        connection_state,
        tags: twin.tags.clone(),
        desired: twin.desired.to_value(),
        reported: twin.reported.to_value(),
    }
}
