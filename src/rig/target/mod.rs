//! Whom the load goes to: from what the scenario says, an emulator's description and the environment to what every
//! device needs to know.

mod above_quota;
mod access;
mod behaviour;
pub mod bootstrap_files;
mod connection;
mod embedded;
mod emulator_config;
mod error;
mod first_device;

pub use above_quota::{AboveQuota, above_quota};
pub use access::{Access, Door, GROUP_KEY_ENV, GivenKey, is_loopback};
pub use connection::{Connection, ConnectionError};
pub use embedded::{Embedded, EmbeddedError};
pub use emulator_config::{EmulatorConfig, EmulatorConfigError};
pub use error::TargetError;
pub use first_device::try_first_device;
