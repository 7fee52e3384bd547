//! The Device Provisioning Service. [`register`] is the service whatever carries it; [`session`] is its MQTT side.

mod answer;
mod attest;
mod register;
mod session;

pub(crate) use session::DpsSession;
