//! One run on several generators, and the rail towards targets on other machines, by the binary.

use std::fs;

use fleetstorm::cli::Exit;
use fleetstorm::rig::target::Connection;
use predicates::prelude::PredicateBooleanExt as _;
use predicates::str::contains;
use serde_json::Value;
use tempfile::TempDir;

use crate::cli::{NO_STATE, code, fleetstorm};
use crate::run::{Emulator, RUN, folder, json, rows, sum, verdicts};

/// Runs a part of the fleet into a folder of that name.
fn shard(folder: &TempDir, out: &str, more: &[&str]) -> assert_cmd::assert::Assert {
    fleetstorm(folder.path()).args(&RUN[..5]).args([out, "--quiet"]).args(more).assert()
}

#[test]
fn shards_of_one_run_are_merged_to_it() {
    let folder = folder("arrival = { process = \"constant\", rate = \"40/s\" }", 30);
    let met = "thresholds=[\"storm.succeeded == 30\", \"storm.total.p99 < 1us\"]";
    for number in ["1", "2", "3"] {
        let run = shard(&folder, number, &["--shard", &format!("{number}/3"), "--devices", "--set", met]);
        // Alone it has ten of thirty.
        run.code(code(Exit::ThresholdsFailed))
            .stdout(contains(format!("shard {number} of 3")).and(contains("10 of 10")));
    }
    shard(&folder, "all", &["--devices"]).code(code(Exit::Done));
    let devices = |out: &str| rows(&folder.path().join(out).join("devices.csv"));
    let who = |out: &str| devices(out).iter().map(|row| row["device"].parse::<u32>().unwrap()).collect::<Vec<_>>();
    assert!(who("2").iter().all(|device| device % 3 == 1) && who("2").len() == 10, "{:?}", who("2"));
    for row in devices("2") {
        let whole = devices("all").into_iter().find(|other| other["device"] == row["device"]).unwrap();
        // That it is due at the same time is seen where time is virtual.
        assert_eq!(row["registration_id"], whole["registration_id"]);
    }

    let merge = |folders: &[&str], out: &str| {
        fleetstorm(folder.path()).arg("merge").args(folders).args(["--out", out, "--quiet"]).assert()
    };
    let merged = merge(&["1", "2", "3"], "whole").code(code(Exit::ThresholdsFailed));
    merged.stdout(contains("30 of 30").and(contains("shard 1 of 3: threshold storm.succeeded == 30 was NOT met")));
    let whole = json(&folder.path().join("whole/run.json"));
    assert_eq!(whole["thresholds"][0]["met"], true, "judged again over the sum: {}", whole["thresholds"]);
    assert_eq!((&whole["thresholds"][1]["met"], &whole["shard"]), (&false.into(), &Value::Null));
    assert_eq!(sum(&rows(&folder.path().join("whole/intervals.csv")), "due"), 30);

    let part = merge(&["1", "2"], "part").code(code(Exit::Done));
    part.stdout(contains("shards 1, 2 of 3, ").and(contains("shard 3 of 3 is missing")).and(contains("20 of 20")));
    merge(&["part", "3"], "whole-too").code(code(Exit::ThresholdsFailed)).stdout(contains("30 of 30"));
    for twice in [&["1", "1"][..], &["1", "all"], &["whole", "2"]] {
        // The whole was not asked to meet anything, but that is not the reason.
        merge(twice, "twice").code(code(Exit::Unexpected)).stderr(contains("the same devices"));
    }
    let compared = fleetstorm(folder.path()).args(["compare", "all", "1"]).assert();
    compared.code(code(Exit::Unexpected)).stderr(contains("part of the fleet: the whole fleet and shard 1 of 3"));
    fleetstorm(folder.path()).args(["compare", "all", "whole"]).assert().code(code(Exit::Done));
}

#[test]
fn shards_with_other_settings_are_refused_with_every_reason() {
    let folder = folder("workload = \"closed\"\nconcurrency = 4", 8);
    let notes = shard(&folder, "1", &["--shard", "1/2"]);
    notes.code(code(Exit::Done)).stdout(contains("has 2 of the 4 at a time").and(contains("embedded emulator serves")));
    let other = ["--shard", "2/2", "--set", "limits.max_in_flight=5", "--set", "stage.storm.telemetry=false"];
    shard(&folder, "2", &other).code(code(Exit::Done));
    let merge = |out: &str, more: &[&str]| {
        fleetstorm(folder.path()).args(["merge", "1", "2", "--out", out]).args(more).assert()
    };
    let reasons = contains("limits.max_in_flight: ").and(contains("telemetry: true and false"));
    merge("no", &[]).code(code(Exit::Unexpected)).stderr(reasons.and(contains("--allow KEY")));
    let allowed = ["--allow", "limits", "--allow", "stage"];
    merge("sum", &allowed).code(code(Exit::Done)).stdout(contains("8 of 8").and(contains("telemetry differs")));
}

