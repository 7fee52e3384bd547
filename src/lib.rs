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
//!
//! A run is a library call. This one takes no time, as it is held in virtual time (`start_paused` is of tokio's feature `test-util`):
//!
//! ```
//! use std::time::{Duration, SystemTime};
//!
//! use fleetstorm::engine::Plan;
//! use fleetstorm::rig::{Observers, Run, Target};
//! use fleetstorm::scenario::Scenario;
//!
//! let text = "
//!     schema = 1
//!     name = 'storm'
//!     fleet = { devices = 30, behaviour = 'well-behaved' }
//!     quotas.registrations_per_minute = 20
//!     [[stage]]
//!     name = 'rollout'
//!     kind = 'provision'
//!     arrival = 'at-once'";
//! let scenario = Scenario::parse("storm.toml", text, &[])?;
//! let (seed, start) = (7, SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000));
//!
//! let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build()?;
//! let record = runtime.block_on(async {
//!     let mut target = Target::in_process(&scenario, seed, Some(start))?;
//!     let run = Run::new(scenario.clone(), Plan::new(&scenario, seed));
//!     run.start(&mut target, &mut Observers::default()).await
//! })?;
//!
//! let rollout = &record.stages[0];
//! assert_eq!(rollout.totals.succeeded, 30);
//! // Ten of them were refused at first, and came again when they might.
//! assert!(rollout.totals.throttled >= 10 && record.elapsed > Duration::from_secs(20));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
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
