//! What is known of a run that goes on, for whoever shows it: what came before the newest snapshot, and what was told already.

mod history;
mod stages;

use crate::domain::TimeScale;

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
