//! What was typed. Nothing here decides anything: see [`crate::cli::settings`] and [`crate::cli::command`].

use std::ffi::OsString;
use std::path::PathBuf;

use clap::builder::styling::{Ansi256Color, Style, Styles};
use clap::{Args, ColorChoice, CommandFactory as _, FromArgMatches as _, Parser, Subcommand};

use crate::cli::Exit;
use crate::cli::command::{
    check::CheckArgs, compare::CompareArgs, completions::CompletionsArgs, emulator::EmulatorArgs, man::ManArgs,
    merge::MergeArgs, pki::PkiArgs, plan::PlanArgs, report::ReportArgs, run::RunArgs, schema::SchemaArgs,
};
use crate::cli::harmless::harmless;
use crate::cli::terminal::stderr;
use crate::report::Tone;

/// Will our provisioning and renewal path hold when the whole fleet comes at once?
///
/// fleetstorm spawns thousands of virtual devices that derive SAS keys, make key pairs and CSRs, register with Azure
/// Device Provisioning Service or the built-in emulator, get their operational certificate, connect to IoT Hub with it,
/// and it records where every millisecond went.
#[derive(Debug, Parser)]
#[command(
    name = "fleetstorm",
    version,
    propagate_version = true,
    max_term_width = 100,
    styles = styles(),
    after_help = "Try it: fleetstorm run scenarios/smoke.toml",
    after_long_help = long_help()
)]
pub struct Cli {
    /// Flags of every command.
    #[command(flatten)]
    pub global: GlobalArgs,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// Flags of every command.
#[derive(Debug, Clone, Copy, Args)]
pub struct GlobalArgs {
    /// No colours (so does the environment variable NO_COLOR)
    #[arg(long, global = true, help_heading = "Output")]
    pub no_color: bool,
    /// Nothing on stderr but errors
    #[arg(long, short, global = true, help_heading = "Output")]
    pub quiet: bool,
    /// Machine-readable output on stdout
    #[arg(long, global = true, help_heading = "Output")]
    pub json: bool,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run a scenario and write its results
    Run(Box<RunArgs>),
    /// Say what a scenario will do, need and take, without starting anything
    Plan(PlanArgs),
    /// Report every problem of scenario files
    Check(CheckArgs),
    /// Redo every format of a run's results from its stored record
    Report(ReportArgs),
    /// Compare two runs, or several runs of either side, phase by phase
    Compare(CompareArgs),
    /// Add the results of several runs, or of parts of one, without loss
    Merge(MergeArgs),
    /// Run DPS, IoT Hub and ADR on loopback
    Emulator(EmulatorArgs),
    /// Make certificate authorities and bootstrap certificates
    Pki(PkiArgs),
    /// Print the JSON Schema of a file that fleetstorm reads or writes
    Schema(SchemaArgs),
    /// Print what a shell needs to complete commands and flags
    Completions(CompletionsArgs),
    /// Print the manual, or write a page per command
    Man(ManArgs),
}

/// The scenario and what is laid over it.
#[derive(Debug, Args)]
pub struct ScenarioArgs {
    /// Scenario file (TOML); see scenarios/ for examples
    pub scenario: PathBuf,
    /// Lay a setting over the scenario, such as fleet.devices=100 or stage.storm.timeout=30s
    #[arg(long = "set", value_name = "KEY=VALUE", value_parser = key_value)]
    pub sets: Vec<(String, String)>,
    /// Seed of all random draws: the same scenario and seed give the same plan and the same devices
    #[arg(long, value_name = "N")]
    pub seed: Option<u64>,
}

impl Cli {
    /// What this process was called with.
    ///
    /// # Errors
    /// It makes no sense, or asks for help or the version: see [`explain`].
    pub fn of_process() -> Result<Self, clap::Error> {
        Self::of(std::env::args_os())
    }

    fn of(args: impl IntoIterator<Item = OsString>) -> Result<Self, clap::Error> {
        let args: Vec<_> = args.into_iter().collect();
        let mut command = Self::command();
        // Looked for before anything is understood: what is refused is told without colours, too.
        if args.iter().take_while(|arg| *arg != "--").any(|arg| arg == "--no-color") {
            command = command.color(ColorChoice::Never);
        }
        let mut matches = command.try_get_matches_from_mut(args)?;
        Self::from_arg_matches_mut(&mut matches).map_err(|error| error.format(&mut command))
    }
}

/// What clap says, in the colours of everything else.
const fn styles() -> Styles {
    const fn of(tone: Tone) -> Style {
        let style = Ansi256Color(tone.color()).on_default();
        if tone.is_bold() { style.bold() } else { style }
    }
    Styles::styled().error(of(Tone::Bad)).valid(of(Tone::Good)).invalid(of(Tone::Warning))
}

/// Prints what clap has to say (help, version or what is wrong) and tells the exit code.
pub fn explain(refused: &clap::Error) -> Exit {
    let styled = refused.render().ansi().to_string();
    if refused.use_stderr() && harmless(&styled, true) != styled {
        // It repeats an argument that a terminal would obey: without the styles, and without what is none of them.
        stderr(&refused.render().to_string(), false);
    } else {
        // A closed stdout or stderr leaves nobody to tell.
        let _ = refused.print();
    }
    if refused.use_stderr() { Exit::Usage } else { Exit::Done }
}

fn key_value(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.trim().is_empty() => Ok((key.trim().to_owned(), value.trim().to_owned())),
        _ => Err("write KEY=VALUE, such as fleet.devices=100".to_owned()),
    }
}

fn long_help() -> String {
    let mut text = "\
Examples:
  fleetstorm run scenarios/provisioning-storm.toml
      5,000 devices at once against the embedded emulator; results go to results/
  fleetstorm run scenarios/smoke.toml --set fleet.devices=10 --json --quiet
      a small run for scripts: the content of run.json on stdout
  fleetstorm plan scenarios/provisioning-ramp.toml --set quotas.profile=dps-default
      what it will do and need, and whether the quotas of a DPS instance hold, without starting anything
  fleetstorm run scenarios/smoke.toml --set 'thresholds=[\"provision.total.p99 < 2s\"]'
      a condition that the run must meet, or it ends with code 5
  fleetstorm emulator --connection-file dps.json
      DPS, IoT Hub and ADR on loopback, for this tool or for your own SDK
  fleetstorm run scenarios/smoke.toml --target dps.json
      against an emulator that is already running

Exit codes:
"
    .to_owned();
    for exit in Exit::ALL {
        text.push_str(&format!("  {:>3}  {}\n", exit.code(), exit.meaning()));
    }
    text
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_definition_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn settings_are_split_at_the_first_equals_sign() {
        assert_eq!(key_value("a.b=c=d"), Ok(("a.b".to_owned(), "c=d".to_owned())));
        assert!(key_value("a.b").is_err() && key_value("=1").is_err());
    }
}
