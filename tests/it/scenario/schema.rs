//! The JSON Schema of scenario files is what their readers take.

use std::fs;
use std::path::{Path, PathBuf};

use fleetstorm::scenario::keys;

use super::docs::{SCENARIOS, completed, examples};
use super::reference::{LISTS, texts};
use crate::emulator::settings;
use crate::key_schema::{Tables, hold};
use crate::schemas::{judged, validator};

/// Tables for which a text may stand.
const SHORT_FORMS: [(&str, &str); 3] =
    [("stage.arrival", "process"), ("fleet.behaviour", "preset"), ("fleet.class.behaviour", "preset")];

/// What a run sets by itself of its emulator, beside the limits of quotas.
const OF_THE_RUN: [&str; 5] = ["time_scale", "quota", "adr.leaf_validity_days", "adr.leaf_validity_seconds", "listen"];

#[test]
fn the_schema_in_the_docs_is_what_the_readers_take() {
    let seen: Vec<_> = texts().iter().map(|(name, text)| keys(name, text)).collect();
    let own = Tables::new(&seen, &LISTS, &SHORT_FORMS);
    let limits: Vec<_> =
        own.names("quotas").filter(|name| *name != "profile").map(|name| format!("quotas.{name}")).collect();
    let emulator = settings::tables().without(OF_THE_RUN.into_iter().chain(limits.iter().map(String::as_str)));
    let schema = own.with("emulator", emulator).schema("scenario of fleetstorm", &["fleet", "stage"]);
    hold("scenario.schema.json", &schema);
}

#[test]
fn every_scenario_has_the_schema_and_mistakes_do_not() {
    let Some(validator) = validator() else { return };
    let library = fs::read_dir("scenarios").unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<PathBuf> = library.filter(|path| path.extension().is_some_and(|end| end == "toml")).collect();
    assert!(files.len() > 5, "{files:?}");
    files.push(Path::new("tests/it/scenario/full.toml").to_owned());
    let folder = tempfile::tempdir().unwrap();
    let write = |name: String, text: &str| {
        let path = folder.path().join(name);
        fs::write(&path, text).unwrap();
        path
    };
    for (number, example) in examples(SCENARIOS).enumerate() {
        files.push(write(format!("{number}.toml"), &completed(example)));
    }
    let (is_right, told) = judged(&validator, "scenario", &files);
    assert!(is_right, "{told}");

    let smoke = fs::read_to_string("scenarios/smoke.toml").unwrap();
    for (name, more, what) in [
        ("key", "[limits]\nworker = 3\n", "worker"),
        ("value", "[limits]\nworkers = 0\n", "0 is less than"),
        ("time", "[limits]\ndrain = '5 parsecs'\n", "5 parsecs"),
        ("name", "[quotas]\nprofile = 'hub-s9'\n", "hub-s9"),
        ("kind", "[[stage]]\nname = 'x'\nkind = 'provide'\narrival = 'at-once'\n", "provide"),
        ("emulator", "[emulator.dps]\nretry_after = 3\n", "retry_after"),
    ] {
        let wrong = write(format!("{name}.toml"), &format!("{smoke}\n{more}"));
        let (is_right, told) = judged(&validator, "scenario", &[wrong]);
        assert!(!is_right && told.contains(what), "{more}: {told}");
    }
}
