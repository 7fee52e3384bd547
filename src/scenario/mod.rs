//! What the user asks for: the scenario file with the overrides of the command line, validated. Does not know how it is
//! executed.

mod arrival;
mod behaviour;
mod class;
mod emulator;
mod file;
mod fleet;
mod limits;
mod policy;
mod profile;
mod quotas;
mod rate;
mod short_form;
mod stage;
mod target;
#[cfg(test)]
mod tests;
mod threshold;

use std::path::Path;

pub use crate::domain::KeySource;
pub use arrival::{Arrival, DueOffsets, RatePoint, Replay};
pub use behaviour::{Backoff, Behaviour, BehaviourPreset, Jitter};
pub use class::{DeviceClass, Mix, Network};
pub use emulator::JudgeEmulator;
pub use file::keys;
pub use fleet::{Attestation, Fleet, IdPattern};
pub use limits::Limits;
pub use policy::{Policy, RenewalStrategy, RenewalTiming};
pub use rate::Rate;
pub use stage::{Operate, Stage, StageKind, Start, Workload};
pub use target::{Target, TargetAddress};
pub use threshold::{Comparison, Metric, Statistic, Threshold};

use crate::domain::{QuotaLimits, Setting, TimeScale, without_byte_order_mark};
use crate::settings::{Problem, Problems, Table};

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

    /// Reads a file and lays `--set` overrides over it: pairs of a dotted key (`fleet.devices`, `stage.storm.timeout`,
    /// `stage.0.timeout`) and a value as TOML (`5000`, `"30s"`, `{ process = "at-once" }`) or, where that is not valid
    /// TOML, as plain text (`30s`).
    ///
    /// # Errors
    /// All problems at once, each with file, line, column and what would be valid; those of `[emulator]` as `judge` sees them.
    pub fn load(path: &Path, sets: &[(String, String)], judge: JudgeEmulator) -> Result<Self, Problems> {
        let name = path.display().to_string();
        match std::fs::read_to_string(path) {
            Ok(text) => file::parse(&name, folder_of(path), &without_byte_order_mark(text), sets, Some(judge)),
            Err(error) => {
                let problem = Problem::new(format!("cannot read {name}: {error}"));
                Err(Problems::new(
                    format!("{name} is not a valid scenario"),
                    vec![problem.help("name a scenario file, such as scenarios/smoke.toml")],
                ))
            }
        }
    }

    /// Like [`Self::load`] for text; `name` stands for the file in messages, and files that it names are looked for beside it.
    /// Nobody judges `[emulator]`.
    ///
    /// # Errors
    /// All problems at once.
    pub fn parse(name: &str, text: &str, sets: &[(String, String)]) -> Result<Self, Problems> {
        file::parse(name, folder_of(Path::new(name)), text, sets, None)
    }
}

fn folder_of(path: &Path) -> &Path {
    path.parent().unwrap_or(Path::new(""))
}
