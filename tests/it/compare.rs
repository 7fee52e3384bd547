//! Whole runs held against each other by the binary.

use std::fs;

use fleetstorm::cli::Exit;
use predicates::prelude::PredicateBooleanExt as _;
use predicates::str::contains;
use serde_json::Value;

use crate::cli::{code, fleetstorm};
use crate::run::{RUN, folder};

#[test]
fn runs_of_the_same_thing_do_not_differ_and_others_are_refused() {
    let folder = folder("arrival = \"at-once\"", 20);
    let run = |out: &str, more: &[&str]| {
        let run = fleetstorm(folder.path()).args(&RUN[..5]).arg(out).args(more).assert();
        run.code(code(Exit::Done));
    };
    run("a", &[]);
    run("b", &["--seed", "8"]);
    run("fewer", &["--set", "fleet.devices=10"]);
    let same = fleetstorm(folder.path()).args(["compare", "a", "b"]).assert().code(code(Exit::Done));
    let text = String::from_utf8_lossy(&same.get_output().stdout).into_owned();
    assert!(text.contains("NOT ENOUGH DATA") && text.contains("hub_tls") && text.contains("run --repeat"), "{text}");
    assert!(text.lines().all(|line| line.chars().count() <= 100), "{text}");
    let json = fleetstorm(folder.path()).args(["compare", "a", "b", "--json"]).output().unwrap();
    let json: Value = serde_json::from_slice(&json.stdout).unwrap();
    assert_eq!((&json["regression"], &json["phases"][0]["verdict"]), (&false.into(), &"not_enough_data".into()));

    let refused = fleetstorm(folder.path()).args(["compare", "a", "fewer"]).assert();
    refused
        .code(code(Exit::Unexpected))
        .stdout("")
        .stderr(contains("fleet.devices: 20 and 10").and(contains("--allow")));
    let allowed = ["compare", "a", "fewer", "--allow", "fleet.devices"];
    fleetstorm(folder.path()).args(allowed).assert().stdout(contains("fleet.devices differs"));
}

#[test]
fn repeated_runs_against_a_slower_service_are_a_regression() {
    let folder = folder("workload = \"closed\"\nconcurrency = 60", 60);
    let slow = "[dps]\nretry_after_seconds = 1\n[model.register]\nlatency = { fixed = { ms = 150 } }\n";
    fs::write(folder.path().join("slow.toml"), slow).unwrap();
    let run = |out: &str, config: &str, more: &[&str]| {
        let args = ["run", "small.toml", "--emulator-config", config, "--quiet", "--repeat", "3", "--out", out];
        fleetstorm(folder.path()).args(args).args(more).assert()
    };
    run("before", "emulator.toml", &[]).code(code(Exit::Done)).stdout(contains("60 of 60").count(3));
    assert!(folder.path().join("before/3/run.json").exists());
    let after = run("after", "slow.toml", &["--baseline", "before"]);
    let after = after.code(code(Exit::Regression)).stdout(contains("WORSE").and(contains("slower")));
    let text = String::from_utf8_lossy(&after.get_output().stdout).into_owned();
    let register = text.rsplit("WORSE").next().unwrap().split("register").nth(1).unwrap();
    assert!(register.lines().nth(1).unwrap().contains("slower"), "{text}");
    fleetstorm(folder.path()).args(["compare", "before", "after"]).assert().code(code(Exit::Regression));
    let merged = fleetstorm(folder.path()).args(["merge", "before", "--out", "sum"]).assert().code(code(Exit::Done));
    merged.stdout(contains("180 of 180"));
    let twice = fleetstorm(folder.path()).args(["merge", "before", "before/1", "--out", "twice"]).assert();
    twice.code(code(Exit::Unexpected)).stderr(contains("the same devices"));
}
