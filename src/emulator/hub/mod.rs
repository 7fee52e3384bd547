//! The IoT Hub: who may connect ([`connect`]), what a session does ([`session`]), one file per feature. The back end's
//! side of each feature is in [`service::cloud`](super::service).

mod connect;
mod error;
pub(crate) mod limits;
mod messages;
pub(crate) mod methods;
mod renewal;
mod session;
mod subscriptions;
mod telemetry;
pub(crate) mod twin;

pub(crate) use connect::is_proved;
pub(crate) use limits::{MAX_TELEMETRY, message_size};
pub(crate) use session::HubSession;
pub(crate) use telemetry::receive as receive_telemetry;
