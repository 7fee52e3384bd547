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

#[test]
fn the_file_in_the_documentation_is_valid() {
    let text = include_str!("../../../docs/emulator.md");
    let file = text.split("```toml\n").nth(1).and_then(|rest| rest.split("```").next()).unwrap();
    toml::from_str::<Config>(file).unwrap().check().unwrap();
}
