//! Files of arrivals: they are refused, with the row, or every row is an arrival, the first of which is at once.
#![no_main]

use std::fs;
use std::sync::LazyLock;

use fleetstorm::engine::Plan;
use fleetstorm::scenario::Scenario;
use libfuzzer_sys::fuzz_target;
use tempfile::TempDir;

const SCENARIO: &str = r#"
schema = 1
name = "replay"
[fleet]
devices = 1
[[stage]]
name = "storm"
kind = "provision"
arrival = { process = "replay", file = "arrivals.csv" }
"#;

static FOLDER: LazyLock<TempDir> = LazyLock::new(|| tempfile::tempdir().unwrap());

fuzz_target!(|data: &[u8]| {
    fs::write(FOLDER.path().join("arrivals.csv"), data).unwrap();
    let name = FOLDER.path().join("scenario.toml").display().to_string();
    let read = Scenario::parse(&name, SCENARIO, &[]);
    let Ok(scenario) = read else { return };
    let due: Vec<_> = Plan::new(&scenario, 1).schedule.arrivals(0).collect();
    assert_eq!(due.len(), 1, "one device is due for one arrival");
    assert!(due[0].is_zero(), "times count from the first arrival");
});
