//! Whom the load goes to: from what the scenario says, an emulator's description and the environment to what every
//! device needs to know.

mod above_quota;
mod access;
mod behaviour;
pub mod bootstrap_files;
mod confirmation;
mod connection;
mod embedded;
mod emulator_config;
mod error;
mod first_device;
mod in_process;
mod open;
mod open_error;
mod options;
mod source_addresses;

use std::sync::Arc;
use std::time::SystemTime;

use crate::device::{ScaledClock, TcpConnector, WallClock};
use crate::domain::{Setting, TimeScale};
use crate::emulator::Service;
use crate::engine::{Begun, Plan};
use crate::rig::machine::process::ChildProcess;
use crate::rig::machine::{OpenFiles, OpenFilesError};
use crate::scenario::Scenario;

pub use above_quota::AboveQuota;
pub use access::{Access, Door, GROUP_KEY_ENV, GivenKey};
pub use connection::{Connection, ConnectionError};
pub use embedded::{Embedded, EmbeddedError};
pub use emulator_config::{EmulatorConfig, EmulatorConfigError};
pub use error::TargetError;
pub(in crate::rig) use first_device::try_first_device;
pub(in crate::rig) use in_process::InProcess;
pub use open_error::{NotEmbedded, NotOurs, OpenError};
pub use options::TargetOptions;
pub(in crate::rig) use options::setting;

/// A target that may be put under load. Opened once, it serves any number of runs, one after the other; the clock of an emulator that is
/// ours begins anew with each, as do its faults, quotas and capacities. What devices were registered in one run is known to it in the next.
#[derive(Debug)]
pub struct Target {
    /// For the record.
    pub(in crate::rig) description: String,
    pub(in crate::rig) way: Way,
    pub(in crate::rig) access: Access,
    /// Of an emulator that is ours.
    scale: TimeScale,
    /// What was said of it beyond the scenario, and what is in force of the emulator's own settings.
    pub(in crate::rig) settings: [Vec<Setting>; 2],
    /// Whether load on it goes to another machine.
    is_remote: bool,
    above_quota: bool,
    /// The first device was tried.
    was_tried: bool,
}

/// Connections that may be open in memory at least.
const IN_MEMORY: u64 = 200_000;

/// How devices reach a target.
#[derive(Debug)]
pub(in crate::rig) enum Way {
    /// To whom was confirmed, and to nobody else.
    Sockets {
        connector: Arc<TcpConnector>,
        /// The emulator that we started.
        embedded: Option<Box<Embedded>>,
        /// It, to see what it uses.
        process: ChildProcess,
    },
    Memory(InProcess),
}

impl Target {
    /// The emulator of `scenario` in this process, over connections in memory and without TLS. Its CPU is the generator's: times are
    /// those of virtual time, when the runtime's clock is paused and `start` is what all clocks show now; without `start`, those of
    /// the machine. `seed` is that of everything that the emulator draws. Must be called inside a runtime.
    ///
    /// # Errors
    /// The scenario's `[emulator]` is no configuration, or keys or threads could not be made.
    pub fn in_process(scenario: &Scenario, seed: u64, start: Option<SystemTime>) -> Result<Self, OpenError> {
        let config = EmulatorConfig::new(scenario, None, seed)?;
        config.has_authorities()?;
        let memory = InProcess::start(&config, start)?;
        let description = if memory.is_virtual() { "emulator in virtual time" } else { "emulator in this process" };
        Ok(Self {
            description: description.to_owned(),
            access: memory.access(&config)?,
            way: Way::Memory(memory),
            scale: scenario.time_scale,
            settings: Default::default(),
            is_remote: false,
            above_quota: true,
            was_tried: true,
        })
    }

    /// The emulator, when it is in this process.
    pub const fn service(&self) -> Option<&Service> {
        match &self.way {
            Way::Memory(memory) => Some(&memory.service),
            Way::Sockets { .. } => None,
        }
    }

    /// Ends an emulator that is ours and waits for its end.
    pub async fn close(self) {
        if let Way::Sockets { embedded: Some(embedded), .. } = self.way {
            embedded.stop().await;
        }
    }

    /// Whether the emulator is a child process that serves this target alone.
    pub(in crate::rig) const fn is_embedded(&self) -> bool {
        matches!(self.way, Way::Sockets { embedded: Some(_), .. })
    }

    /// The process of the emulator that we started, if so.
    pub(in crate::rig) fn process(&self) -> ChildProcess {
        match &self.way {
            Way::Sockets { process, .. } => process.clone(),
            Way::Memory(_) => ChildProcess::default(),
        }
    }

    /// A clock for the devices of one run.
    pub(in crate::rig) fn clock(&self, scale: TimeScale) -> ScaledClock {
        match &self.way {
            Way::Sockets { .. } => ScaledClock::new(scale),
            Way::Memory(memory) => memory.clock(scale),
        }
    }

    /// What tells an emulator that is ours that the measured part of a run began.
    pub(in crate::rig) fn begin(&self) -> std::io::Result<Begun> {
        Ok(match &self.way {
            Way::Sockets { embedded: Some(embedded), .. } => Box::new(embedded.begin()?),
            Way::Sockets { embedded: None, .. } => Box::new(|_| {}),
            Way::Memory(memory) => {
                let service = memory.service.clone();
                Box::new(move |moment| service.begin(moment))
            }
        })
    }

    /// The limit for a run: connections in memory are no files.
    pub(in crate::rig) fn open_files(&self, plan: &Plan) -> Result<OpenFiles, OpenFilesError> {
        match &self.way {
            Way::Sockets { .. } => OpenFiles::raise(plan.needs.open_files),
            Way::Memory(_) => {
                Ok(OpenFiles { limit: IN_MEMORY.max(plan.needs.open_files), wanted: plan.needs.open_files })
            }
        }
    }

    /// Whether a run may begin: its time passes as that of the target, it asks a target elsewhere for no more than is meant, and the
    /// first device of the fleet gets through, which is tried once. Gives what the reader of the results must know.
    pub(in crate::rig) async fn admit(&mut self, scenario: &Scenario, plan: &Plan) -> Result<Vec<String>, OpenError> {
        if scenario.time_scale != self.scale {
            return Err(NotEmbedded::TimeScale.into());
        }
        let mut notes = Vec::new();
        if self.is_remote {
            // Before anything is sent there.
            let reasons = above_quota::above_quota(scenario, plan.seed)?;
            if !self.above_quota && !reasons.is_empty() {
                return Err(AboveQuota { target: self.description.clone(), reasons }.into());
            }
            notes.extend(reasons.iter().map(|reason| format!("--above-quota: {reason}")));
        }
        let first = plan.first_device();
        if let Way::Sockets { connector, embedded: None, .. } = &self.way
            && !self.was_tried
            && let Some(id) = plan.registration_id(first)
        {
            let class = scenario.fleet.mix.class_of(first);
            let clock: Arc<dyn WallClock> = Arc::new(ScaledClock::new(scenario.time_scale));
            let devices = self.access.device_settings(scenario, plan.seed, &clock)?;
            if let Some(settings) = devices.get(class) {
                notes.push(try_first_device(settings, scenario, class, &id, connector).await?);
                self.was_tried = true;
            }
        }
        Ok(notes)
    }
}
