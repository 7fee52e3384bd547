use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use crate::domain::TimeScale;
use crate::measure::{RunRecord, RunStatus};
use crate::report::compare::MayDiffer;
use crate::report::{Verdict, units, verdicts};

/// Runs that say nothing about each other.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, miette::Diagnostic)]
#[error("these runs are not comparable:\n- {}", .0.join("\n- "))]
#[diagnostic(help(
    "run the same scenario with the same settings; --allow KEY lets a setting differ, --across holds two \
                  scenarios against each other on purpose"
))]
pub struct NotComparable(
    /// Every reason.
    pub Vec<String>,
);

/// What the target is made of is what runs are compared for; what only this run was asked beside.
const OF_TARGET: [&str; 3] = ["target", "emulator", "run"];
/// Seeds may differ, and words and thresholds change nothing that is measured.
const HARMLESS: [&str; 6] = ["seed", "thresholds", "threshold", "question", "name", "merged"];
/// How a generator reaches the target, and what only its command line says, is another matter on every machine.
const OF_GENERATOR: [&str; 3] = ["target", "run", "limits.workers"];

/// Runs that are not parts of one sum.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, miette::Diagnostic)]
#[error("these runs cannot be merged:\n- {}", .0.join("\n- "))]
#[diagnostic(help(
    "merge runs of one scenario with the same settings, with different seeds or as shards of one; --allow KEY lets a \
     setting differ"
))]
pub struct NotMergeable(
    /// Every reason.
    pub Vec<String>,
);

/// Whether runs were asked for the same, so that they may be added; they are looked at one by one.
#[derive(Debug)]
pub struct Mergeable {
    first: Asked,
    allowed: Vec<String>,
    reasons: BTreeSet<String>,
    notes: BTreeSet<String>,
    machines: BTreeSet<String>,
}

/// What a run was asked for, and who carried it out.
#[derive(Debug)]
struct Asked {
    scenario: String,
    time_scale: TimeScale,
    settings: BTreeMap<String, String>,
    target: String,
    version: String,
}

impl Asked {
    fn of(run: &RunRecord) -> Self {
        let RunRecord { scenario, time_scale, target, version, .. } = run;
        Self {
            scenario: scenario.clone(),
            time_scale: *time_scale,
            settings: settings(run),
            target: target.clone(),
            version: version.clone(),
        }
    }
}

impl Mergeable {
    /// Begins with a run. `allowed`: settings that may differ (keys, or their beginnings); `target` lets the targets differ.
    pub fn new(first: &RunRecord, allowed: Vec<String>) -> Self {
        let (reasons, notes) = (BTreeSet::new(), BTreeSet::new());
        Self { first: Asked::of(first), allowed, reasons, notes, machines: BTreeSet::from([machine(first)]) }
    }

    /// Holds one more run against the first.
    pub fn add(&mut self, run: &RunRecord) {
        let Self { first, allowed, reasons, notes, machines } = self;
        machines.insert(machine(run));
        if let Some(difference) = difference("scenario", &first.scenario, &run.scenario) {
            reasons.insert(difference);
            return;
        }
        reasons.extend(difference("time_scale", &first.time_scale, &run.time_scale));
        for (key, values) in differences(&first.settings, &settings(run)) {
            if allowed.iter().any(|allowed| begins(&key, allowed)) {
                notes.insert(format!("{key} differs: {values}"));
            } else if !OF_GENERATOR.into_iter().chain(HARMLESS).any(|harmless| begins(&key, harmless)) {
                reasons.insert(format!("{key}: {values}"));
            }
        }
        let of_target = if allowed.iter().any(|allowed| allowed == "target") { &mut *notes } else { reasons };
        of_target.extend(difference("target", &first.target, &run.target));
        notes.extend(difference("fleetstorm differs", &first.version, &run.version));
    }

    /// What the reader must know.
    ///
    /// # Errors
    /// They were asked for different things: every reason.
    pub fn finish(self) -> Result<Vec<String>, NotMergeable> {
        let Self { reasons, mut notes, machines, .. } = self;
        if machines.len() > 1 {
            let machines: Vec<String> = machines.into_iter().collect();
            notes.insert(format!("the generators had different machines: {}", machines.join("; ")));
        }
        let all = |words: BTreeSet<String>| words.into_iter().collect();
        if reasons.is_empty() { Ok(all(notes)) } else { Err(NotMergeable(all(reasons))) }
    }
}

fn machine(run: &RunRecord) -> String {
    format!("{}, {}", processor(run), run.machine.os)
}

/// What decides how fast a machine is.
fn processor(run: &RunRecord) -> String {
    format!("{}, {}", run.machine.cpu, units::cores_of(&run.machine))
}

/// That what is compared is the machine and not the target, where that is so.
fn machine_full(run: &RunRecord) -> Option<String> {
    let full = |verdict| match verdict {
        full @ Verdict::MachineFull { .. } => Some(full.sentence()),
        _ => None,
    };
    verdicts(run).into_iter().find_map(full)
}

