//! Folders of results: whose they are, how they are named, and what happens when there is no room in them.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;

use fleetstorm::cli::Exit;
use nix::sys::signal::{Signal, kill};
use predicates::prelude::PredicateBooleanExt as _;
use predicates::str::contains;

use crate::cli::{code, fleetstorm};
use crate::run::{RUN, Running, folder, json};

#[test]
fn an_argument_need_not_be_text() {
    let folder = folder("arrival = \"at-once\"\nhub_connect = false", 3);
    let name = OsStr::from_bytes(b"out-\xff");
    fleetstorm(folder.path()).args(&RUN[..5]).arg(name).assert().code(code(Exit::Done));
    let run = json(&folder.path().join(name).join("run.json"));
    assert_eq!(run["command"][6], r"out-\xFF");
    // A setting is text.
    let refused = fleetstorm(folder.path()).args(RUN).arg("--ca-file").arg(name).assert();
    refused.code(code(Exit::Usage)).stdout("").stderr(contains(r"--ca-file names out-\xFF, which is not UTF-8"));
}

#[test]
fn two_runs_never_share_a_folder_and_a_killed_one_locks_nobody_out() {
    let folder = folder("arrival = { process = \"constant\", rate = \"20/s\" }", 10_000);
    let mut running = Running::start(&folder, &[]);
    running.until_told("(measure)");
    let second = |args: &[&str]| fleetstorm(folder.path()).args(args).output().unwrap();
    let report = || second(&["report", "out"]);
    for args in [&RUN[..], &[&RUN[..], &["--repeat", "2"]].concat()] {
        let refused = second(args);
        let stderr = String::from_utf8_lossy(&refused.stderr);
        assert_eq!(refused.status.code(), Some(code(Exit::Unexpected)), "{stderr}");
        assert!(stderr.contains("another run or report writes its results to out now"), "{stderr}");
        assert!(stderr.contains("--out") && refused.stdout.is_empty());
    }
    running.until_told("p99");
    crate::run::until("something is kept", || folder.path().join("out/partial.json").exists());
    // A run that goes on was not killed, and nothing of it is written over.
    let refused = report();
    assert!(refused.stdout.is_empty() && !folder.path().join("out/run.json").exists());
    assert_eq!(refused.status.code(), Some(code(Exit::Unexpected)));
    kill(running.pid(), Signal::SIGKILL).unwrap();
    running.finish();
    assert_eq!(report().status.code(), Some(code(Exit::Interrupted)));
    assert!(folder.path().join("out/run.json").exists());
}

#[test]
fn results_in_the_way_of_a_later_repetition_are_told_before_the_first() {
    let folder = folder("arrival = \"at-once\"", 3);
    let third = folder.path().join("out/3");
    fs::create_dir_all(&third).unwrap();
    fs::write(third.join("run.json"), "{}").unwrap();
    let refused = fleetstorm(folder.path()).args(RUN).args(["--repeat", "3"]).assert();
    refused.code(code(Exit::Unexpected)).stdout("").stderr(contains("out/3 already holds results"));
    assert!(!folder.path().join("out/1").exists());
}

#[test]
fn files_that_may_not_grow_are_an_error_of_theirs_and_go_before_other_codes() {
    let folder = folder("arrival = \"at-once\"\nhub_connect = false", 5);
    let thresholds = "thresholds=[\"storm.succeeded == 7\"]";
    let mut shell = assert_cmd::Command::new("sh");
    shell.current_dir(folder.path()).args(["-c", "ulimit -f 8; exec \"$0\" \"$@\""]);
    shell.arg(assert_cmd::cargo::cargo_bin!("fleetstorm")).args(RUN).args(["--set", thresholds]);
    let run = shell.assert().code(code(Exit::Unexpected));
    run.stdout(contains("COMPLETE  5 of 5").and(contains("THRESHOLDS FAILED"))).stderr(contains("ulimit -f"));
    assert!(!folder.path().join("out/run.json").exists() && folder.path().join("out/summary.csv").exists());
}
