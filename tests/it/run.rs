//! Whole runs of the binary against the emulator: sums, exit codes, and that nothing survives.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command as Process, Stdio};
use std::time::Duration;

use fleetstorm::cli::Exit;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use predicates::prelude::PredicateBooleanExt as _;
use predicates::str::contains;
use serde_json::Value;
use tempfile::TempDir;

use crate::cli::{NO_STATE, code, fleetstorm};

/// Environment variable by which a test finds its own processes.
const MARK: &str = "FLEETSTORM_TEST_MARK";

/// A folder with a scenario and an emulator that answers fast.
/// How fast this machine is is not judged: no lateness makes the run saturated.
pub(crate) fn folder(arrival: &str, devices: u32) -> TempDir {
    let folder = TempDir::new().unwrap();
    let scenario = format!(
        "schema = 1\nname = \"small\"\nseed = 7\n[fleet]\ndevices = {devices}\n\
         [[stage]]\nname = \"storm\"\nkind = \"provision\"\n{arrival}\ntimeout = \"30s\"\n\
         [limits]\ngrace = \"500ms\"\nharmless_lateness = \"1h\"\n"
    );
    fs::write(folder.path().join("small.toml"), scenario).unwrap();
    fs::write(folder.path().join("emulator.toml"), "[dps]\nretry_after_seconds = 1\n").unwrap();
    folder
}

/// The last one is the results folder.
pub(crate) const RUN: [&str; 6] = ["run", "small.toml", "--emulator-config", "emulator.toml", "--out", "out"];

/// An emulator with the configuration of the folder; it ends with the test.
pub(crate) struct Emulator(Child);

impl Emulator {
    /// With its ready line.
    pub(crate) fn start(folder: &TempDir, more: &[&str]) -> (Self, String) {
        let mut child = Process::new(assert_cmd::cargo::cargo_bin!("fleetstorm"))
            .args(["emulator", "--json", "--parent-pipe", "--mqtt-port", "0", "--config", "emulator.toml"])
            .args(more)
            .current_dir(folder.path())
            .env_remove("FLEETSTORM_GROUP_KEY")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut ready = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut ready).unwrap();
        (Self(child), ready)
    }

    /// It ends when its stdin does.
    fn stop(mut self) {
        drop(self.0.stdin.take());
        self.0.wait().unwrap();
    }
}

