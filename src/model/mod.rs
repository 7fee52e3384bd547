//! Pure models of what a service and a device do with time: quotas, stations, latencies, waits, an impaired network, a wall clock of
//! fleet time. They are told the time as plain numbers and wait for nothing, so that a device, the emulator, a plan and a simulation
//! without sockets can all use the same.

mod draws;
mod fleet_wall;
mod latency;
mod network;
mod station;
mod token_bucket;
mod waits;

pub use draws::Draws;
pub use fleet_wall::{FleetWall, Moment, later};
pub use latency::Latency;
pub use network::{Fate, NetworkImpairment, Reset};
pub use station::{QueueFull, ServiceStation};
pub use token_bucket::{TokenBucket, TokenRate};
pub use waits::{Waits, once_more};
