//! Whom the load goes to: from what the scenario says, an emulator's description and the environment to what every
//! device needs to know.

mod access;
mod behaviour;
mod error;
mod first_device;

pub use access::{Access, Door, GivenKey, is_loopback};
pub use error::TargetError;
pub use first_device::try_first_device;
