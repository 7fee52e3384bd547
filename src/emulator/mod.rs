//! DPS, IoT Hub and ADR on loopback: what a device meets between its first power-on and its first telemetry message,
//! with certificates that are really issued and really checked.
//!
//! [`Config`] says how it behaves, [`Service`] is all of it without sockets, [`Emulator`] adds the listeners. Whoever decides
//! something never waits; whoever waits decides nothing. Folders use those above them in this table, and no two use each other:
//!
//! | folder of `emulator` | what it holds | may use |
//! |---|---|---|
//! | `listening` | addresses, ports, listening sockets | - |
//! | `config` | the settings | `listening` |
//! | `service_model`, `fault` | how long things take and how many are allowed, what goes wrong | `config` |
//! | `issuing` | authorities, the threads that sign, whom the hub trusts | - |
//! | `registry` | what is known: enrollments, registrations, operations, devices, twins, and their rules | `config`, `issuing` |
//! | `state` | what is on the disk | `issuing`, `registry` |
//! | `transport` | connections and bytes: places, TLS in turns, packets and requests in and out | `fault` |
//! | `core` | what all connections share | all above |
//! | `dps`, `hub` | the conversations: what a packet means | all above |
//! | `session` | one MQTT connection | all above |
//! | `https` | HTTPS, and MQTT over WebSocket | all above |
//! | `service` | all of it, and what back ends do with the hub | all above |
//! | `management` | the control plane | all above |
//! | `server` | the listeners | all above |
//!
//! Files beside it (locks, numbers of packets, wall clock, what is counted) are for all of them, and use none.
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
    Adr, CaEntry, Chance, Config, ConfigError, Delay, Disconnect, Dps, Excess, Faults, Group, GroupEntry,
    HistogramUnit, Hub, HubOutage, HubOutageEffect, Individual, KeyTypes, LatencySettings, Listen, Model, Outage,
    OutageEffect, Pause, Quotas, RefusedCsr, RenewalBody, RenewalCodes, Revocation, ServerError, StepModel, keys,
    read_within,
};
pub use counters::{Counters, Event};
pub use listening::address::{Address, ParseAddressError};
pub use listening::listeners::{Addresses, ListenError, Listeners, TakenPort};
pub use listening::port::Port;
pub use management::Management;
pub use registry::TelemetryMessage;
pub use server::{Emulator, Endpoints, Ipv6Endpoints};
pub use service::{
    CloudToDevice, ConnectionState, DeviceInfo, Ended, HubError, MethodResult, Service, StartError, TwinInfo,
};
pub use service_model::HistogramError;
pub use state::StateError;
