//! What `plan` and `run` say of this machine before anything is asked of it, by what is remembered of earlier runs.

use std::fs;
use std::path::Path;

use fleetstorm::report::units;
use fleetstorm::rig::machine::{OpenFiles, Scarcity, machine};
use serde_json::{Value, json};

use crate::cli::fleetstorm;
use crate::run::{RUN, folder};

/// A state in which one stage of an earlier run took a hundred milliseconds of CPU on either side for each device.
fn remembered(folder: &Path) {
    let here = machine(OpenFiles { limit: 1, wanted: 1 }, &Scarcity::default());
    let stage = json!({
        "cpu": here.cpu,
        "cores": units::cores(here.cores_to_use()),
        "optimized": !cfg!(debug_assertions),
        "embedded": true,
        "work": "provision with hub and telemetry: mqtt, symmetric-key, ecdsa-p256, fresh, any",
        "generator_us": 100_000,
        "emulator_us": 100_000,
    });
    state(folder, &json!({ "stages": [stage] }).to_string());
}

fn state(folder: &Path, content: &str) {
    fs::create_dir_all(folder.join("state/fleetstorm")).unwrap();
    fs::write(folder.join("state/fleetstorm/machine.json"), content).unwrap();
}

#[test]
fn what_an_earlier_run_took_is_held_against_what_is_asked_for() {
    // Sixteen cores would need 1.5 s for them.
    let folder = folder("arrival = { process = \"spread\", over = \"100ms\" }\nmax_lateness = \"1h\"", 160);
    remembered(folder.path());
    let command = |args: &[&str]| {
        let mut command = fleetstorm(folder.path());
        command.env("XDG_STATE_HOME", folder.path().join("state")).args(args);
        command.output().unwrap()
    };
    let words = |text: &[u8]| String::from_utf8_lossy(text).split_whitespace().collect::<Vec<_>>().join(" ");

    let plan = words(&command(&["plan", "small.toml"]).stdout);
    for told in [
        "100 ms of CPU of the generator and 100 ms of the emulator for each device, as one earlier run on this machine took",
        "WARNING: storm asks for up to",
        "until this machine is expected to be through with them",
    ] {
        assert!(plan.contains(told), "{told} is not told: {plan}");
    }
    let plan: Value = serde_json::from_slice(&command(&["plan", "small.toml", "--json"]).stdout).unwrap();
    let stage = &plan["stages"][0]["machine"];
    assert_eq!(
        (&stage["known_by"], &stage["runs"], &stage["keeps_up"]),
        (&"earlier-runs".into(), &1.into(), &false.into())
    );
    assert!(plan["expected_duration_us"].as_u64() > plan["least_duration_us"].as_u64(), "{plan}");

    // Before it begins.
    let run = command(&RUN);
    assert!(words(&run.stderr).contains("WARNING: storm asks for up to"), "{}", words(&run.stderr));

    // What is not known is not said to be enough, and a damaged state costs nothing.
    for other in ["{\"stages\": [", "{\"stages\": []}"] {
        state(folder.path(), other);
        let plan: Value = serde_json::from_slice(&command(&["plan", "small.toml", "--json"]).stdout).unwrap();
        let stage = &plan["stages"][0]["machine"];
        if cfg!(debug_assertions) {
            assert_eq!((&stage["known_by"], &stage["keeps_up"]), (&"unknown".into(), &Value::Null), "{other}");
        } else {
            assert_eq!(stage["known_by"], "documented", "{other}");
        }
    }
}
