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
    // Far more than any pause of a busy machine.
    let slow = "[dps]\nretry_after_seconds = 1\n[model.register]\nlatency = { fixed = { ms = 3000 } }\n";
    fs::write(folder.path().join("slow.toml"), slow).unwrap();
    let run = |out: &str, config: &str, more: &[&str]| {
        let args = ["run", "small.toml", "--emulator-config", config, "--quiet", "--repeat", "3", "--out", out];
        fleetstorm(folder.path()).args(args).args(more).assert()
    };
    run("before", "emulator.toml", &[])
        .code(code(Exit::Done))
        .stdout(contains("\nrun 3, seed 9\n").and(contains("\nCOMPLETE  60 of 60")));
    assert!(folder.path().join("before/3/run.json").exists());
    let after = run("after", "slow.toml", &["--baseline", "before"]);
    let after = after.code(code(Exit::Regression)).stdout(contains("WORSE").and(contains("slower")));
    let text = String::from_utf8_lossy(&after.get_output().stdout).into_owned();
    let register = text.split("WORSE").nth(1).unwrap().split("register").nth(1).unwrap();
    assert!(register.lines().nth(1).unwrap().contains("slower"), "{text}");
    let page = fs::read_to_string(folder.path().join("after/comparison.html")).unwrap();
    assert!(page.contains("<strong>Regression</strong>") && page.contains("plot-0-register"), "{} bytes", page.len());
    assert!(page.len() < 2_000_000, "{}", page.len());
    let stored: Value =
        serde_json::from_slice(&fs::read(folder.path().join("after/comparison.json")).unwrap()).unwrap();
    let compared = fleetstorm(folder.path())
        .args(["compare", "before", "after", "--json", "--quiet", "--html", "page.html"])
        .assert()
        .code(code(Exit::Regression))
        .stderr("");
    assert_eq!(stored, serde_json::from_slice::<Value>(&compared.get_output().stdout).unwrap());
    let by_compare = fs::read_to_string(folder.path().join("page.html")).unwrap();
    assert_eq!(by_compare, page);
    // What cannot be written does not hide what was found out.
    let unwritable =
        fleetstorm(folder.path()).args(["compare", "before", "after", "--html", "none/page.html"]).assert();
    unwritable.code(code(Exit::Regression)).stdout(contains("WORSE")).stderr(contains("cannot write none/page.html"));
    let unwritable =
        fleetstorm(folder.path()).args(["compare", "before", "before", "--html", "none/page.html"]).assert();
    unwritable.code(code(Exit::Unexpected)).stderr(contains("cannot write none/page.html"));
    let told = fleetstorm(folder.path()).args(["compare", "before", "after", "--html", "page.html"]).assert();
    told.code(code(Exit::Regression)).stderr(contains("comparison in page.html"));
    let merged = fleetstorm(folder.path()).args(["merge", "before", "--out", "sum"]).assert().code(code(Exit::Done));
    merged.stdout(contains("180 of 180"));
    let twice = fleetstorm(folder.path()).args(["merge", "before", "before/1", "--out", "twice"]).assert();
    twice.code(code(Exit::Unexpected)).stderr(contains("the same devices"));
}

#[test]
fn a_refused_comparison_does_not_hide_what_the_run_itself_found() {
    let folder = folder("arrival = \"at-once\"", 5);
    let run = |more: &[&str]| {
        let args = ["run", "small.toml", "--emulator-config", "emulator.toml", "--quiet"];
        fleetstorm(folder.path()).args(args).args(more).assert()
    };
    run(&["--out", "before"]).code(code(Exit::Done));
    let fewer = ["--set", "fleet.devices=4", "--baseline", "before"];
    run(&fewer).code(code(Exit::Unexpected)).stderr(contains("fleet.devices: 5 and 4"));
    let failed = run(&[&fewer[..], &["--set", "thresholds=[\"storm.succeeded > 4\"]"]].concat());
    failed.code(code(Exit::ThresholdsFailed)).stderr(contains("fleet.devices: 5 and 4"));
}

#[test]
fn documents_of_several_runs_are_read_line_by_line() {
    let folder = folder("arrival = \"at-once\"", 5);
    let run = |more: &[&str]| {
        let args = ["run", "small.toml", "--emulator-config", "emulator.toml", "--json", "--quiet"];
        let run = fleetstorm(folder.path()).args(args).args(more).assert().code(code(Exit::Done));
        let text = String::from_utf8(run.get_output().stdout.clone()).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect::<Vec<Value>>()
    };
    let before = run(&["--out", "before"]);
    assert_eq!(before.len(), 1);
    let after = run(&["--out", "after", "--repeat", "2", "--baseline", "before"]);
    assert_eq!(after.len(), 3, "two runs and the comparison");
    let seeds: Vec<_> = after.iter().map(|document| document["seed"].as_u64()).collect();
    assert_eq!(
        seeds,
        [Some(1), Some(2), None].map(|seed| seed.map(|n: u64| before[0]["seed"].as_u64().unwrap() + n - 1))
    );
    assert_eq!(after[1]["totals"]["succeeded"], 5);
    assert_eq!((&after[2]["regression"], &after[2]["runs_b"]), (&false.into(), &2.into()));
}

#[test]
fn what_cannot_be_told_is_no_pass_for_those_who_require_a_verdict() {
    let folder = folder("arrival = \"at-once\"", 5);
    for out in ["a", "b"] {
        fleetstorm(folder.path()).args(&RUN[..5]).arg(out).assert().code(code(Exit::Done));
    }
    let compared = |more: &[&str]| fleetstorm(folder.path()).args(["compare", "a", "b"]).args(more).assert();
    compared(&[]).code(code(Exit::Done)).stdout(contains("NOT ENOUGH DATA"));
    compared(&["--require-verdict"]).code(code(Exit::Undecided)).stdout(contains("NOT ENOUGH DATA"));
    let args = ["run", "small.toml", "--emulator-config", "emulator.toml", "--quiet", "--baseline", "a"];
    let run = fleetstorm(folder.path()).args(args).arg("--require-verdict").assert();
    run.code(code(Exit::Undecided));
}
