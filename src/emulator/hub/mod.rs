//! The IoT Hub: who may connect ([`connect`]), what a session does ([`session`]), one file per feature. The back end's
//! side of each feature is in [`cloud`].

mod cloud;
mod connect;
mod error;
mod limits;
mod messages;
mod methods;
mod renewal;
mod session;
mod subscriptions;
pub(crate) mod telemetry;
mod twin;

pub use cloud::{CloudToDevice, ConnectionState, DeviceInfo, HubError, MethodResult, TwinInfo};
pub(crate) use connect::is_proved;
pub(crate) use limits::{MAX_TELEMETRY, message_size};
pub(crate) use session::HubSession;
pub use telemetry::TelemetryMessage;
pub(crate) use telemetry::receive as receive_telemetry;
