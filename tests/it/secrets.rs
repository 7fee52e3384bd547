//! Secrets are taken out of the environment, and no core dump holds them.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;

use fleetstorm::cli::Exit;
use nix::sys::signal::{Signal, kill};
use predicates::prelude::PredicateBooleanExt as _;
use predicates::str::contains;

use crate::cli::{code, fleetstorm};
use crate::run::{RUN, Running, folder};

#[test]
fn a_secret_that_is_no_text_is_not_taken_for_absent() {
    let folder = folder("arrival = \"at-once\"\nhub_connect = false", 1);
    let bytes = OsStr::from_bytes(b"c2Vj\xffcmV0");
    let refused = |variable: &str, args: &[&str]| {
        let refused = fleetstorm(folder.path()).args(args).env(variable, bytes).assert();
        let told = contains(format!("{variable} is not UTF-8")).and(contains("c2Vj").not());
        refused.code(code(Exit::Usage)).stdout("").stderr(told);
    };
    refused("FLEETSTORM_GROUP_KEY", &RUN);
    refused("FLEETSTORM_GROUP_KEY", &["emulator", "--mqtt-port", "0"]);
    let otlp = [&RUN[..], &["--otlp", "http://127.0.0.1:9"]].concat();
    let refused = fleetstorm(folder.path()).args(&otlp).env("OTEL_EXPORTER_OTLP_HEADERS", bytes).assert();
    refused.code(code(Exit::Usage)).stderr(contains("OTEL_EXPORTER_OTLP_HEADERS").and(contains("c2Vj").not()));
}

#[test]
fn neither_process_leaves_a_dump_and_the_emulator_has_no_key_of_others() {
    let folder = folder("arrival = { process = \"constant\", rate = \"20/s\" }", 10_000);
    let core_limit = |pid: nix::unistd::Pid| {
        let limits = fs::read_to_string(format!("/proc/{pid}/limits")).unwrap();
        let line = limits.lines().find_map(|line| line.strip_prefix("Max core file size")).unwrap().to_owned();
        line.split_whitespace().take(2).map(str::to_owned).collect::<Vec<_>>()
    };
    let key = ("FLEETSTORM_GROUP_KEY", "c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0");
    let mut running = Running::start_with(&folder, &[], &[key, ("FLEETSTORM_PFX_PASSWORD", "c2VjcmV0")]);
    running.until_told("(measure)");
    let environ = fs::read(format!("/proc/{}/environ", running.emulator())).unwrap();
    let environ = String::from_utf8_lossy(&environ);
    assert!(environ.contains("FLEETSTORM_DUMPABLE=1") && !environ.contains("c2VjcmV0"), "{environ}");
    kill(running.pid(), Signal::SIGINT).unwrap();
    kill(running.pid(), Signal::SIGINT).unwrap();
    running.finish();

    fs::remove_dir_all(folder.path().join("out")).unwrap();
    // Without the leave that tests take.
    let mut running = Running::start_with(&folder, &[], &[("FLEETSTORM_DUMPABLE", "")]);
    running.until_told("(measure)");
    assert_eq!(core_limit(running.pid()), ["0", "0"]);
    let children = fs::read_to_string(format!("/proc/{0}/task/{0}/children", running.pid())).unwrap();
    let emulator: i32 = children.split_whitespace().next().unwrap().parse().unwrap();
    assert_eq!(core_limit(nix::unistd::Pid::from_raw(emulator)), ["0", "0"]);
    kill(running.pid(), Signal::SIGINT).unwrap();
    kill(running.pid(), Signal::SIGINT).unwrap();
    let (exit, stdout, _) = running.finish();
    assert_eq!(exit, Some(code(Exit::Interrupted)));
    // What /proc tells of a process is still to be had.
    let run = crate::run::json(&folder.path().join("out/run.json"));
    assert!(run["emulator"]["peak_memory_bytes"].as_u64() > Some(1_000_000), "{stdout}");
}
