//! The reference of all keys is made from their readers; what people wrote about them names every key and its default.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use fleetstorm::scenario::keys;
use fleetstorm::settings::{KeyDefault, Keys};

use crate::key_page;

use super::docs::{SCENARIOS, completed, examples};

const FULL: &str = "tests/it/scenario/full.toml";

/// Tables of which there may be several.
pub(super) const LISTS: [&str; 4] = ["fleet.class", "stage", "stage.arrival.points", "threshold"];

/// Every text at hand, with its name: which keys there are depends on what else is said.
pub(super) fn texts() -> Vec<(String, String)> {
    let file = |path: &Path| (path.display().to_string(), fs::read_to_string(path).unwrap());
    // The smallest example goes first: it has every default as it is in most scenarios.
    let example = |example| ("tests/it/scenario/example.toml".to_owned(), completed(example));
    let mut texts: Vec<_> = examples(SCENARIOS).map(example).collect();
    texts.push(file(Path::new(FULL)));
    texts
}

fn all_keys() -> Keys {
    let mut all = Keys::new();
    texts().iter().for_each(|(name, text)| key_page::add(&mut all, keys(name, text)));
    all
}

const INTRO: &str = "\
# Scenarios: all keys at a glance

What the readers of scenario files take, in short: this page is made from them, and a test fails when it is not up to date. What
the keys mean, and when each has a meaning at all, is in [scenarios](scenarios.md); times are written as `\"30s\"` or `\"PT30S\"`.
*Inherited* is what a class takes from `[fleet]`, a behaviour from its preset, and a stage from the fleet: all of its classes.
";

#[test]
fn the_page_of_all_keys_is_what_the_readers_take() {
    let mut keys = all_keys();
    // What classes say anew is what the fleet says.
    keys.retain(|(table, _), _| !table.starts_with("fleet.class."));
    key_page::hold("scenario-keys.md", INTRO, &keys, &LISTS);
}

/// Where the sources ask for a key by its name, that was seen: otherwise the page would be short of it without anybody noticing.
#[test]
fn the_page_has_every_key_that_the_sources_ask_for() {
    let seen: BTreeSet<&str> = all_keys().into_keys().map(|(_, name)| name).collect();
    let mut missing = BTreeSet::new();
    for file in sources(Path::new("src/scenario")) {
        let text = fs::read_to_string(&file).unwrap();
        for call in [".required(", ".optional(", ".or(", ".inherit(", ".list(", "take("] {
            for after in text.split(call).skip(1) {
                let after = after.trim_start();
                let after = after.strip_prefix("section,").unwrap_or(after).trim_start();
                let name = after.strip_prefix('"').and_then(|rest| rest.split_once('"')).map(|(name, _)| name);
                if let Some(name) = name.filter(|name| !seen.contains(name)) {
                    missing.insert(format!("{name} in {}", file.display()));
                }
            }
        }
    }
    assert!(missing.is_empty(), "no example in docs/scenarios.md or {FULL} shows {missing:#?}");
}

fn sources(folder: &Path) -> Vec<std::path::PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    found
}

/// The lines below the heading of docs/scenarios.md that explains a table, until the next heading.
fn explained(table: &str) -> Vec<&'static str> {
    let heading = match table {
        "" => "## Top level",
        "fleet.behaviour" | "fleet.behaviour.backoff" => "### `behaviour`",
        "fleet.network" => "### `network`",
        "fleet.class" => "### `[[fleet.class]]`",
        "stage.arrival" | "stage.arrival.points" => "### Arrivals",
        "threshold" => "## Thresholds",
        other => &*format!("## {}", key_page::title(other, &LISTS)),
    };
    let lines = SCENARIOS.lines().skip_while(|line| !line.starts_with(heading)).skip(1);
    lines.take_while(|line| !line.starts_with('#')).collect()
}

/// The words in the code spans of a line.
fn words(line: &str) -> impl Iterator<Item = &str> {
    let spans = line.split('`').skip(1).step_by(2);
    spans.flat_map(|span| span.split(|c: char| !(c.is_alphanumeric() || c == '_')))
}

#[test]
fn every_key_and_its_default_are_explained() {
    let mut missing = Vec::new();
    for ((table, name), key) in all_keys() {
        // Explained where they are inherited from.
        if table.starts_with("fleet.class.") || (table == "fleet.class" && key.default == KeyDefault::Inherited) {
            continue;
        }
        let named: Vec<_> = explained(&table).into_iter().filter(|line| words(line).any(|word| word == name)).collect();
        let told = match &key.default {
            KeyDefault::Value(default) => named.iter().any(|line| line.contains(default.as_str())),
            KeyDefault::Required | KeyDefault::Nothing | KeyDefault::Inherited => !named.is_empty(),
        };
        if !told {
            missing.push(format!("{table}.{name}: {:?}", key.default));
        }
    }
    assert!(missing.is_empty(), "docs/scenarios.md does not tell {missing:#?}");
}
