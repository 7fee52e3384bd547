//! The binary as a user meets it: help, exit codes, and what it says when something is wrong.

use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};

use assert_cmd::Command;
use fleetstorm::cli::Exit;
use fleetstorm::rig::target::Connection;
use predicates::prelude::PredicateBooleanExt as _;
use predicates::str::contains;
use tempfile::TempDir;

/// Five mistakes: two unknown keys, two values that are none, one key missing.
const FIVE_MISTAKES: &str = r#"schema = 1
name = "wrong"

[fleet]
devises = 5
key_algorithm = "ecdsa"

[[stage]]
name = "storm"
kind = "provision"
arrival = "soon"
speed = "high"
"#;

/// The binary in an empty folder, without what the surroundings may have set.
/// What a command is told so that it remembers nothing of the machine that runs the test, and has nothing remembered.
pub(crate) const NO_STATE: (&str, &str) = ("XDG_STATE_HOME", "/dev/null/none");

pub(crate) fn fleetstorm(folder: &Path) -> Command {
    let mut command = assert_cmd::cargo::cargo_bin_cmd!("fleetstorm");
    command.current_dir(folder).env_remove("FLEETSTORM_GROUP_KEY").env_remove("NO_COLOR").env(NO_STATE.0, NO_STATE.1);
    command.timeout(std::time::Duration::from_secs(120));
    command
}

pub(crate) fn scenario(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios").join(name)
}

pub(crate) fn code(exit: Exit) -> i32 {
    exit.code().into()
}

/// An emulator that is not there: its description names a port where nobody listens.
fn absent_emulator(folder: &TempDir) -> PathBuf {
    let mqtt = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let file = |name: &str, content: &[u8]| {
        let path = folder.path().join(name);
        fs::write(&path, content).unwrap();
        path
    };
    let root = fleetstorm::pki::issuing_ca::RootCa::generate("root", std::time::SystemTime::now()).unwrap();
    let pem = pem::encode(&pem::Pem::new("CERTIFICATE", root.der()));
    let connection = Connection {
        schema: Connection::SCHEMA,
        id_scope: "0ne00000001".to_owned(),
        dps_host: "localhost".to_owned(),
        hub_host: "localhost".to_owned(),
        mqtt,
        https: None,
        management: None,
        ipv6: fleetstorm::emulator::Ipv6Endpoints::default(),
        management_token_file: None,
        group_id: "fleet".to_owned(),
        group_key_file: file("group.key", b"c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0"),
        ca_file: file("ca.pem", pem.as_bytes()),
        issuing_root_file: file("root.pem", pem.as_bytes()),
    };
    file("dps.json", serde_json::to_string(&connection).unwrap().as_bytes())
}

#[test]
fn help_teaches_and_names_every_exit_code() {
    let folder = TempDir::new().unwrap();
    let help = fleetstorm(folder.path()).arg("--help").assert().success().get_output().stdout.clone();
    let help = String::from_utf8(help).unwrap();
    assert!(help.contains("Examples:") && help.contains("fleetstorm run scenarios/"), "{help}");
    for exit in Exit::ALL {
        assert!(help.contains(&format!("{:>3}  {}", exit.code(), exit.meaning())), "{exit:?}");
    }
    for command in ["run", "plan", "check", "emulator", "pki"] {
        fleetstorm(folder.path()).args([command, "--help"]).assert().success();
    }
}

#[test]
fn the_readme_has_the_same_exit_codes() {
    let readme = include_str!("../../README.md");
    for exit in Exit::ALL {
        let row = format!("| {} | {} |", exit.code(), exit.meaning());
        assert!(readme.contains(&row), "README.md lacks `{row}`");
    }
}

#[test]
fn a_wrong_command_line_is_usage() {
    let folder = TempDir::new().unwrap();
    for args in [&["run"][..], &["run", "x.toml", "--sped"], &["run", "x.toml", "--set", "devices"], &["storm"], &[]] {
        fleetstorm(folder.path()).args(args).assert().code(code(Exit::Usage)).stdout("");
    }
}

