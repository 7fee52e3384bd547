//! Wherever fleetstorm itself breaks, what was measured stays: panics that builds for tests can be asked for.

use std::collections::HashMap;
use std::path::PathBuf;
use std::process::Output;

use fleetstorm::cli::Exit;
use serde_json::Value;
use tempfile::TempDir;

use crate::cli::{code, fleetstorm};
use crate::run::{RUN, folder, json, rows, sum, verdicts};

/// A run of more than a second in which that place panics.
struct Broken {
    folder: TempDir,
    output: Output,
}

impl Broken {
    fn at(place: &str, more: &[&str]) -> Self {
        let folder = folder("arrival = { process = \"constant\", rate = \"20/s\" }", 50);
        let mut command = fleetstorm(folder.path());
        let output = command.args(RUN).args(more).env("FLEETSTORM_TEST_PANIC", place).output().unwrap();
        Self { folder, output }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join("out").join(name)
    }

    fn stdout(&self) -> String {
        String::from_utf8_lossy(&self.output.stdout).split_whitespace().collect::<Vec<_>>().join(" ")
    }

    /// The record, in which everything adds up, after that exit code.
    fn record(&self, exit: Exit) -> Value {
        let stderr = String::from_utf8_lossy(&self.output.stderr);
        assert_eq!(self.output.status.code(), Some(code(exit)), "{stderr}");
        assert!(stderr.contains("FLEETSTORM_TEST_PANIC"), "it did panic: {stderr}");
        let run = json(&self.file("run.json"));
        let count = |key: &str| run["totals"][key].as_u64().unwrap();
        assert_eq!(count("planned"), 50);
        let outcomes = ["succeeded", "failed", "dropped", "not_started", "skipped"].map(count);
        assert_eq!(outcomes.iter().sum::<u64>(), 50, "{}", run["totals"]);
        for file in ["summary.csv", "intervals.csv"] {
            let rows: Vec<HashMap<String, String>> = rows(&self.file(file));
            assert_eq!(sum(&rows, "started"), count("started"), "{file}");
        }
        for partial in ["partial.json", "unwritten.json"] {
            assert!(!self.file(partial).exists(), "{partial}");
        }
        run
    }
}

/// Whatever carries the run: it ends, with what was measured until then.
#[test]
fn a_run_that_breaks_leaves_what_was_measured_and_says_so() {
    for place in ["worker", "conductor", "pacer"] {
        let broken = Broken::at(place, &[]);
        let run = broken.record(Exit::Unexpected);
        assert_eq!((&run["status"], verdicts(&run)[0]), (&"broken".into(), "broken"), "{place}");
        assert!(run["totals"]["started"].as_u64() > Some(5), "{place}: {}", run["totals"]);
        let stdout = broken.stdout();
        assert!(stdout.contains("PARTIAL fleetstorm itself broke"), "{place}: {stdout}");
        let notes = run["notes"].as_array().unwrap().iter().filter_map(Value::as_str);
        assert!(notes.clone().any(|note| note.contains("please report it")), "{place}: {:?}", run["notes"]);
        assert!(run["emulator"]["cpu_us"].as_u64() > Some(0) && broken.file("report.html").exists());
    }
}

/// Whoever looks at it or writes something beside it: it goes on.
#[test]
fn a_run_goes_on_when_what_is_beside_it_breaks() {
    for (place, more, note) in [
        ("display", &[][..], None),
        ("sampler", &[], Some("nobody looked at what both processes use until the end")),
        ("keeper", &[], Some("was not kept while the run went on")),
        ("rows", &["--devices"], Some("devices.csv could not be written")),
    ] {
        let run = Broken::at(place, more).record(Exit::Done);
        assert_eq!((&run["status"], &run["totals"]["succeeded"]), (&"complete".into(), &50.into()), "{place}");
        let notes: Vec<_> = run["notes"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
        assert!(note.is_none_or(|note| notes.iter().any(|told| told.contains(note))), "{place}: {notes:?}");
    }
}

/// What is written or printed after it: only that is lost.
#[test]
fn a_format_that_breaks_costs_itself_alone() {
    let page = Broken::at("report.html", &[]);
    page.record(Exit::Unexpected);
    assert!(!page.file("report.html").exists() && page.file("latency.hlog").exists());
    assert!(page.stdout().contains("COMPLETE 50 of 50"));

    let summary = Broken::at("summary", &[]);
    summary.record(Exit::Unexpected);
    assert!(summary.file("report.html").exists());

    // Without run.json, what was kept before is left under a name that says so.
    let record = Broken::at("run.json", &[]);
    assert_eq!(record.output.status.code(), Some(code(Exit::Unexpected)));
    assert!(record.file("unwritten.json").exists() && !record.file("partial.json").exists());
    let report = fleetstorm(record.folder.path()).args(["report", "out"]).output().unwrap();
    let told = String::from_utf8_lossy(&report.stdout);
    assert_eq!(report.status.code(), Some(code(Exit::Unexpected)));
    assert!(told.contains("PARTIAL  the run ended, but its record could not be written") && !told.contains("killed"));
    record.record(Exit::Unexpected);
}
