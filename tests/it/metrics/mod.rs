//! What a run tells while it goes on: metrics for Prometheus, and one row per attempt.

mod endpoint;
mod otlp;
mod pandas;
mod prometheus;
mod rows;

use std::fs;
use std::io::Write as _;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use serde_json::Value;
use tempfile::TempDir;

/// A folder with a scenario of some seconds, and an emulator that loses some messages, so that their devices come again.
fn folder() -> TempDir {
    let folder = TempDir::new().unwrap();
    let scenario = "schema = 1\nname = \"told\"\nseed = 7\nthresholds = [\"storm.failed == 0\"]\nlimits.harmless_lateness = \"1h\"\n\
                    [fleet]\ndevices = 60\n[fleet.behaviour]\nattempts = 0\ndefault_wait = \"200ms\"\n\
                    backoff = { first = \"300ms\", factor = 1.0, longest = \"300ms\", jitter = \"none\" }\n\
                    [[stage]]\nname = \"storm\"\nkind = \"provision\"\ntimeout = \"30s\"\n\
                    arrival = { process = \"constant\", rate = \"30/s\" }\n";
    fs::write(folder.path().join("told.toml"), scenario).unwrap();
    fs::write(
        folder.path().join("emulator.toml"),
        "[dps]\nretry_after_seconds = 0\n[faults]\ndrop_before_puback = { probability = 0.04 }\n",
    )
    .unwrap();
    folder
}

/// Arguments of a run in that folder.
const RUN: [&str; 6] = ["run", "told.toml", "--emulator-config", "emulator.toml", "--out", "out"];

/// Counters of a stage as metrics name them, and as the totals of a record do.
const COUNTERS: [(&str, &str); 7] = [
    ("devices_started", "started"),
    ("devices_expired", "expired"),
    ("attempts_started", "attempts"),
    ("throttled", "throttled"),
    ("polls", "polls"),
    ("disconnects", "disconnects"),
    ("telemetry", "telemetry"),
];

/// A run that goes on; it ends with the test at the latest.
struct Running(Child);

impl Running {
    fn start(folder: &Path, more: &[&str]) -> Self {
        Self::start_in(folder, more, &[])
    }

    /// With variables in its environment.
    fn start_in(folder: &Path, more: &[&str], environment: &[(&str, &str)]) -> Self {
        let mut command = Command::new(assert_cmd::cargo::cargo_bin!("fleetstorm"));
        command
            .current_dir(folder)
            .args(RUN)
            .args(more)
            .envs([crate::cli::NO_STATE])
            .envs(environment.iter().copied())
            .stdout(Stdio::null());
        Self(command.spawn().unwrap())
    }

    fn code(&mut self) -> Option<i32> {
        self.0.wait().unwrap().code()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It has ended when all went well.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A port that was free a moment ago.
fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// What an HTTP server answers, when it does.
fn get(url: &str, parameters: &[(&str, &str)]) -> Option<String> {
    answer(url, parameters, &[]).map(|(_, body)| body)
}

/// The same to a request with such fields, after the type of its content.
fn answer(url: &str, parameters: &[(&str, &str)], fields: &[&str]) -> Option<(String, String)> {
    let mut command = Command::new("curl");
    command.args(["--silent", "--show-error", "--fail", "--max-time", "10", "--get"]).stderr(Stdio::null());
    command.args(["--write-out", "\\n%{content_type}"]);
    for (name, value) in parameters {
        command.arg("--data-urlencode").arg(format!("{name}={value}"));
    }
    for field in fields {
        command.args(["--header", field]);
    }
    let output = command.arg(url).output().expect("curl is needed: apt-get install curl");
    output.status.success().then(|| {
        let text = String::from_utf8(output.stdout).unwrap();
        let (body, content_type) = text.rsplit_once('\n').unwrap();
        (content_type.to_owned(), body.to_owned())
    })
}

/// Holds metrics in the text format against the rules of Prometheus.
pub(crate) fn check_metrics(text: &str) {
    let promtool = || Command::new("promtool");
    let is_there = promtool().arg("--version").output().is_ok_and(|output| output.status.success());
    if !present("promtool", is_there, "apt-get install prometheus") {
        return;
    }
    let mut command = promtool();
    command.args(["check", "metrics"]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut process = command.spawn().unwrap();
    process.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let output = process.wait_with_output().unwrap();
    let said = [output.stdout, output.stderr].map(|said| String::from_utf8(said).unwrap()).concat();
    assert!(output.status.success() && said.is_empty(), "{said}\n{text}");
}

/// Asks again and again, for at most a minute.
fn until<T>(what: &str, ask: impl Fn() -> Option<T>) -> T {
    for _ in 0..600 {
        if let Some(found) = ask() {
            return found;
        }
        std::thread::sleep(std::time::Duration::from_millis(100));
    }
    panic!("{what} did not come within a minute");
}

fn run_json(folder: &Path) -> Value {
    serde_json::from_slice(&fs::read(folder.join("out/run.json")).unwrap()).unwrap()
}

/// Whether a tool that the test needs is there; where `CI` is set it must be.
pub(crate) fn present(tool: &str, is_there: bool, remedy: &str) -> bool {
    if !is_there {
        let missing = format!("NOT RUN: {tool} is missing; install it with `{remedy}`\n");
        assert!(std::env::var_os("CI").is_none(), "{missing}");
        // Not by a macro: what macros print is hidden when a test passes.
        let _ = std::io::stderr().write_all(missing.as_bytes());
    }
    is_there
}