#[test]
fn all_mistakes_of_a_scenario_are_told_at_once() {
    let folder = TempDir::new().unwrap();
    fs::write(folder.path().join("wrong.toml"), FIVE_MISTAKES).unwrap();
    for command in ["check", "plan", "run"] {
        let assert = fleetstorm(folder.path()).args([command, "wrong.toml"]).assert();
        let stderr = String::from_utf8(assert.code(code(Exit::ScenarioInvalid)).get_output().stderr.clone()).unwrap();
        for told in ["`fleet.devises`", "`fleet.devices` is missing", "\"ecdsa\"", "\"soon\"", "`stage.storm.speed`"] {
            assert!(stderr.contains(told), "{command} does not tell {told}:\n{stderr}");
        }
        assert!(stderr.contains("wrong.toml:5:1") && stderr.contains("did you mean"), "{stderr}");
    }
    assert!(!folder.path().join("results").exists(), "nothing was started");
}

#[test]
fn problems_come_as_json_too() {
    let folder = TempDir::new().unwrap();
    fs::write(folder.path().join("wrong.toml"), FIVE_MISTAKES).unwrap();
    let good = scenario("smoke.toml");
    let output = fleetstorm(folder.path()).args(["check", "--json", "wrong.toml"]).arg(good).output().unwrap();
    assert_eq!(output.status.code(), Some(code(Exit::ScenarioInvalid)));
    let files: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(files[0]["problems"].as_array().unwrap().len(), 5);
    assert_eq!(files[0]["problems"][1]["line"], 5);
    assert_eq!(files[1]["valid"], true);
}

#[test]
fn the_same_seed_gives_the_same_plan() {
    let folder = TempDir::new().unwrap();
    let plan = |seed: &str| {
        let mut command = fleetstorm(folder.path());
        command.arg("plan").arg(scenario("provisioning-ramp.toml")).args(["--json", "--seed", seed]);
        let plan: serde_json::Value = serde_json::from_slice(&command.output().unwrap().stdout).unwrap();
        assert!(plan["key_cpu_us"].as_u64().unwrap() > 0);
        plan
    };
    assert_eq!(plan("7"), plan("7"));
    let other = plan("8");
    assert_eq!((&other["seed"], &other["keys"]), (&8.into(), &other["devices"]));
}

/// A day's rollout and the renewals that follow from it, in compressed time, for two kinds of devices.
const RENEWALS: &str = r#"schema = 1
name = "renewals"
seed = 1
time_scale = "1d = 1s"
[fleet]
devices = 200000
[[fleet.class]]
name = "old"
key_algorithm = "rsa-2048"
[[fleet.class]]
name = "new"
share = 3
[quotas]
renewals_per_minute = 100
certificates_per_minute = 500
[[stage]]
name = "rollout"
kind = "provision"
arrival = { process = "spread", over = "1d" }
keep_connected = true
[[stage]]
name = "renewal"
kind = "renew"
with = "rollout"
delay = "2d"
arrival = { process = "from-expiry", strategy = "window-opens" }
"#;

