//! What was typed. Nothing here decides anything: see [`crate::cli::command`].

use clap::{Args, Parser, Subcommand};

use crate::cli::Exit;
use crate::cli::command::{check::CheckArgs, emulator::EmulatorArgs, pki::PkiArgs, plan::PlanArgs, run::RunArgs};

/// Will our provisioning and renewal path hold when the whole fleet comes at once?
#[derive(Debug, Parser)]
#[command(name = "fleetstorm", version, propagate_version = true, max_term_width = 100)]
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
    /// No colours (also: NO_COLOR=1)
    #[arg(long, global = true)]
    pub no_color: bool,
    /// Nothing on stderr but errors
    #[arg(long, short, global = true)]
    pub quiet: bool,
    /// Machine-readable output on stdout
    #[arg(long, global = true)]
    pub json: bool,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run a scenario and write its results
    Run(RunArgs),
    /// Say what a scenario will do, need and take, without starting anything
    Plan(PlanArgs),
    /// Report every problem of scenario files
    Check(CheckArgs),
    /// Run DPS, IoT Hub and ADR on loopback
    Emulator(EmulatorArgs),
    /// Make certificate authorities and bootstrap certificates
    Pki(PkiArgs),
}

/// Prints what clap has to say (help, version or what is wrong) and tells the exit code.
pub fn explain(refused: &clap::Error) -> Exit {
    // A closed stdout or stderr leaves nobody to tell.
    let _ = refused.print();
    if refused.use_stderr() { Exit::Usage } else { Exit::Done }
}

/// Environment variable with the enrollment group's key in base64. Never a flag: arguments are visible to every user of
/// the machine.
pub const GROUP_KEY_ENV: &str = "FLEETSTORM_GROUP_KEY";
