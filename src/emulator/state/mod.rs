//! What survives a restart (`--state DIR`): enrollments, CA certificates, authorities with their keys, registrations,
//! serial numbers, devices of the hub with their twins. Without a folder there is no journal and nothing is written.
//!
//! | state | it is on the disk |
//! |---|---|
//! | registration and serial number | before the device is told `assigned` |
//! | serial number of a renewal | before the device is told 200 |
//! | what the control plane changes | before its request is answered |
//! | reported properties | soon after; those of the last moments before a crash may be lost |
//! | count of a device's telemetry | with its next other change |
//! | sessions, subscriptions, cloud-to-device messages, operations and renewals in progress | never |
//!
//! Changes come by the registry's journal. One thread writes: whatever came while it wrote goes into its next transaction, so the more load, the larger the
//! transactions. Nobody waits for it on a thread that serves connections.

mod record;
mod restore;
mod store;
mod writer;

pub use store::StateError;
pub(crate) use store::Stored;
pub(crate) use writer::open;

#[cfg(test)]
mod tests;
