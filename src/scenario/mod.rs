//! What the user asks for: the scenario file with the overrides of the command line, validated. Does not know how it is
//! executed.

mod arrival;
mod expect;
mod file;
mod fleet;
mod limits;
mod problem;
mod profile;
mod rate;
mod reader;
mod stage;
mod target;
mod tree;
mod units;

use std::path::Path;

pub use crate::domain::KeySource;
pub use arrival::{Arrival, DueOffsets, RatePoint};
pub use fleet::{Attestation, Fleet, IdPattern};
pub use limits::Limits;
pub use problem::{Problem, Problems};
pub use rate::Rate;
pub use stage::{Stage, StageKind, Workload};
pub use target::{Target, TargetAddress};

use crate::domain::Setting;

/// A validated scenario. What it says is possible; whether this machine can carry it is the plan's question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scenario {
    /// Name, also part of the results folder: letters, digits and `-`.
    pub name: String,
    /// The question that it answers.
    pub question: Option<String>,
    /// Seed of all random draws; `None` lets the caller choose one.
    pub seed: Option<u64>,
    /// The devices.
    pub fleet: Fleet,
    /// What they do, one stage after the other. At least one.
    pub stages: Vec<Stage>,
    /// Bounds on the generator.
    pub limits: Limits,
    /// Whom the load goes to.
    pub target: Target,
    /// Every setting with where its value came from, in the order of the file format.
    pub settings: Vec<Setting>,
}

impl Scenario {
    /// Reads a file and lays `--set` overrides over it: pairs of a dotted key (`fleet.devices`, `stage.storm.timeout`,
    /// `stage.0.timeout`) and a value as TOML (`5000`, `"30s"`, `{ process = "at-once" }`) or, where that is not valid
    /// TOML, as plain text (`30s`).
    ///
    /// # Errors
    /// All problems at once, each with file, line, column and what would be valid.
    pub fn load(path: &Path, sets: &[(String, String)]) -> Result<Self, Problems> {
        let name = path.display().to_string();
        match std::fs::read_to_string(path) {
            Ok(text) => Self::parse(&name, &text, sets),
            Err(error) => {
                let problem = Problem::new(format!("cannot read {name}: {error}"));
                Err(Problems::new(&name, vec![problem.help("name a scenario file, such as scenarios/smoke.toml")]))
            }
        }
    }

    /// Like [`Self::load`] for text; `name` stands for the file in messages.
    ///
    /// # Errors
    /// All problems at once.
    pub fn parse(name: &str, text: &str, sets: &[(String, String)]) -> Result<Self, Problems> {
        file::parse(name, text, sets)
    }
}
