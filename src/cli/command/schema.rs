//! `fleetstorm schema`: JSON Schemas of what fleetstorm reads and writes.

use clap::ValueEnum;

use crate::cli::{CommandError, Exit, Terminal};

/// Arguments of `fleetstorm schema`.
#[derive(Debug, Clone, Copy, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct SchemaArgs {
    /// File that the schema is of
    #[arg(value_enum)]
    pub of: Document,
}

/// What there is a schema of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Document {
    /// run.json, the record of a run
    Run,
    /// Scenario files
    Scenario,
    /// Settings of the emulator
    Emulator,
}

const EXAMPLES: &str = "\
Examples:
  fleetstorm schema run > run.schema.json
  check-jsonschema --schemafile run.schema.json runs/*/run.json
      or another validator of JSON Schema 2020-12
  fleetstorm schema scenario > scenario.schema.json
      an editor completes by it and marks mistakes when `#:schema ./scenario.schema.json` is the first line of a scenario
      (Taplo, Even Better TOML)";

impl Document {
    /// The schema as it is in docs/.
    const fn schema(self) -> &'static str {
        match self {
            Self::Run => include_str!("../../../docs/run.schema.json"),
            Self::Scenario => include_str!("../../../docs/scenario.schema.json"),
            Self::Emulator => include_str!("../../../docs/emulator.schema.json"),
        }
    }
}

/// Runs the command.
///
/// # Errors
/// stdout cannot be written.
pub fn run(args: SchemaArgs, terminal: &Terminal) -> Result<Exit, CommandError> {
    let SchemaArgs { of } = args;
    terminal.print(of.schema())?;
    Ok(Exit::Done)
}
