//! The file format, schema 1: which keys there are, what each takes, what contradicts what. Readers know the types; no type knows
//! its reader.

mod arrival;
mod behaviour;
mod emulator;
mod fleet;
mod limits;
mod network;
mod policy;
mod quotas;
mod rate;
mod short_form;
mod stage;
mod target;
mod threshold;

use std::path::Path;

use crate::domain::{FleetTime, Origin, without_byte_order_mark};
pub use emulator::JudgeEmulator;
use stage::Surroundings;

use crate::scenario::Scenario;
use crate::settings::{self, expect};
use crate::settings::{Findings, Keys, Place, Problem, Problems, Section, Table, Text, ValueKind, document};

/// The only schema so far.
const SCHEMA: u64 = 1;

/// The longest span of fleet time that a key takes.
pub(super) const LONGEST: FleetTime = FleetTime::from_secs(366 * 86_400);

impl Scenario {
    /// Reads a file and lays `--set` overrides over it: pairs of a dotted key (`fleet.devices`, `stage.storm.timeout`,
    /// `stage.0.timeout`) and a value as TOML (`5000`, `"30s"`, `{ process = "at-once" }`) or, where that is not valid
    /// TOML, as plain text (`30s`).
    ///
    /// # Errors
    /// All problems at once, each with file, line, column and what would be valid; those of `[emulator]` as `judge` sees them.
    pub fn load(path: &Path, sets: &[(String, String)], judge: JudgeEmulator) -> Result<Self, Problems> {
        let name = path.display().to_string();
        match std::fs::read_to_string(path) {
            Ok(text) => parse(&name, folder_of(path), &without_byte_order_mark(text), sets, Some(judge)),
            Err(error) => {
                let problem = Problem::new(format!("cannot read {name}: {error}"));
                Err(Problems::new(
                    format!("{name} is not a valid scenario"),
                    vec![problem.help("name a scenario file, such as scenarios/smoke.toml")],
                ))
            }
        }
    }

    /// Like [`Self::load`] for text; `name` stands for the file in messages, and files that it names are looked for beside it.
    /// Nobody judges `[emulator]`.
    ///
    /// # Errors
    /// All problems at once.
    pub fn parse(name: &str, text: &str, sets: &[(String, String)]) -> Result<Self, Problems> {
        parse(name, folder_of(Path::new(name)), text, sets, None)
    }
}

fn folder_of(path: &Path) -> &Path {
    path.parent().unwrap_or(Path::new(""))
}

/// `folder` is that of the file; files that it names are looked for there.
fn parse(
    name: &str,
    folder: &Path,
    text: &str,
    sets: &[(String, String)],
    judge: Option<JudgeEmulator>,
) -> Result<Scenario, Problems> {
    let findings = Findings::default();
    let scenario = read_text(&findings, name, folder, text, sets, judge);
    let (scenario, settings) = findings.judge(format!("{name} is not a valid scenario"), scenario)?;
    Ok(Scenario { settings, ..scenario })
}

/// Every key that was asked for while `text` was read, valid or not. Which keys there are depends on what else is said (the
/// process of an arrival, the kind of a stage), so that several texts are needed to see them all. `name` as for
/// [`Scenario::parse`](crate::scenario::Scenario::parse).
pub fn keys(name: &str, text: &str) -> Keys {
    let findings = Findings::default();
    // What is wrong with it does not matter here.
    let _ = read_text(&findings, name, Path::new(name).parent().unwrap_or(Path::new("")), text, &[], None);
    findings.into_keys()
}

/// Like [`parse`]; problems, settings and keys are in `findings`.
fn read_text(
    findings: &Findings,
    name: &str,
    folder: &Path,
    text: &str,
    sets: &[(String, String)],
    judge: Option<JudgeEmulator>,
) -> Option<Scenario> {
    let text = Text::new(name, text.to_owned(), Origin::Scenario, 0);
    let help = "text stands in double quotes; tables begin with [fleet], [[stage]], [limits] or [target]";
    let mut root = document::parse(findings, &text, help)?;
    short_form::expand(&mut root);
    for (index, (key, value)) in sets.iter().enumerate() {
        document::lay_over(findings, &mut root, key, value, index + 1);
        short_form::expand(&mut root);
    }
    match &root.kind {
        ValueKind::Table(table) => read(findings, table, root.place.clone(), folder, judge),
        _ => None,
    }
}

fn read(
    findings: &Findings,
    table: &Table,
    place: Place,
    folder: &Path,
    judge: Option<JudgeEmulator>,
) -> Option<Scenario> {
    let mut root = Section::root(findings, table, place);
    let schema = root.required("schema", &expect::integer(0..=u64::from(u32::MAX)));
    if schema.is_some_and(|s| s != SCHEMA) {
        root.problem("schema", "is not one that this version reads", "use schema = 1, or a newer fleetstorm");
    }
    let name = root.required("name", &name_of("scenario"));
    let question = root.optional("question", &expect::text("text: what the scenario answers"));
    let seed = root.optional("seed", &expect::integer(0..=u64::MAX >> 1));
    let time_scale = root.or("time_scale", "1s = 1s", &settings::time_scale());
    let fleet = fleet::read(root.section("fleet"), time_scale);
    let policy = policy::read(root.section("policy"));
    let quotas = quotas::read(root.section("quotas"));
    let emulator = emulator::read(&mut root, judge);
    let stages = root.sections("stage", "write `[[stage]]` with `name` and `kind = \"provision\"`");
    let around = Surroundings { folder, fleet: fleet.as_ref(), policy: policy.as_ref() };
    let (stages, heads) = stage::read_all(stages, around);
    let thresholds = threshold::read_all(&mut root, &heads);
    let limits = limits::read(root.section("limits"));
    let target = target::read(root.section("target"));
    root.finish();
    Some(Scenario {
        name: name?,
        question: question?,
        seed: seed?,
        time_scale: time_scale?,
        fleet: fleet?,
        policy: policy?,
        quotas: quotas?,
        emulator,
        stages: stages?,
        thresholds: thresholds?,
        limits: limits?,
        target: target?,
        settings: Vec::new(),
    })
}

/// Names become parts of file names and dotted keys.
pub(super) fn name_of(what: &str) -> expect::Expect<String> {
    let ok = |name: &String| name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
    expect::text(&format!("the {what}'s name: at most 64 letters, digits, - and _")).then(move |name| {
        if ok(&name) && name.len() <= 64 { Ok(name) } else { Err("not usable as a file name".to_owned()) }
    })
}
