//! The page of all settings is what their readers take, and the page that explains them tells each with its default.

use std::collections::BTreeSet;
use std::fs;

use fleetstorm::emulator::{Config, keys};
use fleetstorm::settings::{KeyDefault, Keys};

use crate::key_page;
use crate::key_schema::{self, Tables};
use crate::schemas::{judged, validator};

const EXPLAINED: &str = include_str!("../../../docs/emulator.md");

/// Tables of which there may be several.
const LISTS: [&str; 3] = ["groups", "enrollments", "ca_certificates"];

const INTRO: &str = "\
# The emulator: all settings at a glance

What the reader of the emulator's settings takes, in short: this page is made from it, and a test fails when it is not up to date.
What the settings mean is in [the emulator](emulator.md). A scenario has them below `[emulator]`, without those that a run makes
itself.
";

/// The tables of a step are those of every other: here they are `model.STEP`.
fn all_keys() -> Keys {
    let mut all = Keys::new();
    for ((table, name), key) in keys(include_str!("full.toml")) {
        let of_step = |rest: &str| match rest.split_once('.') {
            Some((_, below)) => format!("model.STEP.{below}"),
            None => "model.STEP".to_owned(),
        };
        let table = table.strip_prefix("model.").map_or_else(|| table.clone(), of_step);
        key_page::add(&mut all, Keys::from([((table, name), key)]));
    }
    all
}

/// The tables of the settings, for a schema. Every step of the model takes whatever one of them shows.
pub(crate) fn tables() -> Tables {
    let mut shown = keys(include_str!("full.toml"));
    let steps: BTreeSet<_> = shown.keys().filter_map(|(table, _)| table.strip_prefix("model.")).collect();
    let steps: Vec<_> = steps.into_iter().filter(|step| !step.contains('.')).map(str::to_owned).collect();
    for ((table, name), key) in shown.clone() {
        let Some((_, rest)) = table.strip_prefix("model.").and_then(|of_step| of_step.split_once('.')) else {
            continue;
        };
        for step in &steps {
            shown.entry((format!("model.{step}.{rest}"), name)).or_insert_with(|| key.clone());
        }
    }
    Tables::new(&[shown], &LISTS, &[])
}

#[test]
fn the_schema_in_the_docs_is_what_the_reader_takes() {
    key_schema::hold("emulator.schema.json", &tables().schema("settings of fleetstorm's emulator", &[]));
}

#[test]
fn settings_have_the_schema_and_mistakes_do_not() {
    let Some(validator) = validator() else { return };
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("emulator.toml");
    for (text, wrong) in [
        ("", None),
        (include_str!("full.toml"), None),
        ("[listen]\nmqtt_port = 0\nhttps_port = 'off'\n[faults.pause]\nfor_seconds = 1\n", None),
        ("[listen]\nmqtt_port = 'on'\n", Some("on")),
        ("[dps]\nretry_after = 3\n", Some("retry_after")),
        ("[model]\nassign.latency = { fixd = { ms = 5 } }\n", Some("fixd")),
    ] {
        fs::write(&path, text).unwrap();
        let (is_right, told) = judged(&validator, "emulator", std::slice::from_ref(&path));
        assert!(is_right == wrong.is_none() && wrong.is_none_or(|word| told.contains(word)), "{text}: {told}");
    }
}

#[test]
fn the_page_of_all_settings_is_what_the_reader_takes() {
    key_page::hold("emulator-keys.md", INTRO, &all_keys(), &LISTS);
}

/// The lines that may explain a key of a table, and how they name it.
fn lines(table: &str, name: &str) -> (Vec<&'static str>, String) {
    let below = |heading: &str| -> Vec<&str> {
        let lines = EXPLAINED.lines().skip_while(|line| !line.starts_with(heading)).skip(1);
        lines.take_while(|line| !line.starts_with("## ")).collect()
    };
    match table {
        "" => (EXPLAINED.lines().collect(), format!("`{name}`")),
        "group" | "groups" | "enrollments" | "ca_certificates" => {
            (below("## Enrollments"), format!("`{table}.{name}`"))
        }
        "quotas" => match name {
            "burst_periods" | "retry_after_seconds" | "hub_connections_over" => {
                (below("## `quota`"), format!("`quotas.{name}`"))
            }
            _ => (below("## `quota`"), format!("`{name}`")),
        },
        _ if table.starts_with("model.STEP.latency") => (below("## `[model]`"), format!("{name} =")),
        _ if table.starts_with("model") => (below("## `[model]`"), format!("`{name}`")),
        _ => match table.strip_prefix("faults.") {
            Some(fault) => {
                let row = format!("| `faults.{fault}` |");
                (EXPLAINED.lines().filter(|line| line.starts_with(&row)).collect(), format!("`{name}`"))
            }
            None => (below(&format!("## `[{table}]`")), format!("`{name}`")),
        },
    }
}

#[test]
fn every_setting_and_its_default_are_explained() {
    let mut missing = Vec::new();
    for ((table, name), key) in all_keys() {
        let (lines, named) = lines(&table, name);
        // Told above the table of faults, as nothing goes wrong by default.
        let window = matches!(name, "from_seconds" | "for_seconds");
        let above = table.starts_with("faults.") && (window || matches!(name, "probability" | "at_seconds"));
        let told = lines.iter().filter(|line| line.contains(&named) || (above && window && line.contains("window")));
        let told: Vec<_> = told.collect();
        let default = match &key.default {
            KeyDefault::Value(default) if !above => told.iter().any(|line| line.contains(default.as_str())),
            _ => !told.is_empty(),
        };
        if !default {
            missing.push(format!("{table}.{name}: {:?}", key.default));
        }
    }
    assert!(missing.is_empty(), "docs/emulator.md does not tell {missing:#?}");
}

#[test]
fn the_file_in_the_documentation_is_valid() {
    let file = EXPLAINED.split("```toml\n").nth(1).and_then(|rest| rest.split("```").next()).unwrap();
    Config::read("emulator.md", file).unwrap();
}
