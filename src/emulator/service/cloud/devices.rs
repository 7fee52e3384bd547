use std::sync::Arc;

use tokio::sync::broadcast;
use uuid::Uuid;

use super::{HubError, find};
use crate::emulator::registry::TelemetryMessage;
use crate::emulator::registry::{Device, DeviceState};
use crate::emulator::service::Service;

/// A device identity of the hub, as back ends see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceInfo {
    /// The device id.
    pub device_id: Arc<str>,
    /// The registration id at DPS, in lower case.
    pub registration_id: Arc<str>,
    /// Whether it may connect.
    pub enabled: bool,
    /// Whether it is connected.
    pub connection_state: ConnectionState,
    /// Device-to-cloud messages received.
    pub telemetry_messages: u64,
    /// Cloud-to-device messages that wait.
    pub cloud_to_device_messages: usize,
    /// The identifier that its certificates must carry.
    pub unique_id: Uuid,
}

/// Whether a device is connected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConnectionState {
    /// It has a session.
    Connected,
    /// It has none.
    Disconnected,
}

impl ConnectionState {
    /// The service's word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Connected => "Connected",
            Self::Disconnected => "Disconnected",
        }
    }

    pub(crate) const fn of(state: &DeviceState) -> Self {
        if state.session.is_some() { Self::Connected } else { Self::Disconnected }
    }
}

impl Service {
    /// A device.
    ///
    /// # Errors
    /// [`HubError::DeviceNotFound`].
    pub fn device(&self, id: &str) -> Result<DeviceInfo, HubError> {
        find(self.core(), id).map(|device| self.info(&device))
    }

    /// At most `limit` devices in the order of their ids, those after `after` when it is given.
    pub fn devices(&self, after: Option<&str>, limit: usize) -> Vec<DeviceInfo> {
        let devices = self.core().registry.devices(after, limit);
        devices.iter().map(|device| self.info(device)).collect()
    }

    /// Allows a device to connect, or forbids it and ends its session.
    ///
    /// # Errors
    /// [`HubError::DeviceNotFound`].
    pub fn set_device_enabled(&self, id: &str, enabled: bool) -> Result<DeviceInfo, HubError> {
        let device = find(self.core(), id)?;
        device.with_session(|state| state.enabled = enabled);
        self.core().registry.changed(&device);
        Ok(self.info(&device))
    }

    /// Deletes a device with all that the hub keeps of it, and ends its session. When it registers again it is a new one.
    ///
    /// # Errors
    /// [`HubError::DeviceNotFound`].
    pub fn delete_device(&self, id: &str) -> Result<(), HubError> {
        let device = self.core().registry.delete_device(id).ok_or_else(|| HubError::DeviceNotFound(id.to_owned()))?;
        device.with_session(|state| state.deleted = true);
        Ok(())
    }

    /// Revokes all certificates of a device, and ends its session if one of them opened it. The next one that it gets,
    /// from DPS, is good.
    ///
    /// # Errors
    /// [`HubError::DeviceNotFound`].
    pub fn revoke_device_certificates(&self, id: &str) -> Result<(), HubError> {
        let device = find(self.core(), id)?;
        device.with_session(|state| state.unique_id = Uuid::new_v4());
        self.core().registry.changed(&device);
        Ok(())
    }

    /// Device-to-cloud messages of all devices from now on. A receiver that is slow misses messages, and is told so.
    pub fn watch_telemetry(&self) -> broadcast::Receiver<Arc<TelemetryMessage>> {
        self.core().watchers.watch()
    }

    fn info(&self, device: &Device) -> DeviceInfo {
        let now = self.core().clock.now();
        device.with(|state| DeviceInfo {
            device_id: Arc::clone(&device.id),
            registration_id: Arc::clone(&state.registration.registration_id),
            enabled: state.enabled,
            connection_state: ConnectionState::of(state),
            telemetry_messages: state.telemetry,
            cloud_to_device_messages: state.inbox.len(now),
            unique_id: state.unique_id,
        })
    }
}
