//! `fleetstorm plan`: what a scenario will do, need and take. Starts nothing.

use std::fmt::Write as _;
use std::time::Duration;

use serde::Serialize;

use crate::cli::args::ScenarioArgs;
use crate::cli::open_files::OpenFiles;
use crate::cli::settings::{Resolved, resolve};
use crate::cli::{CommandError, Exit, Terminal};
use crate::engine::{Needs, Plan, PlannedStage};
use crate::report::console::wrapped;
use crate::report::units;
use crate::scenario::Scenario;

/// Arguments of `fleetstorm plan`.
#[derive(Debug, clap::Args)]
pub struct PlanArgs {
    /// What to plan.
    #[command(flatten)]
    pub scenario: ScenarioArgs,
}

/// Runs the command.
///
/// # Errors
/// The scenario is invalid, or stdout cannot be written.
pub fn run(args: PlanArgs, terminal: &Terminal) -> Result<Exit, CommandError> {
    let PlanArgs { scenario } = args;
    let Resolved { scenario, seed } = resolve(scenario, Vec::new())?;
    let plan = Plan::new(&scenario, seed);
    let open_files = OpenFiles::available(plan.needs.open_files)?;
    if terminal.json {
        terminal.print_json(&Document::of(&scenario, &plan, open_files))?;
    } else {
        terminal.print(&text(&scenario, &plan, open_files))?;
    }
    Ok(Exit::Done)
}

/// Least time that the arrivals take, stage after stage; the last answers come later.
fn least_duration(plan: &Plan) -> Duration {
    plan.stages.iter().filter_map(|stage| stage.last_due).sum()
}

fn text(scenario: &Scenario, plan: &Plan, open_files: OpenFiles) -> String {
    let mut text = String::new();
    let mut row = |name: &str, value: &str| {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{}", wrapped(&format!("{name:<12}"), value).trim_end());
    };
    row("scenario", &scenario.name);
    if let Some(question) = &scenario.question {
        row("question", question);
    }
    row("seed", &plan.seed.to_string());
    row("devices", &units::count(plan.devices.into()));
    for stage in &plan.stages {
        let PlannedStage { name, kind, workload, devices, start: _, last_due, arrivals, step, peak_per_second } = stage;
        row("", "");
        row("stage", &format!("{name} ({kind}), {} devices", units::count((*devices).into())));
        row("workload", workload);
        if let Some(last_due) = last_due.filter(|due| !due.is_zero()) {
            row("last due", &format!("{} after the first", units::duration(last_due)));
        }
        if let Some(peak) = peak_per_second {
            row("peak", &format!("{} devices in one second", units::count((*peak).into())));
        }
        if arrivals.len() > 1 {
            row("arrivals", &format!("{} ({} per column)", sparkline(arrivals), units::duration(*step)));
        }
    }
    let Needs { keys, in_flight, held: _, open_files: wanted } = plan.needs;
    row("", "");
    row("keys", &format!("{} key pairs, CSRs and SAS tokens to make", units::count(keys)));
    row("in flight", &format!("at most {} attempts at once", units::count(in_flight)));
    let files = format!("{} needed, {} available", units::count(wanted), units::count(open_files.limit));
    row("open files", &files);
    let least = least_duration(plan);
    let closed = plan.stages.iter().any(|stage| stage.last_due.is_none());
    row(
        "takes",
        &match (least, closed) {
            (_, true) => {
                "as long as the target needs: a closed workload starts a device when another is done".to_owned()
            }
            (Duration::ZERO, false) => "as long as the target needs to answer".to_owned(),
            (least, false) => format!("{} and the time of the last answers", units::duration(least)),
        },
    );
    if let Some(shortage) = open_files.shortage() {
        row("", "");
        row("note", &shortage);
    }
    text
}

/// At most 60 columns of one of eight heights.
fn sparkline(arrivals: &[u32]) -> String {
    const HEIGHTS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    const COLUMNS: usize = 60;
    let per_column = arrivals.len().div_ceil(COLUMNS).max(1);
    let columns: Vec<u64> =
        arrivals.chunks(per_column).map(|chunk| chunk.iter().copied().map(u64::from).sum()).collect();
    let highest = columns.iter().copied().max().unwrap_or_default().max(1);
    let height = |count: u64| {
        let level = usize::try_from(count * 7 / highest).unwrap_or_default();
        HEIGHTS.get(level).copied().unwrap_or('█')
    };
    columns.into_iter().map(height).collect()
}

/// The plan as JSON. Durations are integer microseconds.
#[derive(Serialize)]
struct Document<'a> {
    schema: u32,
    scenario: &'a str,
    question: Option<&'a str>,
    seed: u64,
    devices: u32,
    least_duration_us: u128,
    stages: Vec<Stage<'a>>,
    keys: u64,
    in_flight: u64,
    open_files_needed: u64,
    open_files_available: u64,
    settings: Vec<Setting<'a>>,
}

#[derive(Serialize)]
struct Stage<'a> {
    name: &'a str,
    kind: &'static str,
    workload: &'a str,
    devices: u32,
    last_due_us: Option<u128>,
    peak_per_second: Option<u32>,
    step_us: u128,
    arrivals: &'a [u32],
}

#[derive(Serialize)]
struct Setting<'a> {
    key: &'a str,
    value: &'a str,
    origin: &'static str,
}

impl<'a> Document<'a> {
    fn of(scenario: &'a Scenario, plan: &'a Plan, open_files: OpenFiles) -> Self {
        let Needs { keys, in_flight, held: _, open_files: open_files_needed } = plan.needs;
        Self {
            schema: 1,
            scenario: &scenario.name,
            question: scenario.question.as_deref(),
            seed: plan.seed,
            devices: plan.devices,
            least_duration_us: least_duration(plan).as_micros(),
            stages: plan.stages.iter().map(Stage::of).collect(),
            keys,
            in_flight,
            open_files_needed,
            open_files_available: open_files.limit,
            settings: scenario
                .settings
                .iter()
                .map(|crate::domain::Setting { key, value, origin }| Setting { key, value, origin: origin.name() })
                .collect(),
        }
    }
}

impl<'a> Stage<'a> {
    fn of(stage: &'a PlannedStage) -> Self {
        let PlannedStage { name, kind, workload, devices, start: _, last_due, arrivals, step, peak_per_second } = stage;
        Self {
            name,
            kind: kind.name(),
            workload,
            devices: *devices,
            last_due_us: last_due.map(|due| due.as_micros()),
            peak_per_second: *peak_per_second,
            step_us: step.as_micros(),
            arrivals,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sparkline_rises_with_the_arrivals() {
        assert_eq!(sparkline(&[0, 1, 2, 4, 8]), "▁▁▂▄█");
        assert_eq!(sparkline(&[0, 0]), "▁▁");
        assert_eq!(sparkline(&[1; 120]).chars().count(), 60);
    }
}