#[test]
fn a_plan_tells_whether_declared_quotas_hold() {
    let folder = TempDir::new().unwrap();
    fs::write(folder.path().join("renewals.toml"), RENEWALS).unwrap();
    let plan = |more: &[&str]| {
        let assert = fleetstorm(folder.path()).args(["plan", "renewals.toml"]).args(more).assert().success();
        String::from_utf8(assert.get_output().stdout.clone()).unwrap()
    };
    let text = plan(&[]);
    for told in [
        "1 day of fleet time passes in 1 s",
        "200,000 devices: 50,000 old, 150,000 new",
        "kept: 500 certificates per minute allowed, at most 139 asked for",
        "EXCEEDED after 23 days",
        "100 renewals per minute allowed, up to 139 asked for",
        "evenly over 1 day 10 h they fit",
        "127.0.0.0/8",
    ] {
        let words = text.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(words.contains(told), "{told} is not told:\n{text}");
    }
    assert!(text.lines().all(|line| line.chars().count() <= 100), "{text}");

    let json: serde_json::Value = serde_json::from_str(&plan(&["--json"])).unwrap();
    let quota = &json["stages"][1]["quotas"][0];
    assert_eq!((&quota["quota"], &quota["exceeded"]), (&"renewals_per_minute".into(), &true.into()));
    assert_eq!(json["stages"][0]["classes"][1]["devices"], 150_000);
    let spread = quota["shortest_spread_fleet_us"].as_u64().unwrap();
    // That spread, used.
    let arrival = format!("stage.renewal.arrival={{ process = \"spread\", over = \"{spread}us\" }}");
    assert!(plan(&["--set", &arrival]).contains("kept: 100 renewals per minute allowed"));
}

/// The plan of a scenario of `tests/data`.
fn plan_of(file: &str, more: &[&str]) -> String {
    let folder = TempDir::new().unwrap();
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(file);
    let assert = fleetstorm(folder.path()).arg("plan").arg(file).args(more).assert().success();
    String::from_utf8(assert.get_output().stdout.clone()).unwrap()
}

#[test]
fn a_plan_warns_of_keys_for_which_there_is_no_time() {
    // More than any machine makes in three seconds.
    let many = ["--set", "fleet.devices=60000"];
    let text = plan_of("late-keys/late.toml", &many);
    let words = text.split_whitespace().collect::<Vec<_>>().join(" ");
    for told in [
        "20,000 key pairs (rsa-4096) and 20,000 CSRs of rsa: typically 3 h 22 min of CPU, 606 ms each",
        "late keys WARNING: second needs keys faster than they can be made",
        "late keys WARNING: third needs keys",
        "devices start late",
        "of them are dropped; raise limits.prepare, begin it later, spread it over longer",
    ] {
        assert!(words.contains(told), "{told} is not told:\n{text}");
    }
    let json: serde_json::Value =
        serde_json::from_str(&plan_of("late-keys/late.toml", &[&many[..], &["--json"]].concat())).unwrap();
    let time = &json["key_time"];
    let late = &time["late"][0];
    assert_eq!(
        (&time["in_time"], &late["stage"]),
        (&false.into(), &"second".into()),
        "the first waits for none of them"
    );
    assert!(late["dropped"].as_u64() > Some(10_000) && time["cores"].as_u64() > Some(0), "{time}");
    let ecc = ["--set", "fleet.class.rsa.key_algorithm=ecdsa-p256", "--set", "fleet.class.rsab.keys=shared", "--json"];
    let json: serde_json::Value = serde_json::from_str(&plan_of("late-keys/late.toml", &ecc)).unwrap();
    assert_eq!(json["key_time"]["in_time"], true, "{json}");
}

#[test]
fn a_plan_adds_up_what_stages_beside_each_other_ask_for() {
    let plan = |more: &[&str]| plan_of("quotas-beside/par.toml", more);
    // The service counts what all shards ask for.
    for more in [&[][..], &["--shard", "2/3"]] {
        let words = plan(more).split_whitespace().collect::<Vec<_>>().join(" ");
        for told in ["1,000 registrations per minute allowed", "500 certificates per minute allowed"] {
            let told = format!("{told}, up to 1,200 asked for (400 by ra, 400 by rb, 400 by rc)");
            assert!(words.contains(&told), "{told} is not told: {words}");
        }
        assert_eq!(words.matches("EXCEEDED").count(), 2, "{words}");
    }
    let json: serde_json::Value = serde_json::from_str(&plan(&["--json"])).unwrap();
    let quota = &json["quotas"][1];
    assert_eq!(quota["quota"], "certificates_per_minute");
    assert_eq!((&quota["verdict"], &quota["exceeded"]), (&"exceeded".into(), &true.into()));
    assert_eq!((&quota["peak_per_period"], &quota["limit"]), (&1_200.into(), &500.into()));
    assert_eq!(quota["peak_stages"][2], serde_json::json!({ "stage": "rc", "asked": 400 }));
    let over = quota["over_stages"].as_array().unwrap().iter().map(|over| over["devices"].as_u64().unwrap());
    assert_eq!(over.sum::<u64>(), quota["devices_over"].as_u64().unwrap());
    assert_eq!(json["stages"][0]["quotas"][1]["exceeded"], false, "alone it fits: {}", json["stages"][0]);
}

