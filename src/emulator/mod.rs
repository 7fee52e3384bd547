//! DPS, IoT Hub and ADR on loopback: what a device meets between its first power-on and its first telemetry message,
//! with certificates that are really issued and really checked.
//!
//! * [`Config`] says how it behaves, [`Service`] is all of it without sockets, [`Emulator`] adds the listeners.
//! * `session` moves packets of one connection, whatever carries it; `dps` and `hub` decide what they mean and never
//!   wait; `issuance` does the CPU work on threads of its own; `registry` remembers.
//!
//! Architecture invariants: no lock is held across an await; nothing that a peer sends makes memory grow without bound
//! or panics; nothing here knows the devices' code.

mod clock;
mod config;
mod core;
mod counters;
mod dps;
mod fault;
mod https;
mod hub;
mod issuing;
mod listening;
mod management;
mod packet_id;
mod registry;
mod server;
mod service;
mod service_model;
mod session;
mod sharded;
mod state;
mod transport;

pub use config::{
    Adr, CaEntry, Chance, Config, ConfigError, ConfigProblem, ConfigProblems, Delay, Disconnect, Dps, Excess, Faults,
    Group, GroupEntry, Hub, HubOutage, HubOutageEffect, Individual, KeyTypes, Latency, Listen, Model, Outage,
    OutageEffect, Pause, Quotas, RefusedCsr, RenewalBody, RenewalCodes, Revocation, ServerError, StepModel, Unit,
};
pub use counters::{Counters, Event};
pub use hub::TelemetryMessage;
pub use listening::address::{Address, ParseAddressError};
pub use listening::listeners::{Addresses, ListenError, Listeners, TakenPort};
pub use listening::port::Port;
pub use management::Management;
pub use server::{Emulator, Endpoints, Ipv6Endpoints, StartError};
pub use service::{CloudToDevice, ConnectionState, DeviceInfo, Ended, HubError, MethodResult, Service, TwinInfo};
pub use service_model::HistogramError;
pub use state::StateError;
