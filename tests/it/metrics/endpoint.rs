use std::collections::BTreeMap;
use std::net::TcpListener;

use fleetstorm::cli::Exit;
use predicates::prelude::PredicateBooleanExt as _;
use predicates::str::contains;
use serde_json::Value;

use super::{COUNTERS, RUN, Running, answer, check_metrics, folder, free_port, get, run_json, until};
use crate::cli::{code, fleetstorm};

/// Series with their values.
fn series(text: &str) -> BTreeMap<&str, f64> {
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    lines.filter_map(|line| line.rsplit_once(' ')).map(|(name, value)| (name, value.parse().unwrap())).collect()
}

#[test]
fn the_last_metrics_are_what_the_record_says() {
    let folder = folder();
    let port = free_port().to_string();
    let url = format!("http://127.0.0.1:{port}/metrics");
    let mut run = Running::start(folder.path(), &["--quiet", "--metrics", &port, "--metrics-linger", "1m"]);
    let during = until("an answer during the run", || {
        get(&url, &[]).filter(|text| text.contains("fleetstorm_run_part{part=\"measure\"} 1"))
    });
    assert_eq!(series(&during)["fleetstorm_devices_planned{stage=\"storm\"}"], 60.0, "{during}");
    let last = until("the last answer", || {
        get(&url, &[]).filter(|text| text.contains("fleetstorm_run_part{part=\"over\"} 1"))
    });
    assert_eq!(run.code(), Some(code(Exit::Done)), "it ends when it was asked once more");
    check_metrics(&last);

    let record = run_json(folder.path());
    let last = series(&last);
    let totals = &record["totals"];
    let count = |value: &Value| value.as_u64().unwrap() as f64;
    let stage = "{stage=\"storm\"}";
    for (metric, total) in COUNTERS {
        assert_eq!(last[&*format!("fleetstorm_{metric}_total{stage}")], count(&totals[total]), "{metric}");
    }
    let outcomes = ["succeeded", "failed", "dropped", "not_started", "skipped"].map(|outcome| {
        let found = last[&*format!("fleetstorm_devices_total{{stage=\"storm\",outcome=\"{outcome}\"}}")];
        assert_eq!(found, count(&totals[outcome]), "{outcome}");
        found
    });
    assert_eq!(outcomes.iter().sum::<f64>(), 60.0, "every device has one outcome");
    assert_eq!(last[&*format!("fleetstorm_attempts_in_flight{stage}")], 0.0);
    for phase in record["stages"][0]["phases"].as_array().unwrap() {
        let (name, outcome) = (phase["phase"].as_str().unwrap(), phase["outcome"].as_str().unwrap());
        let labels = format!("stage=\"storm\",phase=\"{name}\",outcome=\"{outcome}\"");
        let wanted = count(&phase["count"]);
        assert_eq!(last[&*format!("fleetstorm_phase_seconds_count{{{labels}}}")], wanted, "{name}");
        assert_eq!(last[&*format!("fleetstorm_phase_seconds_bucket{{{labels},le=\"+Inf\"}}")], wanted, "{name}");
        let sum = last[&*format!("fleetstorm_phase_seconds_sum{{{labels}}}")];
        let mean = count(&phase["mean_us"]) / 1e6;
        assert!((sum / wanted - mean).abs() <= mean / 100.0 + 2e-6, "{name}: {sum} s of {wanted}, mean {mean} s");
    }
    let settings = record["settings"].as_array().unwrap();
    assert!(settings.iter().any(|setting| setting["key"] == "run.metrics"), "{settings:?}");
}

#[test]
fn the_format_is_the_one_that_is_asked_for() {
    let folder = folder();
    let port = free_port().to_string();
    let url = format!("http://127.0.0.1:{port}/metrics");
    // It ends with the test.
    let long = ["--quiet", "--metrics", &port, "--set", "fleet.devices=3000"];
    let _run = Running::start(folder.path(), &long);
    let ask = |accept: Option<&str>| {
        let accept = accept.map(|accept| format!("Accept: {accept}"));
        until("an answer", || answer(&url, &[], &accept.iter().map(String::as_str).collect::<Vec<_>>()))
    };
    let text = "text/plain; version=0.0.4; charset=utf-8";
    let open = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    for (accept, content_type) in [
        (None, text),
        (Some("text/plain"), text),
        (Some("application/openmetrics-text"), open),
        (Some("application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5,*/*;q=0.1"), open),
        (Some("application/openmetrics-text;q=0.2,text/plain;q=0.3"), text),
    ] {
        let (told, body) = ask(accept);
        assert_eq!(told, content_type, "{accept:?}");
        assert_eq!(body.ends_with("# EOF\n"), content_type == open, "{body}");
    }
}

#[test]
fn a_port_in_use_is_said_before_anything_starts() {
    let folder = folder();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let run = fleetstorm(folder.path()).args(RUN).args(["--metrics", &address]).assert();
    run.code(code(Exit::Usage)).stderr(contains(&address).and(contains("another port")));
    assert!(!folder.path().join("out").exists(), "nothing was measured, so there are no results");
    let run = fleetstorm(folder.path()).args(RUN).args(["--metrics", "localhost"]).assert();
    run.code(code(Exit::Usage)).stderr(contains("9464"));
    let run = fleetstorm(folder.path()).args(RUN).args(["--metrics-linger", "5s"]).assert();
    run.code(code(Exit::Usage)).stderr(contains("--metrics"));
}