#[test]
fn what_cannot_be_sharded_is_refused_before_anything_starts() {
    let folder = folder("arrival = \"at-once\"", 3);
    for (more, told) in [
        (&["--shard", "4/4"][..], "shard 4 of 4 has no device: the fleet has 3"),
        (&["--shard", "5/4"], "write I/N"),
        (&["--shard", "1/2", "--start-at", "2001-01-01T00:00:00Z"], "ago"),
        (&["--shard", "1/2", "--start-at", "+5h"], "fleet.token_life"),
        (&["--start-at", "+1s", "--repeat", "2"], "--repeat"),
    ] {
        shard(&folder, "out", more).code(code(Exit::Usage)).stderr(contains(told));
    }
    let text = fs::read_to_string(folder.path().join("small.toml")).unwrap().replace("seed = 7\n", "");
    fs::write(folder.path().join("small.toml"), text).unwrap();
    shard(&folder, "out", &["--shard", "1/2"]).code(code(Exit::Usage)).stderr(contains("--seed N"));
    assert!(!folder.path().join("out").exists());
    let plan = fleetstorm(folder.path()).args(["plan", "small.toml", "--shard", "2/2", "--seed", "1"]).assert();
    plan.code(code(Exit::Done)).stdout(contains("1 of 3: shard 2 of 2"));
}

#[test]
fn a_run_waits_for_its_moment_and_can_be_stopped_meanwhile() {
    use nix::sys::signal::{Signal, kill};

    let folder = folder("arrival = \"at-once\"", 3);
    let args = ["begun", "--start-at", "+3s"];
    let run = fleetstorm(folder.path()).args(&RUN[..5]).args(args).assert().code(code(Exit::Done));
    run.stderr(contains("ready: begins in ")).stdout(contains("3 of 3"));
    let mut running = crate::run::Running::start(&folder, &["--start-at", "+20m"]);
    running.until_told("ready: begins in ");
    kill(running.pid(), Signal::SIGINT).unwrap();
    let (exit, stdout, stderr) = running.finish();
    assert_eq!(exit, Some(code(Exit::Interrupted)), "{stderr}");
    assert!(stdout.contains("3 not started"), "{stdout}");
}

#[test]
fn a_target_elsewhere_is_not_asked_for_more_than_its_quotas() {
    let folder = folder("arrival = \"at-once\"\nhub_connect = false", 12);
    let (_emulator, ready) = Emulator::start(&folder, &[]);
    let here = Connection::parse(&ready).unwrap();
    let describe = |mqtt: &str| {
        let there = Connection { mqtt: mqtt.parse().unwrap(), https: None, ..here.clone() };
        fs::write(folder.path().join("there.json"), serde_json::to_string(&there).unwrap()).unwrap();
    };
    let run = |out: &str, more: &[&str]| {
        let args = ["run", "small.toml", "--target", "there.json", "--confirm-id-scope", "0ne00000001", "--out", out];
        fleetstorm(folder.path()).args(args).args(more).assert()
    };
    let few = ["--set", "quotas.certificates_per_minute=10"];
    // Nobody is there: whatever was sent would take until a time-out, and end with another code.
    describe("192.0.2.1:8883");
    let refused = run("out", &few).code(code(Exit::Usage)).stdout("");
    let words = contains("emulator at 192.0.2.1:8883").and(contains("EXCEEDED at once: 10 certificates"));
    refused.stderr(words.and(contains("--above-quota")).and(contains("[quotas]")));
    // The service counts what all shards ask for.
    run("out", &[&few[..], &["--shard", "1/2"]].concat()).code(code(Exit::Usage)).stderr(contains("up to 12"));
    let unconfirmed = fleetstorm(folder.path()).args(["run", "small.toml", "--target", "there.json"]).assert();
    unconfirmed.code(code(Exit::Usage)).stderr(contains("--confirm-id-scope"));
    assert!(!folder.path().join("out").exists());

    // An address that is not loopback to look at, and leads to this machine.
    describe(&format!("0.0.0.0:{}", here.mqtt.port()));
    run("insists", &[&few[..], &["--above-quota"]].concat())
        .code(code(Exit::Done))
        .stdout(contains("12 of 12").and(contains("--above-quota: EXCEEDED")));
    // Both halves at the same emulator, within the quotas that nobody declared.
    for (number, index) in [("1", "1/2"), ("2", "2/2")] {
        run(number, &["--shard", index]).code(code(Exit::Done)).stdout(contains("6 of 6"));
    }
    let merged = fleetstorm(folder.path()).args(["merge", "1", "2", "--out", "sum"]).assert().code(code(Exit::Done));
    merged.stdout(contains("12 of 12"));
}

/// More than a file may have here: rows are given up, everything else is whole.
#[test]
fn rows_that_find_no_room_are_told_and_cost_nothing_else() {
    let folder = folder("arrival = \"at-once\"\nhub_connect = false\nmax_lateness = \"1h\"", 1_500);
    let binary = assert_cmd::cargo::cargo_bin!("fleetstorm");
    let mut shell = assert_cmd::Command::new("bash");
    // Blocks of 1,024 bytes. Whoever ignores the signal gets an error, as of a full disk.
    shell.args(["-c", "trap '' XFSZ; ulimit -f 250; exec \"$0\" \"$@\""]).arg(binary).args(RUN);
    shell.args(["--devices", "--quiet", "--set", "fleet.keys=shared"]).current_dir(folder.path());
    shell.env(NO_STATE.0, NO_STATE.1);
    let run = shell.timeout(std::time::Duration::from_secs(120)).assert();
    let output = run.get_output();
    let (stdout, stderr) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.status.code(), Some(code(Exit::Done)), "{stdout}{stderr}");
    assert!(stdout.contains("ROWS LOST  1,500 of 1,500 attempts") && stdout.contains("File too large"), "{stdout}");
    let run = json(&folder.path().join("out/run.json"));
    assert_eq!((&run["rows_lost"], verdicts(&run)[0]), (&1_500.into(), "rows_lost"));
    assert_eq!(run["totals"]["succeeded"], 1_500);
    assert!(!folder.path().join("out/devices.csv").exists());
}