fn part(run: &RunRecord) -> String {
    run.part_of_fleet().unwrap_or_else(|| "the whole fleet".to_owned())
}

fn stages(run: &RunRecord) -> String {
    let stages = run.stages.iter().map(|stage| format!("{} ({}, {})", stage.name, stage.kind, stage.workload));
    stages.collect::<Vec<_>>().join(", ")
}

fn kinds(run: &RunRecord) -> String {
    run.stages.iter().map(|stage| stage.kind.to_string()).collect::<Vec<_>>().join(", ")
}

/// In what two runs differ, with what either has.
fn difference<T: PartialEq + fmt::Display>(what: &str, a: &T, b: &T) -> Option<String> {
    (a != b).then(|| format!("{what}: {a} and {b}"))
}

/// Whether a key is that one or below it.
fn begins(key: &str, beginning: &str) -> bool {
    key.strip_prefix(beginning).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
}

/// What is to be said of runs that are comparable.
pub(super) struct Remarks {
    /// What stands before every conclusion.
    pub(super) warnings: Vec<String>,
    /// What the reader must know.
    pub(super) notes: Vec<String>,
}

/// Every reason why runs cannot be compared, or what the reader must know.
pub(super) fn check(a: &[RunRecord], b: &[RunRecord], allowed: MayDiffer<'_>) -> Result<Remarks, NotComparable> {
    let mut warnings = BTreeSet::new();
    let mut reasons = BTreeSet::new();
    let mut notes = BTreeSet::new();
    let Some(first) = a.first().filter(|_| !b.is_empty()) else {
        return Err(NotComparable(vec!["one side has no runs".to_owned()]));
    };
    // Runs of one side are always like each other.
    let like = if allowed.scenario { b.first().unwrap_or(first) } else { first };
    let pairs = a.iter().map(|run| (first, run)).chain(b.iter().map(|run| (like, run)));
    for (first, run) in pairs.chain(allowed.scenario.then_some((first, like))) {
        let across = allowed.scenario && std::ptr::eq(run, like) && !std::ptr::eq(first, like);
        if run.status != RunStatus::Complete {
            reasons.insert(format!("a run of seed {} is partial ({})", run.seed, run.status.name()));
        }
        if !run.health.saturated.is_empty() {
            reasons.insert(format!(
                "the generator was the bottleneck in a run of seed {}: {}",
                run.seed,
                run.health.saturated.join("; ")
            ));
        }
        notes.extend(machine_full(run).map(|full| format!("in a run of seed {} {full}", run.seed)));
        if let Some(difference) = difference("scenario", &first.scenario, &run.scenario) {
            if !across {
                reasons.insert(difference);
                continue;
            }
            notes.insert(format!("compared: {difference}"));
        }
        reasons.extend(difference("time_scale", &first.time_scale, &run.time_scale));
        reasons.extend(difference("part of the fleet", &part(first), &part(run)));
        if across {
            reasons.extend(difference("kinds of the stages", &kinds(first), &kinds(run)));
        } else {
            reasons.extend(difference("stages", &stages(first), &stages(run)));
        }
        for (key, values) in differences(&settings(first), &settings(run)) {
            let harmless = HARMLESS.into_iter().any(|harmless| begins(&key, harmless));
            if across && !harmless {
                notes.insert(format!("compared: {key}: {values}"));
            } else if OF_TARGET.into_iter().any(|of| begins(&key, of))
                || allowed.settings.iter().any(|allowed| begins(&key, allowed))
            {
                notes.insert(format!("{key} differs: {values}"));
            } else if !harmless {
                reasons.insert(format!("{key}: {values}"));
            }
        }
        notes.extend(difference("the target differs", &first.target, &run.target));
        notes.extend(difference("fleetstorm differs", &first.version, &run.version));
        warnings.extend(difference("different machines", &processor(first), &processor(run)));
        notes.extend(difference("the system differs", &first.machine.os, &run.machine.os));
    }
    let all = |words: BTreeSet<String>| words.into_iter().collect();
    if reasons.is_empty() {
        Ok(Remarks { warnings: all(warnings), notes: all(notes) })
    } else {
        Err(NotComparable(all(reasons)))
    }
}

fn settings(run: &RunRecord) -> BTreeMap<String, String> {
    run.settings.iter().map(|setting| (setting.key.clone(), setting.value.clone())).collect()
}

/// Settings that differ, with both values.
fn differences(a: &BTreeMap<String, String>, b: &BTreeMap<String, String>) -> Vec<(String, String)> {
    let keys: BTreeSet<&String> = a.keys().chain(b.keys()).collect();
    let value = |of: &BTreeMap<String, String>, key: &String| of.get(key).map_or("nothing", String::as_str).to_owned();
    keys.into_iter()
        .filter(|key| a.get(*key) != b.get(*key))
        .map(|key| (key.clone(), format!("{} and {}", value(a, key), value(b, key))))
        .collect()
}
