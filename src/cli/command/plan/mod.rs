//! `fleetstorm plan`: what a scenario will do, need and take. Starts nothing.

mod document;
mod facts;
mod key_time;
mod keys;
mod ports;
mod text;

use crate::cli::args::ScenarioArgs;
use crate::cli::settings::{Resolved, resolve};
use crate::cli::{CommandError, Exit, Explained, Terminal};
use crate::domain::Shard;
use crate::engine::{IdleShard, Plan};
use crate::rig::machine::OpenFiles;

/// Arguments of `fleetstorm plan`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct PlanArgs {
    /// What to plan.
    #[command(flatten)]
    pub scenario: ScenarioArgs,
    /// Only the part of the fleet that `run --shard` runs: number I of N
    #[arg(long, value_name = "I/N")]
    pub shard: Option<Shard>,
}

const EXAMPLES: &str = "\
Examples:
  fleetstorm plan scenarios/provisioning-storm.toml
      stages, arrivals, keys, open files, ports and time
  fleetstorm plan scenarios/provisioning-storm.toml --set quotas.profile=dps-default
      and whether, when and by how much that is over the quotas of a DPS instance, with the shortest spread that fits
  fleetstorm plan scenarios/provisioning-storm.toml --set fleet.devices=1000000 --json
      the same for scripts
  fleetstorm plan scenarios/provisioning-storm.toml --set fleet.devices=40000 --shard 1/4
      what the first of four machines will do and need; quotas are checked for all four together

What this machine is expected to do is held against what is asked for: by earlier runs on it, else as documented \
for another one. Quotas are checked for all stages together that may run beside each other, and for first attempts alone: devices that are refused \
come again and make it worse. Ends with code 0 even when \
they do not hold, and with 3 when the scenario is invalid.";

/// Runs the command.
///
/// # Errors
/// The scenario is invalid, or stdout cannot be written.
pub fn run(args: PlanArgs, terminal: &Terminal) -> Result<Exit, CommandError> {
    let PlanArgs { scenario, shard } = args;
    let Resolved { scenario, seed } = resolve(scenario, Vec::new())?;
    let plan = Plan::of_shard(&scenario, seed, shard.unwrap_or(Shard::WHOLE)).map_err(Idle)?;
    let open_files = OpenFiles::available(plan.needs.open_files)?;
    let facts = facts::RunFacts::new(&scenario, &plan, open_files)?;
    if terminal.json {
        terminal.print_json(&document::Document::of(&facts))?;
    } else {
        terminal.print(&text::of(&facts))?;
    }
    Ok(Exit::Done)
}

/// More shards than there is work for.
#[derive(Debug, thiserror::Error, miette::Diagnostic)]
#[error("--shard: {0}")]
#[diagnostic(help("divide the run into fewer shards, or enlarge fleet.devices or `concurrency`"))]
pub(super) struct Idle(#[source] pub(super) IdleShard);

impl Explained for Idle {
    fn exit(&self) -> Exit {
        Exit::Usage
    }
}
