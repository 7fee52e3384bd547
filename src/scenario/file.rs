//! The file format, schema 1: which keys there are, what each takes, what contradicts what.

use std::path::Path;

use crate::domain::{FleetTime, Origin};
use crate::scenario::emulator::JudgeEmulator;
use crate::scenario::stage::Surroundings;
use crate::scenario::{Scenario, emulator, fleet, limits, policy, quotas, short_form, stage, target, threshold};
use crate::settings::{self, expect};
use crate::settings::{Findings, Keys, Kind, Place, Problems, Section, Table, Text, document};

/// The only schema so far.
const SCHEMA: u64 = 1;

/// The longest span of fleet time that a key takes.
pub(super) const LONGEST: FleetTime = FleetTime::from_secs(366 * 86_400);

/// `folder` is that of the file; files that it names are looked for there.
pub(super) fn parse(
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
        Kind::Table(table) => read(findings, table, root.place.clone(), folder, judge),
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
