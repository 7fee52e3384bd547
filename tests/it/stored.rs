//! Results of earlier versions: they are read for ever.

use std::fs;
use std::path::Path;

use assert_cmd::Command;
use fleetstorm::cli::Exit;
use predicates::str::contains;
use serde_json::{Value, json as value};

use crate::cli::{code, fleetstorm};
use crate::run::{json, rows, sum};

/// What was written, oldest first, with the exit code of its run.
const FORMS: [&str; 5] = ["first", "with-time-scale", "with-certificates", "with-shard", "with-fleet"];

/// A copy of the results that one can write to.
fn results(form: &str) -> tempfile::TempDir {
    let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/results").join(form);
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("old")).unwrap();
    for file in ["run.json", "latency.hlog"] {
        fs::copy(from.join(file), folder.path().join("old").join(file)).unwrap();
    }
    folder
}

fn report(folder: &Path) -> Command {
    let mut command = fleetstorm(folder);
    command.args(["report", "old"]);
    command
}

#[test]
fn results_of_every_earlier_form_are_reported_and_compared() {
    for form in FORMS {
        let folder = results(form);
        let old = folder.path().join("old");
        let before = json(&old.join("run.json"));
        report(folder.path()).assert().code(code(Exit::Done)).stdout(contains("COMPLETE"));
        let after = json(&old.join("run.json"));
        kept(&before, &after, form);
        let totals = &after["totals"];
        let count = |key: &str| totals[key].as_u64().unwrap();
        let outcomes = ["succeeded", "failed", "dropped", "not_started", "skipped"].map(count);
        assert_eq!(outcomes.iter().sum::<u64>(), count("planned"), "{form}");
        for file in ["summary.csv", "intervals.csv"] {
            let rows = rows(&old.join(file));
            for column in ["started", "succeeded", "attempts", "throttled"] {
                assert_eq!(sum(&rows, column), count(column), "{form}, {file}: {column}");
            }
        }
        // What was read and written once is read and written alike ever after.
        let bytes = |file: &str| fs::read(old.join(file)).unwrap();
        let once = ["run.json", "intervals.csv", "report.html"].map(bytes);
        report(folder.path()).assert().code(code(Exit::Done));
        assert_eq!(["run.json", "intervals.csv", "report.html"].map(bytes), once, "{form}");

        let compared = fleetstorm(folder.path()).args(["compare", "old", "old", "--json"]).output().unwrap();
        assert_eq!(compared.status.code(), Some(code(Exit::Done)), "{form}");
        let compared: Value = serde_json::from_slice(&compared.stdout).unwrap();
        assert_eq!(compared["regression"], false, "{form}");
    }
}

/// Nothing that an earlier version wrote is lost or changed; keys are only added. What only words and machines say may be
/// said otherwise.
fn kept(before: &Value, after: &Value, place: &str) {
    match (before, after) {
        (Value::Object(before), Value::Object(after)) => {
            for (key, value) in before.iter().filter(|(key, _)| !["verdicts", "histogram"].contains(&key.as_str())) {
                kept(
                    value,
                    after.get(key).unwrap_or_else(|| panic!("{place}.{key} is gone")),
                    &format!("{place}.{key}"),
                );
            }
        }
        (Value::Array(before), Value::Array(after)) => {
            assert_eq!(before.len(), after.len(), "{place}");
            before.iter().zip(after).for_each(|(before, after)| kept(before, after, place));
        }
        // A number may have been written as a float.
        _ if before.as_f64().is_some() => assert_eq!(before.as_f64(), after.as_f64(), "{place}"),
        _ => assert_eq!(before, after, "{place}"),
    }
}

#[test]
fn what_the_first_results_did_not_know_is_what_their_time_knew() {
    let folder = results("first");
    report(folder.path()).assert().code(code(Exit::Done));
    let run = json(&folder.path().join("old/run.json"));
    assert_eq!((&run["time_scale"]["text"], &run["certificates"]), (&"1s = 1s".into(), &Value::Null));
    assert_eq!((&run["totals"]["attempts"], &run["totals"]["skipped"]), (&50.into(), &0.into()));

    // Smallest and largest are as far known as the steps of the histogram tell.
    let interval = &run["stages"][0]["intervals"][3];
    assert!(interval["max_us"].as_u64() >= interval["p99_us"].as_u64() && interval["p99_us"].is_u64(), "{interval}");

    let folder = results("with-time-scale");
    report(folder.path()).assert().code(code(Exit::Done));
    let run = json(&folder.path().join("old/run.json"));
    assert_eq!(run["time_scale"]["fleet_us"], 10_000_000);
    assert_eq!(run["thresholds"][2]["threshold"], "storm.total.p99 < 60s");
    // That failed attempts had a class was known of stages, not of seconds.
    let intervals = rows(&folder.path().join("old/intervals.csv"));
    assert!(!intervals.is_empty());
    for row in &intervals {
        assert_eq!(row["failed_attempts_throttled"].is_empty(), row["failed_attempts"] != "0", "{row:?}");
        assert!(!row["throttled"].is_empty() && row["polls"].is_empty(), "{row:?}");
    }

    let folder = results("with-shard");
    let reported = report(folder.path()).assert().code(code(Exit::Done));
    let told = String::from_utf8(reported.get_output().stdout.clone()).unwrap();
    assert!(
        told.contains("skipped in back: 5 devices had no certificate: of 5 the record does not know why"),
        "{told}"
    );

    let folder = results("with-fleet");
    report(folder.path()).assert().code(code(Exit::Done));
    let run = json(&folder.path().join("old/run.json"));
    let conditions = run["conditions"].as_array().unwrap();
    let texts = |of: &Value| of.as_array().unwrap().iter().map(|row| row["threshold"].clone()).collect::<Vec<_>>();
    assert_eq!(texts(&run["conditions"]), texts(&run["thresholds"]));
    assert_eq!((&conditions[1]["stages"], &conditions[1]["bound"]), (&value!([1]), &value!(10_000_000.0)));
    let aborts: Vec<_> = conditions.iter().map(|condition| condition["abort_after_us"].as_u64()).collect();
    assert_eq!(aborts, [None, None, None, Some(30_000_000), None]);
}
