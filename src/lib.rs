//! fleetstorm: a load simulator and benchmark for fleets of IoT devices that get their operational X.509
//! certificate through a CSR from Azure Device Provisioning Service (DPS) and Azure Device Registry (ADR), and
//! connect to IoT Hub with it.
//!
//! The modules form layers; `ARCHITECTURE.md` has the table of what each may use, and a test enforces it:
//!
//! | module | what it holds |
//! |---|---|
//! | [`domain`] | the field's words as values, without clocks, sockets or serialisation |
//! | [`measure`] | attempts, histograms, intervals, the record of a run |
//! | [`pki`] | keys, CSRs, SAS tokens, certificate authorities: synchronous, CPU-bound |
//! | [`protocol`] | packets, topics, payloads and the device's conversation as state machines without I/O |
//! | [`settings`] | TOML key by key: every problem with its place and remedy, every key |
//! | [`scenario`] | what the user asks for, validated |
//! | [`device`] | one virtual device |
//! | [`engine`] | many devices: plan, admission, workload, recording |
//! | [`emulator`] | DPS, IoT Hub and ADR on loopback |
//! | [`report`] | a finished record as console table, CSV, JSON |
//! | [`rig`] | a run of a scenario against a target, with all who watch it |
//! | [`cli`] | the command line |
#![warn(missing_docs)]
#![forbid(unsafe_code)]

pub mod cli;
pub mod device;
pub mod domain;
pub mod emulator;
pub mod engine;
pub mod measure;
pub mod model;
pub mod pki;
pub mod protocol;
pub mod report;
pub mod rig;
pub mod scenario;
pub mod settings;