impl Drop for Emulator {
    fn drop(&mut self) {
        // It has ended when it was stopped.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

pub(crate) fn json(path: &Path) -> Value {
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

/// The rows of a CSV file as maps.
/// What is said of a run, the worst first, but for how busy the machine was that ran the test.
pub(crate) fn verdicts(run: &Value) -> Vec<&str> {
    let all = run["verdicts"].as_array().unwrap().iter().filter_map(|verdict| verdict["verdict"].as_str());
    all.filter(|verdict| *verdict != "machine_full").collect()
}

pub(crate) fn rows(path: &Path) -> Vec<std::collections::HashMap<String, String>> {
    csv::Reader::from_path(path).unwrap().deserialize().map(Result::unwrap).collect()
}

pub(crate) fn sum(rows: &[std::collections::HashMap<String, String>], column: &str) -> u64 {
    rows.iter().map(|row| row[column].parse::<u64>().unwrap()).sum()
}

/// All outcomes add up to the devices planned, and to the same number in every file.
fn check_sums(out: &Path, devices: u64) -> Value {
    let run = json(&out.join("run.json"));
    let totals = &run["totals"];
    let count = |key: &str| totals[key].as_u64().unwrap();
    assert_eq!(count("planned"), devices);
    let outcomes = ["succeeded", "failed", "dropped", "not_started", "skipped"].map(count);
    assert_eq!(outcomes.iter().sum::<u64>(), devices, "{totals}");
    let (summary, intervals, errors, phases) = (
        rows(&out.join("summary.csv")),
        rows(&out.join("intervals.csv")),
        rows(&out.join("errors.csv")),
        rows(&out.join("phases.csv")),
    );
    for column in ["started", "succeeded", "failed", "dropped", "throttled", "attempts", "failed_attempts", "expired"] {
        assert_eq!(sum(&summary, column), totals[column].as_u64().unwrap(), "summary.csv: {column}");
        assert_eq!(sum(&intervals, column), totals[column].as_u64().unwrap(), "intervals.csv: {column}");
    }
    assert_eq!(sum(&summary, "planned"), devices);
    assert_eq!(sum(&errors, "count"), count("failed_attempts"), "errors.csv");
    let totals_of = |outcome: &str| {
        phases.iter().filter(|row| row["phase"] == "total" && row["outcome"] == outcome).cloned().collect::<Vec<_>>()
    };
    assert_eq!(sum(&totals_of("succeeded"), "count"), count("succeeded"), "phases.csv");
    // The time between the end of an attempt and that of its device is no wait.
    let waited = phases.iter().any(|row| row["phase"] == "backoff");
    assert!(!waited || count("failed_attempts") > 0, "phases.csv");
    // Those that were cut have not been seen to fail, and all together are those that began.
    let [failed, censored, all] = ["failed", "censored", "all"].map(|outcome| sum(&totals_of(outcome), "count"));
    assert_eq!((failed + censored, all), (count("failed"), count("started")), "phases.csv");
    assert_eq!(censored, sum(&summary, "failed_cut"), "phases.csv");
    let resources = rows(&out.join("resources.csv"));
    assert_eq!(Some(resources.len()), run["resources"].as_array().map(Vec::len), "resources.csv");
    // Between the last look at the process and its last count it may have worked for a moment.
    let (seen, whole) = (sum(&resources, "generator_cpu_us"), run["generator"]["cpu_us"].as_u64().unwrap());
    assert!(!resources.is_empty() && seen <= whole + 50_000, "resources.csv: {seen} µs of {whole} µs");
    run
}

#[test]
fn a_storm_is_whole_and_its_files_agree() {
    let folder = folder("arrival = \"at-once\"", 40);
    let mark = folder.path().display().to_string();
    let output = fleetstorm(folder.path())
        .args(RUN)
        .args(["--json", "--no-color"])
        .env(MARK, &mark)
        .env("FLEETSTORM_DUMPABLE", "1")
        .output()
        .unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code(Exit::Done)), "{stderr}");
    assert!(marked(&mark).is_empty(), "the emulator survived");

    let out = folder.path().join("out");
    let run = check_sums(&out, 40);
    assert_eq!(run["totals"]["succeeded"], 40, "{stderr}");
    assert_eq!(verdicts(&run), ["complete"]);
    assert_eq!(run, serde_json::from_slice::<Value>(&output.stdout).unwrap(), "--json prints run.json");
    assert_eq!((&run["seed"], &run["schema"]), (&7.into(), &1.into()));
    assert!(run["generator"]["cpu_us"].as_u64() > Some(0) && run["emulator"]["cpu_us"].as_u64() > Some(0), "{run}");
    assert!(run["emulator"]["peak_memory_bytes"].as_u64() > Some(1_000_000), "{run}");
    let devices = run["settings"].as_array().unwrap().iter().find(|s| s["key"] == "fleet.devices").unwrap();
    assert_eq!((&devices["value"], &devices["origin"]), (&"40".into(), &"scenario".into()));
    for phase in
        ["keygen", "csr", "sas", "tls", "register", "poll_wait", "verify", "hub_tls", "telemetry_ack", "total_raw"]
    {
        let rows = run["stages"][0]["phases"].as_array().unwrap();
        assert!(rows.iter().any(|row| row["phase"] == phase && row["count"] == 40), "{phase} is missing");
    }
    // The summary goes to stderr, as stdout is for the data.
    assert!(
        stderr.contains("COMPLETE  40 of 40 devices succeeded") && stderr.contains("report in out/report.html"),
        "{stderr}"
    );
    assert!(stderr.lines().filter(|line| !line.contains("/s, ")).all(|line| line.chars().count() <= 100), "{stderr}");
}

#[test]
fn every_transport_carries_either_attestation() {
    let folder = folder("arrival = \"at-once\"", 10);
    for args in [&["root"][..], &["intermediate"], &["devices", "--scenario", "small.toml"]] {
        fleetstorm(folder.path()).arg("pki").args(args).assert().success();
    }
    for transport in ["mqtt", "mqtt-websocket", "https"] {
        for attestation in ["symmetric-key", "x509"] {
            let out = format!("{transport}-{attestation}");
            let set = [format!("fleet.transport={transport}"), format!("fleet.attestation={attestation}")];
            let run =
                fleetstorm(folder.path()).args(&RUN[..5]).args([&out, "--set", &set[0], "--set", &set[1]]).assert();
            run.code(code(Exit::Done)).stdout(contains("COMPLETE  10 of 10"));
            check_sums(&folder.path().join(&out), 10);
        }
    }
    // Bootstrap certificates of somebody else's authority get nobody in.
    fleetstorm(folder.path()).args(["pki", "root", "--dir", "other"]).assert().success();
    fleetstorm(folder.path()).args(["pki", "intermediate", "--dir", "other"]).assert().success();
    for authority in ["root.pem", "intermediate.pem"] {
        fs::copy(folder.path().join("other").join(authority), folder.path().join("pki").join(authority)).unwrap();
    }
    let run = fleetstorm(folder.path()).args(&RUN[..5]).args(["refused", "--set", "fleet.attestation=x509"]).assert();
    run.stdout(contains("401002").and(contains("CA certificate not found.")));
}

#[test]
fn quiet_says_nothing_but_the_summary() {
    let folder = folder("workload = \"closed\"\nconcurrency = 10\nhub_connect = false", 10);
    let assert = fleetstorm(folder.path()).args(RUN).arg("--quiet").assert();
    assert.code(code(Exit::Done)).stderr("").stdout(contains("COMPLETE  10 of 10").and(contains("\u{1b}").not()));
    check_sums(&folder.path().join("out"), 10);
}

#[test]
fn few_open_files_bound_the_run_and_are_told() {
    let folder = folder("arrival = \"at-once\"\nmax_lateness = \"30s\"", 80);
    let scenario = folder.path().join("small.toml");
    // Here it is the point, and it is more than a second.
    let text =
        fs::read_to_string(&scenario).unwrap().replace("harmless_lateness = \"1h\"", "harmless_lateness = \"50ms\"");
    fs::write(&scenario, text).unwrap();
    let binary = assert_cmd::cargo::cargo_bin!("fleetstorm");
    let run = |limit: u32| {
        let mut shell = assert_cmd::Command::new("sh");
        shell.current_dir(folder.path()).arg("-c").arg(format!("ulimit -n {limit}; exec \"$0\" \"$@\"")).arg(binary);
        shell.args(&RUN[..5]).arg(limit.to_string());
        shell.timeout(Duration::from_secs(60)).assert()
    };
    // Enough for a part of the fleet at a time: all get through, late, and the reason is named.
    run(180).code(code(Exit::Saturated)).stderr(contains("ulimit -Hn")).stdout(contains("SATURATED"));
    let run_json = check_sums(&folder.path().join("180"), 80);
    assert_eq!(run_json["totals"]["succeeded"], 80);
    assert!(run_json["health"]["in_flight_limit"].as_u64() < Some(80));
    // Not enough for a single one.
    run(100).code(code(Exit::Unexpected)).stderr(contains("ulimit -n")).stdout("");
}

#[test]
fn ctrl_c_keeps_what_was_measured() {
    let folder = folder("arrival = { process = \"constant\", rate = \"20/s\" }", 10_000);
    let mut running = Running::start(&folder, &[]);
    running.until_told("p99");
    kill(running.pid(), Signal::SIGINT).unwrap();
    let (exit, stdout, stderr) = running.finish();
    assert_eq!(exit, Some(code(Exit::Interrupted)), "{stderr}");
    assert!(stdout.contains("PARTIAL") && stderr.contains("stopping"), "{stdout}{stderr}");
    let run = check_sums(&folder.path().join("out"), 10_000);
    assert_eq!(run["status"], "interrupted");
    assert!(run["totals"]["succeeded"].as_u64() > Some(0) && run["totals"]["not_started"].as_u64() > Some(0), "{run}");
}

#[test]
fn a_second_ctrl_c_does_not_wait() {
    let folder = folder("arrival = { process = \"constant\", rate = \"20/s\" }", 10_000);
    fs::write(folder.path().join("emulator.toml"), "[dps]\nretry_after_seconds = 20\n").unwrap();
    let mut running = Running::start(&folder, &["--set", "limits.grace=1h"]);
    running.until_told("(measure)");
    running.until_told(" s\n");
    kill(running.pid(), Signal::SIGINT).unwrap();
    running.until_told("stopping");
    kill(running.pid(), Signal::SIGINT).unwrap();
    let (exit, _, stderr) = running.finish();
    assert_eq!(exit, Some(code(Exit::Interrupted)), "{stderr}");
    let run = check_sums(&folder.path().join("out"), 10_000);
    assert_eq!(run["totals"]["failed_by_class"]["cut"], run["totals"]["started"]);
    assert!(run["totals"]["started"].as_u64() > Some(10), "{run}");
}

#[test]
fn a_signal_that_was_ignored_at_the_start_stays_ignored() {
    let folder = folder("arrival = { process = \"constant\", rate = \"20/s\" }", 40);
    let mut running = Running::start_after("trap '' HUP INT", &folder, &[]);
    running.until_told("(measure)");
    for signal in [Signal::SIGHUP, Signal::SIGINT] {
        kill(running.pid(), signal).unwrap();
    }
    let (exit, stdout, stderr) = running.finish();
    assert_eq!(exit, Some(code(Exit::Done)), "{stderr}");
    assert!(stdout.contains("COMPLETE  40 of 40"), "{stdout}");
}

#[test]
fn what_cannot_be_written_does_not_cost_the_summary() {
    let folder = folder("workload = \"closed\"\nconcurrency = 10", 10);
    let mut shell = assert_cmd::Command::new("sh");
    // A limit on the size of files stands for a full disk.
    shell.current_dir(folder.path()).args(["-c", "ulimit -f 8; exec \"$0\" \"$@\""]);
    shell.arg(assert_cmd::cargo::cargo_bin!("fleetstorm")).args(RUN).timeout(Duration::from_secs(60));
    shell
        .assert()
        .code(code(Exit::Unexpected))
        .stdout(contains("COMPLETE  10 of 10"))
        .stderr(contains("cannot write out/run.json").and(contains("--out")));
    assert_eq!(sum(&rows(&folder.path().join("out/summary.csv")), "succeeded"), 10, "the other files are there");
}

#[test]
fn readers_that_go_away_do_not_cost_the_results() {
    let folder = folder("workload = \"closed\"\nconcurrency = 10", 10);
    let mut shell = assert_cmd::Command::new("sh");
    shell.current_dir(folder.path()).args(["-c", "{ \"$0\" \"$@\"; echo $? >code; } 2>&1 | true"]);
    shell.arg(assert_cmd::cargo::cargo_bin!("fleetstorm")).args(RUN).timeout(Duration::from_secs(60));
    shell.assert().success();
    assert_eq!(fs::read_to_string(folder.path().join("code")).unwrap().trim(), code(Exit::Done).to_string());
    check_sums(&folder.path().join("out"), 10);
}

#[test]
fn an_emulator_that_dies_ends_the_run_and_keeps_what_was_measured() {
    let folder = folder("arrival = { process = \"constant\", rate = \"20/s\" }", 10_000);
    let mut running = Running::start(&folder, &[]);
    running.until_told("p99");
    let emulator = running.emulator();
    kill(emulator, Signal::SIGKILL).unwrap();
    let (exit, stdout, stderr) = running.finish();
    assert_eq!(exit, Some(code(Exit::Unexpected)), "{stderr}");
    assert!(stderr.contains("the embedded emulator ended in the middle of the run (killed by signal 9)"), "{stderr}");
    assert!(stdout.contains("PARTIAL"), "{stdout}");
    let run = check_sums(&folder.path().join("out"), 10_000);
    assert_eq!(run["status"], "aborted");
    assert!(run["totals"]["succeeded"].as_u64() > Some(0), "{run}");
}

#[test]
fn the_emulator_does_not_survive_a_killed_run() {
    let folder = folder("arrival = { process = \"constant\", rate = \"20/s\" }", 10_000);
    let mut running = Running::start(&folder, &[]);
    running.until_told("p99");
    running.emulator();
    kill(running.pid(), Signal::SIGKILL).unwrap();
    let mark = running.mark.clone();
    running.finish();
    until("the emulator ends", || marked(&mark).is_empty());
}

#[test]
fn a_running_emulator_is_tried_first() {
    let folder = folder("arrival = \"at-once\"", 5);
    let (emulator, ready) = Emulator::start(&folder, &["--connection-file", "dps.json"]);
    assert!(ready.contains("\"schema\":1"), "{ready}");
    fs::write(folder.path().join("wrong.key"), "d3Jvbmd3cm9uZ3dyb25nd3Jvbmd3cm9uZw==").unwrap();
    let other = fleetstorm::pki::issuing_ca::RootCa::generate("other", std::time::SystemTime::now()).unwrap();
    fs::write(folder.path().join("other.pem"), pem::encode(&pem::Pem::new("CERTIFICATE", other.der()))).unwrap();

    let run = |more: &[&str]| {
        let mut command = fleetstorm(folder.path());
        command.args(["run", "small.toml", "--target", "dps.json"]).args(more);
        command
    };
    run(&["--group-key-file", "wrong.key"])
        .assert()
        .code(code(Exit::Unreachable))
        .stdout("")
        .stderr(contains("the first device did not get through").and(contains("--group-key-file")));
    run(&[])
        .env("FLEETSTORM_GROUP_KEY", "d3Jvbmd3cm9uZ3dyb25nd3Jvbmd3cm9uZw==")
        .assert()
        .code(code(Exit::Unreachable))
        .stderr(contains("FLEETSTORM_GROUP_KEY").and(contains("d3Jvbmd3").not()));
    run(&["--ca-file", "other.pem"])
        .assert()
        .code(code(Exit::Unreachable))
        .stderr(contains("no TLS with").and(contains("--ca-file")));
    run(&["--issuing-root-file", "other.pem"])
        .assert()
        .code(code(Exit::Unreachable))
        .stderr(contains("--issuing-root-file"));
    run(&["--emulator-config", "emulator.toml"]).assert().code(code(Exit::Usage));
    let compressed = run(&["--set", "time_scale=1d = 1s"]).assert();
    compressed.code(code(Exit::Usage)).stderr(contains("`time_scale`").and(contains("--target embedded")));
    assert!(!folder.path().join("results").read_dir().is_ok_and(|mut left| left.next().is_some()), "nothing is left");

    run(&["--out", "out"]).assert().code(code(Exit::Done)).stdout(contains("was provisioned once before the run"));
    check_sums(&folder.path().join("out"), 5);
    emulator.stop();
}

#[test]
fn the_trial_does_only_what_the_stages_do() {
    let folder = folder("arrival = \"at-once\"", 5);
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/trial");
    let (emulator, ready) = Emulator::start(&folder, &["--https-port", "0", "--connection-file", "dps.json"]);
    assert!(ready.contains("\"schema\":1"), "{ready}");
    // Nobody listens at that port, which only matters to those who go there.
    let away = ["--hub-address", "127.0.0.1:1"];
    let run = |scenario: &str, more: &[&str]| {
        let mut command = fleetstorm(folder.path());
        command.args(["run", "--target", "dps.json", "--set", "limits.harmless_lateness=1h"]);
        command.arg(data.join(scenario)).args(more);
        command
    };
    let tried = |out: &str, how: &str| {
        let run = json(&folder.path().join(out).join("run.json"));
        let notes = run["notes"].as_array().unwrap();
        assert!(notes.iter().any(|note| note.as_str().is_some_and(|note| note.contains(how))), "{notes:?}");
    };
    run("dps-only.toml", &[&away[..], &["--out", "dps-only"]].concat()).assert().code(code(Exit::Done));
    tried("dps-only", "to try the target; it did not visit the hub");
    check_sums(&folder.path().join("dps-only"), 3);
    run("no-telemetry.toml", &away).assert().code(code(Exit::Unreachable)).stderr(contains("the hub"));
    run("no-telemetry.toml", &["--out", "no-telemetry"]).assert().code(code(Exit::Done));
    tried("no-telemetry", "to try the target; it connected with its hub and sent nothing there");
    let phases = rows(&folder.path().join("no-telemetry/phases.csv"));
    assert!(phases.iter().all(|row| row["phase"] != "telemetry_ack"), "{phases:?}");
    emulator.stop();
}

#[test]
fn an_embedded_emulator_that_does_not_start_says_why() {
    let folder = folder("arrival = \"at-once\"", 5);
    fs::write(folder.path().join("emulator.toml"), "[dps]\nretry_after = 1\n").unwrap();
    let told = contains("(--emulator-config)").and(contains("`dps.retry_after`")).and(contains(":2:1]"));
    fleetstorm(folder.path()).args(RUN).assert().code(code(Exit::Usage)).stdout("").stderr(told);
    let absent = "[[ca_certificates]]\nname = \"root\"\nfile = \"/absent.pem\"\n";
    fs::write(folder.path().join("emulator.toml"), absent).unwrap();
    fleetstorm(folder.path())
        .args(RUN)
        .assert()
        .code(code(Exit::Unexpected))
        .stdout("")
        .stderr(contains("the embedded emulator did not start").and(contains("/absent.pem")));
    assert!(!folder.path().join("out").exists());
}

#[test]
fn devices_connect_from_the_addresses_that_are_given() {
    let folder = folder("workload = \"closed\"\nconcurrency = 5", 5);
    let run = |addresses: &str, out: &str| {
        let mut command = fleetstorm(folder.path());
        command.args(&RUN[..5]).args([out, "--source-address", addresses]);
        command.assert()
    };
    run("127.0.0.7,192.0.2.1", "none").code(code(Exit::Usage)).stdout("").stderr(contains("192.0.2.1"));
    run("127.0.0.7,127.0.0.8", "out").code(code(Exit::Done));
    let run = check_sums(&folder.path().join("out"), 5);
    let setting = run["settings"].as_array().unwrap().iter().find(|s| s["key"] == "run.source_address").unwrap();
    assert_eq!(setting["value"], "127.0.0.7,127.0.0.8");
}

#[test]
fn thresholds_decide_the_exit_code() {
    let met = "thresholds = [\"storm.succeeded == 10\", \"storm.total.p99 < 1h\"]";
    let unmet = "thresholds = [\"storm.succeeded == 10\", \"storm.total.p99 < 1us\", \"storm.recover.p50 < 1s\"]";
    for (thresholds, exit, verdict) in
        [(met, Exit::Done, "complete"), (unmet, Exit::ThresholdsFailed, "thresholds_failed")]
    {
        let folder = folder("workload = \"closed\"\nconcurrency = 10", 10);
        let scenario = folder.path().join("small.toml");
        let text = fs::read_to_string(&scenario).unwrap().replace("seed = 7", &format!("seed = 7\n{thresholds}"));
        fs::write(&scenario, text).unwrap();
        let assert = fleetstorm(folder.path()).args(RUN).assert();
        assert.code(code(exit)).stdout(contains("storm.total.p99 < 1").and(contains("10 of 10 devices succeeded")));
        let run = check_sums(&folder.path().join("out"), 10);
        assert_eq!(verdicts(&run)[0], verdict);
        let rows = rows(&folder.path().join("out/thresholds.csv"));
        let told: Vec<_> = rows.iter().map(|row| (row["met"].as_str(), row["unit"].as_str())).collect();
        assert_eq!(told[0], ("true", "count"));
        if exit == Exit::ThresholdsFailed {
            assert_eq!(told[1..], [("false", "us"), ("false", "")], "nothing was recovered: not met");
        }
    }
}

#[test]
fn a_threshold_may_stop_the_run() {
    let arrival = "arrival = { process = \"constant\", rate = \"20/s\" }";
    let folder = folder(arrival, 10_000);
    let scenario = folder.path().join("small.toml");
    let threshold = "[[threshold]]\ncheck = \"storm.succeeded < 3\"\nabort_on_fail = true\nabort_after = \"0s\"\n";
    fs::write(&scenario, fs::read_to_string(&scenario).unwrap() + threshold).unwrap();
    let assert = fleetstorm(folder.path()).args(RUN).assert();
    assert
        .code(code(Exit::ThresholdsFailed))
        .stdout(contains("PARTIAL  stopped after").and(contains("storm.succeeded < 3")));
    let run = check_sums(&folder.path().join("out"), 10_000);
    assert_eq!(run["status"], "threshold-failed");
    assert!(run["thresholds"][0]["stopped_at_us"].as_u64() > Some(0), "{}", run["thresholds"]);
    assert!(run["totals"]["not_started"].as_u64() > Some(9_000));
}

/// Three kinds of devices get a certificate, renew it, and are connected for two days: a day is a second.
const LIFE: &str = r#"schema = 1
name = "life"
seed = 3
time_scale = "1d = 1s"
[fleet]
devices = 12
behaviour = "well-behaved"
[[fleet.class]]
name = "mqtt"
[[fleet.class]]
name = "websocket"
transport = "mqtt-websocket"
[[fleet.class]]
name = "https"
transport = "https"
[policy]
validity = "P4D"
renewal_window = "P2D"
[quotas]
registrations_per_minute = 1000
[emulator.dps]
retry_after_seconds = 2
[limits]
harmless_lateness = "1h"
[[stage]]
name = "rollout"
kind = "provision"
workload = "closed"
concurrency = 4
keep_connected = true
[[stage]]
name = "renewal"
kind = "renew"
arrival = { process = "from-expiry", strategy = "uniform" }
max_lateness = "1h"
keep_connected = true
[[stage]]
name = "hold"
kind = "operate"
arrival = "at-once"
max_lateness = "1h"
duration = "2d"
telemetry_every = "6h"
"#;

#[test]
fn a_fleets_life_passes_in_seconds() {
    let folder = folder("", 1);
    fs::write(folder.path().join("small.toml"), LIFE).unwrap();
    let output = fleetstorm(folder.path()).args(RUN).output().unwrap();
    let stdout = String::from_utf8_lossy(&output.stdout);
    assert!(
        stdout.contains("1 day of fleet time passes in 1 s"),
        "{stdout}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    assert!(stdout.lines().all(|line| line.chars().count() <= 100), "{stdout}");
    let run = check_sums(&folder.path().join("out"), 36);
    assert_eq!(run["totals"]["succeeded"], 36, "{stdout}");
    assert_eq!((&run["time_scale"]["text"], &run["time_scale"]["factor"]), (&"1d = 1s".into(), &86_400.0.into()));
    let stages = run["stages"].as_array().unwrap();
    let phase = |stage: usize, phase: &str| {
        stages[stage]["phases"].as_array().unwrap().iter().find(|row| row["phase"] == phase).cloned()
    };
    // Two days passed in about two seconds: certificates of four days were renewed in their window.
    assert!(phase(1, "renew_issue").is_some(), "{stdout}");
    assert!(stages[2]["totals"]["telemetry"].as_u64() >= Some(12), "{stdout}");
    let setting = |key: &str| {
        let found = run["settings"].as_array().unwrap().iter().find(|setting| setting["key"] == key);
        found.map(|setting| (setting["value"].clone(), setting["origin"].clone()))
    };
    assert_eq!(setting("emulator.dps.retry_after_seconds"), Some(("2".into(), "scenario".into())));
    assert_eq!(setting("quotas.registrations_per_minute"), Some(("1000".into(), "scenario".into())));
}

/// A run that is going on.
pub(crate) struct Running {
    child: Child,
    stderr: BufReader<std::process::ChildStderr>,
    told: String,
    mark: String,
}

impl Running {
    pub(crate) fn start(folder: &TempDir, more: &[&str]) -> Self {
        Self::start_with(folder, more, &[])
    }

    /// With these variables in its environment.
    pub(crate) fn start_with(folder: &TempDir, more: &[&str], environment: &[(&str, &str)]) -> Self {
        let mut command = Process::new(assert_cmd::cargo::cargo_bin!("fleetstorm"));
        // Or nobody but root can look for the mark.
        command.env("FLEETSTORM_DUMPABLE", "1").envs(environment.iter().copied());
        Self::spawn(command, folder, more)
    }

    /// From a shell that does something `before`.
    fn start_after(before: &str, folder: &TempDir, more: &[&str]) -> Self {
        let mut shell = Process::new("sh");
        shell.args(["-c", &format!("{before}; exec \"$0\" \"$@\"")]).arg(assert_cmd::cargo::cargo_bin!("fleetstorm"));
        Self::spawn(shell, folder, more)
    }

    fn spawn(mut command: Process, folder: &TempDir, more: &[&str]) -> Self {
        let mark = folder.path().display().to_string();
        let mut child = command
            .args(RUN)
            .args(more)
            .current_dir(folder.path())
            .env(MARK, &mark)
            .env(NO_STATE.0, NO_STATE.1)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let stderr = BufReader::new(child.stderr.take().unwrap());
        Self { child, stderr, told: String::new(), mark }
    }

    pub(crate) fn pid(&self) -> Pid {
        Pid::from_raw(self.child.id().try_into().unwrap())
    }

    /// Reads stderr until it tells that; `p99` comes with the first success.
    pub(crate) fn until_told(&mut self, what: &str) {
        loop {
            let mut line = String::new();
            assert!(self.stderr.read_line(&mut line).unwrap() > 0, "ended too early: {}", self.told);
            self.told.push_str(&line);
            if line.contains(what) {
                return;
            }
        }
    }

    /// The emulator of this run: the process with its mark that is not the run itself.
    pub(crate) fn emulator(&self) -> Pid {
        let others: Vec<Pid> = marked(&self.mark).into_iter().filter(|pid| *pid != self.pid()).collect();
        assert_eq!(others.len(), 1, "one emulator: {others:?}");
        others[0]
    }

    pub(crate) fn finish(mut self) -> (Option<i32>, String, String) {
        let mut stdout = String::new();
        self.stderr.read_to_string(&mut self.told).unwrap();
        self.child.stdout.take().unwrap().read_to_string(&mut stdout).unwrap();
        (self.child.wait().unwrap().code(), stdout, self.told)
    }
}

/// The processes with a mark in their environment.
fn marked(mark: &str) -> Vec<Pid> {
    let wanted = format!("{MARK}={mark}");
    let has_mark = |folder: &PathBuf| {
        fs::read(folder.join("environ"))
            .is_ok_and(|environ| environ.split(|byte| *byte == 0).any(|variable| variable == wanted.as_bytes()))
    };
    let folders = fs::read_dir("/proc").unwrap().filter_map(|entry| Some(entry.ok()?.path()));
    folders.filter(has_mark).filter_map(|f| f.file_name()?.to_str()?.parse().ok()).map(Pid::from_raw).collect()
}

/// Waits for something that another process does.
pub(crate) fn until(what: &str, done: impl Fn() -> bool) {
    for _ in 0..500 {
        if done() {
            return;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    panic!("waited in vain until {what}");
}
