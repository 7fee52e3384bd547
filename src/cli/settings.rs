//! What was typed, made one scenario: flags are laid over the file as `--set` is, so that there is one way to resolve a
//! value and one place that knows where it came from.

use std::path::Path;

use crate::cli::CommandError;
use crate::cli::args::ScenarioArgs;
use crate::emulator;
use crate::scenario::Scenario;

/// A scenario with everything of the command line in it.
#[derive(Debug)]
pub struct Resolved {
    /// The scenario.
    pub scenario: Scenario,
    /// The seed: of the command line, of the scenario, or drawn now.
    pub seed: u64,
}

/// Resolves scenario file, `--set`, `--seed` and the flags in `more` (dotted key and value).
///
/// # Errors
/// The scenario is invalid: all problems, exit code 3.
pub fn resolve(args: ScenarioArgs, more: Vec<(&str, Option<String>)>) -> Result<Resolved, CommandError> {
    let ScenarioArgs { scenario, mut sets, seed } = args;
    sets.extend(more.into_iter().filter_map(|(key, value)| Some((key.to_owned(), quoted(&value?)))));
    sets.extend(seed.map(|seed| ("seed".to_owned(), seed.to_string())));
    let scenario = load(&scenario, &sets)?;
    // Small enough to be exact in every JSON reader and short enough to be typed again.
    let seed = scenario.seed.unwrap_or_else(|| u64::from(rand::random::<u32>()));
    Ok(Resolved { scenario, seed })
}

/// Loads one file.
///
/// # Errors
/// The scenario is invalid, or its `[emulator]` is: all problems, exit code 3.
pub fn load(file: &Path, sets: &[(String, String)]) -> Result<Scenario, CommandError> {
    Ok(Scenario::load(file, sets, emulator::read_within)?)
}

/// Text as a TOML string, so that a file called `5` stays a name.
fn quoted(text: &str) -> String {
    toml::Value::String(text.to_owned()).to_string()
}
