//! The JSON Schemas in docs/, held against what they are schemas of by a validator from outside, where it is there:
//! `python3 -m venv target/lint && target/lint/bin/pip install -r tests/lint/requirements.txt`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::metrics::present;
use crate::run::json;

fn fleetstorm() -> assert_cmd::Command {
    assert_cmd::cargo::cargo_bin_cmd!("fleetstorm")
}

pub(crate) fn validator() -> Option<PathBuf> {
    let validator = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/lint/bin/check-jsonschema");
    let is_there = Command::new(&validator).arg("--version").output().is_ok_and(|output| output.status.success());
    let remedy = "python3 -m venv target/lint && target/lint/bin/pip install -r tests/lint/requirements.txt";
    present("check-jsonschema", is_there, remedy).then_some(validator)
}

/// What the validator says of files: whether they are as the schema of that name has them, and what is wrong.
pub(crate) fn judged(validator: &Path, schema: &str, files: &[PathBuf]) -> (bool, String) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("schema.json");
    fs::write(&path, fleetstorm().args(["schema", schema]).output().unwrap().stdout).unwrap();
    let output = Command::new(validator).arg("--schemafile").arg(&path).args(files).output().unwrap();
    let told = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8_lossy(&told).into_owned())
}

/// Every `run.json` below a folder; none when it is not there, as results/ is no part of the package.
fn records(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let Ok(entries) = fs::read_dir(folder) else { return found };
    for entry in entries {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(records(&path));
        } else if path.ends_with("run.json") {
            found.push(path);
        }
    }
    found
}

#[test]
fn records_of_every_version_have_the_schema_of_run_json() {
    let Some(validator) = validator() else { return };
    let mut files = records(Path::new("tests/data/results"));
    assert!(files.len() >= 3, "{files:?}");
    files.extend(records(Path::new("results")));
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out");
    let run = ["run", "scenarios/smoke.toml", "--set", "fleet.devices=3", "--quiet", "--out"];
    // How fast this machine is has no say here.
    fleetstorm().args(run).arg(&out).output().unwrap();
    let fresh = out.join("run.json");
    files.push(fresh.clone());
    let (is_right, told) = judged(&validator, "run", &files);
    assert!(is_right, "{told}");

    let mut wrong = json(&fresh);
    wrong["stages"][0]["totals"]["planned"] = (-1).into();
    wrong["stages"][0]["kind"] = "decommission".into();
    wrong.as_object_mut().unwrap().remove("health");
    fs::write(&fresh, wrong.to_string()).unwrap();
    let (is_right, told) = judged(&validator, "run", &[fresh]);
    let named = ["planned", "decommission", "health"].map(|word| told.contains(word));
    assert!(!is_right && named == [true; 3], "{told}");
}
