//! The wire without I/O: packets, topics, payloads, and the device's conversations as state machines that are told the
//! time and never ask for it. Knows no socket, timer or system clock; only [`websocket`] touches a byte stream, and it
//! opens none.

pub mod exposition;
pub mod flow;
pub mod mqtt;
pub mod packet_ids;
pub mod payload;
pub mod registration_flow;
pub mod renewal_flow;
pub mod retry_after;
pub mod topic;
pub mod unasked;
pub mod websocket;
pub mod words;
