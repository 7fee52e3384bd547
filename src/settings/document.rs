//! TOML as a tree, and values laid over it.

use std::sync::Arc;

use toml::de::DeTable;

use super::expect::nearest;
use super::findings::Findings;
use super::place::{Place, Text};
use super::problem::Problem;
use super::tree::{SetError, Table, Value, ValueKind};
use crate::domain::Origin;

/// A text as a tree. `help` goes with what is no TOML.
pub(crate) fn parse(findings: &Findings, text: &Arc<Text>, help: &str) -> Option<Value> {
    let (table, errors) = DeTable::parse_recoverable(text.text());
    for error in &errors {
        let problem = Problem::new(format!("not valid TOML: {}", error.message())).help(help);
        findings.problem(&Place::new(text, error.span().unwrap_or_default()), problem);
    }
    let place = Place::new(text, 0..0);
    errors.is_empty().then(|| Value { kind: ValueKind::Table(Table::from_toml(table.get_ref(), &place)), place })
}

/// A value as a flag of the command line gives it.
pub(crate) fn flag(name: &str, kind: ValueKind, order: usize) -> Value {
    let mut value = Value::built_in(kind);
    let text = value.to_string();
    let span = 0..text.len();
    value.place = Place::new(&Text::new(name, text, Origin::CommandLine, order), span);
    value
}

/// Lays `key=value` over a tree, both as they were typed: a dotted key, and a value as TOML or as plain text.
pub(crate) fn lay_over(findings: &Findings, root: &mut Value, key: &str, value: &str, order: usize) {
    let text = Text::new("--set", format!("{key}={value}"), Origin::CommandLine, order);
    let key_place = Place::new(&text, 0..key.len());
    let path: Vec<&str> = key.split('.').collect();
    if path.iter().any(|part| part.is_empty()) {
        let problem = Problem::new("the key has an empty part").help("write KEY=VALUE, such as fleet.devices=100");
        return findings.problem(&key_place, problem);
    }
    let begin = key.len() + 1;
    let value = Value::from_text(value, &Place::new(&text, begin..begin));
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
