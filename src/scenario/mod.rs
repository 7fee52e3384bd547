//! What the user asks for: the scenario file with the overrides of the command line, validated. Does not know how it is
//! executed.

mod arrival;
mod behaviour;
mod fleet;
mod limits;
mod policy;
mod rate;
mod read;
mod stage;
mod target;
#[cfg(test)]
mod tests;
mod threshold;

pub use crate::domain::KeySource;
pub use arrival::{Arrival, DueOffsets, RatePoint, Replay};
pub use behaviour::{Backoff, Behaviour, BehaviourPreset, Jitter};
pub use fleet::{Attestation, DeviceClass, Fleet, IdPattern, Mix, Network};
pub use limits::Limits;
pub use policy::{Policy, RenewalStrategy, RenewalTiming};
pub use rate::Rate;
pub use read::{JudgeEmulator, keys};
pub use stage::{Operate, Stage, StageKind, Start, Workload};
pub use target::{Target, TargetAddress};
pub use threshold::{check_threshold, thresholds_of_settings};

use crate::domain::{QuotaLimits, Setting, Threshold, TimeScale};
use crate::settings::Table;

/// A validated scenario. What it says is possible; whether this machine can carry it is the plan's question.
#[derive(Debug, Clone, PartialEq)]
pub struct Scenario {
    /// Name, also part of the results folder: letters, digits and `-`.
    pub name: String,
    /// The question that it answers.
    pub question: Option<String>,
    /// Seed of all random draws; `None` lets the caller choose one.
    pub seed: Option<u64>,
    /// How fast the fleet's life passes.
    pub time_scale: TimeScale,
    /// The devices.
    pub fleet: Fleet,
    /// What certificates they get.
    pub policy: Policy,
    /// Quotas that the service declares; the embedded emulator enforces them.
    pub quotas: QuotaLimits,
    /// Settings of the embedded emulator, as its configuration file has them; of no meaning for another target.
    pub emulator: Table,
    /// What they do. At least one stage.
    pub stages: Vec<Stage>,
    /// What the run must meet.
    pub thresholds: Vec<Threshold>,
    /// Bounds on the generator.
    pub limits: Limits,
    /// Whom the load goes to.
    pub target: Target,
    /// Every setting with where its value came from, in the order of the file format.
    pub settings: Vec<Setting>,
}

impl Scenario {
    /// Whether any class that takes part in a stage is so.
    pub fn any_class_of(&self, stage: &Stage, is: impl Fn(&DeviceClass) -> bool) -> bool {
        stage.classes.iter().filter_map(|class| self.fleet.classes.get(*class)).any(is)
    }
}
