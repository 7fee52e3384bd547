//! Results that are read back: reports are redone from what a run has stored.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::Duration;

use fleetstorm::cli::Exit;
use nix::sys::signal::{Signal, kill};
use predicates::str::contains;

use crate::cli::{code, fleetstorm};
use crate::run::{RUN, Running, folder, json, rows, sum, until};

/// Every file of a folder with its content.
fn files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.map(|path| (path.file_name().unwrap().to_str().unwrap().to_owned(), fs::read(&path).unwrap())).collect()
}

#[test]
fn a_report_is_redone_to_the_byte() {
    let folder = folder("arrival = \"at-once\"", 20);
    let set = ["--set", "thresholds=[\"storm.total.p99 < 1us\", \"storm.error_rate < 33.3%\"]"];
    let run = fleetstorm(folder.path()).args(RUN).args(set).output().unwrap();
    assert_eq!(run.status.code(), Some(code(Exit::ThresholdsFailed)));
    let out = folder.path().join("out");
    let written = files(&out);
    for name in written.keys().filter(|name| !["run.json", "latency.hlog"].contains(&name.as_str())) {
        fs::remove_file(out.join(name)).unwrap();
    }
    let report = fleetstorm(folder.path()).args(["report", "out"]).output().unwrap();
    assert_eq!(report.status.code(), Some(code(Exit::ThresholdsFailed)), "the code of the run");
    assert_eq!(String::from_utf8_lossy(&report.stdout), String::from_utf8_lossy(&run.stdout));
    assert_eq!(files(&out), written);
    let json = fleetstorm(folder.path()).args(["report", "out", "--json", "--quiet"]).output().unwrap();
    assert_eq!(json.stdout, written["run.json"]);
}

#[test]
fn what_is_no_result_is_refused() {
    let folder = folder("arrival = \"at-once\"", 1);
    let refused = fleetstorm(folder.path()).args(["report", "."]).assert();
    refused.code(code(Exit::Unexpected)).stdout("").stderr(contains("holds no results"));
    fs::write(folder.path().join("run.json"), "{\"schema\": 2}").unwrap();
    let refused = fleetstorm(folder.path()).args(["report", "."]).assert();
    refused.code(code(Exit::Unexpected)).stderr(contains("has schema 2"));
}

#[test]
fn a_killed_run_leaves_what_it_had_measured() {
    let folder = folder("arrival = { process = \"constant\", rate = \"20/s\" }", 10_000);
    let mut running = Running::start(&folder, &[]);
    running.until_told("p99");
    let out = folder.path().join("out");
    let kept = || {
        // Renamed over, so that it is always whole.
        let partial = out.join("partial.json");
        let run = if partial.exists() { json(&partial) } else { return (0, 0) };
        (run["totals"]["succeeded"].as_u64().unwrap(), run["resources"].as_array().unwrap().len())
    };
    until("a success and a look at both processes are kept", || matches!(kept(), (1.., 1..)));
    kill(running.pid(), Signal::SIGKILL).unwrap();
    running.finish();
    let (kept, looks) = kept();

    let report = fleetstorm(folder.path()).args(["report", "out"]).output().unwrap();
    assert_eq!(report.status.code(), Some(code(Exit::Interrupted)));
    let stdout = String::from_utf8_lossy(&report.stdout);
    assert!(stdout.contains("PARTIAL  the run was killed: results up to"), "{stdout}");
    let run = json(&out.join("run.json"));
    assert_eq!((&run["status"], run["totals"]["succeeded"].as_u64()), (&"lost".into(), Some(kept)));
    let count = |key: &str| run["totals"][key].as_u64().unwrap();
    assert_eq!(count("planned"), 10_000);
    let outcomes = ["succeeded", "failed", "dropped", "not_started", "skipped"].map(count);
    assert_eq!(outcomes.iter().sum::<u64>(), 10_000);
    for file in ["summary.csv", "intervals.csv"] {
        let rows = rows(&out.join(file));
        for column in ["started", "succeeded", "failed", "attempts", "failed_attempts"] {
            assert_eq!(sum(&rows, column), count(column), "{file}: {column}");
        }
    }
    assert_eq!(sum(&rows(&out.join("errors.csv")), "count"), count("failed_attempts"));
    let resources = rows(&out.join("resources.csv"));
    assert_eq!(resources.len(), looks);
    assert!(
        resources.iter().all(|row| !row["generator_cpu_us"].is_empty() && !row["emulator_memory_bytes"].is_empty())
    );
    assert!(!out.join("partial.json").exists());
    // What was recovered is a result like any other.
    let again = fleetstorm(folder.path()).args(["report", "out"]).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&again.stdout), stdout);
}

#[test]
fn a_run_goes_on_when_the_disk_is_full_and_says_what_is_lost() {
    let folder = folder("arrival = \"at-once\"", 10);
    let mut shell = assert_cmd::Command::new("sh");
    // A limit on the size of files stands for a full disk.
    shell.current_dir(folder.path()).args(["-c", "ulimit -f 8; exec \"$0\" \"$@\""]);
    shell.arg(assert_cmd::cargo::cargo_bin!("fleetstorm")).args(RUN).timeout(Duration::from_secs(60));
    let run = shell.assert().code(code(Exit::Unexpected));
    let stdout = String::from_utf8_lossy(&run.get_output().stdout).split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(stdout.contains("COMPLETE 10 of 10"), "{stdout}");
    assert!(stdout.contains("could not be kept while the run went on"), "{stdout}");
}
