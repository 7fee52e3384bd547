//! The IoT Hub: who may connect ([`connect`]), what a session does ([`session`]), one file per feature.

mod connect;
mod session;
mod subscriptions;
mod telemetry;

pub(crate) use connect::is_proved;
pub(crate) use session::HubSession;
pub(crate) use telemetry::receive as receive_telemetry;
