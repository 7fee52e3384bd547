use std::collections::HashMap;

use fleetstorm::cli::Exit;
use predicates::str::contains;

use super::{RUN, folder, run_json};
use crate::cli::{code, fleetstorm};

#[test]
fn every_attempt_has_a_row() {
    let folder = folder();
    fleetstorm(folder.path()).args(RUN).args(["--devices", "--quiet"]).assert().code(code(Exit::Done));
    let run = run_json(folder.path());
    let out = folder.path().join("out");
    let rows: Vec<HashMap<String, String>> =
        csv::Reader::from_path(out.join("devices.csv")).unwrap().deserialize().map(Result::unwrap).collect();
    let count = |key: &str| run["totals"][key].as_u64().unwrap();
    assert_eq!(rows.len() as u64, count("attempts"));
    assert!(count("attempts") > count("planned"), "some came again: {}", run["totals"]);
    let of = |column: &str, value: &str| rows.iter().filter(|row| row[column] == value).count() as u64;
    assert_eq!((of("outcome", "succeeded"), of("outcome", "failed")), (count("succeeded"), count("failed_attempts")));
    assert_eq!((of("stage", "storm"), of("class", "")), (count("attempts"), count("succeeded")));
    let sum = |column: &str| rows.iter().map(|row| row[column].parse::<u64>().unwrap()).sum::<u64>();
    assert_eq!((sum("polls"), sum("throttled")), (count("polls"), count("throttled")));
    assert!(!out.join("devices.csv.partial").exists());
    assert!(!run["notes"].to_string().contains("devices.csv"), "{}", run["notes"]);

    let again = fleetstorm(folder.path()).args(RUN).args(["--devices"]).assert();
    again.code(code(Exit::Unexpected)).stderr(contains("already holds results"));
}

#[test]
fn a_run_that_never_begins_leaves_no_rows() {
    let folder = folder();
    let run = fleetstorm(folder.path())
        .args(["run", "told.toml", "--out", "out", "--devices", "--target", "absent.json"])
        .assert();
    run.code(code(Exit::Usage));
    assert!(!folder.path().join("out").exists());
}