#[test]
fn a_plan_of_a_closed_workload_leaves_open_what_the_target_decides() {
    let folder = TempDir::new().unwrap();
    fs::write(folder.path().join("renewals.toml"), RENEWALS).unwrap();
    let assert = fleetstorm(folder.path())
        .args([
            "plan",
            "renewals.toml",
            "--set",
            "stage.renewal={ name = \"renewal\", kind = \"renew\", workload = \"closed\", concurrency = 9 }",
        ])
        .assert();
    assert
        .success()
        .stdout(contains("unknown: 100 renewals per minute allowed").and(contains("as long as the target")));
}

#[test]
fn settings_of_the_emulator_that_cannot_be_are_problems_of_the_scenario() {
    let folder = TempDir::new().unwrap();
    fs::write(folder.path().join("wrong.toml"), format!("{RENEWALS}[emulator.dps]\nretry_after = 1\n")).unwrap();
    for command in ["check", "plan", "run"] {
        let assert = fleetstorm(folder.path()).args([command, "wrong.toml"]).assert();
        assert
            .code(code(Exit::ScenarioInvalid))
            .stderr(contains("`emulator.dps.retry_after`").and(contains("wrong.toml:")));
    }
    let output = fleetstorm(folder.path()).args(["check", "--json", "wrong.toml"]).output().unwrap();
    let files: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(files[0]["problems"][0]["message"].as_str().unwrap().contains("retry_after"), "{files}");
}

#[test]
fn everything_that_is_wrong_with_the_emulators_file_is_told_at_once() {
    let folder = TempDir::new().unwrap();
    fs::write(folder.path().join("e.toml"), "[[groups]]\ndisabled = true\n[dps]\nretry_after = 1\n").unwrap();
    let told = || {
        let line = contains(":4:1]").and(contains("did you mean `retry_after_seconds`?"));
        line.and(contains(":1:1]")).and(contains("`groups.0.id` is missing"))
    };
    let emulator = fleetstorm(folder.path()).args(["emulator", "--config", "e.toml"]).assert();
    emulator.code(code(Exit::Usage)).stderr(told());
    let run =
        fleetstorm(folder.path()).arg("run").arg(scenario("smoke.toml")).args(["--emulator-config", "e.toml"]).assert();
    run.code(code(Exit::Usage)).stderr(told());
    fs::write(
        folder.path().join("wrong.toml"),
        format!("{RENEWALS}[emulator]\ndps.retry_after = 1\nfaults.puase.for_seconds = 1\n"),
    )
    .unwrap();
    let check = fleetstorm(folder.path()).args(["check", "wrong.toml"]).assert().code(code(Exit::ScenarioInvalid));
    check.stderr(contains("did you mean `retry_after_seconds`?").and(contains("did you mean `pause`?")));
}

