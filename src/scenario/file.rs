//! The file format, schema 1: which keys there are, what each takes, what contradicts what.

use std::path::Path;

use toml::de::DeTable;

use crate::domain::FleetTime;
use crate::scenario::stage::Surroundings;
use crate::scenario::{
    Scenario, emulator, fleet, limits, policy, quotas, short_form, stage, target, threshold, time_scale,
};
use crate::settings::Keys;
use crate::settings::expect::{self, nearest};
use crate::settings::problem::{Problem, Problems};
use crate::settings::reader::{Findings, Section};
use crate::settings::tree::{Kind, Place, SetError, Table, Value};

/// The only schema so far.
const SCHEMA: u64 = 1;

/// The longest span of fleet time that a key takes.
pub(super) const LONGEST: FleetTime = FleetTime::from_secs(366 * 86_400);

/// `folder` is that of the file; files that it names are looked for there.
pub(super) fn parse(name: &str, folder: &Path, text: &str, sets: &[(String, String)]) -> Result<Scenario, Problems> {
    let findings = Findings::default();
    let scenario = read_text(&findings, name, folder, text, sets);
    let problems = findings.problems.into_inner();
    match scenario {
        Some(scenario) if problems.is_empty() => Ok(Scenario { settings: findings.settings.into_inner(), ..scenario }),
        _ => Err(Problems::new(name, problems)),
    }
}

/// Every key that was asked for while `text` was read, valid or not. Which keys there are depends on what else is said (the
/// process of an arrival, the kind of a stage), so that several texts are needed to see them all. `name` as for
/// [`Scenario::parse`](crate::scenario::Scenario::parse).
pub fn keys(name: &str, text: &str) -> Keys {
    let findings = Findings::default();
    // What is wrong with it does not matter here.
    let _ = read_text(&findings, name, Path::new(name).parent().unwrap_or(Path::new("")), text, &[]);
    findings.keys.into_keys()
}

/// Like [`parse`]; problems, settings and keys are in `findings`.
fn read_text(
    findings: &Findings,
    name: &str,
    folder: &Path,
    text: &str,
    sets: &[(String, String)],
) -> Option<Scenario> {
    findings.add_source(name, text.to_owned());
    let (table, errors) = DeTable::parse_recoverable(text);
    if !errors.is_empty() {
        for error in errors {
            let place = Place { source: 0, span: error.span().unwrap_or_default() };
            let problem = Problem::new(format!("not valid TOML: {}", error.message()))
                .help("text stands in double quotes; tables begin with [fleet], [[stage]], [limits] or [target]");
            findings.problem(&place, problem);
        }
        return None;
    }
    let place = Place { source: 0, span: 0..0 };
    let mut root = Value { kind: Kind::Table(Table::from_toml(table.get_ref(), 0, 0)), place };
    short_form::expand(&mut root);
    for (key, value) in sets {
        lay_over(&mut root, findings, key, value);
        short_form::expand(&mut root);
    }
    match &root.kind {
        Kind::Table(table) => read(findings, table, root.place.clone(), folder),
        _ => None,
    }
}

fn lay_over(root: &mut Value, findings: &Findings, key: &str, value: &str) {
    let source = findings.add_source("--set", format!("{key}={value}"));
    let key_place = Place { source, span: 0..key.len() };
    let path: Vec<&str> = key.split('.').collect();
    if path.iter().any(|part| part.is_empty()) {
        let problem = Problem::new("the key has an empty part").help("write KEY=VALUE, such as fleet.devices=100");
        return findings.problem(&key_place, problem);
    }
    let value = Value::from_text(value, source, key.len() + 1);
    let problem = match root.set(&path, "", &key_place, value) {
        Ok(()) => return,
        Err(SetError::NotATable(path)) => Problem::new(format!("`{path}` has no keys below it"))
            .help(format!("set `{path}` itself, to a table if it takes one")),
        Err(SetError::NoItem { path, item, items }) => {
            let names = items.join("`, `");
            Problem::new(format!("`{path}` has no `{item}`")).help(
                match nearest(&item, items.iter().map(String::as_str)) {
                    Some(name) => format!("did you mean `{path}.{name}`?"),
                    None => format!("there is `{names}`; an index from 0 works too"),
                },
            )
        }
    };
    findings.problem(&key_place, problem);
}

fn read(findings: &Findings, table: &Table, place: Place, folder: &Path) -> Option<Scenario> {
    let mut root = Section::root(findings, table, place);
    let schema = root.required("schema", &expect::integer(0..=u64::from(u32::MAX)));
    if schema.is_some_and(|s| s != SCHEMA) {
        root.problem("schema", "is not one that this version reads", "use schema = 1, or a newer fleetstorm");
    }
    let name = root.required("name", &name_of("scenario"));
    let question = root.optional("question", &expect::text("text: what the scenario answers"));
    let seed = root.optional("seed", &expect::integer(0..=u64::MAX >> 1));
    let time_scale = root.or("time_scale", "1s = 1s", &time_scale::expect());
    let fleet = fleet::read(root.section("fleet"), time_scale);
    let policy = policy::read(root.section("policy"));
    let quotas = quotas::read(root.section("quotas"));
    let emulator = emulator::read(&mut root);
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
        emulator: emulator?,
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
