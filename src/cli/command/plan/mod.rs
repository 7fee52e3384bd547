//! `fleetstorm plan`: what a scenario will do, need and take. Starts nothing.

mod document;
mod facts;
mod keys;
mod ports;
mod text;

use crate::cli::args::ScenarioArgs;
use crate::cli::open_files::OpenFiles;
use crate::cli::settings::{Resolved, resolve};
use crate::cli::{CommandError, Exit, Terminal};
use crate::engine::Plan;

/// Arguments of `fleetstorm plan`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct PlanArgs {
    /// What to plan.
    #[command(flatten)]
    pub scenario: ScenarioArgs,
}

const EXAMPLES: &str = "\
Examples:
  fleetstorm plan scenarios/provisioning-storm.toml
      stages, arrivals, keys, open files, ports and time
  fleetstorm plan scenarios/provisioning-storm.toml --set quotas.profile=dps-default
      and whether, when and by how much that is over the quotas of a DPS instance, with the shortest spread that fits
  fleetstorm plan scenarios/provisioning-storm.toml --set fleet.devices=1000000 --json
      the same for scripts

Quotas are checked for first attempts alone: devices that are refused come again and make it worse. Ends with code 0 even when \
they do not hold, and with 3 when the scenario is invalid.";

/// Runs the command.
///
/// # Errors
/// The scenario is invalid, or stdout cannot be written.
pub fn run(args: PlanArgs, terminal: &Terminal) -> Result<Exit, CommandError> {
    let PlanArgs { scenario } = args;
    let Resolved { scenario, seed } = resolve(scenario, Vec::new())?;
    let plan = Plan::new(&scenario, seed);
    let open_files = OpenFiles::available(plan.needs.open_files)?;
    let facts = facts::Facts::new(&scenario, &plan, open_files)?;
    if terminal.json {
        terminal.print_json(&document::Document::of(&facts))?;
    } else {
        terminal.print(&text::of(&facts))?;
    }
    Ok(Exit::Done)
}
