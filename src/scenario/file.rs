//! The file format, schema 1: which keys there are, what each takes, what contradicts what.

use std::collections::HashSet;
use std::sync::Arc;

use miette::NamedSource;
use toml::de::DeTable;

use crate::domain::{QuotaLimits, TimeScale};
use crate::scenario::expect::{self, nearest};
use crate::scenario::problem::{Problem, Problems};
use crate::scenario::reader::{Findings, Section};
use crate::scenario::tree::{Entry, Kind, Place, SetError, Table, Value};
use crate::scenario::{Policy, Scenario, fleet, limits, stage, target};

/// The only schema so far.
const SCHEMA: u64 = 1;

pub(super) fn parse(name: &str, text: &str, sets: &[(String, String)]) -> Result<Scenario, Problems> {
    let mut findings =
        Findings { sources: vec![Arc::new(NamedSource::new(name, text.to_owned()))], ..Default::default() };
    let (table, errors) = DeTable::parse_recoverable(text);
    if !errors.is_empty() {
        let problems = errors.into_iter().map(|error| {
            let span = error.span().unwrap_or_default();
            Problem::new(format!("not valid TOML: {}", error.message()))
                .help("text stands in double quotes; tables begin with [fleet], [[stage]], [limits] or [target]")
                .at(0, &findings.sources[0], span)
        });
        return Err(Problems::new(name, problems.collect()));
    }
    let mut root =
        Value { kind: Kind::Table(Table::from_toml(table.get_ref(), 0, 0)), place: Place { source: 0, span: 0..0 } };
    for (key, value) in sets {
        lay_over(&mut root, &mut findings, key, value);
    }
    expand_short_forms(&mut root);
    let scenario = match &root.kind {
        Kind::Table(table) => read(&findings, table, root.place.clone()),
        _ => None,
    };
    let problems = findings.problems.into_inner();
    match scenario {
        Some(scenario) if problems.is_empty() => Ok(Scenario { settings: findings.settings.into_inner(), ..scenario }),
        _ => Err(Problems::new(name, problems)),
    }
}

fn lay_over(root: &mut Value, findings: &mut Findings, key: &str, value: &str) {
    let source = findings.sources.len();
    findings.sources.push(Arc::new(NamedSource::new("--set", format!("{key}={value}"))));
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

/// `arrival = "at-once"` is short for `arrival = { process = "at-once" }`.
fn expand_short_forms(root: &mut Value) {
    let Some(stages) = root.child_mut("stage") else { return };
    let Kind::Array(stages) = &mut stages.kind else { return };
    for arrival in stages.iter_mut().filter_map(|stage| stage.child_mut("arrival")) {
        if matches!(arrival.kind, Kind::Text(_)) {
            let place = arrival.place.clone();
            let process =
                std::mem::replace(arrival, Value { kind: Kind::Table(Table::default()), place: place.clone() });
            if let Kind::Table(table) = &mut arrival.kind {
                table.0.push(Entry { key: "process".to_owned(), key_place: place, value: process });
            }
        }
    }
}

fn read(findings: &Findings, table: &Table, place: Place) -> Option<Scenario> {
    let mut root = Section::new(findings, String::new(), Some(table), place);
    let schema = root.required("schema", &expect::integer(0..=u64::from(u32::MAX)));
    if schema.is_some_and(|s| s != SCHEMA) {
        root.problem("schema", "is not one that this version reads", "use schema = 1, or a newer fleetstorm");
    }
    let name = root.required("name", &name_of("scenario"));
    let question = root.optional("question", &expect::text("text: what the scenario answers"));
    let seed = root.optional("seed", &expect::integer(0..=u64::MAX >> 1));
    let fleet = fleet::read(root.section("fleet"));
    let stages = root.sections("stage", "write `[[stage]]` with `name` and `kind = \"provision\"`");
    let stages = read_stages(stages, fleet.as_ref().map(|f| f.devices));
    let limits = limits::read(root.section("limits"));
    let target = target::read(root.section("target"));
    root.finish();
    Some(Scenario {
        name: name?,
        question: question?,
        seed: seed?,
        time_scale: TimeScale::REAL,
        fleet: fleet?,
        policy: Policy::default(),
        quotas: QuotaLimits::NONE,
        emulator: toml::Table::new(),
        thresholds: Vec::new(),
        stages: stages?,
        limits: limits?,
        target: target?,
        settings: Vec::new(),
    })
}

fn read_stages(sections: Vec<Section<'_>>, devices: Option<u32>) -> Option<Vec<stage::Stage>> {
    let mut names = HashSet::new();
    let mut stages = Some(Vec::new());
    for section in sections {
        let stage = stage::read(section, devices, &mut names);
        stages = stages.zip(stage).map(|(mut stages, stage)| {
            stages.push(stage);
            stages
        });
    }
    stages
}

/// Names become parts of file names and dotted keys.
pub(super) fn name_of(what: &str) -> expect::Expect<String> {
    let ok = |name: &String| name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
    expect::text(&format!("the {what}'s name: at most 64 letters, digits, - and _")).then(move |name| {
        if ok(&name) && name.len() <= 64 { Ok(name) } else { Err("not usable as a file name".to_owned()) }
    })
}
