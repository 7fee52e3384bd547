//! What is left above the prompt: the last lines that a command prints.

use std::fs;
use std::process::Output;

use fleetstorm::cli::Exit;

use crate::cli::{code, fleetstorm};
use crate::run::{RUN, folder};

/// A threshold that is met, and one that nothing meets.
const THRESHOLDS: &str = "thresholds=[\"storm.failed == 0\", \"storm.total.p99 < 1us\"]";

fn lines(text: &[u8]) -> Vec<String> {
    String::from_utf8(text.to_vec()).unwrap().lines().map(str::to_owned).collect()
}

/// The last `count` lines, without what differs from run to run.
fn ending(text: &[u8], count: usize) -> Vec<String> {
    // How busy the machine was that ran the test is told before, in a few lines.
    let mut of_machine = false;
    let mut lines = lines(text);
    lines.retain(|line| {
        of_machine = line.starts_with("MACHINE FULL") || (of_machine && line.starts_with(' '));
        !of_machine
    });
    let of_run = |line: &String| line.split([';', '(']).next().unwrap().split(" in ").next().unwrap().to_owned();
    lines[lines.len() - count..]
        .iter()
        .map(of_run)
        .map(|line| line.split("observed").next().unwrap().to_owned())
        .collect()
}

const FAILED: [&str; 3] = [
    "THRESHOLDS FAILED  1 of 2 thresholds are not met",
    "  - storm.total.p99 < 1us: ",
    "COMPLETE  5 of 5 devices succeeded",
];

fn last_of_stderr(output: &Output) -> String {
    lines(&output.stderr).pop().unwrap_or_default()
}

#[test]
fn verdict_failed_thresholds_and_report_are_told_last() {
    let folder = folder("arrival = \"at-once\"\nhub_connect = false", 5);
    let run = |args: &[&str]| fleetstorm(folder.path()).args(args).output().unwrap();
    let out = |name| [&RUN[..5], &[name, "--set", THRESHOLDS]].concat();
    let failed = Some(code(Exit::ThresholdsFailed));

    let plain = run(&out("out"));
    assert_eq!((plain.status.code(), ending(&plain.stdout, 3)), (failed, FAILED.map(str::to_owned).to_vec()));
    assert_eq!(last_of_stderr(&plain), "report in out/report.html");
    assert!(folder.path().join("out/report.html").is_file());

    let report = run(&["report", "out", "--quiet"]);
    assert_eq!((report.status.code(), ending(&report.stdout, 3)), (failed, FAILED.map(str::to_owned).to_vec()));
    assert!(report.stderr.is_empty());

    // stdout is for the data then.
    let json = run(&["report", "out", "--json"]);
    serde_json::from_slice::<serde_json::Value>(&json.stdout).unwrap();
    assert_eq!(ending(&json.stderr, 4)[..3], FAILED.map(str::to_owned));
    assert_eq!(last_of_stderr(&json), "report in out/report.html");

    let comparison = run(&["compare", "out", "out"]);
    assert!(lines(&comparison.stdout).iter().filter(|line| line.starts_with("NOT ENOUGH DATA: of ")).count() == 2);
    assert!(lines(&comparison.stdout).iter().rev().take(3).any(|line| line.starts_with("NOT ENOUGH DATA: of ")));

    let repeated = run(&[&out("several")[..], &["--repeat", "2", "--baseline", "out"]].concat());
    let overview =
        ["run 1, seed 7", FAILED[0], FAILED[1], FAILED[2], "", "run 2, seed 8", FAILED[0], FAILED[1], FAILED[2]];
    assert_eq!(ending(&repeated.stdout, 9), overview.map(str::to_owned));
    assert_eq!(last_of_stderr(&repeated), "reports in several/*/report.html");
}

#[test]
fn a_page_that_could_not_be_written_is_not_pointed_to() {
    let folder = folder("arrival = \"at-once\"\nhub_connect = false", 1);
    let run = fleetstorm(folder.path()).args(RUN).output().unwrap();
    assert_eq!(run.status.code(), Some(code(Exit::Done)));
    // A folder of that name is in the way.
    let page = folder.path().join("out/report.html");
    fs::remove_file(&page).unwrap();
    fs::create_dir(&page).unwrap();
    let report = fleetstorm(folder.path()).args(["report", "out"]).output().unwrap();
    assert_eq!(report.status.code(), Some(code(Exit::Unexpected)));
    assert_eq!(last_of_stderr(&report), "results in out");
    assert!(ending(&report.stdout, 1)[0].starts_with("COMPLETE  1 of 1"));
}

#[test]
fn results_that_nothing_can_be_added_to_are_told_all_the_same() {
    let folder = folder("arrival = \"at-once\"\nhub_connect = false", 1);
    fleetstorm(folder.path()).args(RUN).assert().code(code(Exit::Done));
    // No file takes a byte.
    let mut shell = assert_cmd::Command::new("sh");
    shell.current_dir(folder.path()).args(["-c", "ulimit -f 0; exec \"$0\" report out"]);
    let report = shell.arg(assert_cmd::cargo::cargo_bin!("fleetstorm")).output().unwrap();
    let stderr = String::from_utf8_lossy(&report.stderr);
    assert_eq!(report.status.code(), Some(code(Exit::Unexpected)), "{stderr}");
    assert!(stderr.contains("cannot write results to out") && !stderr.contains("report in"), "{stderr}");
    assert!(ending(&report.stdout, 1)[0].starts_with("COMPLETE  1 of 1"));
}

#[test]
fn what_is_refused_has_the_colours_of_everything_else_or_none() {
    let folder = folder("", 1);
    let refused = |more: &[&str]| {
        let mut command = fleetstorm(folder.path());
        let output = command.env("CLICOLOR_FORCE", "1").arg("nonsense").args(more).output().unwrap();
        assert_eq!(output.status.code(), Some(code(Exit::Usage)));
        String::from_utf8(output.stderr).unwrap()
    };
    let colored = refused(&[]);
    assert!(colored.contains("\x1b[38;5;131m"), "{colored:?}");
    assert!(!["\x1b[31m", "\x1b[32m", "\x1b[33m"].iter().any(|basic| colored.contains(basic)), "{colored:?}");
    assert!(!refused(&["--no-color"]).contains('\x1b'));
}
