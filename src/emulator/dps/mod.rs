//! The Device Provisioning Service. [`register`] is the service whatever carries it; [`session`] is its MQTT side, the
//! HTTPS side is in [`https`](super::https).

mod answer;
mod attest;
mod caller;
mod register;
mod session;

pub(crate) use answer::{Answer, DpsRefusal, certificate_info, registration_state};
pub(crate) use attest::{Caller, attest};
pub(crate) use caller::{Introduction, Malformed};
pub(crate) use register::{operation_status, refuse, register, status_lookup};
pub(crate) use session::DpsSession;
