//! The table `[emulator]`: settings of the embedded emulator. What they mean is known there; here they are kept, recorded,
//! and kept apart from what the scenario says itself.

use toml::value::Datetime;

use crate::scenario::quotas;
use crate::settings::problem::Problem;
use crate::settings::reader::{Findings, Section};
use crate::settings::tree::{Kind, Table, Value};

/// Settings that a run makes itself, with the key to use instead.
const OWNED: [(&str, &str); 5] = [
    ("time_scale", "set `time_scale` of the scenario: generator and emulator must agree on it"),
    ("quota", "set `quotas.profile` of the scenario"),
    ("adr.leaf_validity_days", "set `policy.validity` of the scenario"),
    ("adr.leaf_validity_seconds", "set `policy.validity` of the scenario"),
    ("listen", "leave it out: the run chooses its own free ports of loopback"),
];

pub(super) fn read(root: &mut Section<'_>) -> Option<toml::Table> {
    let findings = root.findings();
    match root.raw("emulator") {
        None => Some(toml::Table::new()),
        Some(Value { kind: Kind::Table(table), .. }) => convert_table(findings, "", table),
        Some(value) => {
            let problem = Problem::new("`emulator` must be a table")
                .help("write [emulator] with keys as in a configuration file of `fleetstorm emulator`");
            findings.problem(&value.place, problem);
            None
        }
    }
}

/// What to use instead of a key of the emulator, if the scenario has it.
fn owned(path: &str) -> Option<String> {
    if let Some(limit) = path.strip_prefix("quotas.").filter(|key| quotas::LIMITS.contains(key)) {
        return Some(format!("set `quotas.{limit}` of the scenario"));
    }
    OWNED.iter().find(|(key, _)| *key == path).map(|(_, instead)| (*instead).to_owned())
}

/// Converts all that can be; `path` is that within `emulator`.
fn convert_table(findings: &Findings, path: &str, table: &Table) -> Option<toml::Table> {
    let mut converted = Some(toml::Table::new());
    for entry in &table.0 {
        let path = if path.is_empty() { entry.key.clone() } else { format!("{path}.{}", entry.key) };
        if let Some(instead) = owned(&path) {
            let problem = Problem::new(format!("`emulator.{path}` is set by the run")).help(instead);
            findings.problem(&entry.key_place, problem);
            converted = None;
            continue;
        }
        let value = match &entry.value.kind {
            Kind::Table(table) => convert_table(findings, &path, table).map(toml::Value::Table),
            _ => {
                findings.setting(format!("emulator.{path}"), &entry.value);
                convert(findings, &path, &entry.value)
            }
        };
        converted = converted.zip(value).map(|(mut table, value)| {
            table.insert(entry.key.clone(), value);
            table
        });
    }
    converted
}

fn convert(findings: &Findings, path: &str, value: &Value) -> Option<toml::Value> {
    let converted = match &value.kind {
        Kind::Text(text) => Some(toml::Value::String(text.clone())),
        Kind::Integer(number) => i64::try_from(*number).ok().map(toml::Value::Integer),
        Kind::Float(number) => Some(toml::Value::Float(*number)),
        Kind::Boolean(yes) => Some(toml::Value::Boolean(*yes)),
        Kind::Date(date) => date.parse::<Datetime>().ok().map(toml::Value::Datetime),
        Kind::Array(items) => {
            return items
                .iter()
                .enumerate()
                .map(|(index, item)| convert(findings, &format!("{path}.{index}"), item))
                .collect::<Option<Vec<_>>>()
                .map(toml::Value::Array);
        }
        Kind::Table(table) => {
            // Within a list: recorded with the list.
            let mut inner = toml::Table::new();
            for entry in &table.0 {
                inner.insert(entry.key.clone(), convert(findings, &format!("{path}.{}", entry.key), &entry.value)?);
            }
            return Some(toml::Value::Table(inner));
        }
    };
    if converted.is_none() {
        let problem = Problem::new(format!("`emulator.{path}` cannot be {value}")).help("it must be a 64-bit number");
        findings.problem(&value.place, problem);
    }
    converted
}