#[test]
fn mistakes_in_the_emulators_table_are_told_with_all_others_where_they_stand() {
    let folder = TempDir::new().unwrap();
    let text = "schema = 1\nname = 'x'\n[emulator]\ndps.retry_after = 1\n[emulator.adr]\nkey_types = 'p384'\n[fleet]\ndevices = 0\n\
                [[stage]]\nname = 's'\nkind = 'provision'\narrival = 'at-once'\n";
    fs::write(folder.path().join("wrong.toml"), text).unwrap();
    let output = fleetstorm(folder.path()).args(["check", "--json", "wrong.toml"]).output().unwrap();
    let files: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let problems = files[0]["problems"].as_array().unwrap();
    let told = problems.iter().map(|p| (p["message"].as_str().unwrap(), p["line"].as_u64(), p["column"].as_u64()));
    let told: Vec<_> = told.collect();
    let expected = [
        ("unknown key `emulator.dps.retry_after`", Some(4), Some(5)),
        ("`emulator.adr.key_types` cannot be \"p384\"", Some(6), Some(13)),
        ("`fleet.devices` cannot be 0", Some(8), Some(11)),
    ];
    assert_eq!(told, expected);
    let plan = fleetstorm(folder.path()).args(["plan", "wrong.toml", "--set", "emulator.seed=-1"]).assert();
    plan.code(code(Exit::ScenarioInvalid)).stderr(contains("`emulator.seed` cannot be -1").and(contains("--set:1:15")));
}

#[test]
fn an_unusable_results_folder_is_told_before_the_run() {
    let folder = TempDir::new().unwrap();
    fs::write(folder.path().join("file"), "in the way").unwrap();
    fs::create_dir(folder.path().join("old")).unwrap();
    fs::write(folder.path().join("old/run.json"), "{}").unwrap();
    for (out, told) in [("file/results", "file/results"), ("old", "already holds results")] {
        fleetstorm(folder.path())
            .arg("run")
            .arg(scenario("smoke.toml"))
            .args(["--out", out])
            .assert()
            .code(code(Exit::Unexpected))
            .stdout("")
            .stderr(contains(told).and(contains("--out")));
    }
}

#[test]
fn a_target_where_nobody_listens_is_unreachable() {
    let folder = TempDir::new().unwrap();
    let target = absent_emulator(&folder);
    fleetstorm(folder.path())
        .arg("run")
        .arg(scenario("smoke.toml"))
        .arg("--target")
        .arg(target)
        .assert()
        .code(code(Exit::Unreachable))
        .stdout("")
        .stderr(contains("refuses connections").and(contains("is the target running")));
    let left = fs::read_dir(folder.path().join("results")).map_or(0, Iterator::count);
    assert_eq!(left, 0, "no empty results folder stays behind");
}

#[test]
fn a_name_without_address_is_unreachable() {
    let folder = TempDir::new().unwrap();
    absent_emulator(&folder);
    fleetstorm(folder.path())
        .arg("run")
        .arg(scenario("smoke.toml"))
        .args(["--target", "no-such-host.invalid", "--id-scope", "0ne00000001", "--ca-file", "ca.pem"])
        .args(["--group-key-file", "group.key"])
        .assert()
        .code(code(Exit::Unreachable))
        .stderr(contains("cannot be resolved").and(contains("--target")));
}

#[test]
fn load_on_another_machine_must_be_confirmed() {
    let folder = TempDir::new().unwrap();
    absent_emulator(&folder);
    let run = || {
        let mut command = fleetstorm(folder.path());
        command.arg("run").arg(scenario("smoke.toml")).args(["--target", "192.0.2.1", "--id-scope", "0ne00000001"]);
        command.args(["--ca-file", "ca.pem"]);
        command
    };
    run().assert().code(code(Exit::Usage)).stderr(contains("FLEETSTORM_GROUP_KEY"));
    for confirmed in [&[][..], &["--confirm-id-scope", "0ne00000002"]] {
        run()
            .env("FLEETSTORM_GROUP_KEY", "c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0")
            .args(confirmed)
            .assert()
            .code(code(Exit::Usage))
            .stderr(contains("--confirm-id-scope 0ne00000001").and(contains("c2VjcmV0").not()));
    }
}
