//! Results that are read back: reports are redone from what a run has stored.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use fleetstorm::cli::Exit;
use predicates::str::contains;

use crate::cli::{code, fleetstorm};
use crate::run::{RUN, folder};

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
