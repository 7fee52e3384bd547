//! The table of settings is complete.

use fleetstorm::emulator::{CaEntry, Config, GroupEntry, Individual};
use serde_json::Value;

/// Every key of the configuration, in the table or with its section's name before it.
#[test]
fn every_setting_is_in_the_documentation() {
    let text = include_str!("../../../docs/emulator.md");
    let mut config = Config::default();
    config.groups.push(GroupEntry::by_ca_references("g", &["ca"]));
    config.enrollments.push(Individual::new("d"));
    config.ca_certificates.push(CaEntry::new("ca", Vec::new()));
    let mut missing = Vec::new();
    for (section, value) in serde_json::to_value(&config).unwrap().as_object().unwrap() {
        let table = match value {
            Value::Array(entries) => &entries[0],
            value => value,
        };
        let Value::Object(table) = table else {
            if !text.contains(&format!("`{section}`")) {
                missing.push(section.clone());
            }
            continue;
        };
        for key in table.keys() {
            if !text.contains(&format!("`{key}`")) && !text.contains(&format!("`{section}.{key}`")) {
                missing.push(format!("{section}.{key}"));
            }
        }
    }
    assert!(missing.is_empty(), "not in docs/emulator.md: {missing:?}");
}

/// Every key of every fault, in the row of its fault or as a part of the window.
#[test]
fn every_key_of_every_fault_is_in_the_documentation() {
    let text = include_str!("../../../docs/emulator.md");
    let faults = serde_json::to_value(fleetstorm::emulator::Faults::default()).unwrap();
    for (fault, keys) in faults.as_object().unwrap() {
        let row = text.lines().find(|line| line.starts_with(&format!("| `faults.{fault}` |")));
        let row = row.unwrap_or_else(|| panic!("no row for {fault}"));
        for key in keys.as_object().unwrap().keys() {
            let of_window = row.contains("window") && matches!(key.as_str(), "from_seconds" | "for_seconds");
            assert!(of_window || row.contains(&format!("`{key}`")), "{fault}.{key}");
        }
    }
}

#[test]
fn the_file_in_the_documentation_is_valid() {
    let text = include_str!("../../../docs/emulator.md");
    let file = text.split("```toml\n").nth(1).and_then(|rest| rest.split("```").next()).unwrap();
    toml::from_str::<Config>(file).unwrap().check().unwrap();
}
