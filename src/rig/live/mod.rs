//! What is known of a run that goes on, for whoever shows it: what came before the newest snapshot, and what was told already.

mod history;
mod stages;

use crate::domain::TimeScale;
use crate::scenario::Scenario;

pub use history::{Histories, History};
pub use stages::{Told, going_on};

/// What is known of a run before it begins.
#[derive(Debug, Clone)]
pub struct About {
    /// Names of the stages in order.
    pub stages: Vec<String>,
    /// How much faster than real time the fleet lives.
    pub time_scale: TimeScale,
    /// Open files that this process may have.
    pub open_files: u64,
}

impl About {
    /// Of a run of `scenario` by a process that may have so many files open.
    pub fn of(scenario: &Scenario, open_files: u64) -> Self {
        let stages = scenario.stages.iter().map(|stage| stage.name.clone()).collect();
        Self { stages, time_scale: scenario.time_scale, open_files }
    }
}
