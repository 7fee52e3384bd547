//! What back ends do with devices, as operations of [`Service`](crate::emulator::Service): identities, twins, direct
//! methods, cloud-to-device messages, credentials. The control plane puts them behind HTTP.

mod credentials;
mod devices;
mod error;
mod messages;
mod methods;
mod twins;

use std::sync::Arc;

use crate::emulator::core::Core;
use crate::emulator::registry::Device;

pub use devices::{ConnectionState, DeviceInfo};
pub use error::HubError;
pub use messages::CloudToDevice;
pub use methods::MethodResult;
pub use twins::TwinInfo;

fn find(core: &Core, id: &str) -> Result<Arc<Device>, HubError> {
    core.registry.device(id).ok_or_else(|| HubError::DeviceNotFound(id.to_owned()))
}
