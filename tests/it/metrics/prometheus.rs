//! A real Prometheus scrapes a real run, with the configuration of `dashboards/`; every expression of the dashboard finds
//! something.

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use fleetstorm::cli::Exit;
use serde_json::Value;

use super::{Running, folder, free_port, get, present, run_json, until};
use crate::cli::code;

const DASHBOARDS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/dashboards");

/// A Prometheus with its data in a folder; it ends with the test.
struct Prometheus {
    process: Child,
    url: String,
}

impl Prometheus {
    fn start(folder: &Path, metrics: u16) -> Self {
        let committed = fs::read_to_string(format!("{DASHBOARDS}/prometheus.yml")).unwrap();
        assert!(committed.contains("127.0.0.1:9464"), "{committed}");
        let config = folder.join("prometheus.yml");
        fs::write(&config, committed.replace(":9464", &format!(":{metrics}"))).unwrap();
        let address = format!("127.0.0.1:{}", free_port());
        let process = Command::new("prometheus")
            .arg(format!("--config.file={}", config.display()))
            .arg(format!("--storage.tsdb.path={}", folder.join("data").display()))
            .arg(format!("--web.listen-address={address}"))
            .arg("--log.level=error")
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let this = Self { process, url: format!("http://{address}") };
        until("Prometheus", || get(&format!("{}/-/ready", this.url), &[]));
        this
    }

    /// The `result` of a query.
    fn query(&self, kind: &str, parameters: &[(&str, &str)]) -> Vec<Value> {
        let answer = get(&format!("{}/api/v1/{kind}", self.url), parameters);
        let answer = answer.unwrap_or_else(|| panic!("Prometheus refuses {parameters:?}"));
        let answer: Value = serde_json::from_str(&answer).unwrap();
        assert_eq!(answer["status"], "success", "{answer}");
        answer["data"]["result"].as_array().unwrap().clone()
    }

    /// What an expression was last.
    fn last(&self, expression: &str) -> f64 {
        let found = self.query("query", &[("query", &format!("sum(last_over_time({expression}[10m]))"))]);
        let [only] = found.as_slice() else { panic!("{expression}: {found:?}") };
        only["value"][1].as_str().unwrap().parse().unwrap()
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Title and expression of everything that the dashboard shows.
fn expressions() -> Vec<(String, String)> {
    let dashboard: Value =
        serde_json::from_str(&fs::read_to_string(format!("{DASHBOARDS}/fleetstorm.json")).unwrap()).unwrap();
    let targets = dashboard["panels"].as_array().unwrap().iter().flat_map(|panel| {
        let title = panel["title"].as_str().unwrap().to_owned();
        let targets = panel["targets"].as_array().cloned().unwrap_or_default();
        targets.into_iter().map(move |target| (title.clone(), target["expr"].as_str().unwrap().to_owned()))
    });
    targets.collect()
}

#[test]
fn a_real_prometheus_sees_what_the_record_says() {
    let is_there = Command::new("prometheus").arg("--version").output().is_ok_and(|output| output.status.success());
    if !present("Prometheus", is_there, "apt-get install prometheus") {
        return;
    }
    let folder = folder();
    let port = free_port();
    let prometheus = Prometheus::start(folder.path(), port);
    // Long enough for several scrapes, whatever else the machine does.
    let options = ["--quiet", "--metrics", &port.to_string(), "--metrics-linger", "1m", "--set", "fleet.devices=240"];
    let mut run = Running::start(folder.path(), &options);
    assert_eq!(run.code(), Some(code(Exit::Done)));

    let record = run_json(folder.path());
    let totals = &record["totals"];
    let count = |key: &str| totals[key].as_u64().unwrap() as f64;
    // The scrape that ended the run may not be stored yet.
    until("the last scrape", || (prometheus.last("fleetstorm_run_part{part=\"over\"}") == 1.0).then_some(()));
    for (expression, wanted) in [
        ("fleetstorm_devices_planned", count("planned")),
        ("fleetstorm_devices_total", count("planned")),
        ("fleetstorm_devices_total{outcome=\"succeeded\"}", count("succeeded")),
        ("fleetstorm_devices_failed_total", count("failed")),
        ("fleetstorm_attempts_started_total", count("attempts")),
        ("fleetstorm_attempts_total", count("attempts")),
        ("fleetstorm_attempts_failed_total", count("failed_attempts")),
        ("fleetstorm_throttled_total", count("throttled")),
        ("fleetstorm_polls_total", count("polls")),
        ("fleetstorm_telemetry_total", count("telemetry")),
        ("fleetstorm_phase_seconds_count{phase=\"total\",outcome=\"succeeded\"}", count("succeeded")),
        ("fleetstorm_attempts_in_flight", 0.0),
    ] {
        assert_eq!(prometheus.last(expression), wanted, "{expression}");
    }

    let started: jiff::Timestamp = record["started_at"].as_str().unwrap().parse().unwrap();
    let (start, end) = (started.as_second(), jiff::Timestamp::now().as_second() + 1);
    let expressions = expressions();
    assert!(expressions.len() > 20, "{expressions:?}");
    for (title, expression) in expressions {
        // As Grafana fills them in.
        let query = expression.replace("$stage", ".*").replace("$__rate_interval", "1m");
        let range = [("query", &*query), ("start", &start.to_string()), ("end", &end.to_string()), ("step", "1")];
        let found = prometheus.query("query_range", &range);
        assert!(!found.is_empty(), "{title}: {query} finds nothing");
    }
}
