//! Pages of all keys, made from their readers.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use fleetstorm::settings::{Key, KeyDefault, Keys};

/// Adds what another text had its readers ask for: which keys there are depends on what else is said.
pub(crate) fn add(all: &mut Keys, found: Keys) {
    for (key, found) in found {
        let known = all.entry(key).or_insert_with(|| Key { takes: Vec::new(), ..found.clone() });
        for takes in found.takes.iter().filter_map(|takes| general(takes)) {
            if !known.takes.contains(&takes) {
                known.takes.push(takes);
            }
        }
    }
}

/// Without the names that one scenario gave its stages and classes.
pub(crate) fn general(takes: &str) -> Option<String> {
    let of_a_scenario = ["the name of an ", "a list with names of "].iter().any(|start| takes.starts_with(start));
    match takes {
        _ if takes.starts_with("left out") => None,
        _ if of_a_scenario => takes.split_once(':').map(|(general, _)| general.to_owned()),
        _ => Some(takes.to_owned()),
    }
}

/// A table as a file names it; of `lists` there may be several.
pub(crate) fn title(table: &str, lists: &[&str]) -> String {
    match table {
        "" => "Top level".to_owned(),
        list if lists.contains(&list) => format!("`[[{list}]]`"),
        table => format!("`[{table}]`"),
    }
}

fn page(intro: &str, keys: &Keys, lists: &[&str]) -> String {
    let mut tables: BTreeMap<&str, Vec<_>> = BTreeMap::new();
    for ((table, name), key) in keys {
        tables.entry(table).or_default().push((name, key));
    }
    let mut text = intro.to_owned();
    for (table, keys) in tables {
        write!(text, "\n## {}\n\n| key | default | takes |\n|---|---|---|\n", title(table, lists)).unwrap();
        for (name, key) in keys {
            let default = match &key.default {
                KeyDefault::Required => "required".to_owned(),
                KeyDefault::Nothing => String::new(),
                KeyDefault::Inherited => "inherited".to_owned(),
                KeyDefault::Value(value) => format!("`{value}`"),
            };
            let takes = key.takes.join("; or ").replace(", such as \"30s\" or \"PT30S\"", "");
            let takes = takes.replace('|', "\\|").replace('<', "\\<");
            writeln!(text, "| `{name}` | {default} | {takes} |").unwrap();
        }
    }
    text
}

/// Holds the page in `docs` against what the readers take, or makes it anew.
pub(crate) fn hold(name: &str, intro: &str, keys: &Keys, lists: &[&str]) {
    up_to_date(name, &page(intro, keys, lists));
}

/// Holds a file in `docs` against what it is made of, or makes it anew.
pub(crate) fn up_to_date(name: &str, made: &str) {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs").join(name);
    if std::env::var_os("FLEETSTORM_BLESS").is_some() {
        fs::write(&file, made).unwrap();
    }
    let there = fs::read_to_string(&file).unwrap_or_default();
    assert!(there == made, "docs/{name} is not up to date: run this test once with FLEETSTORM_BLESS=1");
}
